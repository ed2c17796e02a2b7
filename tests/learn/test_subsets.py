"""The challenge's files become row numbers, the public entries left out as the evaluator does."""

import gzip
import json

import numpy as np
import pytest

from fastseq.errors import FormatError, MissingFileError, TableError
from fastseq.learn.subsets import FILES, read_subsets


@pytest.fixture
def published(tmp_path):
    """Six rows; promoters 1, 2, 3 and the pair (4, 5) stand in every file, 2 and (4, 5) public."""
    for folder in ("test_subset_ids", "public_leaderboard_ids"):
        (tmp_path / folder).mkdir()
    for name, (table, shown) in FILES.items():
        pairs = name in ("SNVs", "motif_perturbation", "motif_tiling")
        text = "alt_pos,ref_pos\n4,5\n4,5\n5,4\n2,1\n" if pairs else "pos,x\n1,a\n3,a\n2,b\n2,c\n"
        (tmp_path / "test_subset_ids" / table).write_text(text)
        keys = {"4,5": 0} if pairs else {"2": 0}
        (tmp_path / "public_leaderboard_ids" / shown).write_text(json.dumps(keys))
    return tmp_path


def test_private_entries_of_the_published_files(published):
    found = read_subsets(published, rows=6)
    assert found["high"].tolist() == [1, 3]
    # a pair falls out only when this very pair was public
    assert found["SNVs"].tolist() == [[2, 1], [5, 4]]
    assert found["all"].tolist() == [0, 1, 3]
    everything = read_subsets(published, rows=6, private=False)
    assert everything["high"].tolist() == [1, 2, 3]
    assert everything["SNVs"].tolist() == [[2, 1], [4, 5], [5, 4]]
    assert len(everything["all"]) == 6


def test_positions_become_rows_and_strangers_fall_out(tmp_path):
    content = {"subsets": {"val": {"high": [10, 30, 20], "SNVs": [[10, 20], [10, 99]], "low": []}}}
    path = tmp_path / "s.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    found = read_subsets(path, positions=np.array([30, 10, 5]))
    assert found["high"].tolist() == [1, 0]
    assert found["SNVs"].tolist() == found["low"].tolist() == []
    with pytest.raises(TableError, match="no fold 'test'; it has val"):
        read_subsets(path, fold="test")


def test_files_that_are_not_what_they_should_be(tmp_path, published):
    with pytest.raises(MissingFileError, match="there is no"):
        read_subsets(tmp_path / "nowhere")
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(FormatError, match="expected JSON of subsets"):
        read_subsets(tmp_path / "x.json")
    (published / "test_subset_ids" / "yeast_seqs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="expected a column pos"):
        read_subsets(published)
