import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import fastseq
from fastseq.learn import metrics
from fastseq.learn.ensemble import fit_ensemble
from fastseq.learn.subsets import FILES
from tests.cli.conftest import one_line, parsed


@pytest.fixture
def challenge(run, table):
    """Return a file of subsets by position, for a table whose row i has position 100 - i."""
    frame = pd.read_csv(table, sep="\t")
    frame["pos"] = 100 - frame["row"]
    frame.drop(columns="row").to_csv("t.tsv", sep="\t", index=False)
    high = list(range(41, 101))
    pairs = [[100 - i, 96 - i] for i in range(0, 48, 2)]
    subsets = {"all": high, "native": high[:30], "SNVs": pairs, "high": [1, 2, 3]}
    path = Path("subsets.json")
    path.write_text(json.dumps({"subsets": {"val": subsets, "test": {}}}))
    return path


@pytest.fixture
def common(model, challenge):
    columns = ["--target-column", "gc", "--fold", "all"]
    return ["evaluate", "-m", model, "--data", "t.tsv", *columns, "--subsets", challenge, "-q"]


def test_subsets_are_judged_as_the_library_judges_them(run, common, model):
    found = parsed(run(*common, "--json", "--bootstrap", 50))["challenge"]
    frame = pd.read_csv("t.tsv", sep="\t")
    y_hat = fastseq.predict(str(model), frame["seq"].tolist())
    rows = np.arange(60)
    pairs = np.array([[i, i + 4] for i in range(0, 48, 2)])
    subsets = {"all": rows, "native": rows[-30:], "SNVs": pairs}
    expected = fastseq.dream_score(frame["gc"].to_numpy(), y_hat, subsets)
    assert found["pearson_score"] == pytest.approx(expected.pearson, rel=1e-6)
    assert found["spearman_score"] == pytest.approx(expected.spearman, rel=1e-6)
    assert found["subsets"]["SNVs"]["n"] == 24
    assert found["missing"] == list(expected.missing)
    assert "high" in found["missing"]  # its promoters are not among the rows
    low, high = found["bootstrap"]["pearson"]
    assert 0 <= low <= high <= 1


def test_subsets_are_printed_as_a_table(run, common):
    lines = [line.split("\t") for line in run(*common, "--bootstrap", 20).stdout.splitlines()]
    start = lines.index(["subset", "n", "weight", "r", "r2", "rho"])
    assert [line[0] for line in lines[start + 1 :]] == [
        "all", "native", "SNVs", "pearson_score", "spearman_score", "missing",
    ]  # fmt: skip
    assert lines[start + 3][1] == "24"
    assert lines[start + 4][2].startswith("draws ")
    assert lines[-1][1].endswith("(weights renormalised)")


def test_positions_are_row_numbers_where_no_column_says_else(run, common):
    frame = pd.read_csv("t.tsv", sep="\t")
    frame.drop(columns="pos").assign(at=np.arange(60)).to_csv("t.tsv", sep="\t", index=False)
    by_row = parsed(run(*common, "--json"))["challenge"]
    assert by_row["subsets"]["all"]["n"] == 19  # positions 41 to 59
    assert parsed(run(*common, "--json", "--position-column", "at"))["challenge"] == by_row


def test_the_published_folder_leaves_out_what_was_public(run, common):
    for folder in ("test_subset_ids", "public_leaderboard_ids"):
        Path("published", folder).mkdir(parents=True)
    for name, (table, shown) in FILES.items():
        pairs = name in ("SNVs", "motif_perturbation", "motif_tiling")
        text = "alt_pos,ref_pos\n99,98\n97,96\n95,94\n" if pairs else "pos\n100\n99\n90\n3\n"
        Path("published/test_subset_ids", table).write_text(text)
        keys = {"95,94": 0} if pairs else {"90": 0}
        Path("published/public_leaderboard_ids", shown).write_text(json.dumps(keys))
    found = parsed(run(*common, "--subsets", "published", "--json"))["challenge"]
    sizes = {name: figures["n"] for name, figures in found["subsets"].items()}
    # of 60 rows those at 90, 95 and 94 were public; position 3 is no row of the table
    assert sizes == {"all": 57} | dict.fromkeys(FILES, 2)
    assert found["missing"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--position-column", "place"], "no column 'place'"),
        (["--position-column", "gc"], "no whole numbers"),
        (["--subsets", "absent"], "there is no absent"),
        (["--subsets", "t.tsv"], "expected JSON of subsets"),
        (["--fold", "train"], "no fold 'train'"),
    ],
)
def test_subsets_that_cannot_be_read(run, common, options, message):
    assert message in one_line(run(*common, *options))


def test_options_of_subsets_need_subsets(run, model, table):
    for options in (["--bootstrap", 9], ["--position-column", "row"]):
        assert run("evaluate", "-m", model, "--data", table, *options).exit_code == 2


@pytest.fixture
def other(tmp_path):
    """Return the path of another small checkpoint for 40 bp."""
    torch.manual_seed(1)
    return fastseq.models.save(
        fastseq.models.build("tum_cnn", length=40), tmp_path / "o.safetensors"
    )


def test_a_regressor_is_judged_as_a_classifier(run, common, model):
    found = parsed(run(*common, "--threshold", 0.5, "--json"))
    frame = pd.read_csv("t.tsv", sep="\t")
    y_hat, active = fastseq.predict(str(model), frame["seq"].tolist()), frame["gc"] >= 0.5
    assert found["accuracy"] == pytest.approx(((y_hat >= 0.5) == active).mean())
    assert found["auroc"] == pytest.approx(metrics.auroc(active.to_numpy(), y_hat))
    assert {"pearson", "r2", "auprc"} <= found.keys()


def test_answers_are_averaged_over_shifts(run, common, model):
    found = parsed(run(*common, "--shifts=-2,0,2", "--strands", "both", "--json"))
    frame = pd.read_csv("t.tsv", sep="\t")
    y_hat = fastseq.predict(
        str(model), frame["seq"].tolist(), shifts=(-2, 0, 2), strands="both", progress=False
    )
    assert found["mse"] == pytest.approx(metrics.mse(frame["gc"].to_numpy(), y_hat))


def test_models_are_ranked_correlated_and_combined(run, common, model, other):
    frame = pd.read_csv("t.tsv", sep="\t")
    frame["fold"] = np.where(np.arange(len(frame)) % 2, "val", "test")
    frame.to_csv("t.tsv", sep="\t", index=False)
    options = [option for option in common if option not in ("--fold", "all")]
    arguments = (*options, "-m", other, "--each", "--bootstrap", 20)
    found = parsed(run(*arguments, "--fit-on", "val", "--fold", "test", "--json"))["each"]
    names = [str(model), str(other), "regression", "mean"]
    assert list(found["models"]) == names
    ranks = [figures["pearson_rank"] for figures in found["models"].values()]
    assert sum(ranks) == pytest.approx(10)
    shares = np.array(found["bootstrap"]["pearson"]["shares"])
    np.testing.assert_allclose(shares.sum(1), 1)
    assert np.array(found["bootstrap"]["spearman"]["scores"]).shape == (3, 4)
    assert [list(by) for by in found["subsets"].values()] == [["all"]] * 4
    seqs, fit = frame["seq"].tolist(), (frame["fold"] == "val").to_numpy()
    apart = {name: fastseq.predict(name, seqs) for name in names[:2]}
    weights = fit_ensemble(
        frame["gc"].to_numpy()[fit], {name: values[fit] for name, values in apart.items()}
    )
    assert found["weights"]["intercept"] == pytest.approx(weights.intercept, rel=1e-4)
    assert found["correlations"]["names"] == names
    matrix = np.array(found["correlations"]["pearson"])
    one, two = (values[~fit] for values in apart.values())
    assert matrix[0, 1] == pytest.approx(np.corrcoef(one, two)[0, 1], abs=1e-6)
    lines = run(*arguments, "--fit-on", "val", "-o", "y.tsv").stdout.splitlines()
    assert set(pd.read_csv("y.tsv", sep="\t")["fold"]) == {"test"}
    assert any(line.startswith("correlation\t") for line in lines)
    assert any(line.startswith("weight of intercept\t") for line in lines)


def test_rows_that_cannot_be_judged_are_counted_and_named(run, common):
    frame = pd.read_csv("t.tsv", sep="\t")
    frame.loc[[3, 5], "gc"] = np.nan
    frame.loc[7, "seq"] = "AC!T"
    frame.to_csv("t.tsv", sep="\t", index=False)
    options = [option for option in common if option != "-q"]
    message = one_line(run(*common))
    assert "1 of 60 rows have an unreadable sequence: row 7" in message
    assert "2 of 60 rows have no finite gc: row 3, 5 (--bad-rows drop leaves them out)" in message
    done = run(*options, "--bad-rows", "drop", "--json")
    assert json.loads(done.stdout)["rows"] == 57
    assert "left out: 2 of 60 rows" in done.stderr


def test_folds_that_cannot_judge_are_refused(run, common):
    frame = pd.read_csv("t.tsv", sep="\t")
    frame["fold"] = "val"
    frame.to_csv("t.tsv", sep="\t", index=False)
    options = [option for option in common if option not in ("--fold", "all")]
    assert "there is val" in one_line(run(*options, "--fold", "test"))
    assert "cannot both fit" in one_line(
        run(*options, "--each", "--fit-on", "val", "--fold", "val")
    )
    assert run(*options, "--fit-on", "val").exit_code == 2
