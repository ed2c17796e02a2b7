"""Strands, shifts and models: the views of one sequence, averaged once, here."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes
from fastseq.errors import FastseqWarning, OptionError
from fastseq.lower.plan import Engine, Plan
from fastseq.models.specs import OutputScale, Strand
from fastseq.sequence.edits import Edits, window


@dataclass(frozen=True)
class Views:
    """Which views of a sequence are averaged.

    Parameters
    ----------
    strands : {"forward", "both"}
        "both" adds the reverse complement of the full model input, flanks included.
    shifts : tuple of int
        Window offsets in bp; a positive shift moves the window to the right. REF and ALT get
        the same shift, and rows must carry that much margin.

    Raises
    ------
    OptionError
        Another word for strands, no shift at all, one given twice, or one of half a base.
    """

    strands: Literal["forward", "both"] = "forward"
    shifts: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        if self.strands not in ("forward", "both"):
            raise OptionError(f"strands={self.strands!r}; expected 'forward' or 'both'")
        if not isinstance(self.shifts, Iterable) or isinstance(self.shifts, str):
            raise OptionError(f"shifts={self.shifts!r}; expected several, such as (-1, 0, 1)")
        if any(int(shift) != shift for shift in self.shifts):
            raise OptionError(f"shifts={self.shifts}; expected whole numbers of bp")
        object.__setattr__(self, "shifts", tuple(map(int, self.shifts)))
        if not self.shifts or len(set(self.shifts)) != len(self.shifts):
            raise OptionError(f"shifts={self.shifts}; expected at least one, each once")

    @property
    def reach(self) -> int:
        """Bases of margin that the widest shift needs on each side."""
        return max(map(abs, self.shifts))

    @property
    def count(self) -> int:
        """Views of one sequence by one model."""
        return len(self.shifts) * (2 if self.strands == "both" else 1)

    def each(self, plans: Sequence[Plan]) -> Iterator[tuple[Plan, Strand, int]]:
        """Yield every view: model by model, strand by strand, shift by shift."""
        strands: tuple[Strand, ...] = ("+", "-") if self.strands == "both" else ("+",)
        for plan in plans:
            for strand in strands:
                for shift in self.shifts:
                    yield plan, strand, shift

    def check_reach(self, length: int) -> None:
        """Raise where a shift moves the window beyond the ``length`` bases there are."""
        if self.reach and self.reach >= length:
            raise OptionError(
                f"a shift by {self.reach} bp leaves nothing of the {length} bp given; expected less"
            )

    def warn_untrained_strands(self, plans: Sequence[Plan]) -> None:
        """Warn once where both strands are asked of a model that only ever saw one."""
        untrained = any(plan.target_spec.reverse_complement is False for plan in plans)
        if self.strands == "both" and untrained:
            warnings.warn(
                "strands='both', but the checkpoint says it was trained on forward strands only; "
                "its answers for reverse complements are extrapolations",
                FastseqWarning,
                stacklevel=3,
            )


@dataclass(frozen=True, eq=False)
class ViewedEffects:
    """Answers averaged over views; ratios and other functions of them come later.

    Attributes
    ----------
    y_ref : float32, (n, tasks) or (n, tasks, positions)
    deltas : float32, (e, tasks) or (e, tasks, positions)
        ALT minus REF, averaged.
    sd : float32, as deltas
        Standard deviation of the delta over views (population form); 0 for a single view.
    """

    y_ref: NDArray[np.float32]
    deltas: NDArray[np.float32]
    sd: NDArray[np.float32]


def predict(
    plans: Sequence[Plan],
    rows: Codes,
    views: Views,
    *,
    left: int = 0,
    length: int | None = None,
    scale: OutputScale = "output",
) -> NDArray[np.float32]:
    """Return answers averaged over models, strands and shifts.

    Parameters
    ----------
    plans : list of Plan
    rows : uint8, (n, row_length)
    views : Views
    left, length : int
        The unshifted window in a row; the whole row where not given.
    scale : {"output", "logit"}

    Returns
    -------
    float32, (n, tasks) or (n, tasks, positions)
    """
    length = rows.shape[1] - left if length is None else length
    total, count = None, 0
    for plan, strand, shift in views.each(plans):
        answer = plan.predict(window(rows, left + shift, length), strand=strand, scale=scale)
        total = answer.astype(np.float64) if total is None else total + answer
        count += 1
    return (total / count).astype(np.float32)


def effects(
    plans: Sequence[Plan],
    rows: Codes,
    edits: Edits,
    views: Views,
    *,
    left: int = 0,
    length: int | None = None,
    scale: OutputScale = "output",
    engine: Engine = "full",
) -> ViewedEffects:
    """Return reference answers and edit effects averaged over models, strands and shifts.

    Parameters
    ----------
    plans : list of Plan
    rows : uint8, (n, row_length)
        Reference rows whose margins cover the widest shift and the longest deletion.
    edits : Edits
    views : Views
    left, length : int
        The unshifted window in a row; the whole row where not given.
    scale : {"output", "logit"}
    engine : {"full", "incremental"}
        As for `Plan.effects`.

    Returns
    -------
    ViewedEffects
    """
    length = rows.shape[1] - left if length is None else length
    count, y_ref, mean, squares = 0, None, None, None
    for plan, strand, shift in views.each(plans):
        answer, deltas = plan.effects(
            rows,
            edits,
            left=left + shift,
            length=length,
            strand=strand,
            scale=scale,
            engine=engine,
        )
        count += 1
        if mean is None:
            y_ref, mean = answer.astype(np.float64), deltas.astype(np.float64)
            squares = np.zeros_like(mean)
            continue
        # Welford's update: no difference of large sums
        away = deltas - mean
        y_ref += (answer - y_ref) / count
        mean += away / count
        squares += away * (deltas - mean)
    return ViewedEffects(
        y_ref.astype(np.float32),
        mean.astype(np.float32),
        np.sqrt(squares / count).astype(np.float32),
    )
