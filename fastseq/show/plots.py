"""Results become figures: logos, heat maps, curves, densities, variants, k-mer divergences.

Every function takes arrays or tables and returns a matplotlib Figure that belongs to the caller;
nothing is shown, and pyplot with its global state is never imported.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastseq._lazy import load
from fastseq.arrays import Codes, check
from fastseq.errors import ShapeError, TableError
from fastseq.show.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    Span,
    Table,
    columns_of,
    panels,
    shade,
    width_of,
)
from fastseq.show.logo import LETTERS, draw_logo, observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = {
    "SNV": (BLUE, "o"),
    "insertion": (GREEN, "^"),
    "deletion": (ORANGE, "v"),
    "other": (PURPLE, "s"),
}


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


def training_curve(history: Table, *, title: str = "") -> "Figure":
    """Return losses by epoch beside the validation metrics, the best epoch marked.

    Parameters
    ----------
    history : table
        One row per epoch with ``loss`` and, where there are, ``val_loss`` and metrics
        (``pearson``, ``spearman``, ``r2``, ``auroc``, ``accuracy``).

    Raises
    ------
    TableError
        No column named loss.
    """
    columns = columns_of(history, "loss")
    epoch = columns.get("epoch", np.arange(1, len(columns["loss"]) + 1))
    metrics = [
        (name, values)
        for name, values in columns.items()
        if name.removeprefix("val_") in ("pearson", "spearman", "r2", "auroc", "accuracy")
        and np.isfinite(values.astype(float)).any()
    ]
    figure, axes = panels(1, 1 + bool(metrics), width=8 if metrics else 4.5, height=2.8)
    losses, quality = axes[0], axes[-1]
    losses.plot(epoch, columns["loss"], ".-", color=BLUE, label="training")
    if "val_loss" in columns and np.isfinite(columns["val_loss"].astype(float)).any():
        best = int(np.nanargmin(columns["val_loss"].astype(float)))
        losses.plot(epoch, columns["val_loss"], ".--", color=ORANGE, label="validation")
        losses.plot(epoch[best], columns["val_loss"][best], "o", color=ORANGE, markersize=7)
    for (name, values), color in zip(metrics, [GREEN, PURPLE, BLUE, ORANGE, GREY]):
        quality.plot(epoch, values.astype(float), ".-", color=color, label=name)
    for panel, name in zip(axes, ["loss", "validation"]):
        panel.set(xlabel="epoch", ylabel=name)
        panel.locator_params(axis="x", integer=True)
        panel.legend(frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def predicted_against_measured(
    y_true: np.ndarray, y_hat: np.ndarray, *, bins: int = 60, title: str = ""
) -> "Figure":
    """Return the density of (measured, predicted) pairs with Pearson's r and the diagonal.

    Parameters
    ----------
    y_true, y_hat : float, (n,)
        Pairs with a value that is not finite are left out and counted in the title.

    Raises
    ------
    ShapeError
        Two lengths, or fewer than two finite pairs.
    """
    x, y, dropped = _finite_pairs(y_true, y_hat)
    figure, (axes,) = panels(1, width=4.6, height=4.2)
    density, x_edges, y_edges = np.histogram2d(x, y, bins=bins)
    shown = np.ma.masked_equal(density.T, 0)
    norm = load("matplotlib.colors").LogNorm(vmin=1, vmax=max(2, density.max()))
    mesh = axes.pcolormesh(x_edges, y_edges, shown, norm=norm, cmap="viridis", rasterized=True)
    figure.colorbar(mesh, ax=axes, label="sequences", fraction=0.046, pad=0.02)
    low, high = max(x.min(), y.min()), min(x.max(), y.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--")
    constant = x.std() == 0 or y.std() == 0
    fit = "r is undefined" if constant else f"r = {np.corrcoef(x, y)[0, 1]:.3f}"
    note = f", {dropped:,} not finite" if dropped else ""
    axes.set(xlabel="measured", ylabel="predicted")
    axes.set_title(f"{title}{': ' if title else ''}{fit}, n = {len(x):,}{note}", fontsize="medium")
    return figure


def score_densities(y_hat: np.ndarray, groups: np.ndarray, *, title: str = "") -> "Figure":
    """Return how a prediction is distributed within each group of sequences.

    Parameters
    ----------
    y_hat : float, (n,)
    groups : (n,)
        A label per sequence: a class, a fold, a subset.

    Raises
    ------
    ShapeError
        Two lengths.
    """
    y_hat = check("y_hat", y_hat, "n", dtype=("f", "i"))
    groups = check("groups", groups, "n", n=len(y_hat))
    figure, (axes,) = panels(1, width=4.8, height=2.8)
    edges = np.histogram_bin_edges(y_hat[np.isfinite(y_hat)], bins=60).tolist()
    for group, color in zip(np.unique(groups), [GREY, ORANGE, BLUE, GREEN, PURPLE] * 4):
        values = y_hat[groups == group]
        axes.hist(values, edges, density=True, histtype="stepfilled", alpha=0.25, facecolor=color)
        name = f"{group} (n = {len(values):,})"
        axes.hist(values, edges, density=True, histtype="step", color=color, label=name)
    axes.set(xlabel="prediction", ylabel="density")
    axes.legend(frameon=False)
    axes.set_title(title, fontsize="medium")
    return figure


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
        text = f"{_short(columns['ref'][shown][i])}>{_short(columns['alt'][shown][i])}"
        up = effect[i] >= 0
        axes.annotate(
            text, (pos[i], effect[i]), (0, 5 if up else -5), textcoords="offset points",
            ha="center", va="bottom" if up else "top", fontsize="x-small",
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
    for name, color in zip(np.unique(labels), [BLUE, ORANGE, GREEN, PURPLE, GREY] * 4):
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


def kld_bars(
    per_k: Mapping[int, float], null: Mapping[int, np.ndarray] | None = None, *, title: str = ""
) -> "Figure":
    """Return the divergence of each k-mer length as bars beside its null.

    Parameters
    ----------
    per_k : mapping of int to float
        Divergence in nats by k.
    null : mapping of int to float, (draws,), optional
        The same of attributions that know nothing; drawn as mean and range.
    """
    figure, (axes,) = panels(1, width=4.8, height=2.8)
    ks = sorted(per_k)
    at = np.arange(len(ks))
    width = 0.38 if null else 0.7
    axes.bar(
        at - (width / 2 if null else 0), [per_k[k] for k in ks], width, color=BLUE, label="KLD"
    )
    if null:
        draws = [np.atleast_1d(np.asarray(null[k], float)) for k in ks]
        mean = np.array([np.nanmean(draw) for draw in draws])
        low = mean - [np.nanmin(draw) for draw in draws]
        high = [np.nanmax(draw) for draw in draws] - mean
        axes.bar(at + width / 2, mean, width, yerr=[low, high], color=GREY, capsize=2, label="null")
        axes.legend(frameon=False)
    axes.set_xticks(at, [str(k) for k in ks])
    axes.set(xlabel="k", ylabel="KLD (nats)")
    axes.set_title(title, fontsize="medium")
    return figure


def matrix(
    values: np.ndarray, names: Sequence[str], *, label: str = "", title: str = ""
) -> "Figure":
    """Return a square matrix, such as correlations between models, as a heat map with numbers.

    Raises
    ------
    ShapeError
        A matrix that is not len(names) by len(names).
    """
    values = check("values", values, "row column", dtype="f", row=len(names), column=len(names))
    size = 1.6 + 0.5 * len(names)
    figure, (axes,) = panels(1, width=size + 1, height=size)
    image = axes.imshow(values, cmap="cividis")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        color = "#FFFFFF" if value < middle else "#222222"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    figure.colorbar(image, ax=axes, label=label, fraction=0.046, pad=0.02)
    axes.set_title(title, fontsize="medium")
    return figure


def _signed_image(axes: "Axes", values: np.ndarray, *, x: tuple[float, float]) -> Any:
    """Draw a (rows, l) array with white at zero; not finite is grey."""
    limit = float(np.nanmax(abs(values), initial=0)) or 1.0
    palette = load("matplotlib").colormaps["RdBu_r"].with_extremes(bad="#BBBBBB")
    return axes.imshow(
        values, cmap=palette, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest",
        extent=(*x, len(values) - 0.5, -0.5),
    )  # fmt: skip


def _finite_pairs(y_true: np.ndarray, y_hat: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the pairs that are finite on both sides, and how many are not."""
    x = check("y_true", y_true, "n", dtype=("f", "i", "u", "b")).astype(float)
    y = check("y_hat", y_hat, "n", dtype=("f", "i", "u", "b"), n=len(x)).astype(float)
    finite = np.isfinite(x) & np.isfinite(y)
    if finite.sum() < 2:
        raise ShapeError(f"{finite.sum()} of {len(x)} pairs are finite; a density needs two")
    return x[finite], y[finite], int((~finite).sum())


def _kinds(ref: np.ndarray, alt: np.ndarray) -> np.ndarray:
    """Return SNV, insertion, deletion or other for each pair of alleles."""
    before = np.array([len(str(allele)) for allele in ref])
    after = np.array([len(str(allele)) for allele in alt])
    one = (before == 1) & (after == 1)
    kinds = ["SNV", "insertion", "deletion"]
    return np.select([one, after > before, before > after], kinds, "other")


def _short(allele: object, most: int = 6) -> str:
    text = str(allele)
    return text if len(text) <= most else f"{text[: most - 1]}…"
