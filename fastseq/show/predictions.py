"""How a model learnt and how its answers meet measurements: curves, densities, maps of outputs."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import gaussian_kde

from fastseq._lazy import load
from fastseq.arrays import check
from fastseq.errors import ShapeError
from fastseq.show.canvas import BLUE, GREY, ORANGE, Table, color_bar, columns_of, palette, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    for (name, values), color in zip(metrics, palette(7)[2:]):
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
    color_bar(mesh, axes, "sequences")
    low, high = max(x.min(), y.min()), min(x.max(), y.max())
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1, linestyle="--")
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
    names = np.unique(groups)
    for group, color in zip(names, palette(len(names))):
        values = y_hat[groups == group]
        axes.hist(values, edges, density=True, histtype="stepfilled", alpha=0.25, facecolor=color)
        name = f"{group} (n = {len(values):,})"
        axes.hist(values, edges, density=True, histtype="step", color=color, label=name)
    axes.set(xlabel="prediction", ylabel="density")
    axes.legend(frameon=False)
    axes.set_title(title, fontsize="medium")
    return figure


def expression_densities(
    y_true: np.ndarray,
    y_hat: np.ndarray,
    folds: np.ndarray | None = None,
    *,
    title: str = "",
) -> "Figure":
    """Return kernel densities of the measured and the predicted values, a panel for each fold.

    Parameters
    ----------
    y_true, y_hat : float, (n,)
        Rows that are not finite on both sides are left out.
    folds : (n,), optional
        A label per row, such as train and validation.

    Raises
    ------
    ShapeError
        Two lengths, or a fold with fewer than two finite pairs.

    Notes
    -----
    Gaussian kernels, Scott's bandwidth (scipy); values that are all equal are drawn as a line.
    """
    x = check("y_true", y_true, "n", dtype=("f", "i", "u", "b"))
    folds = np.full(len(x), "") if folds is None else check("folds", folds, "n", n=len(x))
    names = np.unique(folds).tolist()
    figure, axes = panels(1, len(names), width=1 + 3.6 * len(names), height=2.6, sharey=True)
    for panel, name in zip(axes, names):
        rows = folds == name
        measured, predicted, _ = _finite_pairs(x[rows], np.asarray(y_hat)[rows])
        low, high = min(measured.min(), predicted.min()), max(measured.max(), predicted.max())
        room = 0.1 * (high - low) or 1.0
        at = np.linspace(low - room, high + room, 256)
        for values, label, color, line in [
            (measured, "measured", GREY, "-"),
            (predicted, "predicted", BLUE, "--"),
        ]:
            if values.std() == 0:
                panel.axvline(values[0], color=color, linestyle=line, label=label)
                continue
            density = gaussian_kde(values)(at)
            panel.plot(at, density, color=color, linestyle=line, label=label)
            panel.fill_between(at, density, color=color, alpha=0.18, linewidth=0)
        panel.set(xlabel="value")
        panel.set_title(f"{name}{', ' if name else ''}n = {len(measured):,}", fontsize="medium")
    axes[0].set(ylabel="density")
    axes[0].set_ylim(bottom=0)
    axes[-1].legend(frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def embedding(
    outputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray | None = None,
    *,
    label: str = "label",
    perplexity: float = 30.0,
    seed: int = 0,
    title: str = "",
) -> "Figure":
    """Return a model's outputs in the plane by t-SNE, coloured by label, a panel for each fold.

    Parameters
    ----------
    outputs : float, (n, features)
        A layer's activations or a model's answers; two features are drawn as they are.
    labels : (n,)
        Numbers are coloured by size, classes (text, or at most seven whole numbers) by hue.
    folds : (n,), optional
        A label per row, such as train and validation; all rows are embedded together.
    perplexity : float
        Of t-SNE; at most a third of the rows.
    seed : int
        Names the draw.

    Raises
    ------
    ShapeError
        Numbers of rows that differ, or fewer than four.
    MissingExtraError
        scikit-learn is not installed.
    """
    outputs = check("outputs", outputs, "n f", dtype="f")
    labels = check("labels", labels, "n", n=len(outputs))
    folds = np.full(len(labels), "") if folds is None else check("folds", folds, "n", n=len(labels))
    if len(outputs) < 4:
        raise ShapeError(f"{len(outputs)} rows; an embedding needs four")
    plane = outputs
    if outputs.shape[1] != 2:
        tsne = load("sklearn.manifold").TSNE(
            perplexity=min(perplexity, len(outputs) / 3), random_state=seed,
            init="pca" if outputs.shape[1] > 2 else "random",
        )  # fmt: skip
        plane = tsne.fit_transform(outputs)
    names = np.unique(folds).tolist()
    figure, axes = panels(
        1, len(names), width=1.2 + 3.6 * len(names), height=3.4, sharex=True, sharey=True
    )
    for panel, name in zip(axes, names):
        rows = folds == name
        _colour_by(panel, plane[rows], labels[rows], labels, label)
        panel.set(xticks=[], yticks=[], xlabel="t-SNE 1" if plane is not outputs else "1")
        panel.set_title(f"{name}{', ' if name else ''}n = {rows.sum():,}", fontsize="medium")
    axes[0].set(ylabel="t-SNE 2" if plane is not outputs else "2")
    figure.suptitle(title, fontsize="medium")
    return figure


def _colour_by(
    panel: "Axes", points: np.ndarray, labels: np.ndarray, everything: np.ndarray, name: str
) -> None:
    """Draw points coloured by their labels, on the scale of all labels."""
    classes = np.unique(everything)
    style = {"s": 9, "linewidths": 0, "alpha": 0.8, "rasterized": True}
    if everything.dtype.kind == "f" or (everything.dtype.kind in "iu" and len(classes) > 7):
        ends = {"vmin": classes.min(), "vmax": classes.max(), "cmap": "cividis"}
        drawn = panel.scatter(*points.T, c=labels, **ends, **style)
        if panel.get_subplotspec().is_last_col():
            color_bar(drawn, panel, name)
        return
    for value, color in zip(classes, palette(len(classes))):
        panel.scatter(*points[labels == value].T, c=color, label=str(value), **style)
    if panel.get_subplotspec().is_last_col():
        panel.legend(
            frameon=False, title=name, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5)
        )


def _finite_pairs(y_true: np.ndarray, y_hat: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the pairs that are finite on both sides, and how many are not."""
    x = check("y_true", y_true, "n", dtype=("f", "i", "u", "b")).astype(float)
    y = check("y_hat", y_hat, "n", dtype=("f", "i", "u", "b"), n=len(x)).astype(float)
    finite = np.isfinite(x) & np.isfinite(y)
    if finite.sum() < 2:
        raise ShapeError(f"{finite.sum()} of {len(x)} pairs are finite; a density needs two")
    return x[finite], y[finite], int((~finite).sum())
