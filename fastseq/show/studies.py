"""Models beside each other become sections of a report: evaluations, and studies of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastseq.show.comparison import correlation_matrix, rank_shares, subset_heatmap
from fastseq.show.reliability import kld_against_snr, length_weights
from fastseq.show.report import Section

MOST_METRICS = 6


def is_model(found: Any) -> bool:
    """Return whether JSON is a model of a study: its KLD by metric and length, and its SNR."""
    return isinstance(found, dict) and isinstance(found.get("kld"), dict) and "snr" in found


def is_findings(found: Any) -> bool:
    """Return whether JSON holds what a study found, group by group."""
    return isinstance(found, dict) and isinstance(found.get("groups"), dict)


def is_evaluation(found: Any) -> bool:
    """Return whether JSON is that of `fastseq evaluate`."""
    return isinstance(found, dict) and {"target", "rows"} <= found.keys()


def of_evaluation(name: str, found: Mapping[str, Any]) -> Section:
    """Return the figures of an evaluation, the challenge's subsets, and models by themselves."""
    figures = []
    plain = {key: [value] for key, value in found.items() if not isinstance(value, dict)}
    tables: list[tuple[str, Any]] = [("Of the prediction.", plain)]
    challenge = found.get("challenge")
    if challenge:
        rows = [{"subset": subset, **held} for subset, held in challenge["subsets"].items()]
        scores = {f"{kind} score": [challenge[f"{kind}_score"]] for kind in ("pearson", "spearman")}
        tables += [("Of the challenge.", scores), ("By subset.", rows)]
    each = found.get("each")
    if each:
        rows = [{"model": model, **held} for model, held in each["models"].items()]
        tables.append(("Of each model.", rows))
        if each.get("subsets"):
            figures.append(("r² by model and subset.", subset_heatmap(each["subsets"], label="r²")))
        names = [path.rpartition("/")[2] for path in each["correlations"]["names"]]
        for kind, ranks in each.get("bootstrap", {}).items():
            picture = rank_shares(
                np.array(ranks["shares"], float), np.array(ranks["scores"], float), names,
                draws=ranks["draws"], label=f"{kind} score",
            )  # fmt: skip
            figures.append((f"Ranks over bootstraps, {kind} score.", picture))
        if len(names) > 1:
            matrix = np.array(each["correlations"]["pearson"], float)
            figures.append(
                ("Correlation of predictions.", correlation_matrix(matrix, names, label="r"))
            )
    missing = ", ".join(challenge["missing"]) if challenge else ""
    text = f"Missing subsets, weights renormalised over the rest: {missing}." if missing else ""
    return Section(f"{name}: evaluation", text, figures, tables)


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
