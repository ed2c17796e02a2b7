"""Models beside each other: subsets, ranks over bootstraps, correlations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from fastseq.arrays import check
from fastseq.errors import ShapeError
from fastseq.show.canvas import BLUE, GREY, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL: Any = {"ha": "center", "va": "center", "fontsize": 8}


def correlation_matrix(
    values: np.ndarray, names: Sequence[str], *, label: str = "", title: str = ""
) -> "Figure":
    """Return a square matrix of correlations between models as a heat map with numbers.

    Raises
    ------
    ShapeError
        A matrix that is not len(names) by len(names).
    """
    values = check("values", values, "row column", dtype="f", row=len(names), column=len(names))
    size = 1.6 + 0.5 * len(names)
    figure, (axes,) = panels(1, width=size + 1, height=size)
    image = axes.imshow(values, cmap="cividis")
    low, high = np.nanmin(values), np.nanmax(values)
    _numbers(axes, values, (values - low) / ((high - low) or 1))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    figure.colorbar(image, ax=axes, label=label, fraction=0.046, pad=0.02)
    axes.set_title(title, fontsize="medium")
    return figure


def subset_heatmap(
    scores: Mapping[str, Mapping[str, float]], *, label: str = "", title: str = ""
) -> "Figure":
    """Return models against subsets: each figure as a number, coloured within its subset.

    Parameters
    ----------
    scores : mapping of model to (mapping of subset to float)
        Such as ``{model: {subset: s.r2 for subset, s in by.items()} for model, by in
        dream_score(...).scores.items()}``; a subset that a model lacks stays empty.

    Raises
    ------
    ShapeError
        No model or no subset.
    """
    models = list(scores)
    subsets = list(dict.fromkeys(name for by in scores.values() for name in by))
    if not subsets:
        raise ShapeError("no scores; expected at least one model with one subset")
    values = np.array([[scores[m].get(s, np.nan) for s in subsets] for m in models], float)
    low = np.nanmin(values, axis=0, keepdims=True)
    span = np.nanmax(values, axis=0, keepdims=True) - low
    # each subset has its own scale: r of all and r of pairs are not alike
    shade = np.where(span > 0, (values - low) / np.where(span > 0, span, 1), 0.5)
    shade = np.where(np.isfinite(values), shade, np.nan)
    figure, (axes,) = panels(1, width=2.2 + 0.75 * len(subsets), height=1.0 + 0.34 * len(models))
    image = axes.imshow(shade, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    _numbers(axes, values, shade)
    axes.set_xticks(range(len(subsets)), [s.replace("_", " ") for s in subsets], rotation=45,
                    ha="right")  # fmt: skip
    axes.set_yticks(range(len(models)), models)
    bar = figure.colorbar(image, ax=axes, ticks=[0, 1], fraction=0.03, pad=0.02)
    bar.ax.set_yticklabels(["lowest", "highest"], fontsize="small")
    bar.set_label(f"{label} within the subset".strip())
    axes.set_title(title, fontsize="medium")
    return figure


def rank_distributions(
    draws: np.ndarray, names: Sequence[str], *, label: str = "score", title: str = ""
) -> "Figure":
    """Return how often each model takes each rank over bootstraps, and its scores, best on top.

    Parameters
    ----------
    draws : float, (draws, models)
        Higher is better, such as ``dream_score(...).bootstrap().pearson``; ties share a rank.
    names : sequence of str, (models,)

    Raises
    ------
    ShapeError
        Other numbers of names than of columns.
    """
    draws = check("draws", draws, "draw model", dtype="f", model=len(names))
    ranks = rankdata(-draws, axis=1)
    order = np.argsort(ranks.mean(0), kind="stable")
    figure, (left, right) = panels(1, 2, width=9, height=0.8 + 0.38 * len(names), sharey=True)
    share = np.array(
        [[(np.rint(ranks[:, m]) == r + 1).mean() for r in range(len(names))] for m in order]
    )
    at = np.arange(len(names))
    image = left.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.005:
            color = "#FFFFFF" if value > 0.5 else "#222222"
            left.text(
                column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8
            )
    left.set_xticks(at, [str(rank + 1) for rank in at])
    left.set_yticks(at, [names[m] for m in order])
    left.set(xlabel="rank")
    left.figure.colorbar(
        image, ax=left, label=f"share of {len(draws):,} draws", fraction=0.046, pad=0.02
    )
    low, middle, high = np.quantile(draws[:, order], [0.025, 0.5, 0.975], axis=0)
    right.hlines(at, low, high, color=GREY, linewidth=2)
    right.plot(middle, at, "o", color=BLUE, markersize=6)
    right.set(xlabel=f"{label}: median and central 95 %")
    right.tick_params(axis="y", labelleft=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def _numbers(axes: "Axes", values: np.ndarray, shade: np.ndarray) -> None:
    """Write the finite values into the cells of an image, light on dark and dark on light."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "#FFFFFF" if shade[row, column] < 0.5 else "#222222"
            axes.text(column, row, f"{value:.2f}", color=color, **CELL)
