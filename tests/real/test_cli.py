"""The journey on real promoters and yeast variants, from the command line."""

import gzip
import itertools
import json

import pandas as pd
import pytest
from click.testing import CliRunner

from fastseq.cli.main import main
from fastseq.io.maps import read_maps

ROWS = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def call(folder):
    def run(*arguments):
        return CliRunner().invoke(main, [str(part) for part in arguments])

    return run


@pytest.fixture(scope="module")
def promoters(real_data, folder):
    """Every seventeenth measured promoter, both folds."""
    path = folder / "promoters.tsv"
    with gzip.open(real_data / "dream" / "dream_mini.tsv.gz", "rt") as whole:
        head, *lines = itertools.islice(whole, 0, 17 * ROWS, 17)
        path.write_text(head + "".join(lines))
    return path


@pytest.fixture(scope="module")
def model(call, promoters, folder):
    path = folder / "model.safetensors"
    result = call(
        "train", "--data", promoters, "--model", "tum_cnn", "--sequence-column", "seq",
        "--target-column", "maude_expr", "--fold-column", "fold", "--epochs", 4,
        "--batch-size", 64, "--size", "channels=16", "-o", path,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "17 + 13 bp" in result.stderr
    return path


def test_a_promoter_model_learns(call, model, promoters):
    result = call("evaluate", "-m", model, "--data", promoters, "--sequence-column", "seq",
                  "--target-column", "maude_expr", "--fold", "val", "--json")  # fmt: skip
    assert json.loads(result.stdout)["pearson"] > 0.2


def test_held_out_promoters_are_predicted_and_mutated_between_their_flanks(
    call, model, promoters, folder
):
    held = folder / "held.tsv"
    table = pd.read_csv(promoters, sep="\t")
    table[table["fold"] == "val"].head(4).to_csv(held, sep="\t", index=False)
    assert call("predict", "-m", model, held, "-o", folder / "y.tsv").exit_code == 0
    assert len(pd.read_csv(folder / "y.tsv", sep="\t")) == 4
    assert call("ism", "-m", model, held, "-o", folder / "ism.npz").exit_code == 0
    maps = read_maps(folder / "ism.npz")
    assert (maps.start, maps.values.shape) == (17, (4, 1, 4, 80))


def test_yeast_variants_are_scored_inside_the_construct(call, model, real_data, folder):
    yeast = real_data / "yeast"
    result = call(
        "score", "-q", "-m", model, "--vcf", yeast / "sacCer3_sample_variants.vcf.gz",
        "--fasta", yeast / "sacCer3.fa.gz", "--regions", "chrI:1-40000", "-o", folder / "yeast.tsv",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    # the header names chromosome1, the records chrI: one warning and no more
    assert len(result.stderr.splitlines()) == 1
    assert "header" in result.stderr
    scores = pd.read_csv(folder / "yeast.tsv", sep="\t")
    assert len(scores) > 100
    assert (scores["status"] == "ok").mean() > 0.99
    assert scores.loc[scores["status"] == "ok", "diff"].abs().max() > 0
    done = call("report", model, folder / "yeast.tsv", "-o", folder / "report.html")
    assert done.exit_code == 0, done.stderr


def test_human_variants_against_yeast_stop_with_both_lists_and_the_mend(call, model, real_data):
    vcf = real_data / "human" / "1000G_hg38_chr21-22_AF0.3_sites.plaingzip.vcf.gz"
    genome = real_data / "yeast" / "sacCer3.fa.gz"
    result = call("score", "-q", "-m", model, "--vcf", vcf, "--fasta", genome)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "chrI" in line
    assert "22" in line or "21" in line
    assert "--contig-map" in line
