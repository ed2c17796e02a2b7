"""Edits in rows, as the delta engine takes them: in the model's own input, on one strand."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes
from fastseq.lower.delta_gpu import WindowEngine
from fastseq.lower.incremental import DeltaEngine
from fastseq.lower.spans import changed
from fastseq.models.specs import COMPLEMENT, InputSpec, OutputScale, Strand, TargetSpec
from fastseq.sequence.edits import Edits, window

Effects: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]


def in_model_input(
    spec: InputSpec, rows: Codes, edits: Edits, left: int, length: int, strand: Strand
) -> tuple[Codes, Edits]:
    """Return full model input and the edits in its coordinates, on the strand the model reads.

    Parameters
    ----------
    spec : InputSpec
    rows : uint8, (n, row_length)
    edits : Edits
        Of any growth.
    left, length : int
        The window in a row: the model's variable part or full input.
    strand : {"+", "-"}

    Returns
    -------
    codes : uint8, (n, spec.length)
    edits : Edits
        Each replaces as many bases as it puts in: its word where that keeps the length, else
        everything behind its begin, since what is behind it moves. What falls outside the window is
        not seen and left out.
    """
    codes = spec.place(window(rows, left, length))
    growth = edits.lengths - edits.removed
    behind = edits.start + edits.lengths
    first = np.clip(edits.start, left, left + length)
    last = np.clip(np.where(growth == 0, behind, left + length), first, left + length)
    lengths = last - first
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    edit = np.repeat(np.arange(len(edits)), lengths)
    at = np.arange(offsets[-1]) - (offsets[:-1] - first)[edit]
    inserted = _letters(rows, edits, edit, at, at - growth[edit])
    start = first - left + (len(spec.left) if length == spec.variable else 0)
    if strand == "-":
        codes = COMPLEMENT[codes[:, ::-1]]
        start = spec.length - start - lengths
        # each word is read backwards: its i-th base is the complement of its i-th from the end
        mirrored = (offsets[:-1] + offsets[1:])[edit] - 1 - np.arange(len(inserted))
        inserted = COMPLEMENT[inserted[mirrored]]
    return codes, Edits(edits.row, start, lengths, inserted, offsets)


def _letters(
    rows: Codes,
    edits: Edits,
    edit: NDArray[np.int64],
    at: NDArray[np.int64],
    source: NDArray[np.int64],
) -> Codes:
    """Return the base at positions of edited rows: of the word, or of the row at ``source``."""
    letters = np.full(len(at), UNKNOWN, np.uint8)
    word = at - edits.start[edit]
    mine = word < edits.lengths[edit]
    letters[mine] = edits.inserted[(edits.offsets[edit] + word)[mine]]
    moved = ~mine & (source < rows.shape[1])
    letters[moved] = rows[edits.row[edit[moved]], source[moved]]
    return letters


def incremental_effects(
    engine: DeltaEngine | WindowEngine,
    input_spec: InputSpec,
    target_spec: TargetSpec,
    rows: Codes,
    edits: Edits,
    full: Callable[..., Effects],
    *,
    left: int,
    length: int,
    strand: Strand,
    scale: OutputScale,
) -> Effects:
    """Return reference answers without the offset and effects, in forward terms, as deltas.

    Parameters and shapes as for `Plan.effects`; ``full(rows, edits, left=..., ...)`` runs edits
    that change so much that it is faster. Which they are depends on no other edit.
    """
    codes, placed = in_model_input(input_spec, rows, edits, left, length, strand)
    found = changed(codes, placed.row, placed.start, placed.inserted, placed.offsets)
    carried = np.ones(len(edits), bool)
    carried[found.edit] = engine.pays(found.start, found.size)
    if carried.all():
        return _as_differences(engine, target_spec, codes, placed, strand, scale)
    if not carried.any():
        return full(rows, edits, left=left, length=length, strand=strand, scale=scale)
    near, far = (np.flatnonzero(kind) for kind in (carried, ~carried))
    answers, effects = _as_differences(engine, target_spec, codes, placed.take(near), strand, scale)
    theirs, row = np.unique(edits.row[far], return_inverse=True)
    _, in_full = full(
        rows[theirs], replace(edits.take(far), row=row),
        left=left, length=length, strand=strand, scale=scale,
    )  # fmt: skip
    both = np.empty((len(edits), *answers.shape[1:]), np.float32)
    both[near], both[far] = effects, in_full
    return answers, both


def _as_differences(
    engine: DeltaEngine | WindowEngine,
    target_spec: TargetSpec,
    codes: Codes,
    placed: Edits,
    strand: Strand,
    scale: OutputScale,
) -> Effects:
    """Return answers and effects of edits in the model's own input, in forward terms."""
    raw, deltas = engine.effects(codes, placed.row, placed.start, placed.inserted, placed.offsets)
    answer, effect = target_spec.effect(
        torch.from_numpy(raw), torch.from_numpy(deltas), torch.from_numpy(placed.row), scale
    )
    if strand == "-":
        answer, effect = target_spec.same_strand(answer), target_spec.same_strand(effect)
    return answer.numpy(), effect.numpy()
