"""Edits in rows, as the delta engine takes them: in the model's own input, on one strand."""

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import Codes
from fastseq.lower.delta_gpu import WindowEngine
from fastseq.lower.incremental import DeltaEngine
from fastseq.models.specs import COMPLEMENT, InputSpec, OutputScale, Strand, TargetSpec
from fastseq.sequence.edits import Edits, window


def keeps_length(edits: Edits) -> NDArray[np.bool_]:
    """Return which edits put in as many bases as they remove, bool, (e,)."""
    return edits.lengths == edits.removed


def in_model_input(
    spec: InputSpec, rows: Codes, edits: Edits, left: int, length: int, strand: Strand
) -> tuple[Codes, Edits]:
    """Return full model input and the edits in its coordinates, on the strand the model reads.

    Parameters
    ----------
    spec : InputSpec
    rows : uint8, (n, row_length)
    edits : Edits
        Each keeps the length; bases that fall outside the window are not seen and left out.
    left, length : int
        The window in a row: the model's variable part or full input.
    strand : {"+", "-"}

    Returns
    -------
    codes : uint8, (n, spec.length)
    edits : Edits
    """
    codes = spec.place(window(rows, left, length))
    before = len(spec.left) if length == spec.variable else 0
    edit = np.repeat(np.arange(len(edits)), edits.lengths)
    at = np.arange(len(edits.inserted)) - edits.offsets[edit] + edits.start[edit] - left
    seen = (at >= 0) & (at < length)
    lengths = np.bincount(edit[seen], minlength=len(edits))
    start = np.clip(edits.start - left, 0, length - 1) + before
    inserted = edits.inserted[seen]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if strand == "-":
        codes = COMPLEMENT[codes[:, ::-1]]
        start = spec.length - start - lengths
        # each word is read backwards: its i-th base is the complement of its i-th from the end
        word = np.repeat(np.arange(len(edits)), lengths)
        mirrored = offsets[word] + offsets[word + 1] - 1 - np.arange(len(inserted))
        inserted = COMPLEMENT[inserted[mirrored]]
    return codes, Edits(edits.row, start, lengths, inserted, offsets)


def incremental_effects(
    engine: DeltaEngine | WindowEngine,
    input_spec: InputSpec,
    target_spec: TargetSpec,
    rows: Codes,
    edits: Edits,
    *,
    left: int,
    length: int,
    strand: Strand,
    scale: OutputScale,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return reference answers without the offset and effects, in forward terms, as deltas.

    Parameters and shapes as for `Plan.effects`; each edit keeps the length.
    """
    codes, placed = in_model_input(input_spec, rows, edits, left, length, strand)
    raw, deltas = engine.effects(codes, placed.row, placed.start, placed.inserted, placed.offsets)
    answer, effect = target_spec.effect(
        torch.from_numpy(raw), torch.from_numpy(deltas), torch.from_numpy(placed.row), scale
    )
    if strand == "-":
        answer, effect = target_spec.same_strand(answer), target_spec.same_strand(effect)
    return answer.numpy(), effect.numpy()
