"""Length weights: what explains more weighs more, and nothing is fitted where nothing can be."""

import numpy as np
import pytest

from fastseq.errors import DTypeError, OptionError, ShapeError
from fastseq.reliability.kld import kmer_kld
from fastseq.reliability.length_weights import fit_length_weights


def models(m=80, seed=0):
    random = np.random.default_rng(seed)
    quality = random.normal(size=m)
    kld = {
        3: quality + 0.2 * random.normal(size=m),
        6: quality + 1.0 * random.normal(size=m),
        8: random.normal(size=m),
    }
    return kld, np.exp(quality)


def test_weights_follow_what_each_length_explains():
    kld, snr = models()
    fitted = fit_length_weights(kld, snr)
    assert fitted.weights[3] > fitted.weights[6] > fitted.weights[8] >= 0
    assert sum(fitted.weights.values()) == pytest.approx(1)
    assert fitted.explained[3] == pytest.approx(np.corrcoef(kld[3], np.log(snr))[0, 1] ** 2)
    assert fitted.held_out.shape == (10,)
    assert fitted.held_out.mean() > 0.7
    assert fitted.n == 80
    again = fit_length_weights(kld, snr)
    assert again.weights == fitted.weights


def test_an_array_has_one_column_a_length():
    kld, snr = models()
    array = np.stack(list(kld.values()), axis=1)
    assert (
        fit_length_weights(array, snr, ks=(3, 6, 8)).weights == fit_length_weights(kld, snr).weights
    )
    with pytest.raises(ShapeError, match="k=6"):
        fit_length_weights(array, snr)


def test_scale_of_a_length_does_not_matter():
    kld, snr = models()
    scaled = {**kld, 6: 100 * kld[6] + 3}
    one, two = fit_length_weights(kld, snr), fit_length_weights(scaled, snr)
    assert two.weights == pytest.approx(one.weights)


def test_results_of_kmer_kld_go_in_and_weights_go_back():
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (20, 50), dtype=np.uint8)
    maps = {str(i): random.gamma(0.05 + i / 20, size=codes.shape) for i in range(30)}
    results = list(kmer_kld(codes, maps, ks=[2, 3]).values())
    fitted = fit_length_weights(results, np.exp([result.per_k[2] for result in results]))
    assert fitted.weights[2] > fitted.weights[3]
    combined = kmer_kld(codes, maps["3"], ks=[2, 3], weights=fitted)
    assert combined.weights == pytest.approx(fitted.weights)
    with pytest.raises(OptionError, match="cannot be compared"):
        fit_length_weights([*results, kmer_kld(codes[1:], maps["0"][1:], ks=[2, 3])], np.ones(31))


def test_signal_to_noise_without_a_logarithm():
    kld, snr = models()
    snr[7] = -0.08
    with pytest.raises(OptionError, match="model 7 has SNR -0.08"):
        fit_length_weights(kld, snr)
    assert fit_length_weights(kld, snr, mask_nonpositive=True).n == 79


@pytest.mark.parametrize(
    ("kld", "snr", "error", "message"),
    [
        ({3: np.ones(29)}, np.arange(1.0, 30), OptionError, "29 models"),
        ({3: np.ones(40)}, np.arange(1.0, 40), ShapeError, "k = 3"),
        ({3: np.ones(40)}, np.arange(1.0, 41), OptionError, "no length explains"),
        ({3: np.full(40, np.nan)}, np.arange(1.0, 41), OptionError, "NaN or infinity"),
        ({3: np.arange(40)}, np.ones(40), OptionError, "SNR that vary"),
        ([], np.ones(0), OptionError, "no models"),
        ({}, np.ones(40), OptionError, "no models"),
        (None, np.ones(40), OptionError, "no models"),
        ([1.0, 2.0], np.ones(40), OptionError, "no models"),
        ({"a": np.arange(40.0)}, np.arange(1.0, 41), OptionError, "k='a'"),
        ({3: ["x"] * 40}, np.arange(1.0, 41), DTypeError, "KLD of k = 3"),
        ({3: np.ones((40, 1))}, np.arange(1.0, 41), ShapeError, "KLD of k = 3"),
        ({3: np.arange(40.0)}, np.where(np.arange(40) == 3, np.inf, 2), OptionError, "infinity"),
        ({3: np.arange(40.0)}, np.where(np.arange(40) == 3, np.nan, 2), OptionError, "model 3"),
    ],
)
def test_hostile_input(kld, snr, error, message):
    with pytest.raises(error, match=message):
        fit_length_weights(kld, snr)


@pytest.mark.parametrize(
    "wish", [{"subsets": 1}, {"subsets": 2.5}, {"folds": 1}, {"folds": 100}, {"seed": -1},
             {"seed": "x"}, {"subsets": 100}],
)  # fmt: skip
def test_impossible_wishes(wish):
    kld, snr = models()
    with pytest.raises(OptionError):
        fit_length_weights(kld, snr, **wish)
    assert fit_length_weights(kld, snr, subsets=20, folds=6).n == 80
