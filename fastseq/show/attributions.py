"""Which bases matter: logos of attributions, and heat maps of every substitution."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastseq._lazy import load
from fastseq.arrays import Codes, check
from fastseq.show.canvas import Span, panels, shade, width_of
from fastseq.show.logo import LETTERS, draw_logo, observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def logos(
    codes: Codes,
    hypothetical: np.ndarray,
    *,
    scores: np.ndarray | None = None,
    spans: Iterable[Span] = (),
    start: int = 0,
    title: str = "",
) -> "Figure":
    """Return the logo of the observed bases above the logo of all four.

    Parameters
    ----------
    codes : uint8, (l,)
    hypothetical : float, (4, l)
        Attribution of each base at each position, corrected.
    scores : float, (l,), optional
        Attribution of the observed base; taken from ``hypothetical`` when absent.
    spans : iterable of (start, end[, label])
        Stretches to shade, in the coordinates of the picture.
    start : int
        Coordinate of the first position.

    Raises
    ------
    ShapeError
        Maps whose length is not the sequence's.
    """
    codes = check("codes", codes, "l", dtype="uint8")
    maps = check("hypothetical", hypothetical, "4 l", dtype="f", l=len(codes))
    if scores is None:
        scores = maps[np.minimum(codes, 3), np.arange(len(codes))]
    figure, axes = panels(2, width=width_of(len(codes)), height=1.45, sharex=True)
    for panel, heights, label in zip(
        axes, [observed(codes, scores), maps], ["observed", "hypothetical"]
    ):
        draw_logo(panel, heights, start=start)
        panel.axhline(0, color="black", linewidth=0.5)
        panel.set_ylabel(label)
    shade(axes, spans)
    axes[-1].set_xlabel("position")
    figure.suptitle(title, fontsize="medium")
    return figure


def ism_heatmap(
    codes: Codes,
    effect: np.ndarray,
    *,
    spans: Iterable[Span] = (),
    start: int = 0,
    title: str = "",
    label: str = "effect",
) -> "Figure":
    """Return the effect of every substitution as a heat map, the reference bases marked.

    Parameters
    ----------
    codes : uint8, (l,)
        The reference over the mutated span.
    effect : float, (4, l)
        y_alt - y_ref for each letter; the reference's own cell is 0 and carries a dot.

    Raises
    ------
    ShapeError
        Effects whose length is not the sequence's.
    """
    codes = check("codes", codes, "l", dtype="uint8")
    effect = check("effect", effect, "4 l", dtype="f", l=len(codes))
    figure, axes = panels(
        2, width=width_of(len(codes)), height=0.9, sharex=True, height_ratios=(1, 1.3)
    )
    mean = np.where(codes < 4, -effect.sum(axis=0) / 3, 0.0)
    draw_logo(axes[0], observed(codes, mean), start=start)
    axes[0].axhline(0, color="black", linewidth=0.5)
    axes[0].set_ylabel("mean\nloss")
    image = _signed_image(axes[1], effect, x=(start - 0.5, start + len(codes) - 0.5))
    (known,) = np.nonzero(codes < 4)
    axes[1].plot(start + known, codes[known], "o", markersize=2.2, color="#333333", linestyle="")
    axes[1].set_yticks(range(4), list(LETTERS))
    axes[1].set_xlabel("position")
    figure.colorbar(image, ax=list(axes), label=label, fraction=0.025, pad=0.01, aspect=14)
    shade(axes[:1], spans)
    figure.suptitle(title, fontsize="medium")
    return figure


def _signed_image(axes: "Axes", values: np.ndarray, *, x: tuple[float, float]) -> Any:
    """Draw a (rows, l) array with white at zero; not finite is grey."""
    limit = float(np.nanmax(abs(values), initial=0)) or 1.0
    palette = load("matplotlib").colormaps["RdBu_r"].with_extremes(bad="#BBBBBB")
    return axes.imshow(
        values, cmap=palette, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest",
        extent=(*x, len(values) - 0.5, -0.5),
    )  # fmt: skip
