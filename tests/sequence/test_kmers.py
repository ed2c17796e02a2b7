"""k-mer counts against the slow twin, in every output and option."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import CountOverflowError, DTypeError, OptionError, ShapeError
from fastseq.sequence.encode import encode, reverse_complement
from fastseq.sequence.kmers import count_kmers
from fastseq.sequence.words import canonical_words, kmer_names
from tests.reference import sequence as twin

DTYPES = ["uint8", "uint16", "uint32", "int32", "int64", "float32", "float64"]


def random_text(length, seed=0, letters="ACGTACGTACGTacgtuN"):
    return "".join(np.random.default_rng(seed).choice(list(letters), length))


def columns(k, canonical):
    return canonical_words(k).tolist() if canonical else range(4**k)


def dense(rows, k, canonical=False, **options):
    counts = [twin.count(row, k, canonical=canonical, **options) for row in rows]
    return np.array([[c[word] for word in columns(k, canonical)] for c in counts])


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 11, 12, 13, 16, 17, 28, 29, 31, 32])
def test_pairs_of_every_k(path, k, canonical):
    for length in (0, 1, k - 1, k, k + 1, 2 * k, 40, 1023, 1024, 1025):
        for letters in ("ACGT", "ACGTACGTACGTacgtuN") if length > 40 else ("ACGT", "AN", "A"):
            text = random_text(length, length, letters)
            expected = twin.count(text, k, canonical=canonical)
            kmers, counts = count_kmers(text, k, canonical=canonical, output="pairs")
            assert dict(zip(kmers.tolist(), counts.tolist())) == dict(expected)
            assert sorted(expected) == kmers.tolist()
            assert (kmers.dtype, counts.dtype) == (np.uint64, np.int64)


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_outputs_agree(path, k, canonical):
    rows = [random_text(length, length) for length in (0, 3, 40, 1030, 5, 200)]
    expected = dense(rows, k, canonical)
    options = {"canonical": canonical, "per_sequence": True}
    for form in (rows, [r.encode() for r in rows], encode(rows)):
        assert np.array_equal(count_kmers(form, k, **options), expected)
    assert np.array_equal(count_kmers(rows, k, canonical=canonical), expected.sum(0))
    assert np.array_equal(count_kmers(rows, k, output="csr", **options).toarray(), expected)
    pooled = count_kmers(rows, k, output="csr", canonical=canonical)
    assert np.array_equal(pooled.toarray(), expected.sum(0, keepdims=True))
    offsets, kmers, counts = count_kmers(rows, k, output="pairs", **options)
    for i in range(len(rows)):
        part = slice(offsets[i], offsets[i + 1])
        found = dict(zip(kmers[part].tolist(), counts[part].tolist()))
        assert found == dict(twin.count(rows[i], k, canonical=canonical))
        assert kmers[part].tolist() == sorted(found)


@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_of_every_type(path, dtype):
    rows = [random_text(300, 1), "", random_text(90, 2)]
    for canonical in (False, True):
        options = {"per_sequence": True, "canonical": canonical, "dtype": dtype}
        counts = count_kmers(rows, 3, **options)
        assert counts.dtype == dtype
        assert np.array_equal(counts, dense(rows, 3, canonical))
        out = np.full_like(counts, 9)
        assert np.shares_memory(count_kmers(rows, 3, out=out, **options), out)
        assert np.array_equal(out, counts)
    assert count_kmers(rows, 3, dtype=dtype).dtype == dtype


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 1000])
def test_stride(path, stride):
    rows = [random_text(length, length) for length in (0, 9, 2100)]
    assert np.array_equal(
        count_kmers(rows, 2, stride=stride, per_sequence=True), dense(rows, 2, stride=stride)
    )
    assert np.array_equal(count_kmers(rows, 2, stride=stride), dense(rows, 2, stride=stride).sum(0))


@pytest.mark.parametrize("pattern", ["1", "101", "11011", "110100110011", "1" + "0" * 30 + "1"])
def test_spaced_patterns(path, pattern):
    k, text = pattern.count("1"), random_text(1500)
    for canonical in {False, pattern == pattern[::-1]}:
        kmers, counts = count_kmers(text, k, pattern=pattern, canonical=canonical, output="pairs")
        expected = twin.count(text, k, pattern=pattern, canonical=canonical)
        assert dict(zip(kmers.tolist(), counts.tolist())) == dict(expected)


def test_windows():
    rows = [random_text(100, 1), random_text(37, 2), random_text(100, 3)]
    counts = count_kmers(rows, 2, window=20, stride=15, per_sequence=True)
    assert counts.shape == (3, 6, 16)
    for i, j in np.ndindex(3, 6):
        assert np.array_equal(counts[i, j], dense([rows[i][15 * j : 15 * j + 20]], 2)[0])
    assert np.array_equal(count_kmers(rows, 2, window=20, stride=15), counts.sum(0))
    assert count_kmers(rows, 2, window=101, per_sequence=True).shape == (3, 0, 16)
    assert count_kmers([], 2, window=5, per_sequence=True).shape == (0, 0, 16)


def test_several_k_in_one_call():
    text = random_text(400)
    counts = count_kmers(text, (1, 3, 9))
    assert list(counts) == [1, 3, 9]
    assert all(np.array_equal(counts[k], count_kmers(text, k)) for k in counts)


@pytest.mark.parametrize("k", [1, 4, 9, 11, 15, 21])
def test_threads_change_nothing(k):
    texts = [random_text(200_001, 4), [random_text(700, i) for i in range(50)]]
    for text in texts:
        for options in ({"output": "pairs"}, {} if k <= 12 else {"output": "csr"}):
            one = count_kmers(text, k, threads=1, **options)
            many = count_kmers(text, k, threads=3, **options)
            for a, b in zip(one, many) if isinstance(one, tuple) else [(one, many)]:
                assert (a != b).sum() == 0


@given(st.text("ACGTN", max_size=80), st.integers(1, 6))
def test_canonical_counts_do_not_know_the_strand(text, k):
    one = count_kmers(text, k, canonical=True)
    assert np.array_equal(one, count_kmers(reverse_complement(text), k, canonical=True))
    assert one.sum() == len(twin.words(text, k))


@given(st.text("ACGT", max_size=80), st.integers(1, 6))
def test_counts_sum_to_windows(text, k):
    assert count_kmers(text, k).sum() == max(0, len(text) - k + 1)


def test_normalized_rows():
    rows = ["AAAC", "", "NN"]
    for output in ("dense", "csr"):
        l1 = count_kmers(rows, 1, per_sequence=True, output=output, normalize="l1")
        l2 = count_kmers(rows, 1, per_sequence=True, output=output, normalize="l2", dtype="float32")
        l1, l2 = (x.toarray() if output == "csr" else x for x in (l1, l2))
        assert l1.tolist() == [[0.75, 0.25, 0, 0], [0] * 4, [0] * 4]
        assert l2.dtype == np.float32
        assert np.allclose((l2**2).sum(1), [1, 0, 0])
    kmers, shares = count_kmers("AAAC", 1, output="pairs", normalize="l1")
    assert (kmers.tolist(), shares.tolist()) == ([0, 1], [0.75, 0.25])
    with pytest.raises(OptionError, match="fractions"):
        count_kmers("A", 1, normalize="l1", dtype="int32")


def test_overflow_raises_and_never_wraps(path):
    rows = ["C", "A" * 256]
    counts = count_kmers(rows, 1, per_sequence=True, dtype="uint16")
    assert counts[1, 0] == 256
    for options in ({"per_sequence": True}, {}, {"output": "csr"}, {"output": "pairs"}):
        with pytest.raises(CountOverflowError, match="uint8"):
            count_kmers(rows, 1, dtype="uint8", **options)
    with pytest.raises(CountOverflowError, match="row 1"):
        count_kmers(rows, 1, dtype="uint8", per_sequence=True)
    assert count_kmers(["A" * 255, "CG" * 200], 1, dtype="uint8", per_sequence=True).max() == 255
    with pytest.raises(CountOverflowError, match="float16"):
        count_kmers("A" * 3000, 1, dtype="float16")


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"k": 33},
        {"k": 2.5},
        {"k": True},
        {"k": 13},
        {"k": 2, "stride": 0},
        {"k": 32, "output": "csr"},
        {"k": 13, "output": "csr", "canonical": True},
        {"k": 2, "output": "sparse"},
        {"k": 2, "window": 0},
        {"k": 2, "window": 5, "output": "csr"},
        {"k": 2, "pattern": "111"},
        {"k": 2, "pattern": "0110"},
        {"k": 2, "pattern": "1a1"},
        {"k": 2, "pattern": "1" + "0" * 31 + "1"},
        {"k": 3, "pattern": "1101", "canonical": True},
        {"k": 2, "normalize": "max"},
        {"k": 2, "output": "pairs", "per_sequence": True, "normalize": "l1"},
        {"k": 12, "per_sequence": True, "max_bytes": 1000},
        {"k": 2, "out": np.zeros(16)},
        {"k": (1, 2), "out": np.zeros(16)},
    ],
)
def test_options_are_checked(options):
    with pytest.raises((OptionError, TypeError)):
        count_kmers(["ACGT"], **options)


def test_out_must_fit():
    fortran = np.zeros((2, 16), "int32", order="F")
    for out in (np.zeros((2, 15), "int32"), np.zeros((2, 16), "int16"), fortran):
        with pytest.raises(ShapeError, match="out"):
            count_kmers(["ACGT", "A"], 2, per_sequence=True, out=out)
    with pytest.raises(DTypeError, match="complex"):
        count_kmers(["ACGT"], 2, per_sequence=True, dtype="complex64")


def test_columns_are_named():
    names = kmer_names(3)
    counts = count_kmers("ACGACG", 3)
    assert {names[i]: n for i, n in enumerate(counts) if n} == {"ACG": 2, "CGA": 1, "GAC": 1}


@pytest.mark.parametrize("k", [2.5, None, "3", True])
def test_k_is_a_whole_number_or_several(k):
    with pytest.raises(OptionError, match="expected 1 to 32"):
        count_kmers("ACGT", k)


@pytest.mark.parametrize("k", [1, 2, 5, 8])
@pytest.mark.parametrize("options", [{}, {"canonical": True}, {"pattern": True}, {"stride": 3}])
def test_sparse_counts_of_long_rows_are_the_dense_ones(k, options):
    if "pattern" in options:
        options = {"pattern": "1" + "01" * (k - 1)}
    rng = np.random.default_rng(k)
    lengths = [0, 1, k, 9000, 70, 6000, 5000]
    rows = ["".join(rng.choice(list("ACGTN"), n, p=[0.3, 0.2, 0.2, 0.29, 0.01])) for n in lengths]
    rows += ["AT" * 3000, "N" * 5000]
    dense = count_kmers(rows, k, per_sequence=True, **options)
    for threads in (1, 2, 5):
        sparse = count_kmers(rows, k, per_sequence=True, output="csr", threads=threads, **options)
        assert np.array_equal(sparse.toarray(), dense)
        assert sparse.has_canonical_format


def test_sparse_counts_of_no_rows():
    assert count_kmers(np.empty((0, 900), np.uint8), 3, per_sequence=True, output="csr").nnz == 0
