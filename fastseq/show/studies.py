"""A study of many models becomes sections of a report: its models, and what was found in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastseq.show.reliability import kld_against_snr, length_weights
from fastseq.show.report import Section

MOST_METRICS = 6


def is_model(found: Any) -> bool:
    """Return whether JSON is a model of a study: its KLD by metric and length, and its SNR."""
    return isinstance(found, dict) and isinstance(found.get("kld"), dict) and "snr" in found


def is_findings(found: Any) -> bool:
    """Return whether JSON holds what a study found, group by group."""
    return isinstance(found, dict) and isinstance(found.get("groups"), dict)


def of_study(name: str, models: Sequence[Mapping[str, Any]]) -> Section:
    """Return all models as a table, and each metric's mean over lengths against SNR."""
    groups = np.array([str(model.get("first", "models")) for model in models])
    snr = np.array([model["snr"] for model in models], float)
    metrics = list(dict.fromkeys(metric for model in models for metric in model["kld"]))
    means = {
        metric: np.array([np.mean(list(model["kld"].get(metric, {"": np.nan}).values()))
                          for model in models])
        for metric in metrics
    }  # fmt: skip
    figures = [
        (f"{metric}, mean of the lengths.", kld_against_snr(values, snr, groups))
        for metric, values in list(means.items())[:MOST_METRICS]
        if (np.isfinite(values) & np.isfinite(snr)).any()
    ]
    plain = dict.fromkeys(
        key for model in models for key, value in model.items() if not isinstance(value, dict)
    )
    table = {key: [model.get(key) for model in models] for key in plain} | means
    text = (
        f"{len(models):,} models. Read the groups apart: over unlike groups a correlation can turn "
        "round, and of fewer than 30 models it says nothing."
    )
    return Section(f"{name}: a study of models", text, figures, [("", table)])


def of_findings(name: str, found: Mapping[str, Any]) -> Section:
    """Return correlations with SNR and differences between metrics, with intervals, by group."""
    rows: list[dict[str, Any]] = []
    figures = []
    for group, held in found["groups"].items():
        for kind in ("spearman with SNR", "differences"):
            rows += [
                {"group": group, "models": held.get("models"), "what": what, "kind": kind, **value}
                for what, value in held.get(kind, {}).items()
            ]
        weights = held.get("length weights")
        if isinstance(weights, dict):
            mean, sd = ({int(k): w[key] for k, w in weights.items()} for key in ("weight", "sd"))
            figures.append((f"Length weights, {group}.", length_weights(mean, sd)))
    return Section(f"{name}: what was found", str(found.get("title", "")), figures, [("", rows)])
