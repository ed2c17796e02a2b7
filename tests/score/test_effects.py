"""Ratios, distances and p-values against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from fastseq.errors import OptionError, ShapeError
from fastseq.score.effects import (
    active_quantile,
    empirical_p_values,
    jensen_shannon,
    log2_fold_change,
    shares,
)


def test_fold_changes_by_scale():
    y_ref, diff = np.float32([[1.0], [-3.0], [-0.5]]), np.float32([[2.0], [1.0], [-1.0]])
    assert log2_fold_change(y_ref, diff, "linear")[0] == 1
    assert np.isnan(log2_fold_change(y_ref, diff, "linear")[1:]).all()
    assert np.array_equal(log2_fold_change(y_ref, diff, "log2"), diff)
    np.testing.assert_allclose(log2_fold_change(y_ref, diff, "ln"), diff / np.log(2))
    assert np.isnan(log2_fold_change(y_ref, diff, "logit")).all()


values = st.lists(st.integers(-5, 5), min_size=1, max_size=12).map(np.float64)


@given(values, values)
def test_p_values_count_the_null(observed, null):
    n = len(null)
    for value, p in zip(observed, empirical_p_values(observed, null, "greater")):
        assert p == (sum(null >= value) + 1) / (n + 1)
    for value, p in zip(observed, empirical_p_values(observed, null, "less")):
        assert p == (sum(null <= value) + 1) / (n + 1)
    both = empirical_p_values(observed, null)
    assert ((both > 0) & (both <= 1)).all()
    np.testing.assert_array_equal(both, empirical_p_values(-observed, -null))


def test_p_values_of_nothing():
    p = empirical_p_values(np.array([np.nan, 1.0]), np.array([0.0, np.nan]))
    assert np.isnan(p[0])
    assert p[1] == 1
    with pytest.raises(OptionError, match="the null holds no value"):
        empirical_p_values(np.ones(1), np.array([np.nan]))
    with pytest.raises(OptionError, match="expected 'two-sided', 'greater' or 'less'"):
        empirical_p_values(np.ones(1), np.ones(1), "both")


def test_distances_of_profiles():
    rng = np.random.default_rng(0)
    p, q = rng.random((2, 6, 9))
    np.testing.assert_allclose(
        jensen_shannon(shares(p, "counts"), shares(q, "counts")),
        jensenshannon(p, q, base=2, axis=1),
    )
    logits = shares(np.log(p), "logit")
    np.testing.assert_allclose(logits, p / p.sum(1, keepdims=True))
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == 1
    assert shares(np.zeros((1, 4)), "counts").tolist() == [[0.25] * 4]


def test_the_more_active_allele_is_ranked():
    background = np.arange(10.0)
    found = active_quantile(np.array([0.0, 9.5, np.nan]), np.array([5.5, 1, 2]), background)
    np.testing.assert_array_equal(found, [0.6, 1, np.nan])
    with pytest.raises(ShapeError, match="y_ref has 1 values, y_alt 2"):
        active_quantile(np.ones(1), np.ones(2), background)


@pytest.mark.parametrize("pseudocount", [-1.0, np.nan, np.inf])
def test_pseudocounts_that_make_no_ratio(pseudocount):
    one = np.ones(1, np.float32)
    with pytest.raises(OptionError, match="pseudocount="):
        log2_fold_change(one, one, "linear", pseudocount)
