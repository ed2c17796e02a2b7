"""Profiles of coverage, (n, tasks, positions): how well their counts and their shapes are met."""

import numpy as np

from fastseq.errors import ShapeError
from fastseq.learn.metrics import pearson, spearman
from fastseq.score.effects import jensen_shannon, shares


def judge(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """Return how predicted profiles meet measured ones, the mean over tasks.

    Parameters
    ----------
    y_true, y_pred : float, (n, tasks, positions)
        Counts of each position, 0 or more.

    Returns
    -------
    dict
        ``pearson`` and ``spearman`` of ln(1 + counts); ``jsd``, the mean Jensen-Shannon distance of
        the shapes, and ``jsd_flat``, that of a flat prediction; ``nats``, the mean negative log
        likelihood of where a count falls. Windows without counts have no shape.

    Raises
    ------
    ShapeError
        The two differ in shape, or are no profiles.

    Examples
    --------
    >>> y = np.array([[[0.0, 1, 3]], [[2, 2, 0]], [[9, 0, 1]]])
    >>> found = judge(y, 2 * y)
    >>> round(found["spearman"], 3), round(found["jsd"], 3)
    (1.0, 0.0)
    """
    if y_true.shape != y_pred.shape or y_true.ndim != 3:
        raise ShapeError(
            f"profiles of shape {y_pred.shape} for measurements of shape {y_true.shape}; expected "
            "(n, tasks, positions) of both"
        )
    by_task = [_of_task(*pair) for pair in zip(y_true.swapaxes(0, 1), y_pred.swapaxes(0, 1))]
    return {name: float(np.mean([found[name] for found in by_task])) for name in by_task[0]}


def _of_task(measured: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    measured, predicted = measured.astype(float), predicted.astype(float)
    counts = [np.log1p(part.sum(1)) for part in (measured, predicted)]
    seen = measured.sum(1) > 0
    found = {"pearson": pearson(*counts), "spearman": spearman(*counts)}
    if not seen.any():
        return found | {"jsd": np.nan, "jsd_flat": np.nan, "nats": np.nan}
    true, guess = (shares(part[seen], "counts") for part in (measured, predicted))
    flat = np.full_like(guess, 1 / guess.shape[1])
    share = measured[seen].sum(1) / measured[seen].sum()
    surprise = -(true * np.log(np.maximum(guess, np.finfo(float).tiny))).sum(1)
    return found | {
        "jsd": float(jensen_shannon(true, guess).mean()),
        "jsd_flat": float(jensen_shannon(true, flat).mean()),
        "nats": float(share @ surprise),
    }
