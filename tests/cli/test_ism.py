import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.io.map_shards import read_shards
from fastseq.io.maps import read_maps
from tests.cli.conftest import one_line, parsed


@pytest.fixture
def many(tmp_path):
    """Return lines of 70 sequences of 40 bp."""
    codes = np.random.default_rng(5).integers(0, 5, (70, 40)).astype(np.uint8)
    (tmp_path / "many.txt").write_text("\n".join(fastseq.decode(codes)) + "\n")
    return tmp_path / "many.txt"


@pytest.mark.parametrize("engine", ["auto", "incremental", "full"])
def test_every_engine_gives_the_same_map(run, model, fasta, sequences, engine):
    done = run("ism", "-m", model, fasta, "-o", "y.npz", "--rows", 2, "--engine", engine)
    assert done.exit_code == 0, done.stderr
    expected = fastseq.saturation_mutagenesis(str(model), sequences[:2])
    np.testing.assert_allclose(read_maps("y.npz").values, expected.effect, rtol=1e-4, atol=1e-6)


def test_explain_tells_the_engine_and_runs_nothing(run, model):
    plan = fastseq.lower(str(model))
    told = run("ism", "-m", model, "--explain").stdout
    assert told.startswith(plan.explain_ism() + "\nmeasured here: 120 edits of a sequence in ")
    assert told.endswith("x\n")
    assert "ms in full, in " in told
    part = run("ism", "-m", model, "absent.fa", "--explain", "--start", 5, "--end", 9)
    assert part.stdout.startswith(plan.explain_ism(12) + "\nmeasured here: 12 edits")
    both = run("ism", "-m", model, "-m", model, "--explain").stdout
    assert both.count(f"{model}:\n120 edits a sequence") == 2


def test_sequences_are_needed_to_run(run, model):
    result = run("ism", "-m", model)
    assert result.exit_code == 2
    assert "SEQUENCES" in result.stderr


@pytest.mark.parametrize("name", ["maps/", "maps.zarr"])
@pytest.mark.parametrize(
    "verb",
    [
        ["ism"],
        ["attribute", "--method", "integrated_gradients", "--baselines", "shuffle", "--n", 2],
    ],
)
def test_shards_are_the_maps_at_once(run, model, many, verb, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    assert run(*verb, "-m", model, many, "-o", "whole.npz").exit_code == 0
    into = [*verb, "-m", model, many, "--shard", 64, "-o", name]
    done = run(*into)
    assert done.exit_code == 0, done.stderr
    whole, parts = read_maps("whole.npz"), read_shards(name)
    assert parts.names == whole.names
    np.testing.assert_array_equal(parts.values, whole.values)
    assert "already holds a run" in one_line(run(*into))
    assert run(*into, "--resume").exit_code == 0
    other = one_line(run(*into, "--resume", "--rows", 7))
    assert "holds another run; sequences, rows differ" in other
    strands = one_line(run(*into, "--resume", "--strands", "both"))
    assert "holds another run; strands differ" in strands
    assert "a multiple of 64" in one_line(run(*into[:-4], "--shard", 5, "-o", "other/"))


@pytest.mark.parametrize("verb", [["ism"], ["attribute", "--task", "y"]])
def test_json_says_what_was_written(run, model, fasta, verb):
    call = [*verb, "-m", model, fasta, "-q", "--json", "-o"]
    method = "ism" if verb == ["ism"] else "saliency"
    common = {"verb": verb[0], "sequences": 12, "length": 40, "method": method, "tasks": ["y"]}
    for output, more in (
        ("m.npz", {}), ("m/", {"shards": 1}), ("m.tsv", {"rows": 1440 if verb == ["ism"] else 480})
    ):  # fmt: skip
        told = parsed(run(*call, output))
        assert told.pop("seconds") > 0
        (ran,) = told.pop("models")
        assert (ran["model"], ran["precision"]) == (str(model), "float32")
        assert told == {**common, "output": output, **more}
    assert "share standard output" in run(*call, "-").stderr


def test_json_says_which_edits_were_made_and_which_engine_would(run, model, fasta):
    call = ["ism", "-m", model, fasta, "-q", "--json"]
    told = parsed(run(*call, "--edits", "deletions:39", "-o", "d.tsv"))
    assert (told["edits"], told["sequences"], told["rows"]) == ("deletions:39", 12, 24)
    (plan,) = parsed(run(*call, "--explain"))["models"]
    assert "\n".join(plan["explanation"][:-1]) == fastseq.lower(str(model)).explain_ism()
    both = parsed(run("attribute", *call[1:], "--modisco", "m", "-o", "a.npz"))
    assert both["modisco"] == "m"


@pytest.mark.parametrize(("option", "found"), [
    (["-o", "maps/"], "-o maps/"), (["-o", "m.zarr"], "-o m.zarr"), (["--resume"], "--resume"),
])  # fmt: skip
def test_tables_of_edits_are_no_shards(run, model, fasta, option, found):
    told = one_line(run("ism", "-m", model, fasta, "--edits", "deletions", *option))
    assert told == f"--edits deletions makes a table, written at the end; found {found}"


@pytest.mark.parametrize("verb", ["ism", "attribute"])
def test_single_files_cannot_be_resumed(run, model, fasta, verb):
    told = one_line(run(verb, "-m", model, fasta, "-o", "m.npz", "--resume"))
    assert told == "--resume goes on with a folder or a .zarr group; found m.npz"


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


@pytest.mark.parametrize("output", ["a.npz", "a/", "a.zarr"])
def test_maps_for_modisco_stand_beside_the_others(run, model, many, output):
    if output == "a.zarr":
        pytest.importorskip("zarr")
    done = run("attribute", "-m", model, many, "--shard", 64, "--modisco", "m", "-o", output)
    assert done.exit_code == 0, done.stderr
    codes = fastseq.encode(many.read_text().split())
    shap, hot = np.load("m/shap.npz")["arr_0"], np.load("m/ohe.npz")["arr_0"]
    expected = fastseq.attribute(str(model), codes)
    np.testing.assert_array_equal(shap, expected.hypothetical)
    np.testing.assert_array_equal(hot, fastseq.one_hot(codes, dtype="float32"))
    assert shap.dtype == hot.dtype == np.float32
