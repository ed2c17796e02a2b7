"""Which bases matter: maps over sequences, all of one result type."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from os import PathLike
from typing import Any, Literal, get_args, overload

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import FastseqWarning, OptionError
from fastseq.io.map_shards import SHARD
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Plan, Precision
from fastseq.models.specs import Strand
from fastseq.run.stream import blocks
from fastseq.run.views import Views
from fastseq.score.explained import Attributions
from fastseq.score.gradients import (
    Baseline,
    TaskScore,
    check_gradient,
    deeplift_shap,
    integrated_gradients,
    kinds_of_baselines,
    smooth_grad,
)
from fastseq.score.gradients import baselines as baselines_of
from fastseq.score.ism import saturation_mutagenesis
from fastseq.score.journey import task_number
from fastseq.score.predict import as_rows
from fastseq.score.sharded import STEP, check_output, shard_maps

Method = Literal["saliency", "smooth_grad", "integrated_gradients", "ism", "deeplift_shap"]
METHODS: tuple[str, ...] = get_args(Method)
# rows between two steps of the progress bar; those with baselines of their own take more memory
BLOCK, SMALL_BLOCK = 1024, STEP


@overload
def attribute(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    method: Method = "saliency",
    *,
    output: str | PathLike[str],
    **options: Any,
) -> dict[str, Any]: ...
@overload
def attribute(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    method: Method = "saliency",
    **options: Any,
) -> Attributions: ...
def attribute(  # pyright: ignore[reportInconsistentOverload] - these are the options
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    method: Method = "saliency",
    *,
    task: int | str | None = None,
    baselines: Baseline | Sequence[Baseline] | None = None,
    n: int = 20,
    steps: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    row_offset: int = 0,
    strands: Literal["forward", "both"] = "forward",
    output: str | PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    resume: bool = False,
    shard: int = SHARD,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> Attributions | dict[str, Any]:
    """Return how much each base of each sequence matters to one task.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    method : {"saliency", "smooth_grad", "integrated_gradients", "ism", "deeplift_shap"}
        The gradient of the score before the activation (the expected bin of bin heads); its mean
        under noise, or along the way from baselines; the effects of all substitutions; or
        DeepLIFT/SHAP by tangermeme, an extra.
    task : int or str, optional
        Needed where the model answers several.
    baselines : {"zeros", "uniform", "shuffle"} or several of these, optional
        What integrated gradients (by default zeros) and DeepLIFT/SHAP (by default shuffles) start
        from: no base, a quarter of each, or ``n`` dinucleotide shuffles of each sequence. The map
        is the mean over all.
    n : int
        Shuffles of a sequence, or draws of noise.
    steps : int
        Points on the way from a baseline.
    noise : float
        Standard deviation of smooth-grad's noise on the one-hot input.
    seed : int
    row_offset : int
        Number of the first row in a larger set, whose shuffles and noise these rows then get.
    strands : {"forward", "both"}
    output, names, resume, shard
        As for `fastseq.saturation_mutagenesis`: a set of any size is written as it is made.
    batch_size, device, precision, progress
        As for `fastseq.predict`.

    Returns
    -------
    Attributions, or with ``output`` its manifest

    Raises
    ------
    LengthError, SequenceError, ModelError
        As for `fastseq.predict`; the model has no gradient.
    OptionError
        Another method or baseline, no such task, or none chosen of several; ``output`` is the
        name of one file.
    ResumeError, UnreadableFileError
        As for `fastseq.saturation_mutagenesis`.
    MissingExtraError
        DeepLIFT/SHAP without tangermeme.

    Notes
    -----
    A profile's positions are summed. A full-length construct gets a map over its flanks too from
    "saliency"; "ism" leaves them 0.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> attribute(head, "ACGT").observed.shape
    (1, 4)
    """
    check_output(output, names, resume, shard)
    codes = as_rows(seqs)
    options = {"device": device, "precision": precision, "batch_size": batch_size}
    if method not in METHODS:
        raise OptionError(f"method={method!r}; expected one of {', '.join(METHODS)}")
    for label, number, least in (
        ("n", n, 1), ("steps", steps, 1), ("seed", seed, 0), ("row_offset", row_offset, 0)
    ):  # fmt: skip
        if not isinstance(number, Integral) or number < least:
            raise OptionError(f"{label}={number!r}; expected a whole number of at least {least}")
    if not 0 <= noise < np.inf:
        raise OptionError(f"noise={noise}; expected a finite number, not below 0")
    mutants = 3 * codes.size if method == "ism" else 0
    plans = lower_all(model, length=codes.shape[1], sequences=mutants, **options)
    number = task_number(plans[0], task)
    name = plans[0].target_spec.tasks[number]
    views = Views(strands)
    views.warn_untrained_strands(plans)
    for plan in plans if method != "ism" else ():
        check_gradient(plan)
    kinds = kinds_of_baselines(baselines or ("shuffle" if method == "deeplift_shap" else "zeros"))
    run = _Gradients(method, number, kinds, n, steps, noise, seed, row_offset)

    def explain(rows: slice, progress: bool) -> Attributions:
        part, missing = codes[rows], None
        if method == "ism":
            raw = _effects(plans, part, number, strands, progress)
        else:
            placed = replace(run, row_offset=row_offset + rows.start)
            raw, missing = _mean_over_views(placed, plans, part, views, progress)
            _warn_of_odd(raw, rows.start)
        return Attributions(part, raw, method, name, missing if run.is_complete else None)

    if output is None:
        return explain(slice(0, len(codes)), progress)
    return shard_maps(
        output, codes, plans, lambda rows, named: explain(rows, False).maps(named),
        {**vars(run), "task": number, "tasks": [name], "strands": strands},
        names=names, shard=shard, resume=resume, progress=progress,
    )  # fmt: skip


def _warn_of_odd(raw: NDArray[np.float32], first: int) -> None:
    """Warn of maps that are 0 throughout, which a saturated output makes, or not finite."""
    broken = np.flatnonzero(~np.isfinite(raw).all((1, 2)))
    if broken.size:
        warnings.warn(
            f"the map of sequence {first + broken[0]} is not finite ({broken.size} of {len(raw)} "
            "are not)",
            FastseqWarning,
            stacklevel=4,
        )
    flat = np.flatnonzero(~raw.any((1, 2)))
    if flat.size:
        warnings.warn(
            f"the map of sequence {first + flat[0]} is 0 everywhere ({flat.size} of {len(raw)} "
            "are): the score does not change there; a sigmoid or softmax inside the model that "
            "has reached its end does this, a TargetSpec with that activation outside does not",
            FastseqWarning,
            stacklevel=4,
        )


def _effects(
    plans: Sequence[Plan],
    codes: Codes,
    task: int,
    strands: Literal["forward", "both"],
    progress: bool,
) -> NDArray[np.float32]:
    """Return the effects of substitutions on one task's score, (n, 4, length); 0 in flanks."""
    reduce = None if plans[0].positions is None else "sum"
    result = saturation_mutagenesis(
        plans, codes, scale="logit", reduce=reduce, task=task, strands=strands, progress=progress
    )
    raw = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    raw[:, :, result.start : result.end] = result.effect[:, 0]
    return raw


@dataclass(frozen=True)
class _Gradients:
    """A method by gradients and its settings."""

    method: str
    task: int
    baselines: tuple[Baseline, ...]
    n: int
    steps: int
    noise: float
    seed: int
    row_offset: int

    @property
    def is_complete(self) -> bool:
        """Whether contributions add up to the score."""
        return self.method in ("integrated_gradients", "deeplift_shap")

    def __call__(
        self, plan: Plan, codes: Codes, strand: Strand, offset: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the map of full-length codes and what it misses; row 0 is row ``offset``."""
        nothing = np.zeros(len(codes), np.float32)
        if self.method == "saliency":
            return plan.gradient(codes, task=self.task, strand=strand), nothing
        score = TaskScore(plan, self.task, strand)
        draw = {"seed": self.seed, "row_offset": self.row_offset + offset}
        if self.method == "smooth_grad":
            return smooth_grad(score, plan, codes, self.n, self.noise, **draw), nothing
        base = baselines_of(self.baselines, codes, plan, self.n, **draw)
        if self.method == "deeplift_shap":
            return deeplift_shap(score, plan, codes, base)
        return integrated_gradients(score, plan, codes, base, self.steps)


def _mean_over_views(
    run: _Gradients, plans: Sequence[Plan], codes: Codes, views: Views, progress: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the maps over what was given, and what they miss, averaged over strands and models."""
    for plan in plans:
        plan.input_spec.variable_part(codes)
    raw = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    missing = np.zeros(len(codes), np.float32)
    seen = list(views.each(plans))
    size = BLOCK if run.method == "saliency" else SMALL_BLOCK
    for block in blocks(len(codes), size, progress=progress, label="attribute"):
        for plan, strand, _ in seen:
            spec = plan.input_spec
            skip = 0 if codes.shape[1] == spec.length else len(spec.left)
            whole, less = run(plan, spec.place(codes[block]), strand, block.start)
            raw[block] += whole[:, :, skip : skip + codes.shape[1]] / len(seen)
            missing[block] += less / len(seen)
    return raw, missing
