"""Rows are read from anywhere; what cannot be learned from is counted and named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import (
    DTypeError,
    LengthError,
    OptionError,
    SequenceError,
    ShapeError,
    TableError,
    TargetError,
)
from fastseq.io.tables import read_sequences
from fastseq.learn import dataset
from fastseq.sequence.encode import encode

SEQS = ["ACGT", "ACGN", "TTTT", "CCCC"]


def test_pairs_tables_and_tasks_give_the_same_rows():
    y = [1.0, 2.0, 3.0, 4.0]
    task = type("Task", (), {"codes": encode(SEQS), "labels": np.array(y), "split": ["train"] * 4})
    for data in ((SEQS, y), pd.DataFrame({"seq": SEQS, "expression": y}), task):
        rows = dataset.read(data)
        np.testing.assert_array_equal(rows.codes, encode(SEQS))
        np.testing.assert_array_equal(rows.targets, np.array(y, np.float32)[:, None])


def test_bad_rows_are_counted_and_named():
    seqs = ["ACGT", "AC!T", "", None, "ACGT"]
    y = [1, 2, 3, 4, "high"]
    with pytest.raises(TargetError) as caught:
        dataset.read((seqs, y))
    assert str(caught.value) == (
        "3 of 5 rows have an unreadable sequence: row 1, 2, 3; 1 of 5 rows have a target that is "
        "no finite number: row 4 (bad_rows='drop', or --bad-rows drop, leaves them out)"
    )
    rows = dataset.read((seqs, y), bad_rows="drop")
    assert len(rows) == 1
    assert rows.dropped.startswith("3 of 5 rows")


def test_lengths_differ_only_where_padding_is_asked_for():
    y = [1.0, 2.0, 3.0]
    for seqs in (["ACGT", "AC", "ACG"], np.array(["ACGT", "AC", "ACG"])):
        with pytest.raises(LengthError, match=r"row 1 is 2 bp long, row 0 is 4 bp \(2 to 4 bp"):
            dataset.read((seqs, y))
        assert dataset.read((seqs, y), pad=True).codes[1].tolist() == [0, 1, 4, 4]


def test_files_as_the_challenge_published_them_have_no_header(tmp_path):
    path = tmp_path / "train_sequences.txt"
    path.write_text("TGCATTTTTT\t15.18\nTGCATTTTNC\t12\nTGCATTTT\t11\n")
    rows = dataset.read(path, pad=True)
    assert (rows.codes.shape, rows.targets[:, 0].tolist()) == ((3, 10), [np.float32(15.18), 12, 11])
    assert read_sequences(path) == (list("012"), ["TGCATTTTTT", "TGCATTTTNC", "TGCATTTT"])
    path.write_text("TGCATTTTTT\t15.18\tlow\n")
    with pytest.raises(TableError, match="no header line"):
        read_sequences(path)


def test_letters_and_codes_in_arrays_are_read_or_refused():
    letters = np.frombuffer(b"ACGTAC-ZACGT", np.uint8).reshape(3, 4)
    with pytest.raises(SequenceError, match="row 1 has 'Z' at position 3"):
        dataset.read((letters, [1.0, 2.0, 3.0]))
    with pytest.raises(DTypeError, match="up to 9; expected codes"):
        dataset.read((np.full((3, 4), 9, np.uint8), [1.0, 2.0, 3.0]))
    assert dataset.read((["A-G.", "RYSW"], [1.0, 2.0])).codes.tolist() == [[0, 4, 2, 4], [4] * 4]


def test_more_than_five_bad_rows_are_cut_short():
    with pytest.raises(TargetError, match=r"9 of 9 rows .*: row 0, 1, 2, 3, 4, \.\.\."):
        dataset.read((["ACGT"] * 9, [np.nan] * 9))


def test_wrong_columns_list_what_is_there():
    frame = pd.DataFrame({"dnas": SEQS, "level": 1.0})
    with pytest.raises(TableError, match=r"the table has dnas, level \(name yours with sequence="):
        dataset.read(frame)
    with pytest.raises(TableError, match="no column 'strength'; it has dnas, level"):
        dataset.read(frame, sequence="dnas", targets="strength")


def test_nothing_left_and_nothing_that_fits():
    with pytest.raises(TableError, match="no row"):
        dataset.read((["!"], [1.0]), bad_rows="drop")
    with pytest.raises(ShapeError, match="4 sequences have 2 targets"):
        dataset.read((SEQS, [1.0, 2.0]))
    with pytest.raises(OptionError, match="cannot train on a dict"):
        dataset.read({"a": 1})


@given(st.integers(20, 200), st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_share_is_drawn_by_seed_and_keeps_clusters_together(n, share, seed):
    cluster = np.arange(n) // 3
    rows = dataset.Labelled(np.zeros((n, 4), np.uint8), np.zeros((n, 1)), cluster=cluster)
    _, train, val = dataset.split(rows, share, seed=seed)
    assert sorted([*train, *val]) == list(range(n))
    assert not set(cluster[train]) & set(cluster[val])
    assert abs(len(val) - share * n) <= 3
    np.testing.assert_array_equal(val, dataset.split(rows, share, seed=seed)[2])


def test_ways_to_say_which_rows_validate():
    n = 100
    fold = np.array(["train"] * 70 + ["val"] * 20 + ["test"] * 10)
    rows = dataset.Labelled(np.zeros((n, 4), np.uint8), np.zeros((n, 1)), fold=fold)
    assert [len(part) for part in dataset.split(rows)[1:]] == [70, 20]
    assert [len(part) for part in dataset.split(rows, fold == "test")[1:]] == [90, 10]
    assert [len(part) for part in dataset.split(rows, "random:.7/.3")[1:]] == [70, 30]
    apart = (np.zeros((5, 4), np.uint8), np.zeros(5))
    both, train, val = dataset.split(rows, apart)
    assert (len(both), len(train), val.tolist()) == (105, 100, [100, 101, 102, 103, 104])
    with pytest.raises(ShapeError, match="validation sequences have 6 bp"):
        dataset.split(rows, (np.zeros((5, 6), np.uint8), np.zeros(5)))
    with pytest.raises(OptionError, match="expected some of both"):
        dataset.split(rows, np.full(n, "train"))
    for share in (0.0, 1.5, "random:7"):
        with pytest.raises(OptionError, match="expected"):
            dataset.split(rows, share)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 9))
def test_flanks_are_the_ends_that_all_rows_share(left, right, seed):
    codes = np.random.default_rng(seed).integers(0, 4, (64, 20), dtype=np.uint8)
    codes[:, :left], codes[:, 20 - right :] = codes[0, :left], codes[0, 20 - right :]
    codes[1, left], codes[1, 19 - right] = (codes[0, [left, 19 - right]] + 1) % 4
    found = dataset.constant_flanks(codes)
    assert tuple(map(len, found)) == (left, right)


def test_flanks_of_few_rows_and_of_copies_are_not_believed():
    assert dataset.constant_flanks(np.zeros((31, 8), np.uint8)) == ("", "")
    assert dataset.constant_flanks(np.zeros((99, 8), np.uint8)) == ("", "")
    assert dataset.constant_flanks(np.full((99, 8), 4, np.uint8)) == ("", "")
