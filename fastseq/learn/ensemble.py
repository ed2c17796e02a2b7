"""Several models as one: a linear regression over their predictions, and how alike they are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fastseq.errors import OptionError, ShapeError
from fastseq.learn.metrics import pearson, spearman


@dataclass(frozen=True)
class Ensemble:
    """intercept + sum of weight times prediction, over models by name."""

    weights: dict[str, float]
    intercept: float

    def predict(self, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the combined prediction, float64 (n,).

        Raises
        ------
        OptionError
            A model of the ensemble is missing; more than its models may be given.
        """
        if missing := self.weights.keys() - predictions.keys():
            raise OptionError(
                f"no predictions of {', '.join(sorted(missing))}; the ensemble is of "
                f"{', '.join(self.weights)}"
            )
        columns = np.stack([np.asarray(predictions[name], float) for name in self.weights])
        return self.intercept + np.array(list(self.weights.values())) @ columns


def fit_ensemble(y_true: np.ndarray, predictions: Mapping[str, np.ndarray]) -> Ensemble:
    """Return the least-squares combination of predictions (Rafi et al. 2024).

    Parameters
    ----------
    y_true : float, (n,)
        Of rows that no model was trained on.
    predictions : dict of str to float (n,)

    Raises
    ------
    ShapeError
        A prediction is not as long as the measurements, or there are fewer rows than weights.
    """
    columns = _columns(predictions)
    y = np.asarray(y_true, float)
    if columns.shape[0] != len(y) or len(y) <= columns.shape[1]:
        raise ShapeError(
            f"{columns.shape[1]} predictions of {columns.shape[0]} rows for {len(y)} measurements; "
            "expected as many rows in each, and more rows than predictions"
        )
    # centred, so that nearly equal predictions share the weight instead of fighting the intercept
    mean = columns.mean(0)
    weights = np.linalg.lstsq(columns - mean, y - y.mean(), rcond=1e-10)[0]
    named = {name: float(weight) for name, weight in zip(predictions, weights)}
    return Ensemble(named, float(y.mean() - mean @ weights))


def correlations(
    predictions: Mapping[str, np.ndarray], *, method: str = "pearson"
) -> tuple[list[str], np.ndarray]:
    """Return the models' names and their correlations with each other, float64 (models, models).

    Parameters
    ----------
    predictions : dict of str to float (n,)
    method : {"pearson", "spearman"}
    """
    if method not in ("pearson", "spearman"):
        raise OptionError(f"method={method!r}; expected 'pearson' or 'spearman'")
    judge = pearson if method == "pearson" else spearman
    columns = _columns(predictions).T
    matrix = np.eye(len(columns))
    for i, one in enumerate(columns):
        for j in range(i):
            matrix[i, j] = matrix[j, i] = judge(one, columns[j])
    return list(predictions), matrix


def _columns(predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return predictions side by side, (n, models)."""
    if not predictions:
        raise OptionError("no predictions; expected a dict of one or more")
    lengths = {name: np.shape(values) for name, values in predictions.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise ShapeError(f"predictions have shapes {lengths}; expected (n,) each, all the same")
    return np.stack([np.asarray(values, float) for values in predictions.values()], axis=1)
