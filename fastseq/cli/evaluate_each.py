"""Several models beside each other: figures, ranks, correlations, and their best combination."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastseq._lazy import load
from fastseq.show.comparison import shares_of_ranks

MEAN, REGRESSION = "mean", "regression"


def combine(
    y_true: np.ndarray, predictions: Mapping[str, np.ndarray], fit: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return predictions with those of a linear regression among them, and its weights.

    Parameters
    ----------
    y_true : float, (n,)
    predictions : dict of str to float (n,)
    fit : bool, (n,)
        Rows that decide the weights.
    """
    some = {name: values[fit] for name, values in predictions.items()}
    found = load("fastseq.learn.ensemble").fit_ensemble(y_true[fit], some)
    both = {**predictions, REGRESSION: found.predict(predictions)}
    return both, {**found.weights, "intercept": found.intercept}


def judge_each(
    y_true: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    figures: Mapping[str, Mapping[str, float]],
    subsets: Mapping[str, np.ndarray] | None,
    draws: int,
) -> dict[str, Any]:
    """Return figures by model and correlations between models, in JSON values.

    Parameters
    ----------
    y_true : float, (n,)
    predictions : dict of str to float (n,)
    figures : dict of str to (dict of str to float)
        What is known of each model already.
    subsets : dict of str to int arrays, optional
        The challenge's: both its scores are added, r² by subset, and with ``draws`` the mean rank
        in each score, how often each rank is taken, and the scores' central 95 %.
    draws : int
    """
    evaluate, ensemble = load("fastseq.learn.evaluate"), load("fastseq.learn.ensemble")
    found = {name: dict(values) for name, values in figures.items()}
    told: dict[str, Any] = {"models": found}
    if subsets is not None:
        score = evaluate.dream_score(y_true, dict(predictions), subsets)
        drawn = score.bootstrap(draws) if draws else None
        ranks = drawn.ranks if drawn else {}
        told["subsets"] = {
            name: {subset: held.r2 for subset, held in by.items()}
            for name, by in score.scores.items()
        }
        if drawn:
            told["bootstrap"] = {
                kind: {
                    "draws": draws,
                    "shares": shares_of_ranks(values).tolist(),
                    "scores": np.quantile(values, [0.025, 0.5, 0.975], axis=0).tolist(),
                }
                for kind, values in (("pearson", drawn.pearson), ("spearman", drawn.spearman))
            }
        for kind in ("pearson", "spearman"):
            named = getattr(score, kind)
            for name in found:
                found[name][f"{kind}_score"] = named[name] if len(found) > 1 else named
                if ranks:
                    found[name][f"{kind}_rank"] = ranks[name][kind]
    names, matrix = ensemble.correlations(predictions)
    return told | {"correlations": {"names": names, "pearson": matrix.tolist()}}


def as_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `judge_each` found: a row a model, then the correlations between them."""
    models = told["models"]
    columns = list(next(iter(models.values())))
    yield "\t".join(["model", *columns])
    for name, figures in models.items():
        yield "\t".join([name, *(f"{figures[column]:.6g}" for column in columns)])
    names = told["correlations"]["names"]
    yield "\t".join(["correlation", *names])
    for name, row in zip(names, told["correlations"]["pearson"]):
        yield "\t".join([name, *(f"{value:.4f}" for value in row)])
    for name, weight in told.get("weights", {}).items():
        yield f"weight of {name}\t{weight:.6g}"
