"""The figures of D4 from the models of the study: scatter plots, length weights, both metrics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.reliability.report import CLAIMED, THRESHOLDED, WEIGHTED
from fastseq._lazy import load

COLOURS = {"relu": "#1b6ca8", "exponential": "#c8553d"}


def draw(models: list[dict], found: dict, folder: Path, *, ks: Sequence[int]) -> list[Path]:
    """Write figures 2, 3 and 4 as PNG files; return their paths."""
    load("matplotlib").use("Agg")
    plt = load("matplotlib.pyplot")
    models = [model for model in models if np.isfinite(model["snr"])]
    if not models:
        return []
    paths = []
    thresholded = [model["kld"][THRESHOLDED]["6"] for model in models]

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    _scatter(axes[0], models, [m["auroc"] for m in models], "AUROC")
    _scatter(axes[1], models, thresholded, "thresholded KLD, k = 6")
    paths.append(_save(plt, figure, folder / "figure2.png"))

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    weights = found["groups"]["all"].get("length weights")
    if isinstance(weights, dict):
        axes[0].bar(
            range(len(ks)), [weights[str(k)]["weight"] for k in ks],
            yerr=[weights[str(k)]["sd"] for k in ks], color="#6b7a8f",
        )  # fmt: skip
    axes[0].axhline(1 / len(ks), color="black", linewidth=0.8, linestyle=":")
    axes[0].set_xticks(range(len(ks)), [str(k) for k in ks])
    axes[0].set(xlabel="k", ylabel="length weight")
    for name, colour in COLOURS.items():
        mine = [model for model in models if model["first"] == name]
        if mine:
            means = [np.mean([m["kld"][WEIGHTED][str(k)] for m in mine]) for k in ks]
            axes[1].plot(ks, means, "o-", color=colour, label=name)
    axes[1].set(xlabel="k", ylabel="weighted KLD, mean of models")
    axes[1].legend(frameon=False)
    paths.append(_save(plt, figure, folder / "figure3.png"))

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
    enhanced = [np.mean([m["kld"][WEIGHTED][str(k)] for k in ks]) for m in models]
    _scatter(axes[0], models, enhanced, "weighted KLD, mean of k")
    _scatter(axes[1], models, thresholded, "thresholded KLD, k = 6")
    known = found["groups"]["all"].get("spearman with SNR", {})
    for axis, column, claim in (
        (axes[0], f"{WEIGHTED}, mean of k", CLAIMED["enhanced"]),
        (axes[1], f"{THRESHOLDED}, k = 6", CLAIMED["thresholded"]),
    ):
        if column in known:
            value = known[column]
            axis.set_title(
                f"Spearman {value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}] "
                f"(D4: {claim})",
                fontsize=9,
            )
    paths.append(_save(plt, figure, folder / "figure4.png"))
    return paths


def _scatter(axis, models: list[dict], x: Sequence[float], label: str) -> None:
    for name, colour in COLOURS.items():
        chosen = [i for i, model in enumerate(models) if model["first"] == name]
        axis.scatter(
            [x[i] for i in chosen], [models[i]["snr"] for i in chosen],
            s=14, color=colour, alpha=0.7, label=name, linewidths=0,
        )  # fmt: skip
    axis.set(xlabel=label, ylabel="signal to noise")
    axis.legend(frameon=False)


def _save(plt, figure, path: Path) -> Path:
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
