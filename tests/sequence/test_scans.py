from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import OptionError
from fastseq.sequence import scans
from fastseq.sequence.edits import Edits, apply
from fastseq.sequence.encode import encode
from tests.reference.mutants import edited, table

CODES = encode(["ACGTNACGTT", "GGGATTACAC"])


def texts(codes):
    return ["".join("ACGTN"[code] for code in row) for row in codes]


@given(st.integers(1, 4), st.integers(0, 5), st.integers(6, 10))
def test_deletions_and_insertions_are_all_there_once(bases, start, end):
    start = min(start, end - bases)
    deleted = table(scans.deletions(CODES, bases, start=start, end=end))
    assert deleted == [(r, p, bases, "") for r in range(2) for p in range(start, end - bases + 1)]
    put = table(scans.insertions(CODES, ["GATA", "C"], start=start, end=end))
    assert put == [(r, p, 0, w) for r in range(2) for p in range(start, end) for w in ("GATA", "C")]


def test_words_are_written_where_they_fit():
    written = table(scans.placements(CODES, ["GATA", "CC"], start=2, end=7))
    assert written == [
        (r, p, len(w), w) for r in range(2) for w in ("GATA", "CC") for p in range(2, 8 - len(w))
    ]


def test_ablations_make_bases_unknown():
    assert table(scans.ablations(CODES, 4, step=3)) == [
        (r, p, 4, "NNNN") for r in range(2) for p in (0, 3, 6)
    ]


def test_shuffles_keep_letters_and_do_not_depend_on_the_batch():
    edits = scans.shuffles(CODES, 6, 5, k=1, step=2)
    for row, start, removed, word in table(edits):
        old = texts(CODES)[row][start : start + removed]
        assert Counter(old) == Counter(word)
    second = scans.shuffles(CODES[1:], 6, 5, k=1, step=2, row_offset=1)
    assert table(second.moved(rows=1)) == table(edits)[len(second) :]


@pytest.mark.parametrize("distance", [1, 4, 9])
def test_pairs_change_both_bases_and_none_between(distance):
    edits = scans.pairs(CODES, distance)
    seen = []
    for row, start, removed, word in table(edits):
        old = texts(CODES)[row][start : start + removed]
        assert word[1:-1] == old[1:-1]
        assert "N" not in (old[0], old[-1], word[0], word[-1])
        assert word[0] != old[0]
        assert word[-1] != old[-1]
        seen.append((row, start, word[0], word[-1]))
    known = [
        (r, p) for r, p in product(range(2), range(10 - distance))
        if "N" not in (texts(CODES)[r][p], texts(CODES)[r][p + distance])
    ]  # fmt: skip
    assert len(seen) == len(set(seen)) == 9 * len(known)


@given(st.data())
def test_tables_apply_as_strings_do(data):
    margin = data.draw(st.integers(0, 3))
    rows = data.draw(st.lists(st.tuples(
        st.integers(0, 1), st.integers(0, 10), st.integers(0, 10), st.text("ACGTN", max_size=12)
    ), min_size=1, max_size=8))  # fmt: skip
    rows = [(row, start, min(removed, 10 - start), word) for row, start, removed, word in rows]
    edits = Edits.of_words(*zip(*rows))
    assert table(edits) == rows
    mutants = apply(CODES, edits, left=margin, length=10 - 2 * margin)
    expected = [edited(texts(CODES)[row], *edit, margin=margin) for row, *edit in rows]
    assert texts(mutants) == expected
    order = data.draw(st.permutations(range(len(rows))))
    assert table(edits.take(np.array(order))) == [rows[i] for i in order]
    halves = Edits.concatenate([edits[:2], edits[2:]])
    assert table(halves) == rows


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("substitutions", 31 + 30),
        ("deletions", 20),
        ("deletions:3", 16),
        ("insertions:GATA,T", 40),
        ("motifs:GATA", 14),
        ("ablations:4", 14),
        ("shuffles:5x3", 36),
        ("shuffles:5", 120),
    ],
)
def test_a_word_names_a_source(text, count):
    assert len(scans.read_source(text, CODES)) == count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delete:3", "expected substitutions, deletions:BP"),
        ("deletions:x", "'x' is no number above 0"),
        ("deletions:0", "'0' is no number above 0"),
        ("shuffles:5x", None),
        ("deletions:11", "11 bp do not fit into positions 0 to 10 of 10 bp"),
        ("insertions:", "expected substitutions"),
        ("motifs:,", "none empty"),
    ],
)
def test_other_words_are_refused(text, said):
    if said is None:
        assert len(scans.read_source(text, CODES)) == 120
        return
    with pytest.raises(OptionError, match=said):
        scans.read_source(text, CODES)
