"""`train`: data, labels and a network brought together, then the loop."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fastseq.errors import (
    CheckpointError,
    LengthError,
    MissingFileError,
    OptionError,
    UnreadableFileError,
)
from fastseq.learn import dataset, recipes, saved, targets
from fastseq.learn.dataset import BadRows, Labelled
from fastseq.learn.loop import Run
from fastseq.learn.parallel import own_device, world
from fastseq.learn.recipes import Recipe
from fastseq.models import checkpoints, registry
from fastseq.models.kmer_ridge import KmerRidge
from fastseq.models.specs import InputSpec, Scale, TargetSpec
from fastseq.models.trees import Trees

FLANKS = ("detect", "none")
AFFINE = ("auto", "none")
# models that answer with a number for every position, or stretch of positions
PROFILES = ("bpnet", "basenji")


@dataclass
class TrainResult:
    """A trained model and how it came about.

    Attributes
    ----------
    model : nn.Module
        In eval mode, with the weights of the best epoch.
    history : list of dict
        One row an epoch: epoch, loss, val_loss, pearson or auroc, lr, seconds.
    best : dict
        The row of the best epoch.
    recipe : Recipe
    path : Path or None
        The checkpoint.
    dropped : str
        Rows that were left out, as a sentence.
    device : str
        Where it was trained; trees and ridges on the CPU whatever was asked for.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    best: dict[str, Any]
    recipe: Recipe
    path: Path | None = None
    dropped: str = ""
    device: str = "cpu"


def train(
    model: "str | os.PathLike[str] | nn.Module",
    data: Any,
    *,
    recipe: "str | Recipe" = "default",
    validation: Any = None,
    sizes: dict[str, Any] | None = None,
    sequence: str | None = None,
    target: "str | list[str] | None" = None,
    fold: str = "fold",
    bad_rows: BadRows = "refuse",
    pad: bool = False,
    flanks: str = "detect",
    affine: str = "auto",
    scale: Scale | None = None,
    seed: int = 0,
    path: "str | os.PathLike[str] | None" = None,
    resume: bool = False,
    device: "str | torch.device | None" = None,
    progress: bool = True,
    **changes: Any,
) -> TrainResult:
    """Return a model trained on labelled sequences, with the weights of its best epoch.

    Parameters
    ----------
    model : str, path or nn.Module
        A name of `fastseq.models.list`, a checkpoint to go on from, or a network.
    data : path, DataFrame, (sequences, targets), or a simulated task
        See `fastseq.learn.dataset.read`. Targets (n, tasks, positions) are profiles of counts,
        for the models in ``PROFILES``.
    recipe : str or Recipe
        A name of ``fastseq.learn.recipes.RECIPES``; ``changes`` change its fields: ``epochs``,
        ``lr``, ``batch_size``, ``loss``, ...
    validation : float, str, array or data, optional
        See `fastseq.learn.dataset.split`; by default the fold column, otherwise a tenth.
    sizes : dict, optional
        Sizes for `fastseq.models.build`; length and tasks follow from the data.
    sequence, target, fold : str
        Columns of a table.
    bad_rows : {"refuse", "drop"}
        What happens to rows that cannot be read or have no finite target.
    pad : bool
        Let shorter sequences end in N; refused otherwise.
    flanks : {"detect", "none"}
        Whether bases that all rows share at their ends become the model's flanks.
    affine : {"auto", "none"}
        Whether the map from labels to the head's units is fitted on the training fold.
    scale : {"linear", "counts", "log2", "ln"}, optional
        What the labels are, which decides how a log2 fold change is formed; by default what the
        model was published for.
    seed : int
        Decides weights, order, augmentation and dropout.
    path : path, optional
        Where the best checkpoint so far is kept, and beside it, while training, the state.
    resume : bool
        Go on from that state, if there is one; the result is the same as without the break.
    device : str, optional
        Such as "cuda"; by default the GPU, where there is one. Processes that torchrun starts
        share every batch (``batch_size`` is that of all of them) and take a device each.
    progress : bool
        A bar on standard error.

    Raises
    ------
    TableError, TargetError, ShapeError, LengthError, OptionError
        Data, labels or options that do not fit, before any training.
    MissingFileError, UnreadableFileError
        The checkpoint's folder is not there or cannot be written; nothing was trained.
    DivergenceError
        The loss left the finite numbers; the model keeps the weights of its best epoch.
    ResumeError
        The state belongs to another run.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (96, 40), dtype=np.uint8)
    >>> gc = np.isin(codes, (1, 2)).mean(1)
    >>> result = train("tum_cnn", (codes, gc), epochs=1, progress=False)
    >>> result.history[0]["epoch"]
    1
    """
    plan = recipes.recipe(recipe, **changes)
    reading = {"sequence": sequence, "targets": target, "fold": fold, "bad_rows": bad_rows}
    reading["pad"] = pad
    rows = dataset.read(data, **reading)
    rows, train_rows, val_rows = dataset.split(rows, validation, seed=seed, **reading)
    # everything random below follows from the seed, and the caller's generator stays as it was
    chosen = own_device(device)
    processes = world(chosen)
    with torch.random.fork_rng(devices=[chosen] if chosen.type == "cuda" else []):
        torch.manual_seed(seed)
        network, binary = _fit_to_data(
            model, rows, train_rows, sizes or {}, flanks, affine, scale, plan
        )
        if path is not None:
            _check_path(path, network)
        # trees and ridges are fitted where the rows are
        grown = isinstance(network, (Trees, KmerRidge))
        run = Run(
            network if grown else network.to(chosen),
            rows,
            train_rows,
            val_rows,
            plan,
            binary,
            seed,
            path,
            progress,
            processes,
        )
        # what the run needs of the rows it has packed
        dropped = rows.dropped
        del rows
        if resume:
            saved.restore(run)
        if grown:
            run.grow()
        else:
            run.fit()
    return TrainResult(
        network.eval(), run.history, run.best, plan, run.path, dropped, str(run.device)
    )


def _fit_to_data(
    model: Any,
    rows: Labelled,
    train_rows: np.ndarray,
    sizes: dict[str, Any],
    flanks: str,
    affine: str,
    scale: Scale | None,
    plan: Recipe,
) -> tuple[nn.Module, bool]:
    """Return the network with the specs that these rows ask for, and whether they are classes."""
    for name, value, choices in (("flanks", flanks, FLANKS), ("affine", affine, AFFINE)):
        if value not in choices:
            raise OptionError(f"{name}={value!r}; expected one of {', '.join(choices)}")
    length, tasks = rows.codes.shape[1], rows.targets.shape[1]
    positions = rows.targets.shape[2] if rows.targets.ndim == 3 else 0
    binary = bool(np.isin(rows.targets, (0, 1)).all()) and plan.loss in ("auto", "bce", "focal")
    binary = binary and not positions
    by_name = isinstance(model, (str, os.PathLike)) and not _is_checkpoint(model)
    if isinstance(model, (str, os.PathLike)):
        model = _by_name(model, length, tasks, positions, binary, sizes)
    if not hasattr(model, "input_spec"):
        model.input_spec = InputSpec(length)
    if not hasattr(model, "target_spec"):
        model.target_spec = TargetSpec(rows.tasks)
    spec, head = model.input_spec, model.target_spec
    if length not in (spec.length, spec.variable):
        raise LengthError(
            f"the sequences are {length} bp long; {getattr(model, 'name', 'the model')} takes "
            f"{spec.length} bp: build it with length={length}, or cut the sequences"
        )
    if flanks == "detect" and length == spec.length and not spec.left + spec.right:
        # of all rows: a flank that validation lacks would be an accident of the fold
        left, right = dataset.constant_flanks(rows.codes)
        model.input_spec = replace(spec, left=left, right=right)
    if len(head.tasks) == tasks:
        head = replace(head, tasks=rows.tasks)
    if affine == "auto":
        head = targets.fit_affine(head, rows.targets[train_rows], binary=binary)
    if scale is not None:
        head = replace(head, scale=scale)
    if positions and head.activation not in ("exp", "softplus"):
        raise OptionError(
            f"profiles are counts, which a head of activation={head.activation!r} does not answer; "
            "expected 'exp' (bpnet: head='both') or 'softplus'"
        )
    targets.check_reach(head, rows.targets[train_rows], train_rows)
    model.target_spec = replace(head, reverse_complement=plan.strands != "forward")
    if by_name and hasattr(model, "prepare"):
        model.prepare(model.input_spec.place(rows.codes[train_rows]))
    return model, binary


def _is_checkpoint(name: "str | os.PathLike[str]") -> bool:
    return str(name) not in registry.BY_NAME and Path(name).suffix == ".safetensors"


def _by_name(
    name: "str | os.PathLike[str]",
    length: int,
    tasks: int,
    positions: int,
    binary: bool,
    sizes: dict[str, Any],
) -> nn.Module:
    """Return a new network of the table, or the one of a checkpoint."""
    if _is_checkpoint(name):
        return checkpoints.load(name)
    known = registry.entry(str(name)).sizes
    asked = {"length": length, "tasks": tasks}
    asked |= {"activation": "none", "objective": "binary"} if binary else {"classes": 1}
    if positions:
        if name not in PROFILES:
            raise OptionError(f"{name} answers no profiles; expected one of {', '.join(PROFILES)}")
        asked |= {"profile": positions, "bins": positions, "head": "both"}
    return registry.build(str(name), **{k: v for k, v in asked.items() if k in known} | sizes)


def _check_path(path: "str | os.PathLike[str]", model: nn.Module) -> None:
    if not hasattr(model, "name"):
        raise CheckpointError(
            f"path={os.fspath(path)!r} asks for a checkpoint, but a {type(model).__name__} that "
            "fastseq.models.build did not make cannot be rebuilt from one; train without path"
        )
    folder = Path(path).parent
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder} for the checkpoint")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise UnreadableFileError(f"{path} cannot be written: {folder}: {reason}") from error
