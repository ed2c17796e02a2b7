import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import DTypeError, OptionError, ShapeError
from fastseq.sequence.edits import Edits, apply, window
from tests.reference.edits import all_substitutions, edited_window


def table(rows, edits):
    """Build Edits from (row, start, removed, inserted) tuples."""
    words = [np.asarray(word, np.uint8) for *_, word in edits]
    return Edits(
        np.array([e[0] for e in edits], np.int64),
        np.array([e[1] for e in edits], np.int64),
        np.array([e[2] for e in edits], np.int64),
        np.concatenate([np.empty(0, np.uint8), *words]),
        np.cumsum([0, *map(len, words)], dtype=np.int64),
    )


@st.composite
def rows_and_edits(draw):
    length = draw(st.integers(1, 24))
    rows = np.array(
        draw(st.lists(st.lists(st.integers(0, 4), min_size=length, max_size=length), min_size=1,
                      max_size=3)), np.uint8)  # fmt: skip
    edits = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, length))
        edits.append((
            draw(st.integers(0, len(rows) - 1)),
            start,
            draw(st.integers(0, length - start)),
            draw(st.lists(st.integers(0, 4), max_size=6)),
        ))  # fmt: skip
    left = draw(st.integers(0, length - 1))
    return rows, edits, left, draw(st.integers(1, length + 5))


@given(rows_and_edits())
def test_apply_is_its_twin(case):
    rows, edits, left, length = case
    found = apply(rows, table(rows, edits), left=left, length=length)
    assert found.shape == (len(edits), length)
    expected = [edited_window(rows[r], s, k, w, left, length) for r, s, k, w in edits]
    assert found.tolist() == expected


@given(rows_and_edits())
def test_identity_edits_change_nothing(case):
    rows, edits, left, length = case
    same = [(r, s, k, rows[r, s : s + k]) for r, s, k, _ in edits]
    found = apply(rows, table(rows, same), left=left, length=length)
    assert (found == window(rows, left, length)[[r for r, *_ in same]]).all()


@given(rows_and_edits(), st.integers(1, 4))
def test_blocks_are_the_table_in_parts(case, size):
    rows, edits, left, length = case
    whole = table(rows, edits)
    parts = [apply(rows, part, left=left, length=length) for part in whole.blocks(size)]
    assert np.concatenate([apply(rows, whole[:0], left=left, length=length), *parts]).tolist() == (
        apply(rows, whole, left=left, length=length).tolist()
    )


def test_substitutions_are_every_change_once():
    rows = np.random.default_rng(0).integers(0, 5, (4, 9)).astype(np.uint8)
    edits = Edits.substitutions(rows, 2, 7)
    found = zip(edits.row.tolist(), edits.start.tolist(), edits.inserted.tolist())
    assert [*found] == all_substitutions(rows.tolist(), 2, 7)


def test_point_edits_outside_the_window_are_not_seen():
    rows = np.zeros((1, 8), np.uint8)
    edits = Edits.point(np.array([0, 0]), np.array([1, 6]), np.array([3, 3], np.uint8))
    assert (apply(rows, edits, left=2, length=4) == 0).all()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ((0, 9, 0, []), "edit 0 removes 0 bases at position 9; the row holds 8"),
        ((0, 6, 3, []), "edit 0 removes 3 bases at position 6; the row holds 8"),
        ((0, -1, 1, [2]), "position -1"),
        ((2, 0, 1, [2]), "edit 0 names row 2 of 1"),
    ],
)
def test_edits_outside_their_row_are_refused(edit, words):
    rows = np.zeros((1, 8), np.uint8)
    with pytest.raises(OptionError, match=words):
        apply(rows, table(rows, [edit]))


def test_tables_of_other_shapes_or_types_are_refused():
    good = table(None, [(0, 1, 1, [2]), (0, 2, 1, [])])
    with pytest.raises(ShapeError, match="start has shape"):
        Edits(good.row, good.start[:1], good.removed, good.inserted, good.offsets)
    with pytest.raises(DTypeError, match="int32; expected int64"):
        Edits(good.row.astype(np.int32), good.start, good.removed, good.inserted, good.offsets)
    with pytest.raises(ShapeError, match="offsets run from 0 to 1; expected 0 to 0"):
        Edits(good.row, good.start, good.removed, good.inserted[:0], good.offsets)
    with pytest.raises(OptionError, match="step 1"):
        good[::2]
