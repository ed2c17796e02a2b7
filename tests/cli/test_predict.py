from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.cli import predict
from fastseq.io.results import read_results
from tests.cli.conftest import one_line, parsed


@pytest.fixture
def parts(run, model, fasta, monkeypatch):
    """Return the arguments that fill a folder with the predictions of 12 rows, 5 in a part."""
    monkeypatch.setattr(predict, "PART", 5)
    arguments = ["predict", "-m", model, fasta, "-o", "y/"]
    assert parsed(run(*arguments, "--json"))["rows"] == 12
    return arguments


def test_parts_are_the_table_at_once_and_export_makes_it_one(run, parts, model, sequences):
    assert len(list(Path("y").glob("part-*.parquet"))) == 3
    found = read_results("y")
    np.testing.assert_allclose(found["y_hat"], fastseq.predict(str(model), sequences), rtol=1e-6)
    assert "12 rows are in y.tsv" in run("export", "y", "y.tsv").stderr
    assert pd.read_csv("y.tsv", sep="\t")["name"].tolist() == [f"s{i}" for i in range(12)]


def test_a_folder_is_gone_on_with_to_the_same_bytes(run, parts):
    last = Path("y/part-00002.parquet")
    whole = last.read_bytes()
    last.unlink()
    assert "--resume" in one_line(run(*parts))
    assert "another run" in one_line(run(*parts, "--resume", "--strands", "both"))
    assert run(*parts, "--resume").exit_code == 0
    assert last.read_bytes() == whole


def test_only_folders_are_resumed(run, model, fasta):
    told = one_line(run("predict", "-m", model, fasta, "-o", "y.tsv", "--resume"))
    assert "--resume goes on with a folder; found y.tsv" in told
