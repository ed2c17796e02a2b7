from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.io.map_shards import read_shards
from fastseq.io.maps import read_maps
from fastseq.io.results import read_results
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
    assert told.startswith(
        plan.explain_ism(measure=False) + "\nmeasured here: 120 edits of a sequence in "
    )
    assert told.endswith("x\n")
    assert "ms in full, in " in told
    part = run("ism", "-m", model, "absent.fa", "--explain", "--start", 5, "--end", 9)
    assert part.stdout.startswith(plan.explain_ism(12, measure=False) + "\nmeasured here: 12 edits")
    both = run("ism", "-m", model, "-m", model, "--explain").stdout
    assert both.count(f"{model}:\n120 edits a sequence") == 2


def test_explain_is_about_substitutions_of_a_span_that_is_there(run, model):
    assert "leave out --edits" in one_line(run("ism", "-m", model, "--explain", "--edits", "x"))
    told = one_line(run("ism", "-m", model, "--explain", "--start", 50))
    assert told == "--start 50 --end 40; the model takes 40 bp"


def test_one_task_is_kept(run, fasta):
    network = fastseq.models.build("tum_cnn", length=40, channels=8, tasks=2)
    fastseq.models.save(network, "two.safetensors")
    call = ["ism", "-m", "two.safetensors", fasta, "--task", "y1", "-o"]
    assert parsed(run(*call, "m.npz", "--json"))["tasks"] == ["y1"]
    assert run(*call, "d.tsv", "--edits", "deletions").exit_code == 0
    assert "effect" in pd.read_csv("d.tsv", sep="\t").columns
    assert "insertions" in one_line(run(*call, "-", "--edits", "insertions:")), "names the words"
    assert "word 'GAXA'" in one_line(run(*call, "-", "--edits", "insertions:GAXA"))


def test_bytes_are_no_table(run, model):
    Path("bytes.fa").write_bytes(b"\0\1\2" * 20)
    told = one_line(run("ism", "-m", model, "bytes.fa"))
    assert told == "bytes.fa: expected a TSV, CSV or Parquet table; found bytes"


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
    assert "\n".join(plan["explanation"][:-1]) == fastseq.lower(str(model)).explain_ism(
        measure=False
    )
    both = parsed(run("attribute", *call[1:], "--modisco", "m", "-o", "a.npz"))
    assert both["modisco"] == "m"


@pytest.mark.parametrize("edits", ["shuffles:9x2", "pairs:2", "mine.tsv"])
def test_parts_of_edits_are_the_table_at_once(run, model, many, edits):
    names = [*map(str, range(70))]
    mine = {"name": names[::-1] * 2, "pos": 7, "ref": "", "alt": ["GATA", "t"] * 70}
    pd.DataFrame(mine).to_csv("mine.tsv", sep="\t", index=False)
    call = ["ism", "-m", model, many, "--edits", edits, "--start", 3, "--end", 20, "--shard", 64]
    assert run(*call, "-o", "whole.parquet").exit_code == 0
    told = parsed(run(*call, "-o", "parts/", "--json"))
    whole, parts = pd.read_parquet("whole.parquet"), read_results("parts")
    exact = {"rtol": 1e-4, "atol": 1e-6} if edits == "mine.tsv" else {"check_exact": True}
    pd.testing.assert_frame_equal(parts, whole, check_dtype=False, **exact)
    assert (told["rows"], told["sequences"]) == (len(whole), 70)
    last = Path("parts/part-00001.parquet")
    kept = last.read_bytes()
    last.unlink()
    assert "already holds a run" in one_line(run(*call, "-o", "parts/"))
    other = one_line(run(*call[:-2], "--shard", 128, "-o", "parts/", "--resume"))
    assert "holds another run; shard differ: 64 there, 128 now" in other
    assert run(*call, "-o", "parts/", "--resume").exit_code == 0
    assert last.read_bytes() == kept
    assert parsed(run("export", "parts", "one.tsv", "--json"))["rows"] == len(whole)
    assert run("report", "parts", "-o", "page.html").exit_code == 0


@pytest.mark.parametrize(("option", "told"), [
    (["-o", "m.zarr"], "--edits deletions makes a table or a folder/ of parts; found -o m.zarr"),
    (["-o", "m.npz"], "--edits deletions makes a table or a folder/ of parts; found -o m.npz"),
    (["--resume"], "--resume goes on with a folder; found - (-o edits/)"),
])  # fmt: skip
def test_tables_of_edits_are_no_maps(run, model, fasta, option, told):
    assert one_line(run("ism", "-m", model, fasta, "--edits", "deletions", *option)) == told


def test_a_table_of_edits_is_read_back_as_it_was_written(run, model, fasta):
    call = ["ism", "-m", model, fasta, "--edits"]
    assert run(*call, "deletions:3", "-o", "first.tsv").exit_code == 0
    assert run(*call, "first.tsv", "-o", "second.tsv").exit_code == 0
    read = [pd.read_csv(name, sep="\t", keep_default_na=False) for name in
            ("first.tsv", "second.tsv")]  # fmt: skip
    np.testing.assert_array_equal(read[1]["pos"], read[0]["pos"])
    np.testing.assert_allclose(read[1]["effect"], read[0]["effect"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("s99\t1\t\tA", "edit 1 is of 's99', none of the 12 sequences"),
        ("s0\t41\t\tA", "edit 1 takes '' from s0 at pos 41 (0-based); it has 40 bp"),
        ("s0\t-1\t\tA", "edit 1 takes '' from s0 at pos -1 (0-based); it has 40 bp"),
        ("s0\t1\t\tAXA", "edit 1 puts in 'AXA'; expected A, C, G, T and N, or nothing"),
        ("s0\t1.5\t\tA", "pos holds float64; expected whole numbers"),
        ("s0\there\t\tA", "expected whole numbers"),
        (f"s0\t0\t{'A' * 40}\tA", "from s0 at pos 0 (0-based); there is "),
    ],
)
def test_edits_that_do_not_fit_are_named(run, model, fasta, row, told):
    Path("mine.tsv").write_text(f"name\tpos\tref\talt\n{row}\n")
    assert told in one_line(run("ism", "-m", model, fasta, "--edits", "mine.tsv"))


def test_edits_of_a_name_that_two_sequences_bear_are_refused(run, model, fasta):
    Path("twice.fa").write_text(fasta.read_text().replace(">s1\n", ">s0\n"))
    Path("mine.tsv").write_text("name\tpos\tref\talt\ns0\t1\t\tA\n")
    told = one_line(run("ism", "-m", model, "twice.fa", "--edits", "mine.tsv"))
    assert told == "--edits mine.tsv needs sequences whose names all differ"
    Path("mine.tsv").write_text("name\tpos\tref\n")
    assert "no column 'alt'" in one_line(run("ism", "-m", model, fasta, "--edits", "mine.tsv"))


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
