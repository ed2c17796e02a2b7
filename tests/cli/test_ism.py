import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.cli.shared import given
from fastseq.io import map_shards
from fastseq.io.map_shards import read_shards
from fastseq.io.maps import read_maps


@pytest.mark.parametrize("engine", ["auto", "incremental", "full"])
def test_every_engine_gives_the_same_map(run, model, fasta, sequences, engine):
    done = run("ism", "-m", model, fasta, "-o", "y.npz", "--rows", 2, "--engine", engine)
    assert done.exit_code == 0, done.stderr
    expected = fastseq.saturation_mutagenesis(str(model), sequences[:2])
    np.testing.assert_allclose(read_maps("y.npz").values, expected.effect, rtol=1e-4, atol=1e-6)


def test_explain_tells_the_engine_and_runs_nothing(run, model):
    plan = fastseq.lower(str(model))
    assert run("ism", "-m", model, "--explain").stdout == plan.explain_ism() + "\n"
    part = run("ism", "-m", model, "absent.fa", "--explain", "--start", 5, "--end", 9)
    assert part.stdout == plan.explain_ism(12) + "\n"
    both = run("ism", "-m", model, "-m", model, "--explain").stdout
    assert both.count(f"{model}:\n120 edits a sequence") == 2


def test_sequences_are_needed_to_run(run, model):
    result = run("ism", "-m", model)
    assert result.exit_code == 2
    assert "SEQUENCES" in result.stderr


@pytest.mark.parametrize("name", ["maps/", "maps.zarr"])
@pytest.mark.parametrize(
    "verb", [["ism"], ["attribute", "--method", "integrated_gradients", "--baselines", "shuffle"]]
)
def test_shards_are_the_maps_at_once(run, model, fasta, verb, name, monkeypatch):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    assert run(*verb, "-m", model, fasta, "-o", "whole.npz").exit_code == 0
    monkeypatch.setattr(map_shards, "SHARD", 5)
    monkeypatch.setattr(given, "SHARD", 5)
    done = run(*verb, "-m", model, fasta, "-o", name)
    assert done.exit_code == 0, done.stderr
    whole, parts = read_maps("whole.npz"), read_shards(name)
    assert parts.names == whole.names
    np.testing.assert_allclose(parts.values, whole.values, rtol=1e-5, atol=1e-7)
    again = run(*verb, "-m", model, fasta, "-o", name)
    assert again.exit_code == 1
    assert "already holds a run" in again.stderr
    assert run(*verb, "-m", model, fasta, "-o", name, "--resume").exit_code == 0
    other = run(*verb, "-m", model, fasta, "-o", name, "--resume", "--rows", 7)
    assert "holds another run" in other.stderr


def test_regions_of_a_genome_are_explained(run, model, tmp_path):
    bases = fastseq.decode(np.random.default_rng(3).integers(0, 4, (1, 300), dtype=np.uint8))[0]
    (tmp_path / "g.fa").write_text(f">chr1\n{bases}\n")
    (tmp_path / "peaks.bed").write_text("chr1\t100\t160\nchr1\t280\t290\n")
    arguments = ["ism", "-m", model, "peaks.bed", "--fasta", "g.fa", "-o", "y.npz"]
    done = run(*arguments)
    assert done.exit_code == 0, done.stderr
    found = read_maps("y.npz")
    assert found.names == ("chr1:101-160", "chr1:281-290")
    expected = fastseq.saturation_mutagenesis(str(model), bases[110:150])
    np.testing.assert_allclose(found.values[:1], expected.effect, rtol=1e-4, atol=1e-6)
    assert (found.codes[1, 35:] == 4).all()
    assert "name it by --fasta" in run("ism", "-m", model, "peaks.bed").stderr
    assert "goes with a BED file" in run("ism", "-m", model, "g.fa", "--fasta", "g.fa").stderr


@pytest.mark.parametrize(
    "edits", ["deletions:3", "insertions:GATA", "motifs:TGACTCA", "shuffles:9x2"]
)
def test_other_edits_make_a_table(run, model, fasta, sequences, edits):
    done = run("ism", "-m", model, fasta, "--rows", 2, "--edits", edits, "-o", "e.tsv")
    assert done.exit_code == 0, done.stderr
    table = pd.read_csv("e.tsv", sep="\t", keep_default_na=False)
    expected = fastseq.perturb(str(model), sequences[:2], edits)
    np.testing.assert_allclose(table["effect"], expected.effect[:, 0], rtol=1e-4, atol=1e-6)
    assert table["alt"].tolist() == expected.columns()["alt"]
    assert set(table["name"]) == {"s0", "s1"}


def test_pairs_make_a_table_of_interactions(run, model, fasta, sequences):
    done = run("ism", "-m", model, fasta, "--rows", 1, "--edits", "pairs:2", "--start", 10,
               "--end", 15, "-o", "e.tsv")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    table = pd.read_csv("e.tsv", sep="\t")
    found = fastseq.epistasis(str(model), sequences[:1], start=10, end=15, max_distance=2)
    assert len(table) == 9 * (4 + 3)
    first = table.iloc[5]
    place = ["ACGT".index(first[f"alt_{i}"]) for i in (1, 2)]
    value = found.interaction[0, 0, first["pos_1"] - 10, place[0], first["pos_2"] - 10, place[1]]
    assert abs(first["interaction"] - value) < 1e-5
    assert (
        "makes a table" in run("ism", "-m", model, fasta, "--edits", "pairs", "-o", "e.npz").stderr
    )
    assert "expected substitutions" in run("ism", "-m", model, fasta, "--edits", "twists").stderr


def test_maps_for_modisco_stand_beside_the_table(run, model, fasta):
    done = run("attribute", "-m", model, fasta, "--modisco", "m", "-o", "a.npz")
    assert done.exit_code == 0, done.stderr
    assert np.load("m/shap.npz")["arr_0"].shape == (12, 4, 40)
