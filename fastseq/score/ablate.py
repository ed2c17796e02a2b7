"""What windows of sequences are worth: each one's bases shuffled, or taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.predict import as_rows
from fastseq.sequence.scans import ablations, shuffles


@dataclass(frozen=True, eq=False)
class Ablations:
    """Effects of windows that lose what they say.

    Attributes
    ----------
    codes : uint8, (n, length)
    start : int64, (windows,)
        Where each window begins.
    width : int
    tasks : tuple of str
    y_ref : float32, (n, tasks)
    effect : float32, (n, tasks, windows, draws)
        y_alt - y_ref of each shuffle; one draw where bases become unknown.
    """

    codes: Codes
    start: NDArray[np.int64]
    width: int
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean effect over draws, float32, (n, tasks, windows)."""
        return self.effect.mean(3)

    @property
    def importance(self) -> NDArray[np.float32]:
        """What each position is worth, float32, (n, tasks, length).

        Minus the mean effect, averaged over the windows that cover a position; 0 where none does.
        """
        total = np.zeros((*self.effect.shape[:2], self.codes.shape[1]))
        covered = np.zeros(self.codes.shape[1])
        for window, start in enumerate(self.start.tolist()):
            total[:, :, start : start + self.width] -= self.mean[:, :, window, None]
            covered[start : start + self.width] += 1
        return (total / np.maximum(covered, 1)).astype(np.float32)


def ablate(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    width: int,
    *,
    by: Literal["shuffle", "unknown"] = "shuffle",
    n: int = 20,
    k: int = 2,
    step: int | None = None,
    start: int | None = None,
    end: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Ablations:
    """Return what each window of each sequence is worth to the answer.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    width : int
        Bases in a window.
    by : {"shuffle", "unknown"}
        Shuffles that keep the window's k-lets, or bases that become N.
    n, k : int
        Shuffles of a window, and the k-lets they keep.
    step : int, optional
        From one window to the next; ``width`` where not given.
    start, end : int, optional
        Span that windows lie in; by default the variable part.
    seed : int
    **options
        As for `fastseq.perturb`.

    Returns
    -------
    Ablations

    Raises
    ------
    OptionError
        A window does not fit the span, or another word for ``by``.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1))
    >>> ablate(head, "ACGTTGCA", 4, by="unknown").effect.shape
    (1, 1, 2, 1)
    """
    if by not in ("shuffle", "unknown"):
        raise OptionError(f"by={by!r}; expected 'shuffle' or 'unknown'")
    codes, running = as_rows(seqs), Running(**options)
    step = width if step is None else step
    if not all(isinstance(number, Integral) for number in (width, step, n)):
        raise OptionError(f"width={width}, step={step}, n={n}; expected whole numbers")
    if step < 1 or width < 1 or n < 1:
        raise OptionError(f"width={width}, step={step}, n={n}; expected numbers above 0")
    draws = n if by == "shuffle" else 1
    journey = Journey(model, codes, draws / step, running, span=(start, end))
    make = partial(shuffles, n=n, k=k, seed=seed) if by == "shuffle" else ablations
    span = {"step": step, "start": journey.start, "end": journey.end}
    starts = ablations(np.zeros((1, codes.shape[1]), np.uint8), width, **span).start
    shape = (len(codes), len(journey.tasks), len(starts), draws)
    y_ref, effect = np.empty(shape[:2], np.float32), np.empty(shape, np.float32)
    for block in blocks(len(codes), BLOCK, progress=running.progress, label="ablate"):
        offset = {"row_offset": block.start} if by == "shuffle" else {}
        edits = make(codes[block], width, **span, **offset)
        y_ref[block], deltas = journey.effects(block, edits)
        effect[block] = deltas.reshape(-1, *shape[2:], shape[1]).transpose(0, 3, 1, 2)
    return Ablations(codes, starts, width, journey.tasks, y_ref, effect)
