"""Batches hold the rows that were asked for, moved, turned and expanded."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastseq.sequence.batches import PackedRows, expand, four_at_once

COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def twin(codes, rows, table, shift, turned):
    """Return what packed rows give, row by row."""
    length = codes.shape[1]
    out = np.empty((len(rows), length, table.shape[2]), np.float32)
    for i, row in enumerate(rows):
        moved = np.full(length, 4)
        for j in range(length):
            if 0 <= j - shift[i] < length:
                moved[j] = min(codes[row, j - shift[i]], 4)
        out[i] = table[0][moved] if i < turned else table[1][moved][::-1]
    return out


# the path of a parametrised test holds for all its examples
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 90), st.integers(1, 9), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_rows_are_expanded_by_their_table(path, length, n, channels, reversed, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 7, (n, length), dtype=np.uint8)
    table = rng.normal(size=(5, channels)).astype(np.float32)
    out = np.full((n, length, channels), np.nan, np.float32)
    read = codes[:, ::-1] if reversed else codes
    expand(codes, table, out, reversed=reversed)
    np.testing.assert_array_equal(out, table[np.minimum(read, 4)])


@pytest.mark.parametrize("shape", [(1, 8, 5), (2, 8, 4), (1, 7, 4)])
def test_arrays_of_another_size_are_refused(shape):
    codes, table = np.zeros((1, 8), np.uint8), np.zeros((5, 4), np.float32)
    with pytest.raises(ValueError, match="out must hold"):
        expand(codes, table, np.empty(shape, np.float32))
    with pytest.raises(ValueError, match="table must be"):
        expand(codes, table[:4], np.empty((1, 8, 4), np.float32))
    with pytest.raises(ValueError, match="contiguous"):
        expand(codes[:, ::2], table, np.empty((1, 4, 4), np.float32))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 90), st.integers(1, 9), st.integers(1, 6), st.integers(0, 9), st.integers(4, 6),
    st.integers(0, 99),
)  # fmt: skip
def test_packed_rows_are_drawn_as_codes_are(path, length, n, channels, turned, kinds, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, kinds, (5, length), dtype=np.uint8)
    table = rng.normal(size=(2, 5, channels)).astype(np.float32)
    rows = rng.integers(0, 5, n)
    shift = rng.integers(-length, length + 1, n, np.int16)
    packed = PackedRows.pack(codes)
    np.testing.assert_array_equal(packed.codes(rows), np.minimum(codes, 4)[rows])
    out = np.full((n, length, channels), np.nan, np.float32)
    packed.gather(rows, (table, four_at_once(table)), out, shift=shift, turned=turned)
    np.testing.assert_array_equal(out, twin(codes, rows, table, shift, turned))


def test_packed_rows_take_a_quarter_of_the_bytes_and_a_bit_more_for_unknown_bases():
    codes = np.random.default_rng(0).integers(0, 4, (1000, 110), dtype=np.uint8)
    assert PackedRows.pack(codes).records.nbytes == 1000 * (28 + 1)
    codes[7, 3] = 4
    assert PackedRows.pack(codes).records.nbytes == 1000 * (28 + 1 + 14)
    assert len(PackedRows.pack(codes[:0])) == 0


def test_many_rows_are_packed_block_by_block(monkeypatch):
    monkeypatch.setattr("fastseq.sequence.batches.BLOCK", 7)
    codes = np.random.default_rng(0).integers(0, 6, (40, 13), dtype=np.uint8)
    np.testing.assert_array_equal(PackedRows.pack(codes).codes(slice(None)), np.minimum(codes, 4))


def test_what_packed_rows_cannot_give_is_refused():
    packed = PackedRows.pack(np.zeros((3, 8), np.uint8))
    table, out = np.zeros((2, 5, 4), np.float32), np.empty((1, 8, 4), np.float32)
    words, row = four_at_once(table), np.array([0])
    for bad in (-1, 3):
        with pytest.raises(IndexError, match=r"0\.\.2"):
            packed.gather(np.array([bad]), (table, words), out)
    for shape in ((1, 8, 5), (2, 8, 4), (1, 7, 4)):
        with pytest.raises(ValueError, match="out must hold"):
            packed.gather(row, (table, words), np.empty(shape, np.float32))
    with pytest.raises(ValueError, match=r"-8\.\.8"):
        packed.gather(row, (table, words), out, shift=np.array([9], np.int16))
    with pytest.raises(ValueError, match="one int16"):
        packed.gather(row, (table, words), out, shift=np.array([1, 1], np.int16))
    with pytest.raises(ValueError, match="table must be"):
        packed.gather(row, (table[:1], words), out)
    with pytest.raises(ValueError, match="words must be"):
        packed.gather(row, (table, words[:, :9].copy()), out)
    torn = PackedRows(packed.records[:, :2].copy(), 8, False)
    with pytest.raises(ValueError, match="hold no rows of 8 bases"):
        torn.gather(row, (table, words), out)
