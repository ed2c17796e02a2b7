"""Training: one loop, whole and in view, the same for every network and recipe."""

import json
import math
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.errors import (
    CheckpointError,
    DivergenceError,
    LengthError,
    MissingFileError,
    OptionError,
    ResumeError,
)
from fastseq.learn import dataset, losses, metrics, recipes, targets
from fastseq.learn.augment import batches, batches_per_epoch, tail_weights
from fastseq.learn.dataset import BadRows, Labelled
from fastseq.learn.optim import optimizer, rate
from fastseq.learn.recipes import Recipe, Stage
from fastseq.models import checkpoints, registry
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.models.trees import Trees

VALIDATION_BATCH = 512
EMA_DECAY = 0.998
FLANKS = ("detect", "none")
AFFINE = ("auto", "none")


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
    """

    model: nn.Module
    history: list[dict]
    best: dict
    recipe: Recipe
    path: Path | None = None
    dropped: str = ""


def train(
    model: "str | os.PathLike | nn.Module",
    data: Any,
    *,
    recipe: "str | Recipe" = "default",
    validation: Any = None,
    sizes: dict[str, Any] | None = None,
    sequence: str | None = None,
    target: "str | list[str] | None" = None,
    fold: str = "fold",
    bad_rows: BadRows = "refuse",
    flanks: str = "detect",
    affine: str = "auto",
    seed: int = 0,
    path: "str | os.PathLike | None" = None,
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
        See `fastseq.learn.dataset.read`.
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
    flanks : {"detect", "none"}
        Whether bases that all rows share at their ends become the model's flanks.
    affine : {"auto", "none"}
        Whether the map from labels to the head's units is fitted on the training fold.
    seed : int
        Decides weights, order, augmentation and dropout.
    path : path, optional
        Where the best checkpoint so far is kept, and beside it, while training, the state.
    resume : bool
        Go on from that state, if there is one; the result is the same as without the break.
    device : str, optional
        Such as "cuda"; by default the CPU.
    progress : bool
        A bar on standard error.

    Raises
    ------
    TableError, TargetError, ShapeError, LengthError, OptionError
        Data, labels or options that do not fit, before any training.
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
    rows = dataset.read(data, **reading)
    rows, train_rows, val_rows = dataset.split(rows, validation, seed=seed, **reading)
    # everything random below follows from the seed, and the caller's generator stays as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, binary = _fit_to_data(model, rows, train_rows, sizes or {}, flanks, affine, plan)
        if path is not None:
            _check_path(path, network)
        run = Run(
            network.to(device or "cpu"),
            rows,
            train_rows,
            val_rows,
            plan,
            binary,
            seed,
            path,
            progress,
        )
        if resume:
            run.restore()
        if isinstance(network, Trees):
            run.grow()
        else:
            run.fit()
    return TrainResult(network.eval(), run.history, run.best, plan, run.path, rows.dropped)


class Run:
    """One training: rows, network, recipe, and how far it has come."""

    def __init__(
        self,
        model: nn.Module,
        rows: Labelled,
        train_rows: np.ndarray,
        val_rows: np.ndarray,
        plan: Recipe,
        binary: bool,
        seed: int = 0,
        path: "str | os.PathLike | None" = None,
        progress: bool = False,
    ):
        self.model, self.recipe, self.seed, self.progress = model, plan, seed, progress
        self.input: InputSpec = model.input_spec
        self.head: TargetSpec = model.target_spec
        self.codes = self.input.place(rows.codes)
        self.labels = rows.targets
        self.targets = self.head.invert(rows.targets).astype(np.float32)
        self.train_rows, self.val_rows = train_rows, val_rows
        self.loss = losses.choose(_loss_name(plan, self.head, binary), self.head)
        self.figure = "auroc" if binary else "pearson"
        weigh = plan.tail_weight > 0
        self.weights = tail_weights(rows.targets[train_rows], plan.tail_weight) if weigh else None
        if plan.within and rows.cluster is None:
            raise OptionError(f"within={plan.within} needs rows with clusters; these have none")
        self.clusters = rows.cluster if plan.within else None
        self.device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        self.path = None if path is None else Path(path)
        self.history: list[dict] = []
        self.best: dict = {}
        self.best_weights: dict[str, Tensor] = _copy(model)
        self.restored: dict | None = None

    def fit(self) -> None:
        """Train through the stages; leave the best epoch's weights in the model."""
        steps_per_epoch = batches_per_epoch(len(self.train_rows), self.recipe)
        bar = _bar(self.recipe.epochs * steps_per_epoch, self.progress)
        bar.update(len(self.history) * steps_per_epoch)
        epoch = 0
        for stage in self.recipe.stages:
            opt, average = optimizer(stage, self.model), _average(stage, self.model)
            stage_begin, stage_steps = epoch, stage.epochs * steps_per_epoch
            for _ in range(stage.epochs):
                epoch += 1
                if epoch <= len(self.history) or self._waited_too_long():
                    continue
                self._take_up(opt, average, stage_begin)
                begin, total, seen = time.perf_counter(), 0.0, 0
                figures = [row[self.figure] for row in self.history[stage_begin:]]
                torch.manual_seed(self.seed * 1_000_003 + epoch)
                rng = np.random.default_rng([self.seed, 2, epoch])
                self.model.train()
                for step, (x, y, groups) in enumerate(self._batches(rng)):
                    at = (epoch - 1 - stage_begin) * steps_per_epoch + step
                    for group in opt.param_groups:
                        group["lr"] = rate(stage, min(at, stage_steps - 1), stage_steps, figures)
                    loss = self._loss(x.to(self.device), y.to(self.device), groups.to(self.device))
                    opt.zero_grad(set_to_none=True)
                    loss.backward()
                    if self.recipe.clip:
                        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
                    opt.step()
                    if stage.average == "ema":
                        average.update_parameters(self.model)
                    total, seen = total + loss.item() * len(y), seen + len(y)
                    self._check_finite(total, epoch, step)
                    bar.update(1)
                    if step % 10 == 0:
                        bar.set_description(f"epoch {epoch}/{self.recipe.epochs}")
                        bar.set_postfix(self._shown(loss=total / seen))
                if stage.average == "swa":
                    average.update_parameters(self.model)
                row = {
                    "epoch": epoch,
                    "loss": total / seen,
                    **self.validate(self._averaged(average)),
                }
                row |= {"lr": opt.param_groups[0]["lr"], "seconds": time.perf_counter() - begin}
                self._remember(row, average)
                self._keep(opt, average, stage_begin)
                bar.set_postfix(self._shown(loss=row["loss"]))
        bar.close()
        self.model.load_state_dict(self.best_weights)
        self._finish()

    def grow(self) -> None:
        """Grow trees: their own library's loop, the same data, checkpoint and history."""
        if self.history:
            self.model.load_state_dict(self.best_weights)
            return
        begin = time.perf_counter()
        train, val = self.train_rows, self.val_rows
        kept = self.model.fit(
            self.codes[train], self.targets[train], self.codes[val], self.targets[val],
            seed=self.seed,
        )  # fmt: skip
        row = {"epoch": 1, **kept, **self.validate(self.model), "val_loss": kept["val_loss"]}
        self._remember({**row, "seconds": time.perf_counter() - begin}, None)
        self._finish()

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the loss and the figure of the validation fold, forward strand."""
        raw = scores(model, self.codes[self.val_rows], self.input, self.device)
        wanted = torch.from_numpy(self.targets[self.val_rows])
        loss = float(self.loss(raw, wanted, self.head).mean())
        answer = self.head.activate(self.head.score(raw)).flatten(1).double().numpy()
        judge = getattr(metrics, self.figure)
        figures = [judge(*pair) for pair in zip(self.labels[self.val_rows].T, answer.T)]
        figure = float(np.mean(figures)) * (1 if self.head.slope > 0 else -1)
        return {"val_loss": loss, self.figure: figure}

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rows = self.codes, self.targets, self.train_rows
        return batches(*rows, self.recipe, self.input, rng, self.weights, self.clusters)

    def _loss(self, x: Tensor, y: Tensor, groups: Tensor) -> Tensor:
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            raw = self.model(x)
        raw = raw.float()
        if self.recipe.strands == "conjoined":
            forward, reverse = raw.chunk(2)
            raw = (forward + self.head.same_strand(reverse)) / 2
        raw = raw[:, None] if raw.ndim == 1 else raw
        loss = self.loss(raw, y, self.head).mean()
        if self.recipe.within:
            loss = loss + self.recipe.within * losses.within_groups(raw, y, groups, self.head)
        return loss

    def _check_finite(self, total: float, epoch: int, step: int) -> None:
        if math.isfinite(total):
            return
        self.model.load_state_dict(self.best_weights)
        self.model.eval()
        kept = f"the weights of epoch {self.best['epoch']}" if self.best else "its first weights"
        where = f", also in {self.path}" if self.path and self.best else ""
        raise DivergenceError(
            f"the loss is {total} at epoch {epoch}, step {step}; the model keeps {kept}{where}: "
            f"lower lr ({self.recipe.stages[0].lr:g}) or set clip ({self.recipe.clip:g})"
        )

    def _averaged(self, average: AveragedModel | None) -> nn.Module:
        """Return the network to judge: the average where the stage keeps one."""
        if average is None:
            return self.model
        if not average.use_buffers:
            rng = np.random.default_rng([self.seed, 3])
            update_bn((x for x, _, _ in self._batches(rng)), average.module, self.device)
        return average.module

    def _remember(self, row: dict, average: AveragedModel | None) -> None:
        self.history.append(row)
        figure = row[self.figure]
        if not self.best or figure > self.best[self.figure]:
            self.best = row
            self.best_weights = _copy(self.model if average is None else average.module)

    def _waited_too_long(self) -> bool:
        patience = self.recipe.patience
        return bool(
            patience and self.history and len(self.history) - self.best["epoch"] >= patience
        )

    def _shown(self, **values: float) -> dict[str, str]:
        figure = {self.figure: self.history[-1][self.figure]} if self.history else {}
        return {name: f"{value:.3f}" for name, value in (values | figure).items()}

    # -- what is on disk: the best model so far, and beside it the state while training goes on

    @property
    def _state_path(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".state")

    def _training(self, *, finished: bool) -> dict:
        return {
            "recipe": self.recipe.to_dict(),
            "seed": self.seed,
            "history": self.history,
            "best": self.best,
            "fingerprint": self._fingerprint(),
            "finished": finished,
        }

    def _save_best(self, *, finished: bool) -> None:
        now = _copy(self.model)
        self.model.load_state_dict(self.best_weights)
        checkpoints.save(self.model, self.path, training=self._training(finished=finished))
        self.model.load_state_dict(now)

    def _keep(
        self, opt: torch.optim.Optimizer, average: AveragedModel | None, stage_begin: int
    ) -> None:
        if self.path is None:
            return
        if self.best is self.history[-1]:
            self._save_best(finished=False)
        state = {
            "training": json.dumps(self._training(finished=False)),
            "weights": self.model.state_dict(),
            "best_weights": self.best_weights,
            "optimizer": opt.state_dict(),
            "average": None if average is None else average.state_dict(),
            "stage_begin": stage_begin,
        }
        temporary = self._state_path.with_name(f".{self._state_path.name}.{os.getpid()}")
        torch.save(state, temporary)
        os.replace(temporary, self._state_path)

    def _finish(self) -> None:
        if self.path is None:
            return
        self._save_best(finished=True)
        self._state_path.unlink(missing_ok=True)

    def restore(self) -> None:
        """Take up the state on disk, or the finished run; nothing where there is neither.

        Raises
        ------
        OptionError
            There is no path to look at.
        ResumeError
            What lies there belongs to another run or cannot be read.
        """
        if self.path is None:
            raise OptionError("resume=True needs path=, the checkpoint of the run to go on with")
        if self._state_path.exists():
            try:
                state = torch.load(self._state_path, self.device, weights_only=True)
                training = json.loads(state["training"])
            except (
                RuntimeError,
                LookupError,
                ValueError,
                EOFError,
                OSError,
                UnpicklingError,
            ) as error:
                raise ResumeError(
                    f"{self._state_path} cannot be read ({error}); delete it to start anew"
                ) from error
            self._take_history(training, self._state_path)
            self.model.load_state_dict(state["weights"])
            self.best_weights, self.restored = state["best_weights"], state
        elif self.path.exists():
            training = checkpoints.describe(self.path)["training"]
            if not training.get("finished"):
                raise ResumeError(f"{self.path} is no finished run, and its state is gone")
            self._take_history(training, self.path)
            self.best_weights = _copy(checkpoints.load(self.path))

    def _take_history(self, training: dict, where: Path) -> None:
        if training.get("fingerprint") != self._fingerprint():
            raise ResumeError(
                f"{where} belongs to a run of other rows, model, recipe or seed; give another path "
                "or resume=False"
            )
        self.history, self.best = training["history"], training["best"]

    def _take_up(
        self, opt: torch.optim.Optimizer, average: AveragedModel | None, stage_begin: int
    ) -> None:
        """Give the optimizer its state back, when the run broke off inside this very stage."""
        state, self.restored = self.restored, None
        if state is not None and state["stage_begin"] == stage_begin:
            opt.load_state_dict(state["optimizer"])
            if average is not None:
                average.load_state_dict(state["average"])

    def _fingerprint(self) -> str:
        about = [self.recipe.to_dict(), self.seed, getattr(self.model, "name", None)]
        about += [getattr(self.model, "sizes", None), self.input.to_dict(), self.head.to_dict()]
        crc = zlib.crc32(json.dumps(about, sort_keys=True).encode())
        for array in (self.codes, self.labels, self.train_rows, self.val_rows):
            crc = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1), crc)
        return f"{crc:08x}"


@torch.no_grad()
def scores(
    model: nn.Module, codes: Codes, spec: InputSpec, device: torch.device, strand: str = "+"
) -> Tensor:
    """Return a network's raw scores for full-length codes, on the CPU, float32."""
    model.eval()
    parts = [
        model(spec.expand(codes[at : at + VALIDATION_BATCH], strand).to(device)).float().cpu()
        for at in range(0, len(codes), VALIDATION_BATCH)
    ]
    raw = torch.cat(parts)
    return raw[:, None] if raw.ndim == 1 else raw


def _fit_to_data(
    model: "str | os.PathLike | nn.Module",
    rows: Labelled,
    train_rows: np.ndarray,
    sizes: dict[str, Any],
    flanks: str,
    affine: str,
    plan: Recipe,
) -> tuple[nn.Module, bool]:
    """Return the network with the specs that these rows ask for, and whether they are classes."""
    for name, value, choices in (("flanks", flanks, FLANKS), ("affine", affine, AFFINE)):
        if value not in choices:
            raise OptionError(f"{name}={value!r}; expected one of {', '.join(choices)}")
    length, tasks = rows.codes.shape[1], rows.targets.shape[1]
    binary = bool(np.isin(rows.targets, (0, 1)).all()) and plan.loss in ("auto", "bce", "focal")
    if isinstance(model, (str, os.PathLike)):
        model = _by_name(model, length, tasks, binary, sizes)
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
    targets.check_reach(head, rows.targets[train_rows], train_rows)
    model.target_spec = replace(head, reverse_complement=plan.strands != "forward")
    return model, binary


def _by_name(
    name: "str | os.PathLike", length: int, tasks: int, binary: bool, sizes: dict[str, Any]
) -> nn.Module:
    """Return a new network of the table, or the one of a checkpoint."""
    if str(name) not in registry.BY_NAME and os.fspath(name).endswith(".safetensors"):
        return checkpoints.load(name)
    known = registry.entry(str(name)).sizes
    asked = {"length": length, "tasks": tasks}
    asked |= {"activation": "none", "objective": "binary"} if binary else {}
    return registry.build(str(name), **{k: v for k, v in asked.items() if k in known} | sizes)


def _loss_name(plan: Recipe, head: TargetSpec, binary: bool) -> str:
    if plan.loss != "auto":
        return plan.loss
    if head.activation == "expected_bin":
        return "bins_kl"
    return "bce" if binary else "mse"


def _average(stage: Stage, model: nn.Module) -> AveragedModel | None:
    if stage.average == "none":
        return None
    if stage.average == "ema":
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY), use_buffers=True)
    return AveragedModel(model)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _check_path(path: "str | os.PathLike", model: nn.Module) -> None:
    if not hasattr(model, "name"):
        raise CheckpointError(
            f"path={os.fspath(path)!r} asks for a checkpoint, but a {type(model).__name__} that "
            "fastseq.models.build did not make cannot be rebuilt from one; train without path"
        )
    if not Path(path).parent.is_dir():
        raise MissingFileError(f"there is no folder {Path(path).parent} for the checkpoint")


def _bar(total: int, shown: bool) -> Any:
    return load("tqdm").tqdm(total=total, disable=not shown, unit="batch", dynamic_ncols=True)
