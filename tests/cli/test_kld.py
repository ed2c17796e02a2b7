"""`fastseq kld`: maps from any source over one set of sequences, every output, every refusal."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.io.maps import read_maps
from tests.cli.conftest import one_line, parsed

MAPS = np.random.default_rng(1).normal(size=(12, 4, 40)).astype(np.float32)


@pytest.fixture
def maps(run):
    """Write the same maps as every kind of file; return their names."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    np.save("m.npy", MAPS)
    np.save("nlc.npy", MAPS.transpose(0, 2, 1))
    np.savez("m.npz", attributions=MAPS, other=MAPS[0])
    with h5py.File("m.h5", "w") as file:
        file["run/maps"] = MAPS
    return ["m.npy", "nlc.npy", "m.npz", "m.h5"]


def test_plain_arrays_of_any_kind_beside_their_sequences(run, fasta, sequences, maps):
    expected = fastseq.kmer_kld(sequences, MAPS, ks=(2, 3), null=3, seed=4)
    options = ["--seqs", fasta, "--ks", "2,3", "--null", 3, "--seed", 4]
    for name in maps:
        found = parsed(run("kld", name, *options, "--json"))
        assert found["maps"] == name
        assert found["per_k"] == {"2": expected.per_k[2], "3": expected.per_k[3]}
        assert found["null_per_k"]["2"] == list(expected.null.per_k[2])
    together = parsed(run("kld", *maps, *options, "--json"))["results"]
    assert [row["maps"] for row in together] == maps
    assert {row["total"] for row in together} == {expected.total}
    np.save("scores.npy", MAPS[:, 0])
    scores = run("kld", "scores.npy", *options)
    assert "given scores" in scores.stdout
    assert "null: 100%" in scores.stderr
    assert "3.00/3.00" in scores.stderr or "3/3" in scores.stderr
    assert "null" not in run("kld", "scores.npy", *options, "-q").stderr


def test_straight_from_models_beside_files(run, model, fasta, sequences):
    Path("second.safetensors").write_bytes(Path(model).read_bytes())
    run("attribute", "-m", model, fasta, "-o", "a.npz", "-q")
    options = ["--seqs", fasta, "--null", 0, "--ks", 3, "--json", "-q"]
    found = parsed(run("kld", "a.npz", "-m", model, "-m", "second.safetensors", *options))
    assert [row["maps"] for row in found["results"]] == [
        "a.npz", "model.safetensors", "second.safetensors",
    ]  # fmt: skip
    assert len({row["total"] for row in found["results"]}) == 1
    ism = parsed(run("kld", "-m", model, "--attribution", "ism", *options))
    raw = fastseq.attribute(str(model), sequences, "ism").raw
    assert ism["per_k"]["3"] == pytest.approx(fastseq.kmer_kld(sequences, raw, ks=3).per_k[3])
    few = parsed(run("kld", "-m", model, "--rows", 5, *options))
    assert few["n"] == 5


def test_both_methods_and_their_options(run, fasta, sequences, maps):
    options = ["--seqs", fasta, "--ks", "2,3", "--null", 0, "--method", "both"]
    found = parsed(run("kld", "m.npy", *options, "--score", "observed", "--score", "l2", "--json"))
    expected = fastseq.kmer_kld(
        sequences, MAPS, ks=(2, 3), method=("weighted", "thresholded"), score=("observed", "l2")
    )
    assert [row["method"] for row in found["results"]] == ["weighted", "thresholded"]
    for row in found["results"]:
        assert row["total"] == expected[row["method"]].total
    text = run("kld", "m.npy", *options).stdout
    assert text.splitlines()[0].split() == ["maps", "method", "KLD", "k=2", "k=3"]
    assert "thresholded: k-mers of blocks" in text
    assert text.count("note: raw KLD depends on the number of sequences") == 1
    form = parsed(
        run("kld", "m.npy", "--seqs", fasta, "--form", "product", "--ks", "2-3", "--json")
    )
    assert "product form" in form["metric"]
    quantile = ["--quantile", 0.5, "--method", "thresholded", "--json"]
    assert "0.5 quantile" in parsed(run("kld", "m.npy", "--seqs", fasta, *quantile))["metric"]


def test_weights_of_lengths_and_another_prior(run, fasta, sequences, maps):
    other = ["ACGTTGCAAC" * 30, "GGATCCTTAGACCA" * 20]
    Path("other.fa").write_text("".join(f">o{i}\n{text}\n" for i, text in enumerate(other)))
    options = ["m.npy", "--seqs", fasta, "--ks", "1,2", "--null", 0, "--json"]
    given = ["--weights", "1,3", "--prior", "other.fa", "--pseudocount", 1]
    expected = fastseq.kmer_kld(
        sequences, MAPS, ks=(1, 2), weights=(1, 3), prior=other, pseudocount=1
    )
    found = parsed(run("kld", *options, *given))
    assert (found["total"], found["weights"]["2"]) == (expected.total, 0.75)
    assert "against a given prior" in found["metric"]
    assert "weights=(1.0,)" in one_line(run("kld", *options, "--weights", "1"))
    assert run("kld", *options, "--weights", "much").exit_code == 2


def test_maps_of_a_stretch_and_from_a_pipe(run, model, fasta, sequences):
    run("ism", "-m", model, fasta, "-o", "i.npz", "--start", 5, "--end", 30, "-q")
    found = parsed(run("kld", "i.npz", "--seqs", fasta, "--ks", 3, "--null", 0, "--json"))
    held = read_maps("i.npz")
    expected = fastseq.kmer_kld([text[5:30] for text in sequences], held.values[:, 0], ks=3)
    assert found["per_k"]["3"] == expected.per_k[3]
    piped = run("kld", "-", "--ks", 3, "--null", 0, "--json", stdin=Path("i.npz").read_bytes())
    assert parsed(piped)["total"] == expected.total


def test_every_sequence_by_itself(run, fasta, sequences, maps):
    run("kld", "m.npy", "--seqs", fasta, "--ks", "2,3", "--per-sequence", "rows.tsv")
    table = pd.read_csv("rows.tsv", sep="\t")
    assert list(table.columns) == ["maps", "name", "kld_2", "kld_3"]
    assert list(table["name"]) == [f"s{i}" for i in range(12)]
    expected = fastseq.kmer_kld(sequences, MAPS, ks=(2, 3), per_sequence=True).per_sequence
    np.testing.assert_allclose(table["kld_3"], expected[3])


@pytest.mark.parametrize("name", ["kld.png", "kld.svg"])
def test_plots_and_pages(run, fasta, maps, name):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for given in (["m.npy"], ["m.npy", "m.npz"]):
        result = run("kld", *given, "--seqs", fasta, "--plot", name, "-o", "kld.json")
        assert result.exit_code == 0, result.stderr
        assert Path(name).stat().st_size > 4000
        Path(name).unlink()
        assert run("report", "kld.json", "-o", "kld.html").exit_code == 0


def test_what_no_number_can_say_is_null(run, fasta):
    np.save("zero.npy", np.zeros((12, 40)))
    text = run("kld", "zero.npy", "--seqs", fasta, "--json").stdout
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["total"] is None
    assert "12 maps are zero or flat" in found["warnings"][-1]
    assert "nan" in run("kld", "zero.npy", "--seqs", fasta).stdout
    Path("kld.json").write_text(text)
    assert run("report", "kld.json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m.npy"], "name these with --seqs"),
        (["few.fa"], "few.fa: expected an npy, npz or HDF5 file"),
        (["cut.npz"], "cut.npz: cut off or damaged"),
        (["-m", "MODEL"], "name them with --seqs"),
        (["m.npy", "--seqs", "few.fa"], "12 sequences of 40 bp, --seqs 2 of up to 40"),
        (["m.npy", "--seqs", "long.fa"], "--seqs 12 of up to 41 bp"),
        (["m.npy", "--seqs", "odd.fa"], "has '!' at position 1"),
        (["m.npy", "--seqs", "absent.fa"], "absent.fa"),
        (["m.npy", "m.npy", "--seqs", "FASTA"], "each file of maps or model once"),
        (["m.npz", "--seqs", "FASTA", "--key", "nothing"], "holds attributions, other"),
        (["a.npz", "--seqs", "turned.fa"], "different sequences, from row 0 (s0)"),
        (["a.npz", "b.npz"], "a.npz is over 12 x 40 bp from 0, b.npz over 5 x 40 bp"),
        (["a.npz", "--seqs", "few.fa"], "--seqs is over 2 x 40"),
        (["a.npz", "--task", "other"], "choose one with --task"),
        (["nan.npy", "--seqs", "FASTA"], "row 7 holds NaN"),
        (["objects.npy", "--seqs", "FASTA"], "objects.npy"),
        (["cube.npy", "--seqs", "FASTA"], "expected numbers"),
        (["pickled.npz", "--seqs", "FASTA"], "pickled.npz"),
        (["m.npy", "--seqs", "FASTA", "--ks", "13"], "between 1 and 12"),
        (["m.npy", "--seqs", "FASTA", "--quantile", "1"], "quantile=1.0"),
        (["a.npz", "--plot", "kld.gif"], "kld.gif: expected a name ending in .png"),
        (["m.npy", "--seqs", "FASTA", "--score", "l2", "--score", "l2"], "--score was given 2"),
        (["m.npy", "--seqs", "FASTA", "--method", "both", "--per-sequence", "x.tsv"], "per_seq"),
        (["m.npy", "--seqs", "FASTA", "--motifs", "FASTA"], "expected chrom, start and end"),
        (["a.npz", "--rows", "1"], "null_kind='shift'"),
        (["a.npz", "--plot", "absent/kld.png"], "there is no folder absent"),
        (["a.npz", "--per-sequence", "absent/rows.tsv"], "there is no folder absent"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_refusals(run, model, fasta, maps, arguments, message):
    text = Path(fasta).read_text()
    Path("few.fa").write_text("".join(text.splitlines(keepends=True)[:4]))
    Path("long.fa").write_text(text.replace(">s1\n", ">s1\nA"))
    Path("odd.fa").write_text(text.replace(">s0\n", ">s0\nA!"))
    Path("turned.fa").write_text("".join(f">s{i}\n{'A' * 40}\n" for i in range(12)))
    run("attribute", "-m", model, fasta, "-o", "a.npz", "-q")
    run("attribute", "-m", model, fasta, "-o", "b.npz", "--rows", 5, "-q")
    Path("cut.npz").write_bytes(Path("a.npz").read_bytes()[:-60])
    poisoned = MAPS.copy()
    poisoned[7, 0, 3] = np.nan
    np.save("nan.npy", poisoned)
    np.save("objects.npy", np.array([{}], object))
    np.save("cube.npy", MAPS[None])
    Path("pickled.npz").write_bytes(pickle.dumps(MAPS))
    places = {"MODEL": model, "FASTA": fasta}
    assert message in one_line(run("kld", *[places.get(part, part) for part in arguments]))


@pytest.mark.parametrize(
    "arguments", [[], ["m.npy", "--null", "-1"], ["m.npy", "--method", "angular"]]
)
def test_wrong_usage(run, arguments):
    assert run("kld", *arguments).exit_code == 2
