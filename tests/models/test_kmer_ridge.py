"""Ridge regression on k-mers finds what its features can say, on either strand, and is saved."""

import numpy as np
import pytest
import torch
from scipy import sparse

from fastseq.errors import OptionError
from fastseq.learn.train import train
from fastseq.models import checkpoints
from fastseq.models.kmer_ridge import _scale, _solve
from fastseq.models.registry import build
from fastseq.score.predict import predict
from fastseq.sequence.encode import encode, reverse_complement

SMALL = {"k": (2, 3), "gaps": (1,), "sections": 3}


@pytest.fixture(scope="module")
def rows():
    codes = np.random.default_rng(0).integers(0, 4, (400, 30), dtype=np.uint8)
    return codes, np.isin(codes, (1, 2)).mean(1)


def test_it_learns_and_survives_a_checkpoint(rows, tmp_path):
    codes, _ = rows
    path = tmp_path / "ridge.safetensors"
    options = {"sizes": {**SMALL, "penalty": (0.01,)}, "path": path, "progress": False}
    result = train("kmer_ridge", rows, **options)
    assert result.best["pearson"] > 0.9
    answers = predict(result.model, codes[:50])
    np.testing.assert_array_equal(predict(checkpoints.load(path), codes[:50]), answers)
    again = train("kmer_ridge", rows, **options, resume=True)
    np.testing.assert_array_equal(predict(again.model, codes[:50]), answers)


def test_it_is_solved_on_the_cpu_whatever_the_device(rows):
    result = train("kmer_ridge", rows, sizes=SMALL, device="meta", progress=False)
    assert result.model.weight.device.type == "cpu"


@pytest.mark.parametrize("length", [7, 8, 30, 31])
def test_both_strands_have_the_same_features(length):
    codes = np.random.default_rng(length).integers(0, 5, (20, length), dtype=np.uint8)
    model = build("kmer_ridge", length=length, **SMALL)
    one, other = model.windows(codes), model.windows(reverse_complement(codes))
    np.testing.assert_array_equal(np.sort(one, axis=1), np.sort(other, axis=1))


def test_features_are_those_of_the_words():
    model = build("kmer_ridge", length=8, k=(3,), gaps=(), sections=1)
    one, other, unknown = model.windows(encode(["AACAACAA", "TTGTTGTT", "AACNACAA"]))
    assert sorted(one) == sorted(other)
    assert len(set(one)) == 3
    assert (unknown == 32).tolist() == [False, True, True, True, False, False]


def test_windows_with_unknown_bases_count_for_nothing():
    model = build("kmer_ridge", length=8, k=(3,), gaps=(), sections=1)
    model.weight[:-1] = 1
    x = model.input_spec.expand(encode(["AACAACAA", "AACNACAA", "NNNNNNNN"]))
    assert model(x)[:, 0].tolist() == [6, 3, 0]


def test_the_solution_is_that_of_the_normal_equations():
    rng = np.random.default_rng(0)
    dense = rng.poisson(1.0, (60, 7)).astype(np.float32)
    y, each = rng.normal(size=60), rng.random(60).astype(np.float32) + 0.5
    counts = sparse.csr_matrix(dense)
    w, bias = _solve(counts, _scale(counts), y, each, 3.0)
    variance = dense.var(0) + 1e-3
    mean = (each @ dense) / each.sum()
    centred = dense - mean
    left = centred.T @ (each[:, None] * centred) + 3.0 * np.diag(variance)
    wanted = np.linalg.solve(left, centred.T @ (each * y))
    np.testing.assert_allclose(w, wanted, rtol=2e-3, atol=2e-4)
    assert bias == pytest.approx((each @ y) / each.sum() - mean @ w, abs=1e-5)


def test_weights_count_rows(rows):
    codes, y = rows
    model = build("kmer_ridge", length=30, **SMALL)
    wrong = np.r_[y[:200], -y[200:]][:, None]
    kept = np.r_[np.ones(200), np.full(200, 1e-6)]
    model.fit(codes, wrong, codes, wrong, weights=kept)
    answers = model(model.input_spec.expand(codes))[:, 0].numpy()
    assert np.corrcoef(answers, y)[0, 1] > 0.8


@pytest.mark.parametrize("size", [{"k": (11,)}, {"gaps": (0,)}, {"sections": 2}, {"penalty": ()}])
def test_bad_sizes_are_refused(size):
    with pytest.raises(OptionError, match="expected"):
        build("kmer_ridge", **size)
    with pytest.raises(OptionError, match="fits into 3 bp"):
        build("kmer_ridge", length=3, k=(5,))
    assert torch.equal(build("kmer_ridge").bias, torch.zeros(1))
