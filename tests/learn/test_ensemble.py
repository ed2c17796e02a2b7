"""The linear combination is that of least squares, and correlations are symmetric."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from fastseq.errors import OptionError, ShapeError
from fastseq.learn.ensemble import correlations, fit_ensemble
from fastseq.learn.metrics import mse


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    return y, {name: y * scale + rng.normal(size=200) for name, scale in (("a", 1), ("b", 3))}


def test_equals_scikit_learn_and_beats_either_model(case):
    y, models = case
    ensemble = fit_ensemble(y, models)
    theirs = LinearRegression().fit(np.stack(list(models.values()), 1), y)
    assert list(ensemble.weights.values()) == pytest.approx(theirs.coef_)
    assert ensemble.intercept == pytest.approx(theirs.intercept_)
    assert mse(y, ensemble.predict(models)) < min(mse(y, one) for one in models.values())


def test_copies_share_the_weight(case):
    y, models = case
    ensemble = fit_ensemble(y, {"a": models["a"], "copy": models["a"]})
    assert ensemble.weights["a"] == pytest.approx(ensemble.weights["copy"])


def test_correlations(case):
    _, models = case
    names, matrix = correlations({**models, "minus": -models["a"]})
    assert names == ["a", "b", "minus"]
    np.testing.assert_allclose(matrix, np.corrcoef([*models.values(), -models["a"]]))
    assert correlations(models, method="spearman")[1][0, 1] > 0.3


def test_bad_input_is_named(case):
    y, models = case
    with pytest.raises(ShapeError, match="2 predictions of 200 rows for 5 measurements"):
        fit_ensemble(y[:5], models)
    with pytest.raises(ShapeError, match="expected"):
        fit_ensemble(y, {"a": y, "b": y[:3]})
    with pytest.raises(OptionError, match="no predictions of b"):
        fit_ensemble(y, models).predict({"a": y})
    with pytest.raises(OptionError, match="method="):
        correlations(models, method="kendall")
    with pytest.raises(OptionError, match="no predictions; expected"):
        fit_ensemble(y, {})
