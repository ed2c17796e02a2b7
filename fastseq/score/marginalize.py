"""What a motif does on average: written into background sequences, by position and strand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastseq.arrays import Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.predict import as_rows
from fastseq.sequence.edits import Edits
from fastseq.sequence.encode import reverse_complement


@dataclass(frozen=True, eq=False)
class Marginalization:
    """Effects of motifs in backgrounds.

    Attributes
    ----------
    motifs : tuple of str
    positions : int64, (positions,)
        Where a motif's first base stands.
    orientations : tuple of str
        "+" as given, "-" its reverse complement.
    tasks : tuple of str
    y_ref : float32, (n, tasks)
        Answers for the backgrounds.
    effect : float32, (n, tasks, motifs, orientations, positions)
        Answer with the motif minus answer without.
    """

    motifs: tuple[str, ...]
    positions: NDArray[np.int64]
    orientations: tuple[str, ...]
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean over backgrounds, float32, (tasks, motifs, orientations, positions)."""
        return self.effect.mean(0)

    @property
    def standard_error(self) -> NDArray[np.float32]:
        """Standard error of `mean`; NaN for one background."""
        n = len(self.effect)
        if n < 2:
            return np.full(self.effect.shape[1:], np.nan, np.float32)
        return self.effect.std(0, ddof=1) / np.float32(n**0.5)


def marginalize(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    motif: str | Sequence[str],
    *,
    positions: int | ArrayLike | None = None,
    orientations: Sequence[Literal["+", "-"]] = ("+", "-"),
    **options: Any,
) -> Marginalization:
    """Return what motifs change when they are written over the bases of backgrounds.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        Backgrounds of one length, full or variable: shuffles (`fastseq.shuffle`) or random
        sequences.
    motif : str or list of str
    positions : int or (positions,), optional
        Where a motif begins, counted in ``seqs``; centred where not given.
    orientations : sequence of {"+", "-"}
    **options
        As for `fastseq.perturb`.

    Returns
    -------
    Marginalization

    Raises
    ------
    OptionError
        A motif does not fit its position, has other letters than A C G T, or there is none;
        another orientation.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1))
    >>> marginalize(head, ["ACGTTGCA", "TTTTTTTT"], "GATA").effect.shape
    (2, 1, 1, 2, 1)
    """
    motifs = (motif,) if isinstance(motif, str) else tuple(motif)
    if not motifs or not all(motifs) or not all({*word.upper()} <= {*"ACGT"} for word in motifs):
        raise OptionError(f"motif={motif!r}; expected words of A, C, G and T")
    if not orientations or not {*orientations} <= {"+", "-"}:
        raise OptionError(f"orientations={orientations!r}; expected '+', '-' or both")
    codes, running = as_rows(seqs), Running(**options)
    longest = max(map(len, motifs))
    centre = (codes.shape[1] - longest) // 2
    starts = np.atleast_1d(centre if positions is None else positions)
    if starts.dtype.kind not in "iu" or starts.ndim > 1:
        raise OptionError(f"positions={positions!r}; expected whole numbers of bp")
    starts = starts.astype(np.int64)
    if not len(starts) or starts.min() < 0 or starts.max() + longest > codes.shape[1]:
        raise OptionError(
            f"motifs of up to {longest} bp at positions {starts.tolist()} of {codes.shape[1]} bp; "
            "expected places where they fit"
        )
    words = [reverse_complement(m) if o == "-" else m for m in motifs for o in orientations]
    touched = int(starts.min()), int(starts.max()) + longest
    per_base = len(words) * len(starts) / (touched[1] - touched[0])
    journey = Journey(model, codes, per_base, running, span=touched)
    shape = (len(codes), len(journey.tasks), len(motifs), len(orientations), len(starts))
    y_ref, effect = np.empty(shape[:2], np.float32), np.empty(shape, np.float32)
    one = Edits.of_words(
        np.zeros(len(words) * len(starts), np.int64),
        np.tile(starts, len(words)),
        np.repeat([len(word) for word in words], len(starts)),
        [word for word in words for _ in starts],
    )
    for block in blocks(len(codes), BLOCK, progress=running.progress, label="marginalize"):
        rows = block.stop - block.start
        edits = Edits.concatenate([one.moved(rows=row) for row in range(rows)])
        y_ref[block], deltas = journey.effects(block, edits)
        effect[block] = np.moveaxis(deltas.reshape(rows, *shape[2:], shape[1]), -1, 1)
    return Marginalization(motifs, starts, tuple(orientations), journey.tasks, y_ref, effect)
