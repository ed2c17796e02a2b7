"""The training loop, whole and in view, the same for every network and recipe."""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from fastseq.errors import DivergenceError, OptionError, ShapeError
from fastseq.learn import losses, metrics, profiles, saved
from fastseq.learn.augment import batches, batches_per_epoch, cluster_weights, tail_weights
from fastseq.learn.dataset import Labelled
from fastseq.learn.feed import Feed, feed
from fastseq.learn.objective import Objective
from fastseq.learn.optim import optimizer, rate, sharpen
from fastseq.learn.parallel import World
from fastseq.learn.recipes import Recipe, Stage
from fastseq.learn.regularise import regulariser
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.run.stream import progress_bar

VALIDATION_BATCH = 512
EMA_DECAY = 0.998
QUANTILES = 1001
ALONE = World()


class Run:
    """One training: rows, network, recipe, and how far it has come.

    Parameters
    ----------
    model : nn.Module
        With ``input_spec`` and ``target_spec``.
    rows : Labelled
    train_rows, val_rows : int64
    plan : Recipe
    binary : bool
        The labels are classes.
    seed : int
    path : path, optional
        Where the best model so far is kept.
    progress : bool
    world : World
        The processes that train together.
    """

    def __init__(
        self,
        model: Any,
        rows: Labelled,
        train_rows: np.ndarray,
        val_rows: np.ndarray,
        plan: Recipe,
        binary: bool,
        seed: int = 0,
        path: "str | os.PathLike[str] | None" = None,
        progress: bool = False,
        world: World = ALONE,
    ):
        self.model, self.recipe, self.seed, self.world = model, plan, seed, world
        self.progress = progress and world.rank == 0
        self.input: InputSpec = model.input_spec
        self.head: TargetSpec = model.target_spec
        self._check_recipe(rows)
        self.labels = rows.targets
        self.profiles = rows.targets.ndim == 3
        self.targets = self.head.invert(rows.targets).astype(np.float32)
        self.train_rows, self.val_rows = train_rows, val_rows
        self.loss = losses.choose(_loss_name(plan, self.head, rows.targets, binary), self.head)
        self.objective = world.share(Objective(model, plan, self.loss))
        self.regulariser = regulariser(plan.regularise, model)
        self.figure = "auroc" if binary else "pearson"
        self.weights = _weights(plan, rows, train_rows)
        self.clusters = rows.cluster if plan.within else None
        self.singletons = None
        if plan.singleton and "singleton" in self.input.flag_channels:
            self.singletons = (rows.targets % 1 == 0).all(1).astype(np.float32)
        self.device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        self.feed = feed(self.input.place(rows.codes), self.input, self.device)
        self.steps = batches_per_epoch(len(train_rows), plan)
        self.path = None if path is None else Path(path)
        self.history: list[dict] = []
        self.best: dict = {}
        self.best_weights = saved.copy(model)
        self.restored: dict | None = None

    def _check_recipe(self, rows: Labelled) -> None:
        """Raise where the recipe asks for what rows, tasks or processes cannot give."""
        plan, processes = self.recipe, self.world.size
        for name in ("within", "cluster_weight"):
            if getattr(plan, name) and rows.cluster is None:
                raise OptionError(
                    f"{name}={getattr(plan, name)} needs rows with clusters; these have none"
                )
        if rows.targets.ndim == 3:
            _check_profiles(plan, self.input.length, rows.targets.shape[2])
        if plan.quantiles and len(self.head.tasks) > 1:
            raise OptionError(f"quantiles=True is for one task; there are {len(self.head.tasks)}")
        if processes > 1 and plan.batch_size < 2 * processes:
            raise OptionError(
                f"batch_size={plan.batch_size} for {processes} processes; expected two rows each"
            )
        if processes > 1 and plan.regularise == "adversarial":
            raise OptionError(
                "regularise='adversarial' needs gradients of the input, which processes that "
                "train together cannot take; start one process"
            )

    def _check_answers(self) -> None:
        """Raise where the network does not give one number for each label of a row."""
        raw = scores(self.model, self.feed, self.val_rows[:2])
        given, wanted = self.head.score(raw).shape[1:], self.targets.shape[1:]
        if given != wanted:
            raise ShapeError(
                f"the network answers {tuple(given)} for a row whose labels are {tuple(wanted)}; "
                "expected one number a label (bpnet: head='counts', of profiles 'both'; basenji: "
                "bins=1, of profiles as many as they have)"
            )

    def fit(self) -> None:
        """Train through the stages; leave the best epoch's weights in the model."""
        self._check_answers()
        epoch = 0
        total = self.recipe.epochs * self.steps
        with progress_bar(self.progress, total=total, unit="batch", dynamic_ncols=True) as bar:
            bar.update(len(self.history) * self.steps)
            for stage in self.recipe.stages:
                opt, average = optimizer(stage, self.model), _average(stage, self.model)
                begin = epoch
                for _ in range(stage.epochs):
                    epoch += 1
                    if epoch <= len(self.history) or self._waited_too_long():
                        continue
                    saved.take_up(self, opt, average, begin)
                    started = time.perf_counter()
                    loss = self._epoch(stage, epoch, begin, opt, average, bar)
                    judged = self.validate(self._judged(average)) if not self.world.rank else {}
                    row = {"epoch": epoch, "loss": loss, **self.world.agree(judged)}
                    self._check_finite(row["val_loss"], epoch, self.steps)
                    row["lr"] = opt.param_groups[0]["lr"]
                    row["seconds"] = time.perf_counter() - started
                    self._remember(row, average)
                    saved.keep(self, opt, average, begin)
                    bar.set_postfix(self._shown(loss=loss))
        self.best_weights = self.world.agree(self.best_weights)
        self.model.load_state_dict(self.best_weights)
        if self.recipe.quantiles:
            self.model.target_spec = replace(self.head, quantiles=self._quantiles())
        saved.finish(self)

    def _epoch(
        self,
        stage: Stage,
        epoch: int,
        begin: int,
        opt: torch.optim.Optimizer,
        average: AveragedModel | None,
        bar: Any,
    ) -> float:
        """Return the mean loss of one pass over the training rows; ``begin`` epochs came before
        the stage."""
        figures = [row[self.figure] for row in self.history[begin:]]
        steps, total, seen = stage.epochs * self.steps, 0.0, 0
        # the same batches in every process, but dropout of its own
        torch.manual_seed((self.seed * 1_000_003 + epoch) * self.world.size + self.world.rank)
        rng = np.random.default_rng([self.seed, 2, epoch])
        self.objective.train()
        bar.set_description(f"epoch {epoch}/{self.recipe.epochs} on {self.device}")
        for step, batch in enumerate(self._batches(rng), (epoch - 1 - begin) * self.steps):
            for group in opt.param_groups:
                group["lr"] = rate(stage, min(step, steps - 1), steps, figures)
            loss, gradients = self._gradients(batch, opt, epoch)
            if stage.sharpness:
                sharpen(self.model, gradients, radius=stage.sharpness, gap=stage.gap)
            if self.recipe.clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            opt.step()
            if average is not None and stage.average == "ema":
                average.update_parameters(self.model)
            rows = len(batch[1])
            total, seen = total + loss * rows, seen + rows
            self._check_finite(total, epoch, step - (epoch - 1 - begin) * self.steps)
            bar.update(1)
            if step % 10 == 0:
                bar.set_postfix(self._shown(loss=total / seen), refresh=False)
        if average is not None and stage.average == "swa":
            average.update_parameters(self.model)
        return total / seen

    def grow(self) -> None:
        """Grow trees or solve a ridge: a fit of its own, the same data, checkpoint and history."""
        if self.history:
            self.model.load_state_dict(self.best_weights)
            return
        begin = time.perf_counter()
        sides = (
            side
            for rows in (self.train_rows, self.val_rows)
            for side in (self.feed.rows.codes(rows), self.targets[rows])
        )
        kept = self.model.fit(*sides, seed=self.seed, weights=self.weights)
        row = {"epoch": 1, **kept, **self.validate(self.model), "val_loss": kept["val_loss"]}
        self._remember({**row, "seconds": time.perf_counter() - begin}, None)
        saved.finish(self)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return the loss and the figure of the validation fold, forward strand, as trained."""
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low):
            raw = scores(model, self.feed, self.val_rows)
        wanted = torch.from_numpy(self.targets[self.val_rows])
        loss = float(self.loss(raw, wanted, self.head).mean())
        answer = self.head.activate(self.head.score(raw)).double().numpy()
        if self.profiles:
            found = profiles.judge(self.labels[self.val_rows], answer)
            return {"val_loss": loss, "pearson": found["pearson"], "jsd": found["jsd"]}
        judge = getattr(metrics, self.figure)
        figures = [judge(*pair) for pair in zip(self.labels[self.val_rows].T, answer.T)]
        figure = float(np.mean(figures)) * (1 if self.head.slope > 0 else -1)
        return {"val_loss": loss, self.figure: figure}

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        rows, extra = (self.targets, self.train_rows), (self.clusters, self.singletons)
        found = batches(self.feed, *rows, self.recipe, rng, self.weights, *extra)
        if self.recipe.strands != "augment" or not (self.profiles or self.head.strand_exchange):
            return found
        return ((x, self._turned(y), groups) for x, y, groups in found)

    def _turned(self, y: Tensor) -> Tensor:
        """Return labels as the strands of a batch have them: its second half is reversed."""
        kept = len(y) // 2
        return torch.cat((y[:kept], self.head.same_strand(y[kept:])))

    def _gradients(
        self, batch: tuple[Tensor, ...], opt: torch.optim.Optimizer, epoch: int
    ) -> tuple[float, Callable[[], Tensor]]:
        """Give the weights a batch's gradients; return its mean loss, and what does it again."""
        rows = len(batch[1])
        x, y, groups = (self.world.part(part, len(part) // rows).to(self.device) for part in batch)
        plain = partial(self.objective, groups=groups)
        # parts of a batch differ by a row
        share = len(y) * self.world.size / rows

        def gradients() -> Tensor:
            opt.zero_grad(set_to_none=True)
            loss = share * self.regulariser.loss(x, y, plain, epoch)
            loss.backward()
            return loss.detach()

        return self.world.total(gradients() / self.world.size).item(), gradients

    def _quantiles(self) -> tuple[float, ...]:
        """Return the answers to the training rows at equally spaced ranks."""
        raw = scores(self.model, self.feed, self.train_rows)
        answers = self.head.activate(self.head.score(raw)).double().numpy()
        found = self.head.slope * answers + self.head.offset
        return tuple(np.quantile(found, np.linspace(0, 1, QUANTILES)).tolist())

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

    def _judged(self, average: AveragedModel | None) -> nn.Module:
        """Return the network to judge: the average where the stage keeps one."""
        if average is None:
            return self.model
        if not average.use_buffers:
            rng = np.random.default_rng([self.seed, 3])
            update_bn((x for x, _, _ in self._batches(rng)), average.module, self.device)
        return average.module

    def _remember(self, row: dict, average: AveragedModel | None) -> None:
        self.history.append(row)
        if not self.best or self._merit(row) > self._merit(self.best):
            self.best = row
            self.best_weights = saved.copy(self.model if average is None else average.module)

    def _merit(self, row: dict) -> tuple[bool, float]:
        """Return the figure; the loss of profiles, or below any figure where labels are all one."""
        known = math.isfinite(row[self.figure]) and not self.profiles
        return known, row[self.figure] if known else -row["val_loss"]

    def _waited_too_long(self) -> bool:
        patience = self.recipe.patience
        return bool(
            patience and self.history and len(self.history) - self.best["epoch"] >= patience
        )

    def _shown(self, **values: float) -> dict[str, str]:
        figure = {self.figure: self.history[-1][self.figure]} if self.history else {}
        return {name: f"{value:.3f}" for name, value in (values | figure).items()}


@torch.no_grad()
def scores(model: nn.Module, feed: Feed, rows: np.ndarray) -> Tensor:
    """Return a network's raw scores of chosen rows, forward strand, on the CPU, float32."""
    model.eval()
    parts = [rows[at : at + VALIDATION_BATCH] for at in range(0, len(rows), VALIDATION_BATCH)]
    raw = torch.cat([model(feed.batch(part, None, (len(part),))).float().cpu() for part in parts])
    return raw[:, None] if raw.ndim == 1 else raw


def _check_profiles(plan: Recipe, length: int, positions: int) -> None:
    """Raise where the recipe does to profiles what they cannot follow."""
    for name in ("tail_weight", "within", "label_noise", "quantiles"):
        if value := getattr(plan, name):
            raise OptionError(f"{name}={value} is for labels of one number; these are profiles")
    if 2 * plan.shift * positions > length:
        raise OptionError(
            f"shift={plan.shift} moves sequences away from profiles of {positions} positions in "
            f"{length} bp; expected 0 at this resolution"
        )


def _loss_name(plan: Recipe, head: TargetSpec, labels: np.ndarray, binary: bool) -> str:
    if plan.loss != "auto":
        return plan.loss
    if labels.ndim == 3:
        return "profile" if head.activation == "exp" else "poisson"
    if head.activation == "expected_bin":
        return "bins_kl"
    return "bce" if binary else "mse"


def _weights(plan: Recipe, rows: Labelled, train_rows: np.ndarray) -> np.ndarray | None:
    """Return the chance of each training row to be drawn, or None where all are met once."""
    weights = np.ones(len(train_rows))
    if plan.tail_weight:
        weights *= tail_weights(rows.targets[train_rows], plan.tail_weight)
    if plan.cluster_weight and rows.cluster is not None:
        weights *= cluster_weights(rows.cluster[train_rows], plan.cluster_weight)
    return weights if plan.tail_weight or plan.cluster_weight else None


def _average(stage: Stage, model: nn.Module) -> AveragedModel | None:
    if stage.average == "none":
        return None
    if stage.average == "ema":
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY), use_buffers=True)
    return AveragedModel(model)
