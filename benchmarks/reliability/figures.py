"""The figures of D4 from the models of the study: scatter plots, length weights, both metrics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.reliability.report import CLAIMED, THRESHOLDED, WEIGHTED
from fastseq.show import kld_against_snr, length_weights, save


def draw(models: list[dict], found: dict, folder: Path, *, ks: Sequence[int]) -> list[Path]:
    """Write figures 2, 3 and 4 as PNG files, one for each panel; return their paths."""
    models = [model for model in models if np.isfinite(model["snr"])]
    if not models:
        return []
    of_all = found["groups"]["all"]
    snr = np.array([model["snr"] for model in models], float)
    first = np.array([model["first"] for model in models])
    weighted = np.array([[m["kld"][WEIGHTED][str(k)] for k in ks] for m in models], float)
    auroc = np.array([model["auroc"] for model in models], float)
    thresholded = np.array([model["kld"][THRESHOLDED]["6"] for model in models], float)
    known = of_all.get("spearman with SNR", {})
    points = {
        "figure2-auroc": (auroc, "AUROC", ""),
        "figure2-kld": (thresholded, "thresholded KLD, k = 6", ""),
        "figure4-weighted": (
            weighted.mean(1), "weighted KLD, mean of k",
            _told(known, f"{WEIGHTED}, mean of k", CLAIMED["enhanced"]),
        ),
        "figure4-thresholded": (
            thresholded, "thresholded KLD, k = 6",
            _told(known, f"{THRESHOLDED}, k = 6", CLAIMED["thresholded"]),
        ),
    }  # fmt: skip
    figures = {
        name: kld_against_snr(x, snr, first, label=label, title=title)
        for name, (x, label, title) in points.items()
    }
    weights = of_all.get("length weights")
    if isinstance(weights, dict):
        mean, sd = ({k: weights[str(k)][key] for k in ks} for key in ("weight", "sd"))
        by_first = {
            str(name): dict(zip(ks, weighted[first == name].mean(0))) for name in np.unique(first)
        }
        figures["figure3"] = length_weights(mean, sd, by_first)
    return [save(figure, folder / f"{name}.png", dpi=120) for name, figure in figures.items()]


def _told(known: dict, column: str, claim: float) -> str:
    """Return a correlation over all models with its interval, beside that of the document."""
    if column not in known:
        return ""
    value = known[column]
    interval = f"[{value['low']:.2f}, {value['high']:.2f}]"
    return f"Spearman {value['value']:.2f} {interval} (D4: {claim})"
