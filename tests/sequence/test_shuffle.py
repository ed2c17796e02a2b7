"""Shuffles keep their k-lets, reach every arrangement alike, and depend on nothing but the seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from fastseq.errors import OptionError
from fastseq.sequence.encode import decode, encode
from fastseq.sequence.shuffle import shuffle
from tests.reference import sequence as twin


@given(st.text("ACGT", max_size=120), st.integers(1, 6), st.integers(0, 2**64))
def test_klets_are_kept(text, k, seed):
    for shuffled in shuffle(text, k, 3, seed=seed, as_text=True):
        assert twin.klets(shuffled, k) == twin.klets(text, k)
        if len(text) >= k:
            ends = slice(k - 1), slice(len(text) - k + 1, None)
            assert all(shuffled[end] == text[end] for end in ends)
        assert len(shuffled) == len(text)


@pytest.mark.parametrize(
    ("text", "k"), [("AACACGACTA", 2), ("AAACCGACAAACC", 3), ("ACGTT", 1), ("ATATCATCAT", 2)]
)
def test_every_arrangement_is_equally_likely(text, k):
    n = 40_000
    seen = Counter(shuffle(text, k, n, seed=7, as_text=True))
    assert set(seen) == twin.arrangements(text, k)
    expected = n / len(seen)
    statistic = sum((count - expected) ** 2 / expected for count in seen.values())
    assert statistic < chi2.ppf(1 - 1e-4, max(1, len(seen) - 1))


def test_a_shuffle_depends_on_seed_row_and_number_only(path):
    rows = np.random.default_rng(0).integers(0, 4, (300, 70)).astype(np.uint8)
    whole = shuffle(rows, 2, 3, seed=5)
    assert np.array_equal(shuffle(rows, 2, 3, seed=5, threads=3), whole)
    assert np.array_equal(shuffle(rows[100:], 2, 3, seed=5, row_offset=100), whole[100:])
    assert np.array_equal(shuffle(rows, 2, 1, seed=5)[:, 0], whole[:, 0])
    assert np.array_equal(shuffle(decode(rows), 2, 3, seed=5), whole)
    assert not np.array_equal(shuffle(rows, 2, 3, seed=6), whole)
    assert len({row.tobytes() for row in whole.reshape(-1, 70)}) > 890
    assert np.array_equal(shuffle(rows[:2], seed=-1), shuffle(rows[:2], seed=2**64 - 1))


def test_unknown_bases_stay_and_split():
    text = "ACCGTNNACGGTACNA"
    for k in (1, 2, 3):
        for shuffled in shuffle(text, k, 20, as_text=True):
            assert [i for i, c in enumerate(shuffled) if c == "N"] == [5, 6, 14]
            for a, b in zip(shuffled.split("N"), text.split("N")):
                assert twin.klets(a, k) == twin.klets(b, k)


def test_shapes_and_short_rows():
    codes = shuffle(["ACGT", "A", "", "AAAA"], n=2)
    assert codes.shape == (4, 2, 4)
    assert codes[1].tolist() == [[0, 4, 4, 4]] * 2
    assert codes[3].tolist() == [[0] * 4] * 2
    assert shuffle(["ACGT", "A"], n=2, as_text=True)[1] == ["A", "A"]
    assert shuffle("ACGT", n=3).shape == (3, 4)
    assert shuffle([], n=3).shape == (0, 3, 0)
    assert shuffle("ACGT", n=0).shape == (0, 4)
    assert np.array_equal(shuffle(encode("GGGG"))[0], encode("GGGG"))


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 10}, {"n": -1}, {"row_offset": -1}])
def test_options_are_checked(options):
    with pytest.raises(OptionError):
        shuffle("ACGT", **options)
