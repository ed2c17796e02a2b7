"""Which bases matter: maps over sequences, all of one result type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Plan, Precision
from fastseq.run.stream import blocks
from fastseq.run.views import Views
from fastseq.score.ism import saturation_mutagenesis
from fastseq.score.predict import as_rows

Method = Literal["saliency", "ism"]
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attribution maps of one task.

    Attributes
    ----------
    codes : uint8, (n, length)
        The sequences as given.
    raw : float32, (n, 4, length)
        The map as computed: the gradient, or the effects of mutations.
    method, task : str
    """

    codes: Codes
    raw: NDArray[np.float32]
    method: str
    task: str

    @property
    def hypothetical(self) -> NDArray[np.float32]:
        """Raw minus its mean over the four letters, float32, (n, 4, length).

        One-hot input lives on a simplex, and the part of a gradient that points off it means
        nothing (Majdandzic et al. 2023, gradient correction).
        """
        return self.raw - self.raw.mean(1, keepdims=True)

    @property
    def observed(self) -> NDArray[np.float32]:
        """Hypothetical at the observed base, float32, (n, length); 0 at unknown bases."""
        hot = self.codes[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]
        return (self.hypothetical * hot).sum(1)

    @property
    def attributions(self) -> NDArray[np.float32]:
        """The same as `observed`, the name other results use."""
        return self.observed


def attribute(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    method: Method = "saliency",
    *,
    task: int | str | None = None,
    strands: Literal["forward", "both"] = "forward",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> Attributions:
    """Return how much each base of each sequence matters to one task.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    method : {"saliency", "ism"}
        The gradient of the score before the activation (the expected bin of bin heads), or the
        effects of all substitutions.
    task : int or str, optional
        Needed where the model answers several.
    strands : {"forward", "both"}
    batch_size, device, precision, progress
        As for `fastseq.predict`.

    Returns
    -------
    Attributions

    Raises
    ------
    LengthError, SequenceError, ModelError
        As for `fastseq.predict`.
    OptionError
        Another method, no such task, or none chosen of several.

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
    codes = as_rows(seqs)
    options = {"device": device, "precision": precision, "batch_size": batch_size}
    mutants = 3 * codes.size if method == "ism" else 0
    plans = lower_all(model, length=codes.shape[1], sequences=mutants, **options)
    number = _task(plans[0], task)
    name = plans[0].target_spec.tasks[number]
    if method == "saliency":
        raw = _saliency(plans, codes, number, Views(strands), progress)
    elif method == "ism":
        reduce = None if plans[0].positions is None else "sum"
        result = saturation_mutagenesis(
            plans, codes, scale="logit", reduce=reduce, strands=strands, progress=progress
        )
        raw = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
        raw[:, :, result.start : result.end] = result.effect[:, number]
    else:
        raise OptionError(f"method={method!r}; expected 'saliency' or 'ism'")
    return Attributions(codes, raw, method, name)


def _saliency(
    plans: Sequence[Plan], codes: Codes, task: int, views: Views, progress: bool
) -> NDArray[np.float32]:
    views.warn_untrained_strands(plans)
    for plan in plans:
        plan.input_spec.variable_part(codes)
    raw = np.zeros((len(codes), 4, codes.shape[1]), np.float32)
    seen = list(views.each(plans))
    for block in blocks(len(codes), BLOCK, progress=progress, label="attribute"):
        for plan, strand, _ in seen:
            spec = plan.input_spec
            skip = 0 if codes.shape[1] == spec.length else len(spec.left)
            whole = plan.gradient(codes[block], task=task, strand=strand)
            raw[block] += whole[:, :, skip : skip + codes.shape[1]] / len(seen)
    return raw


def _task(plan: Plan, task: int | str | None) -> int:
    tasks = plan.target_spec.tasks
    if task is None and len(tasks) == 1:
        return 0
    if isinstance(task, int) and 0 <= task < len(tasks):
        return task
    if task in tasks:
        return tasks.index(task)
    raise OptionError(f"task={task!r}; the model answers {', '.join(tasks)}: choose one")
