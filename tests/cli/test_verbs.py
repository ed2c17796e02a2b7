import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.io.maps import read_maps
from fastseq.sequence.motifs import Motif, format_motifs, read_motifs
from tests.cli.conftest import frame, one_line, parsed


def test_predict_says_what_the_library_says(run, model, fasta, sequences):
    found = frame(run("predict", "-m", model, fasta))
    assert found["name"].tolist() == [f"s{i}" for i in range(12)]
    np.testing.assert_allclose(found["y_hat"], fastseq.predict(str(model), sequences), rtol=1e-6)
    piped = run("predict", "-m", model, "-", stdin=fasta.read_text())
    assert frame(piped).equals(found)


def test_predict_averages_an_ensemble_and_writes_parquet(run, model, fasta):
    run("predict", "-m", model, "-m", model, fasta, "-o", "y.parquet", "--strands", "both", "-q")
    assert pd.read_parquet("y.parquet").shape == (12, 2)


def test_ism_writes_maps_and_tables_of_the_same_numbers(run, model, fasta, sequences):
    assert run("ism", "-m", model, fasta, "-o", "ism.npz", "--rows", 3).exit_code == 0
    maps = read_maps("ism.npz")
    expected = fastseq.saturation_mutagenesis(str(model), sequences[:3])
    np.testing.assert_array_equal(maps.values, expected.effect)
    np.testing.assert_allclose(maps.observed, expected.attributions, atol=1e-7)
    table = frame(run("ism", "-m", model, fasta, "--rows", 3, "--start", 5, "--end", 9))
    assert len(table) == 3 * 4 * 3
    assert (table["ref"] != table["alt"]).all()
    for row in table.iloc[[0, 7, 30]].itertuples():
        value = maps.values[maps.names.index(row.name), 0, "ACGT".index(row.alt), row.pos]
        assert row.effect == pytest.approx(float(value), rel=1e-5)


def test_attribute_writes_maps_and_tables_of_the_same_numbers(run, model, fasta, sequences):
    assert run("attribute", "-m", model, fasta, "-o", "a.npz").exit_code == 0
    expected = fastseq.attribute(str(model), sequences)
    np.testing.assert_array_equal(read_maps("a.npz").values[:, 0], expected.raw)
    table = frame(run("attribute", "-m", model, fasta, "--rows", 2))
    assert "".join(table["base"][:40]) == sequences[0]
    np.testing.assert_allclose(
        table["attribution"][:40], expected.observed[0], rtol=1e-5, atol=1e-7
    )


def test_kld_tells_the_divergence_and_its_null(run, model, fasta, sequences):
    run("attribute", "-m", model, fasta, "-o", "a.npz")
    found = parsed(run("kld", "a.npz", "--ks", "2,3", "--null", 4, "--json"))
    expected = fastseq.kmer_kld(
        sequences, fastseq.attribute(str(model), sequences).raw, ks=(2, 3), null=4
    )
    assert found["per_k"] == {"2": expected.per_k[2], "3": expected.per_k[3]}
    assert found["null_per_k"]["3"] == list(expected.null.per_k[3])
    with open("motifs.bed", "w") as bed:
        bed.write("s0\t3\t9\ns1\t3\t9\n")
    assert np.isfinite(parsed(run("kld", "a.npz", "--motifs", "motifs.bed", "--json"))["snr"])
    assert "lies in the 12" in one_line(
        run("kld", "a.npz", "--motifs", _write("x.bed", "c\t1\t2\n"))
    )


def _write(name, text):
    with open(name, "w") as file:
        file.write(text)
    return name


def test_simulate_plants_the_motifs_of_a_file(run):
    motifs = [
        Motif("a", "A6", [[1] * 6, *[[0] * 6] * 3]),
        Motif("c", "C7", [[0] * 7, [1] * 7, *[[0] * 7] * 2]),
    ]
    Path("core.jaspar").write_text(format_motifs(motifs, format="jaspar"))
    options = ["-n", 60, "--length", 60, "--core", "core.jaspar", "--spans", "m.bed", "-q"]
    table = frame(run("simulate", *options, "--motifs", "core.meme"))
    positive = set(table["name"][table["label"] == 1])
    bed = pd.read_csv("m.bed", sep="\t", header=None)
    assert set(bed[3][bed[0].isin(positive)]) == {"A6", "C7"}
    assert [motif.name for motif in read_motifs("core.meme")] == ["A6", "C7"]
    both = [*options, "--background", "core.jaspar", "--negatives", "document"]
    assert "both core and background" in one_line(run("simulate", *both))
    assert "no such file" in one_line(run("simulate", "--core", "absent.meme"))


def test_simulate_train_evaluate_and_report_go_hand_in_hand(run):
    assert (
        run(
            "simulate", "-n", 120, "--length", 120, "-o", "task.tsv.gz", "--spans", "m.bed"
        ).exit_code
        == 0
    )
    told = run("train", "--data", "task.tsv.gz", "--model", "tum_cnn", "--size", "channels=4",
               "--epochs", 1, "-o", "m.safetensors")  # fmt: skip
    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("m.safetensors: best epoch 1 of 1: loss ")
    for guess in ("column seq", "column fold", "column label"):
        assert guess in told.stderr
    figures = parsed(
        run("evaluate", "-m", "m.safetensors", "--data", "task.tsv.gz", "--json", "-o", "y.tsv")
    )
    assert figures["rows"] == 24  # the test fold
    assert 0 <= figures["auroc"] <= 1
    assert run("report", "m.safetensors", "y.tsv", "-o", "r.html").exit_code == 0
    with open("r.html") as page:
        html = page.read()
    assert "Training of m" in html
    assert "Predictions by class." in html


def test_train_takes_the_named_columns_and_settings(run, table):
    columns = ["--sequence-column", "seq", "--target-column", "gc", "--fold-column", "fold"]
    settings = ["--epochs", 2, "--set", "patience=1", "--size", "channels=4"]
    found = parsed(
        run("train", "--data", table, "--model", "tum_cnn", *columns, *settings, "--json")
    )
    assert found["output"] == "model.safetensors"
    about = parsed(run("models", "explain", "model.safetensors", "--json"))
    assert about["training"]["recipe"]["patience"] == 1
    assert about["sizes"]["channels"] == 4


GENOME = "ACGTTGCATTAGCCGATTACAGGCTTAACGTCGATCGGATTACCAGGTTAACCGGATATCGCGTAAGCTTGCAACGTTAGC"


def test_score_writes_a_table_or_a_folder_of_the_same_numbers(run, model):
    _write("g.fa", f">chr1\n{GENOME}\n")
    ref = GENOME[39]
    alt = "A" if ref != "A" else "C"
    _write(
        "v.vcf",
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t40\tsnv\t{ref}\t{alt},{ref}GG\t.\t.\t.\n",
    )
    common = ["-m", model, "--vcf", "v.vcf", "--fasta", "g.fa"]
    table = frame(run("score", *common))
    assert table["alt"].tolist() == [alt, f"{ref}GG"]
    result = run("score", *common, "-o", "scores", "--json")
    told = parsed(result)
    assert (told["output"], told["rows"], told["counts"]) == ("scores", 2, {"ok": 2})
    assert "2 alleles: 2 ok" in result.stderr
    again = run("score", *common, "-o", "scores")
    assert "--resume" in one_line(again)
    assert run("score", *common, "-o", "scores", "--resume").exit_code == 0
    assert run("score", *common, "--resume").exit_code == 2
    assert run("report", "scores", "-o", "r.html").exit_code == 0


def test_kmers_counts_what_the_library_counts(run, fasta, sequences):
    table = frame(run("kmers", fasta, "-k", 4))
    counts = fastseq.count_kmers(sequences, 4)
    names = np.array(fastseq.kmer_names(4))
    assert table["kmer"].tolist() == names[counts > 0].tolist()
    assert table["count"].tolist() == counts[counts > 0].tolist()
    each = frame(run("kmers", fasta, "-k", 4, "--per-sequence"))
    assert each.groupby("kmer")["count"].sum().to_dict() == dict(zip(table["kmer"], table["count"]))
    long = frame(run("kmers", fasta, "-k", 30, "--canonical"))
    assert long["count"].sum() == 12 * 11
    spaced = frame(run("kmers", fasta, "--pattern", "101"))
    assert spaced["kmer"].str.len().unique().tolist() == [2]


@pytest.mark.parametrize("hot", [False, True])
def test_encode_writes_what_the_library_makes(run, fasta, sequences, hot):
    options = ["--one-hot", "--dtype", "float32"] if hot else []
    assert run("encode", fasta, *options, "-o", "x.npy", "--names", "n.txt").exit_code == 0
    expected = fastseq.one_hot(sequences, dtype="float32") if hot else fastseq.encode(sequences)
    found = np.load("x.npy")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    with open("n.txt") as names:
        assert names.read().split() == [f"s{i}" for i in range(12)]


def test_models_list_and_explain(run, model):
    assert "tum_resnet" in run("models", "list").stdout
    assert parsed(run("models", "list", "--json"))["models"][0]["sizes"]
    assert "channels" in run("models", "explain", "tum_cnn", "--length", 50).stdout
    assert "40 bp" in run("models", "explain", model).stdout
    assert run("models", "explain", model, "--diagram", "net.svg").exit_code == 0
    with open("net.svg") as picture:
        assert picture.read().startswith("<svg")


def test_info_speaks_in_sentences_and_json(run):
    lines = run("info").stdout.splitlines()
    assert all(line.endswith(".") for line in lines)
    assert json.loads(run("info", "--json").stdout)["cores"]
