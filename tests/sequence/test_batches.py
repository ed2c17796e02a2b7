"""Batches hold the rows that were asked for, moved, turned and expanded."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastseq._native import batches as native
from fastseq.sequence.batches import gather

COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def twin(codes, rows, table, shift, turned):
    """Return what `gather` gives, row by row."""
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
@given(
    st.integers(1, 90), st.integers(1, 9), st.integers(1, 6), st.integers(0, 9), st.integers(0, 99)
)
def test_gather_equals_its_twin(path, length, n, channels, turned, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 7, (5, length), dtype=np.uint8)
    table = rng.normal(size=(2, 5, channels)).astype(np.float32)
    rows, shift = rng.integers(0, 5, n), rng.integers(-length - 2, length + 3, n)
    out = np.empty((n, length, channels), np.float32)
    expected = twin(codes, rows, table, shift, turned)
    gather(codes, rows, table, out, shift=shift, turned=turned)
    np.testing.assert_array_equal(out, expected)


def test_rows_outside_are_refused():
    codes, table = np.zeros((3, 8), np.uint8), np.zeros((2, 5, 4), np.float32)
    for row in (-1, 3):
        with pytest.raises(IndexError, match=r"0\.\.2"):
            gather(codes, np.array([row]), table, np.empty((1, 8, 4), np.float32))


@pytest.mark.parametrize("shape", [(1, 8, 5), (2, 8, 4)])
def test_an_out_of_another_size_is_refused(shape):
    codes, table = np.zeros((3, 8), np.uint8), np.zeros((2, 5, 4), np.float32)
    with pytest.raises(ValueError, match="out must hold"):
        gather(codes, np.array([0]), table, np.empty(shape, np.float32))


def test_native_shifts_and_tables_are_checked():
    codes, out = np.zeros((3, 8), np.uint8), np.empty((1, 8, 4), np.float32)
    table, row = np.zeros((2, 5, 4), np.float32), np.array([0])
    with pytest.raises(ValueError, match="outside"):
        native.gather(codes, row, np.array([9], np.int16), 1, table, out)
    with pytest.raises(ValueError, match="one int16"):
        native.gather(codes, row, np.array([1, 1], np.int16), 1, table, out)
    with pytest.raises(ValueError, match="channels"):
        native.gather(codes, row, None, 1, table[:1], out)
