"""The challenge's scores equal scipy's, subset by subset and draw by draw."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from fastseq.errors import OptionError, ShapeError, TargetError
from fastseq.learn.evaluate import _argsort, _resample, dream_score
from fastseq.learn.subsets import WEIGHTS
from tests.reference import dream as slow


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    n = 3000
    y = rng.normal(size=n).round(2)  # ties
    subsets = {"all": np.arange(n)}
    for name in ("high", "low", "native", "random", "challenging"):
        subsets[name] = rng.choice(n, 150, replace=False)
    for name in ("SNVs", "motif_perturbation", "motif_tiling"):
        subsets[name] = rng.integers(0, n, (300, 2))
    return y, {"a": y + rng.normal(size=n), "b": (y + rng.normal(size=n)).round(1)}, subsets


def test_scores_equal_scipy(case):
    y, models, subsets = case
    found = dream_score(y, models, subsets)
    assert found.missing == ()
    for name, values in models.items():
        pearson, spearman = slow.dream_scores(y, values, subsets, WEIGHTS)
        assert found.pearson[name] == pytest.approx(pearson, abs=1e-12)
        assert found.spearman[name] == pytest.approx(spearman, abs=1e-12)
    alone = dream_score(y, models["a"], subsets)
    assert alone.pearson == found.pearson["a"]
    assert alone.per_subset["high"].n == 150


def test_a_constant_prediction_scores_0_and_says_so(case):
    y, _, subsets = case
    found = dream_score(y, np.full(len(y), 0.1), subsets)
    assert found.pearson == found.spearman == 0
    assert "constant on all" in str(found)


def test_missing_subsets_are_listed_and_the_weights_renormalised(case):
    y, models, subsets = case
    some = {name: subsets[name] for name in ("all", "SNVs")}
    found = dream_score(y, models["a"], {**some, "high": np.array([], int)})
    expected = slow.dream_scores(y, models["a"], some, WEIGHTS)
    assert (found.pearson, found.spearman) == pytest.approx(expected, abs=1e-12)
    assert found.missing[:2] == ("high", "low")
    assert "2 of 9 subsets only" in str(found)


def test_a_perfect_and_an_inverted_prediction(case):
    y, _, subsets = case
    found = dream_score(y, {"same": 2 * y, "inverted": -y}, subsets)
    assert found.pearson == pytest.approx({"same": 1, "inverted": 1})
    assert found.spearman == pytest.approx({"same": 1, "inverted": -1})


@pytest.mark.parametrize("digits", [1, 2, 15])
@pytest.mark.parametrize("n", [20, 333])
def test_bootstraps_equal_scipy_draw_by_draw(n, digits):
    rng = np.random.default_rng(n)
    y, x = rng.normal(size=n).round(digits), rng.normal(size=n).round(digits)
    x += y
    r, rho = _resample(y, x[None], 20, 0.3, np.random.default_rng(7))
    expected = slow.bootstrap(y, x, n, max(round(0.3 * n), 2), 20, np.random.default_rng(7))
    np.testing.assert_allclose(np.c_[r, rho], expected, atol=1e-12)


def test_bootstrap_ranks_the_better_model_first(case):
    y, models, subsets = case
    draws = dream_score(y, {**models, "better": y + 0.1 * models["a"]}, subsets).bootstrap(200)
    assert draws.pearson.shape == (200, 3)
    assert draws.ranks["better"] == {"pearson": 1.0, "spearman": 1.0}
    low, high = draws.interval()["a"]["pearson"]
    assert low < np.mean(draws.pearson[:, 0]) < high


def test_bootstrap_repeats_by_seed_and_shares_its_draws(case):
    y, models, subsets = case
    both = dream_score(y, models, subsets).bootstrap(5, seed=3)
    alone = dream_score(y, {"b": models["b"]}, subsets).bootstrap(5, seed=3)
    np.testing.assert_allclose(both.pearson[:, 1], alone.pearson[:, 0], atol=1e-12)


def test_bad_input_is_named(case):
    y, _, subsets = case
    with pytest.raises(ShapeError, match=r"a has shape \(5,\), the measurements \(3000,\)"):
        dream_score(y, {"a": y[:5]}, subsets)
    with pytest.raises(TargetError, match="row 7 of y_pred"):
        dream_score(y, np.where(np.arange(len(y)) == 7, np.nan, y), subsets)
    with pytest.raises(OptionError, match="subsets tall have no weight"):
        dream_score(y, y, {"tall": np.arange(4)})
    with pytest.raises(ShapeError, match="names row 9999"):
        dream_score(y, y, {"high": np.array([1, 9999])})
    with pytest.raises(OptionError, match="share=2"):
        dream_score(y, y, {}).bootstrap(3, share=2)


def test_r_keeps_its_sign_beside_r2(case):
    y, models, subsets = case
    score = dream_score(y, -models["a"], subsets).per_subset["all"]
    assert score.r == pytest.approx(pearsonr(y, -models["a"])[0], abs=1e-12)
    assert score.r2 == pytest.approx(score.r**2)


def test_wide_ranks_are_ordered_in_two_passes():
    ranks = np.random.default_rng(0).permutation(70_000).astype(np.uint32)
    np.testing.assert_array_equal(ranks[_argsort(ranks)], np.arange(70_000))
