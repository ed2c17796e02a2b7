"""Models beside each other: subsets, ranks over bootstraps, correlations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from fastseq.arrays import check
from fastseq.errors import ShapeError
from fastseq.show.canvas import BLUE, GREY, color_bar, panels

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
    # the ones of the diagonal would leave all others a few shades of one colour
    others = values[~np.eye(len(names), dtype=bool) & np.isfinite(values)]
    low, high = (others.min(), others.max()) if len(others) else (0.0, 1.0)
    image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high)
    _numbers(axes, values, (values - low) / ((high - low) or 1))
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    color_bar(image, axes, label)
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
    bar = color_bar(image, axes, f"{label} within the subset".strip(), ticks=[0, 1])
    bar.ax.set_yticklabels(["lowest", "highest"])
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
    scores = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
    return rank_shares(
        shares_of_ranks(draws), scores, names, draws=len(draws), label=label, title=title
    )


def shares_of_ranks(draws: np.ndarray) -> np.ndarray:
    """Return how often each model takes each rank, float64 (models, ranks); 1 is the highest.

    Ties share a rank, rounded to an even one.
    """
    ranks = np.rint(rankdata(-draws, axis=1)).astype(int)
    return np.stack([(ranks == rank + 1).mean(0) for rank in range(draws.shape[1])], axis=1)


def rank_shares(
    shares: np.ndarray, scores: np.ndarray, names: Sequence[str], *, draws: int,
    label: str = "score", title: str = "",
) -> "Figure":  # fmt: skip
    """Return the picture of `rank_distributions` from what is kept of the draws.

    Parameters
    ----------
    shares : float, (models, ranks)
        As `shares_of_ranks` returns them.
    scores : float, (3, models)
        Lower end, median and upper end.
    names : sequence of str, (models,)
    draws : int
        How many there were.

    Raises
    ------
    ShapeError
        Other numbers of names than of models.
    """
    at = np.arange(len(names))
    shares = check("shares", shares, "model rank", dtype="f", model=len(names), rank=len(names))
    scores = check("scores", scores, "end model", dtype="f", end=3, model=len(names))
    order = np.argsort(shares @ (at + 1), kind="stable")
    figure, (left, right) = panels(1, 2, width=9, height=0.8 + 0.38 * len(names), sharey=True)
    image = left.imshow(shares[order], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(shares[order]):
        if value >= 0.005:
            left.text(column, row, f"{value:.2f}", **CELL | {"color": _ink(value < 0.5)})
    left.set_xticks(at, [str(rank + 1) for rank in at])
    left.set_yticks(at, [names[model] for model in order])
    left.set(xlabel="rank")
    color_bar(image, left, f"share of {draws:,} draws")
    low, middle, high = scores[:, order]
    right.hlines(at, low, high, color=GREY, linewidth=2)
    right.plot(middle, at, "o", color=BLUE, markersize=6)
    right.set(xlabel=f"{label}: median and central 95 %")
    right.tick_params(axis="y", labelleft=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def _ink(on_light: Any) -> str:
    return "#222222" if on_light else "#FFFFFF"


def _numbers(axes: "Axes", values: np.ndarray, shade: np.ndarray) -> None:
    """Write the finite values into the cells of an image, light on dark and dark on light."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = _ink(shade[row, column] >= 0.5)
            axes.text(column, row, f"{value:.2f}", **CELL | {"color": ink})
