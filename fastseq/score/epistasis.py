"""How bases depend on each other: pairs of substitutions beyond the sum of single ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes, Text
from fastseq.errors import OptionError
from fastseq.io.map_shards import SHARD
from fastseq.lower.ensemble import Runnable
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.perturb import named_rows
from fastseq.score.predict import as_rows
from fastseq.score.sharded import check_output, shard_tables
from fastseq.sequence.edits import Edits
from fastseq.sequence.scans import pairs


@dataclass(frozen=True, eq=False)
class Epistasis:
    """Interactions of all pairs of substitutions in a span.

    Attributes
    ----------
    codes : uint8, (n, length)
    start, end : int
        The span, 0-based, half-open.
    tasks : tuple of str
    y_ref : float32, (n, tasks)
    effect : float32, (n, tasks, span, 4)
        Of single substitutions.
    interaction : float32, (n, tasks, span, 4, span, 4)
        Effect of both substitutions minus the sum of their single effects. Symmetric; 0 where a
        letter is the observed one, a base is unknown or the two are further apart than asked.
    max_distance : int
        From one position to the other, at most.
    """

    codes: Codes
    start: int
    end: int
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]
    interaction: NDArray[np.float32]
    max_distance: int

    @property
    def dependency(self) -> NDArray[np.float32]:
        """Largest |interaction| of two positions, the dependency map: (n, tasks, span, span)."""
        return np.abs(self.interaction).max((3, 5))

    def columns(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return a table of pairs of known bases: both changes, and their interaction by task.

        The columns are row (or name, of the sequences' names), then pos, ref and alt of each
        change, and by task the effect of each and the interaction.
        """
        letters = np.array([*"ACGT"])
        span = self.codes[:, self.start : self.end]
        differs = (span[:, :, None] != np.arange(4)) & (span[:, :, None] < UNKNOWN)
        row, i, a, j, b = np.nonzero(differs[:, :, :, None, None] & differs[:, None, None])
        near = (i < j) & (j - i <= self.max_distance)
        row, i, a, j, b = (part[near] for part in (row, i, a, j, b))
        columns = {
            **named_rows(row, names),
            "pos_1": i + self.start, "ref_1": letters[span[row, i]], "alt_1": letters[a],
            "pos_2": j + self.start, "ref_2": letters[span[row, j]], "alt_2": letters[b],
        }  # fmt: skip
        suffixes = [""] if len(self.tasks) == 1 else [f"_{task}" for task in self.tasks]
        for task, suffix in enumerate(suffixes):
            columns[f"effect_1{suffix}"] = self.effect[row, task, i, a]
            columns[f"effect_2{suffix}"] = self.effect[row, task, j, b]
            columns[f"interaction{suffix}"] = self.interaction[row, task, i, a, j, b]
        return columns


@overload
def epistasis(
    model: Runnable | Sequence[Runnable], seqs: Text, *, output: str | PathLike[str], **options: Any
) -> dict[str, Any]: ...
@overload
def epistasis(model: Runnable | Sequence[Runnable], seqs: Text, **options: Any) -> Epistasis: ...
def epistasis(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    *,
    start: int | None = None,
    end: int | None = None,
    max_distance: int | None = None,
    output: str | PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    resume: bool = False,
    shard: int = SHARD,
    **options: Any,
) -> Epistasis | dict[str, Any]:
    """Return how far every pair of substitutions departs from the sum of its parts.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    start, end : int, optional
        Span, 0-based, half-open; by default the variable part.
    max_distance : int, optional
        From one position to the other, at most; the whole span where not given.
    output, names, resume, shard, **options
        As for `fastseq.perturb`.

    Returns
    -------
    Epistasis, or with ``output`` its manifest
        16 x span x span numbers for each sequence and task.

    Raises
    ------
    ResumeError, UnreadableFileError
        As for `fastseq.perturb`.
    OptionError
        A distance below 1, or of half a base.

    Notes
    -----
    About 4.5 x span x span edits a sequence. A model that sums over positions has no interaction.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> bool(np.abs(epistasis(head, "ACGT").interaction).max() < 1e-6)
    True
    """
    check_output(output, names, resume, shard)
    codes, running = as_rows(seqs), Running(**options)
    if max_distance is not None and not (isinstance(max_distance, Integral) and max_distance > 0):
        raise OptionError(f"max_distance={max_distance!r}; expected a whole number of at least 1")
    reach = min(codes.shape[1], codes.shape[1] if max_distance is None else max_distance)
    journey = Journey(model, codes, 4.5 * reach, running, span=(start, end))

    def run(rows: slice, progress: bool) -> Epistasis:
        return _of_pairs(journey, codes, rows, int(reach), progress)

    if output is None:
        return run(slice(0, len(codes)), running.progress)
    about = {"start": journey.start, "end": journey.end, "max_distance": int(reach)}
    return shard_tables(
        output, codes, journey.plans, lambda rows, named: run(rows, False).columns(named),
        {"kind": "pairs", "tasks": list(journey.tasks), **about, **journey.about()},
        names=names, shard=shard, resume=resume, progress=running.progress,
    )  # fmt: skip


def _of_pairs(journey: Journey, codes: Codes, rows: slice, reach: int, progress: bool) -> Epistasis:
    """Return the interactions of some rows."""
    part, first, last = codes[rows], journey.start, journey.end
    span, shape = last - first, (len(part), len(journey.tasks))
    y_ref = np.empty(shape, np.float32)
    effect = np.zeros((*shape, span, 4), np.float32)
    interaction = np.zeros((*shape, span, 4, span, 4), np.float32)
    for block in blocks(len(part), BLOCK, progress=progress, label="pair"):
        whole = slice(rows.start + block.start, rows.start + block.stop)
        singles = Edits.substitutions(part[block], first, last)
        y_ref[block], deltas = journey.effects(whole, singles)
        single, both = effect[block], interaction[block]
        single[singles.row, :, singles.start - first, singles.inserted] = deltas
        for distance in range(1, min(reach + 1, span)):
            edits = pairs(part[block], distance, start=first, end=last)
            _, deltas = journey.effects(whole, edits)
            row, i = edits.row, edits.start - first
            a, b = edits.inserted[edits.offsets[:-1]], edits.inserted[edits.offsets[1:] - 1]
            beyond = deltas - single[row, :, i, a] - single[row, :, i + distance, b]
            both[row, :, i, a, i + distance, b] = beyond
            both[row, :, i + distance, b, i, a] = beyond
    return Epistasis(part, first, last, journey.tasks, y_ref, effect, interaction, reach)
