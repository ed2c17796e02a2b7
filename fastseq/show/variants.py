"""What variants do: lollipops along a region, effects by size."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastseq.errors import TableError
from fastseq.show.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    Span,
    Table,
    columns_of,
    palette,
    panels,
    shade,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    "SNV": (BLUE, "o"),
    "insertion": (GREEN, "^"),
    "deletion": (ORANGE, "v"),
    "other": (PURPLE, "s"),
}


def variant_lollipops(
    variants: Table,
    *,
    value: str = "diff",
    spans: Iterable[Span] = (),
    label_top: int = 5,
    title: str = "",
) -> "Figure":
    """Return variants of one contig along their positions, as lollipops as tall as the effect.

    Parameters
    ----------
    variants : table
        Columns ``pos``, ``ref``, ``alt`` and the one named by ``value``; rows without a value
        are left out.
    spans : iterable of (start, end[, label])
        0-based, half-open stretches to shade: motifs, peaks.
    label_top : int
        So many of the largest effects are labelled.

    Raises
    ------
    TableError
        A column is missing, or no row has a value.
    """
    columns = columns_of(variants, "pos", "ref", "alt", value)
    effect = columns[value].astype(float)
    (shown,) = np.nonzero(np.isfinite(effect))
    if not len(shown):
        raise TableError(f"no variant has a finite {value}; nothing to draw")
    pos, effect = columns["pos"].astype(np.int64)[shown], effect[shown]
    kind = _kinds(columns["ref"][shown], columns["alt"][shown])
    figure, (axes,) = panels(1, width=9, height=2.8)
    axes.vlines(pos, 0, effect, color=GREY, linewidth=0.7)
    for name, (color, marker) in KINDS.items():
        of_kind = kind == name
        if of_kind.any():
            axes.plot(
                pos[of_kind], effect[of_kind], marker, color=color, markersize=4.5, label=name
            )
    axes.axhline(0, color="black", linewidth=0.6)
    for i in np.argsort(-abs(effect), kind="stable")[:label_top]:
        text = ">".join(shortened(str(columns[at][shown][i]), 6) for at in ("ref", "alt"))
        # beside its head: labels of neighbours, one below the other, stay apart
        left = pos[i] > 0.85 * pos.max() + 0.15 * pos.min()
        axes.annotate(
            text, (pos[i], effect[i]), (-5 if left else 5, 0), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize="x-small",
        )  # fmt: skip
    axes.margins(y=0.15)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)
    shade([axes], spans)
    axes.set(xlabel="position", ylabel=value)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.set_title(title, fontsize="medium")
    return figure


def variant_effects(
    variants: Table, *, value: str = "diff", group: str | None = None, title: str = ""
) -> "Figure":
    """Return y_alt against y_ref, and the effects ranked by size, coloured by group.

    Parameters
    ----------
    variants : table
        Columns ``y_ref``, ``y_alt``, ``value`` and, where given, ``group``.

    Raises
    ------
    TableError
        A column is missing.
    """
    columns = columns_of(variants, "y_ref", "y_alt", value, *([group] if group else []))
    effect = columns[value].astype(float)
    labels = columns[group].astype(str) if group else np.full(len(effect), "variants")
    figure, (scatter, ranked) = panels(1, 2, width=8, height=3.2)
    pairs = np.stack([columns["y_ref"].astype(float), columns["y_alt"].astype(float)])
    names = np.unique(labels)
    for name, color in zip(names, palette(len(names))):
        rows = labels == name
        style = {"color": color, "markersize": 3, "alpha": 0.6, "rasterized": True}
        scatter.plot(*pairs[:, rows], "o", label=name, **style)
        sizes = np.sort(abs(effect[rows & np.isfinite(effect)]))[::-1]
        ranked.plot(np.arange(1, len(sizes) + 1), sizes, color=color, label=name)
    if np.isfinite(pairs).any():
        ends = [np.nanmin(pairs), np.nanmax(pairs)]
        scatter.plot(ends, ends, color=GREY, linewidth=1, linestyle="--")
    scatter.set(xlabel="y_ref", ylabel="y_alt")
    ranked.set(xlabel="rank", ylabel=f"|{value}|")
    ranked.set_xscale("log")
    ranked.legend(frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def _kinds(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """Return SNV, insertion, deletion or other for each pair of alleles."""
    before = np.array([len(str(allele)) for allele in ref])
    after = np.array([len(str(allele)) for allele in alt])
    one = (before == 1) & (after == 1)
    kinds = ["SNV", "insertion", "deletion"]
    return np.select([one, after > before, before > after], kinds, "other")
