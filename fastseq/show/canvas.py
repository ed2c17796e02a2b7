"""What all figures share: panels, shaded spans, tables as columns, SVG for a page."""

import io
import os
import re
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastseq._lazy import load
from fastseq.errors import OptionError, TableError
from fastseq.io.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: apart for every common form of colour blindness, on white and on black
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#888888"
SKY, AMBER = "#56B4E9", "#E69F00"
COLORS = (BLUE, ORANGE, GREEN, PURPLE, GREY, SKY, AMBER)

Span: TypeAlias = "tuple[int, int] | tuple[int, int, str]"
"""start, end (0-based, half-open) and perhaps a label."""

Table: TypeAlias = Any
"""Columns by name (a DataFrame, a dict of arrays) or rows as dicts."""


def to_svg(figure: "Figure") -> str:
    """Return a figure as inline SVG: the same bytes each time, black drawn in the page's colour."""
    text = io.StringIO()
    options = {"svg.fonttype": "none", "svg.hashsalt": "fastseq", "savefig.dpi": 150}
    with load("matplotlib").rc_context(options):
        metadata = dict.fromkeys(["Date", "Creator", "Format", "Type"])
        figure.savefig(text, format="svg", transparent=True, metadata=metadata)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace("#000000", "currentColor")
    # a hundredth of a point is below a pixel, and half of the file; text between tags stays
    return re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)


def save(figure: "Figure", path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Write a figure as the file's ending says (.svg, .png, .pdf), and return the path.

    Raises
    ------
    OptionError
        Another ending.
    """
    path = Path(path)
    endings = {".svg", ".png", ".pdf"}
    if path.suffix not in endings:
        raise OptionError(f"{path}: expected a name ending in {', '.join(sorted(endings))}")
    if path.suffix == ".svg":
        write_bytes(path, to_svg(figure).encode())
        return path
    sink = io.BytesIO()
    figure.savefig(sink, format=path.suffix[1:], dpi=dpi, facecolor="white")
    write_bytes(path, sink.getvalue())
    return path


def panels(
    rows: int, columns: int = 1, *, width: float, height: float, **grid: Any
) -> "tuple[Figure, list[Axes]]":
    """Return a figure of ``width`` inches and its axes; ``height`` is that of one row."""
    ratios = grid.pop("height_ratios", None)
    figure = load("matplotlib.figure").Figure(
        figsize=(width, 0.55 + rows * height), layout="constrained"
    )
    axes = figure.subplots(
        rows, columns, squeeze=False, gridspec_kw={"height_ratios": ratios}, **grid
    )
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize="small")
    return figure, list(axes.flat)


def color_bar(image: Any, axes: "Axes", label: str = "", **more: Any) -> Any:
    """Draw the scale of an image, as tall as its panel, and return it."""
    bar = axes.get_figure().colorbar(image, ax=axes, fraction=0.05, pad=0.02, aspect=32, **more)
    bar.set_label(label)
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_visible(False)
    return bar


def palette(number: int) -> list[str]:
    """Return so many colours; beyond seven they come again."""
    return list(islice(cycle(COLORS), number))


def width_of(length: int) -> float:
    """Return a width in inches at which the letters of a logo can still be read."""
    # a page is about thirteen inches wide; beyond 240 bp letters need more than that
    return float(np.clip(1.5 + 0.09 * length, 6, max(13, 0.055 * length)))


def shade(axes: "Sequence[Axes]", spans: Iterable[Span]) -> None:
    """Shade stretches on all axes; write their labels above the first, those that meet higher."""
    left, right = axes[0].get_xlim()
    letter = 0.07 * (right - left) / axes[0].get_figure().get_size_inches()[0]
    ends: list[float] = []
    for span in sorted(spans, key=lambda span: span[:2]):
        start, end = span[0] - 0.5, span[1] - 0.5
        for panel in axes:
            panel.axvspan(start, end, color=PURPLE, alpha=0.18, linewidth=0, zorder=0)
        if len(span) > 2:
            middle, half = (start + end) / 2, letter * len(span[2]) / 2
            level = next((n for n, taken in enumerate(ends) if taken <= middle - half), len(ends))
            ends[level : level + 1] = [middle + half]
            axes[0].annotate(
                span[2], (middle, 1.0), (0, 8 * level), ("data", "axes fraction"), "offset points",
                ha="center", va="bottom", fontsize="x-small", annotation_clip=True,
            )  # fmt: skip


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many letters, the last one an ellipsis where it was longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def columns_of(table: Table, *needed: str) -> dict[str, np.ndarray]:
    """Return a table's columns as arrays; the ``needed`` ones must be among them."""
    if not hasattr(table, "keys"):
        names = list(dict.fromkeys(name for row in table for name in row))
        table = {name: [row.get(name, np.nan) for row in table] for name in names}
    columns = {str(name): np.asarray(table[name]) for name in table}
    missing = [name for name in needed if name not in columns]
    if missing:
        raise TableError(
            f"the table has no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}"
        )
    return columns
