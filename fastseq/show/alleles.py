"""A variant's two alleles beside each other: logos, with the motifs lost and gained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastseq.arrays import Codes, check
from fastseq.show.canvas import BLUE, ORANGE, Span, panels, shade, width_of
from fastseq.show.logo import draw_logo, observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def allele_logos(
    ref: Codes,
    alt: Codes,
    ref_scores: np.ndarray,
    alt_scores: np.ndarray,
    *,
    at: int,
    ref_length: int = 1,
    alt_length: int = 1,
    lost: Sequence[Span] = (),
    gained: Sequence[Span] = (),
    start: int = 0,
    title: str = "",
) -> "Figure":
    """Return the logo of the reference haplotype above that of the alternative one.

    Parameters
    ----------
    ref, alt : uint8, (l,) and (l',)
        Both haplotypes, with the same left flank.
    ref_scores, alt_scores : float, (l,) and (l',)
        Attribution of the observed bases.
    at : int
        Where the alleles begin, 0-based; they are shaded.
    ref_length, alt_length : int
        Bases of each allele; the shorter leaves a gap, so that right flanks stand aligned.
    lost, gained : sequence of (start, end[, label])
        Motif hits of ``ref`` and of ``alt``, such as `fastseq.motif_changes` returns, as brackets.
    start : int
        Coordinate of the first position.

    Raises
    ------
    ShapeError
        Scores of another length than their haplotype.
    """
    ref = check("ref", ref, "l", dtype="uint8")
    alt = check("alt", alt, "m", dtype="uint8")
    heights = [observed(ref, ref_scores), observed(alt, alt_scores)]
    longest = max(ref_length, alt_length)
    gaps = [longest - ref_length, longest - alt_length]
    ends = [at + ref_length, at + alt_length]
    heights = [
        np.insert(rows, [end] * gap, 0, axis=1) for rows, end, gap in zip(heights, ends, gaps)
    ]
    brackets = [_moved(lost, ends[0], gaps[0]), _moved(gained, ends[1], gaps[1])]
    room = max(map(_levels, brackets))
    figure, axes = panels(
        2, width=width_of(heights[0].shape[1]), height=1.35 + 0.17 * room, sharex=True, sharey=True
    )
    low = min(rows.clip(max=0).sum(0).min() for rows in heights)
    high = max(rows.clip(min=0).sum(0).max() for rows in heights)
    size = (high - low) or 1.0
    for panel, rows, spans, color, name in zip(
        axes, heights, brackets, [ORANGE, BLUE], ["REF\nlost", "ALT\ngained"]
    ):
        draw_logo(panel, rows, start=start)
        panel.axhline(0, color="black", linewidth=0.5)
        for level, span in _stacked(spans):
            _bracket(panel, span, start, high + size * (0.12 + 0.16 * level), size, color)
        panel.set_ylabel(name if spans else name.partition("\n")[0])
    axes[0].set_ylim(low - 0.05 * size, high + size * (0.08 + 0.17 * room))
    shade(axes, [(start + at, start + at + longest)])
    axes[-1].set_xlabel("position")
    figure.suptitle(title, fontsize="medium")
    return figure


def _moved(spans: Sequence[Span], end: int, gap: int) -> list[Span]:
    """Return spans in columns of the picture: what lies behind the allele stands past its gap."""
    return [
        (span[0] + gap * (span[0] >= end), span[1] + gap * (span[1] > end), *span[2:])
        for span in spans
    ]  # type: ignore[misc]


def _stacked(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Return each span with the lowest level at which it overlaps none before it."""
    ends: list[float] = []
    placed = []
    for span in sorted(spans, key=lambda span: span[0]):
        # a label may be longer than its span
        right = max(span[1], span[0] + 1.1 * len(span[2] if len(span) > 2 else ""))
        level = next((n for n, end in enumerate(ends) if end <= span[0]), len(ends))
        ends[level : level + 1] = [right]
        placed.append((level, span))
    return placed


def _levels(spans: Sequence[Span]) -> int:
    return max((level + 1 for level, _ in _stacked(spans)), default=0)


def _bracket(panel: "Axes", span: Span, start: int, height: float, size: float, color: str) -> None:
    """Draw a line over a span with its label upon it."""
    left, right = start + span[0] - 0.5, start + span[1] - 0.5
    tick = 0.03 * size
    panel.plot([left, left, right, right], [height - tick, height, height, height - tick],
               color=color, linewidth=1.2)  # fmt: skip
    if len(span) > 2:
        panel.text(left, height, span[2], ha="left", va="bottom", fontsize="x-small", color=color)
