"""How well predictions meet measurements: correlations, errors, ranking of classes.

Every function takes two float arrays (n,) and returns a float; NaN where it is undefined.
"""

import numpy as np


def pearson(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Pearson's r; 0 for a constant prediction, NaN for constant measurements."""
    a, b = _centred(y_true), _centred(y_pred)
    # sums, not dot products: BLAS would wake a second thread for less than it costs
    variance_a, variance_b = np.square(a).sum(), np.square(b).sum()
    if len(a) < 2 or variance_a == 0:
        return float("nan")
    # a constant leaves rounding errors behind when its mean is taken away
    if variance_b <= 1e-26 * np.square(np.asarray(y_pred, float)).sum():
        return 0.0
    return float(np.clip((a * b).sum() / np.sqrt(variance_a * variance_b), -1, 1))


def spearman(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return Spearman's rho, ties at their average rank."""
    return pearson(ranks(y_true), ranks(y_pred))


def mse(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the mean squared error."""
    return float(np.square(np.subtract(y_true, y_pred, dtype=float)).mean())


def r2(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the coefficient of determination, 1 - error / variance; not the square of r."""
    variance = np.square(_centred(y_true)).mean()
    return float(1 - mse(y_true, y_pred) / variance) if variance else float("nan")


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve: P(a positive outranks a negative), ties counted half."""
    positive = np.asarray(labels) > 0.5
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if not n_pos or not n_neg:
        return float("nan")
    return float((ranks(scores)[positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def auprc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return average precision: precision summed over the steps of recall, ties in one step."""
    scores = np.asarray(scores)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(np.asarray(labels)[order] > 0.5)
    if not len(hits) or not hits[-1]:
        return float("nan")
    last_of_tie = np.r_[np.flatnonzero(np.diff(scores[order])), len(hits) - 1]
    recall = hits[last_of_tie] / hits[-1]
    precision = hits[last_of_tie] / (last_of_tie + 1)
    return float(np.dot(np.diff(recall, prepend=0), precision))


def accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.0) -> float:
    """Return the share of rows on the right side: score >= threshold where the label is 1."""
    return float(((np.asarray(scores) >= threshold) == (np.asarray(labels) > 0.5)).mean())


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, ties at their average: scipy's rankdata, twice as fast."""
    values = np.asarray(values)
    order = np.argsort(values)
    begins = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])
    counts = np.diff(np.r_[begins, len(values)])
    found = np.empty(len(values))
    found[order] = np.repeat(begins + (counts + 1) / 2, counts)
    return found


def _centred(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values - values.mean() if len(values) else values
