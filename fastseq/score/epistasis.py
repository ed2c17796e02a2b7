"""How bases depend on each other: pairs of substitutions beyond the sum of single ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.predict import as_rows
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


def epistasis(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    *,
    start: int | None = None,
    end: int | None = None,
    max_distance: int | None = None,
    **options: Any,
) -> Epistasis:
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
    **options
        As for `fastseq.perturb`.

    Returns
    -------
    Epistasis
        16 x span x span numbers for each sequence and task.

    Raises
    ------
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
    codes, running = as_rows(seqs), Running(**options)
    if max_distance is not None and not (isinstance(max_distance, Integral) and max_distance > 0):
        raise OptionError(f"max_distance={max_distance!r}; expected a whole number of at least 1")
    reach = min(codes.shape[1], codes.shape[1] if max_distance is None else max_distance)
    journey = Journey(model, codes, 4.5 * reach, running, span=(start, end))
    first, last = journey.start, journey.end
    span, shape = last - first, (len(codes), len(journey.tasks))
    y_ref = np.empty(shape, np.float32)
    effect = np.zeros((*shape, span, 4), np.float32)
    interaction = np.zeros((*shape, span, 4, span, 4), np.float32)
    for block in blocks(len(codes), BLOCK, progress=running.progress, label="pair"):
        singles = Edits.substitutions(codes[block], first, last)
        y_ref[block], deltas = journey.effects(block, singles)
        single, both = effect[block], interaction[block]
        single[singles.row, :, singles.start - first, singles.inserted] = deltas
        for distance in range(1, min(reach + 1, span)):
            edits = pairs(codes[block], distance, start=first, end=last)
            _, deltas = journey.effects(block, edits)
            row, i = edits.row, edits.start - first
            a, b = edits.inserted[edits.offsets[:-1]], edits.inserted[edits.offsets[1:] - 1]
            beyond = deltas - single[row, :, i, a] - single[row, :, i + distance, b]
            both[row, :, i, a, i + distance, b] = beyond
            both[row, :, i + distance, b, i, a] = beyond
    return Epistasis(codes, first, last, journey.tasks, y_ref, effect, interaction, reach)
