import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import FormatError, MissingFileError, ShapeError, UnreadableFileError
from fastseq.io.maps import Maps, read_maps, write_maps


def made(n=3, tasks=2, length=12, start=4, span=5, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (n, length), dtype=np.uint8)
    values = rng.normal(size=(n, tasks, 4, span)).astype(np.float32)
    y_ref = rng.normal(size=(n, tasks)).astype(np.float32)
    names = tuple(f"s{row}" for row in range(n))
    return Maps(names, codes, values, start, "ism", tuple(f"t{t}" for t in range(tasks)), y_ref)


@given(
    n=st.integers(0, 4), tasks=st.integers(1, 3), start=st.integers(0, 7), seed=st.integers(0, 9)
)
def test_what_is_written_is_read(tmp_path_factory, n, tasks, start, seed):
    path = tmp_path_factory.mktemp("maps") / "maps.npz"
    maps = made(n, tasks, start=start, seed=seed)
    write_maps(path, maps)
    found = read_maps(path)
    assert (found.names, found.tasks, found.start, found.method) == (
        maps.names, maps.tasks, maps.start, maps.method,
    )  # fmt: skip
    for name in ("codes", "values", "y_ref", "observed", "hypothetical"):
        np.testing.assert_array_equal(getattr(found, name), getattr(maps, name))


def test_observed_is_the_corrected_value_of_the_base_and_0_at_unknown_ones():
    maps = made()
    for (row, task, at), value in np.ndenumerate(maps.observed):
        base = maps.codes[row, maps.start + at]
        letters = maps.values[row, task, :, at]
        expected = 0 if base == 4 else letters[base] - letters.mean()
        assert value == pytest.approx(expected, abs=1e-6)


def test_rows_are_taken_with_all_that_belongs_to_them():
    maps = made()
    chosen = maps.rows([2, 0])
    assert chosen.names == ("s2", "s0")
    np.testing.assert_array_equal(chosen.y_ref, maps.y_ref[[2, 0]])


@pytest.mark.parametrize("start", [-1, 8])
def test_a_span_that_leaves_the_sequence_is_refused(start):
    with pytest.raises(ShapeError, match="leaves sequences of 12 bp"):
        made(start=start)


@pytest.mark.parametrize("cut", [0, 10, -200, -1])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = tmp_path / "maps.npz"
    write_maps(path, made())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError, match="maps.npz"):
        read_maps(path)


def test_other_arrays_and_pickles_are_refused(tmp_path):
    other, pickled = tmp_path / "other.npz", tmp_path / "pickled.npz"
    np.savez(other, x=np.zeros(3))
    np.savez(pickled, kind=np.array([{}], object))
    for path in (other, pickled):
        with pytest.raises(FormatError, match="expected the .npz"):
            read_maps(path)
    with pytest.raises(MissingFileError):
        read_maps(tmp_path / "absent.npz")
    with pytest.raises(UnreadableFileError):
        write_maps(tmp_path / "absent" / "maps.npz", made())
