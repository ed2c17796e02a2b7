"""Figures equal those of scipy and scikit-learn, ties and all."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fastseq.learn import metrics

values = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(-5, 5), min_size=n, max_size=n) for _ in range(2)))
)


@given(values)
def test_regression_figures(pair):
    y, x = (np.array(side) / 7 for side in pair)
    assert metrics.mse(y, x) == pytest.approx(sk.mean_squared_error(y, x), abs=1e-12)
    if np.ptp(y) and np.ptp(x):
        assert metrics.pearson(y, x) == pytest.approx(scipy.stats.pearsonr(y, x)[0], abs=1e-12)
        assert metrics.spearman(y, x) == pytest.approx(scipy.stats.spearmanr(y, x)[0], abs=1e-12)
        assert metrics.r2(y, x) == pytest.approx(sk.r2_score(y, x), abs=1e-9)


@given(values)
def test_ranking_figures(pair):
    y, x = np.array(pair[0]) > 0, np.array(pair[1]) / 7
    if y.any() and not y.all():
        assert metrics.auroc(y, x) == pytest.approx(sk.roc_auc_score(y, x), abs=1e-12)
        assert metrics.auprc(y, x) == pytest.approx(sk.average_precision_score(y, x), abs=1e-12)
        assert metrics.accuracy(y, x, 0.1) == pytest.approx(sk.accuracy_score(y, x >= 0.1))


def test_what_is_undefined_is_nan_and_a_constant_prediction_0():
    y = np.arange(5.0)
    assert metrics.pearson(y, np.full(5, 0.1)) == metrics.spearman(y, np.full(5, 0.1)) == 0
    assert np.isnan(metrics.pearson(np.ones(5), y))
    assert np.isnan(metrics.auroc(np.ones(5), y))
    assert np.isnan(metrics.auprc(np.zeros(5), y))
    assert np.isnan(metrics.r2(np.ones(5), y))
