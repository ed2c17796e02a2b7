"""A training on disk: the best model so far, and beside it the state to go on from."""

import glob
import io
import json
import zlib
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fastseq.errors import OptionError, ResumeError
from fastseq.learn.feed import Feed
from fastseq.learn.parallel import World
from fastseq.learn.recipes import Recipe
from fastseq.models import checkpoints
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.models.whole_files import write_whole


class Training(Protocol):
    """What is kept of a training, and what tells it from others."""

    model: Any
    recipe: Recipe
    seed: int
    world: World
    device: torch.device
    path: Path | None
    input: InputSpec
    head: TargetSpec
    feed: Feed
    labels: np.ndarray
    train_rows: np.ndarray
    val_rows: np.ndarray
    history: list[dict]
    best: dict
    best_weights: dict[str, Tensor]
    restored: dict | None


def copy(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def keep(
    run: Training, opt: torch.optim.Optimizer, average: AveragedModel | None, stage_begin: int
) -> None:
    """Write the state after an epoch, and the model when that epoch is the best so far.

    Both appear under their names only when they are whole.
    """
    if run.path is None or run.world.rank:
        return
    state = {
        "training": json.dumps(_training(run, finished=False)),
        "weights": run.model.state_dict(),
        "best_weights": run.best_weights,
        "optimizer": opt.state_dict(),
        "average": None if average is None else average.state_dict(),
        "stage_begin": stage_begin,
    }
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(_beside(run.path), content.getvalue())
    # the state first: a model without one cannot go on
    if run.best is run.history[-1]:
        _save_best(run, run.path, finished=False)


def finish(run: Training) -> None:
    """Write the finished model; its state is no longer needed."""
    if run.path is not None and not run.world.rank:
        _save_best(run, run.path, finished=True)
        _beside(run.path).unlink(missing_ok=True)


def restore(run: Training) -> None:
    """Take up the state on disk, or the finished run; nothing where there is neither.

    Raises
    ------
    OptionError
        There is no path to look at.
    ResumeError
        What lies there belongs to another run or cannot be read.
    """
    if run.path is None:
        raise OptionError("resume=True needs path=, the checkpoint of the run to go on with")
    beside = _beside(run.path)
    if not run.world.rank:
        # what a killed process was writing
        for left in run.path.parent.glob(f".{glob.escape(run.path.name)}.*"):
            left.unlink(missing_ok=True)
    if beside.exists():
        try:
            state = torch.load(beside, run.device, weights_only=True)
            training = json.loads(state["training"])
        except (RuntimeError, LookupError, ValueError, EOFError, OSError, UnpicklingError) as error:
            raise ResumeError(
                f"{beside} cannot be read ({error}); delete it to start anew"
            ) from error
        _take_history(run, training, beside)
        run.model.load_state_dict(state["weights"])
        run.best_weights, run.restored = state["best_weights"], state
    elif run.path.exists():
        training = checkpoints.describe(run.path)["training"]
        if not training.get("finished"):
            raise ResumeError(f"{run.path} is no finished run, and its state is gone")
        _take_history(run, training, run.path)
        run.best_weights = copy(checkpoints.load(run.path))


def take_up(
    run: Training, opt: torch.optim.Optimizer, average: AveragedModel | None, stage_begin: int
) -> None:
    """Give the optimizer its state back, when the run broke off inside this very stage."""
    state, run.restored = run.restored, None
    if state is not None and state["stage_begin"] == stage_begin:
        opt.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".state")


def _training(run: Training, *, finished: bool) -> dict:
    return {
        "recipe": run.recipe.to_dict(),
        "seed": run.seed,
        "history": run.history,
        "best": run.best,
        "fingerprint": _fingerprint(run),
        "finished": finished,
    }


def _save_best(run: Training, path: Path, *, finished: bool) -> None:
    now = copy(run.model)
    run.model.load_state_dict(run.best_weights)
    checkpoints.save(run.model, path, training=_training(run, finished=finished))
    run.model.load_state_dict(now)


def _take_history(run: Training, training: dict, where: Path) -> None:
    if training.get("fingerprint") != _fingerprint(run):
        raise ResumeError(
            f"{where} belongs to a run of other rows, model, recipe or seed; give another path "
            "or resume=False"
        )
    run.history, run.best = training["history"], training["best"]


def _fingerprint(run: Training) -> str:
    """Return what a run must share with its state: recipe, seed, model, specs, rows, folds."""
    about = [run.recipe.to_dict(), run.seed, getattr(run.model, "name", None)]
    about += [getattr(run.model, "sizes", None), run.input.to_dict(), run.head.to_dict()]
    crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for array in (run.feed.rows.records, run.labels, run.train_rows, run.val_rows):
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return f"{crc:08x}"
