"""Training from a genome's files at the prompt, and splits by seed."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fastseq.sequence.encode import decode

bigtools = pytest.importorskip("pybigtools", reason="pybigtools is not installed")

NETWORK = ("--model", "tum_cnn", "--size", "channels=4", "--epochs", 1, "--json")


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"chr1": 3000, "chr8": 1500, "chr9": 1500}
    (tmp_path / "genome.fa").write_text(
        "".join(
            f">{name}\n{decode(rng.integers(0, 4, size, dtype=np.uint8))}\n"
            for name, size in sizes.items()
        )
    )
    (tmp_path / "peaks.bed").write_text(
        "".join(
            f"{name}\t{start}\t{start + 30}\n"
            for name, size in sizes.items()
            for start in range(100, size - 100, 100)
        )
    )
    values = [(name, s, s + 70, float(rng.random())) for name, size in sizes.items()
              for s in range(0, size, 100)]  # fmt: skip
    bigtools.open(str(tmp_path / "atac.bw"), "w").write(sizes, values)
    return ("--bed", "peaks.bed", "--fasta", "genome.fa", "--length", 40)


def test_a_genome_with_coverage_trains_and_is_evaluated_on_the_held_out_chromosome(run, genome):
    held = ("--valid-chroms", "chr9", "--test-chroms", "chr8")
    tracks = (*genome, "--bigwig", "atac.bw", *held)
    done = run("train", *tracks, *NETWORK, "-o", "m.safetensors")
    assert done.exit_code == 0, done.output
    assert np.isfinite(json.loads(done.stdout)["best"]["pearson"])
    judged = run("evaluate", *tracks, "-m", "m.safetensors", "--fold", "test", "--json")
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.stdout)
    assert found["target"] == "atac"
    assert found["rows"] == 26  # 13 regions and as many windows without one


def test_profiles_of_coverage_are_learned_predicted_and_judged(run, genome):
    held = ("--valid-chroms", "chr9", "--test-chroms", "chr8")
    tracks = (*genome, "--bigwig", "atac.bw", "--profile", 20, *held)
    sizes = ("--size", "channels=4", "--size", "layers=1", "--epochs", 1)
    done = run(
        "train", *tracks, "--model", "bpnet", "--recipe", "bpnet", *sizes, "-o", "m.safetensors"
    )
    assert done.exit_code == 0, done.output
    judged = run("evaluate", *tracks, "-m", "m.safetensors", "-o", "counts.tsv", "--json")
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.stdout)
    assert found["rows"] == 26
    assert 0 < found["jsd"] < 1
    table = pd.read_csv("counts.tsv", sep="\t")
    assert table.columns.tolist() == ["name", "y_atac", "y_hat_atac"]
    r = np.corrcoef(*np.log1p(table[["y_atac", "y_hat_atac"]].to_numpy().T))[0, 1]
    assert found["pearson"] == pytest.approx(r, abs=1e-4)
    refused = run("evaluate", *tracks, "-m", "m.safetensors", "--threshold", 0.5)
    assert refused.exit_code == 2
    assert "one number a row" in refused.stderr


def test_regions_alone_make_a_classifier(run, genome):
    done = run("train", *genome, *NETWORK, "--split", "random:.7/.3", "--seed", 3)
    assert done.exit_code == 0, done.output
    assert "auroc" in json.loads(done.stdout)["best"]


def test_either_a_table_or_a_genome(run, genome):
    for options in ((), (*genome, "--data", "x.tsv"), genome[:2]):
        done = run("train", *options, "--model", "tum_cnn")
        assert done.exit_code == 2
    done = run("train", *genome, "--test-chroms", "chr7", "--valid-chroms", "chr9", *NETWORK)
    assert done.exit_code == 1
    assert "no region is on chr7" in done.stderr


def test_the_seed_draws_the_split(run, tmp_path):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (80, 20), dtype=np.uint8)
    frame = pd.DataFrame({"seq": decode(codes), "y": np.isin(codes, (1, 2)).mean(1)})
    frame.to_csv("t.tsv", sep="\t", index=False)
    losses = []
    for seed in (1, 1, 2):
        done = run("train", "--data", "t.tsv", "--split", "random:.7/.3", "--seed", seed, *NETWORK)
        assert done.exit_code == 0, done.output
        losses.append(json.loads(done.stdout)["best"]["val_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_quantiles_and_recipes_reach_the_prompt(run, genome):
    done = run("train", *genome, *NETWORK, "--set", "quantiles=true", "-o", "q.safetensors")
    assert done.exit_code == 0, done.output
    seqs = "".join(f"{'ACGT' * n}{'A' * (40 - 4 * n)}\n" for n in range(1, 10))
    done = run("predict", "-m", "q.safetensors", "--quantiles", "-", "-q", stdin=seqs)
    assert done.exit_code == 0, done.output
    answers = [float(line.split("\t")[1]) for line in done.stdout.splitlines()[1:]]
    assert all(0 <= answer <= 1 for answer in answers)
    listed = run("models", "recipes")
    assert "\nunlock_dna\tmse\t512 rows\t20 epochs adam 0.001 noam" in listed.stdout
    assert json.loads(run("models", "recipes", "--json").stdout)["recipes"]["bhi"]["quantiles"]


def test_a_training_says_where_it_runs(run, genome):
    assert "the GPU if there is one" in run("train", "--help").stdout
    done = run("train", *genome, *NETWORK, "--device", "cpu")
    assert "trained on cpu" in done.stderr
    if not torch.cuda.is_available():
        assert "trained on cpu" in run("train", *genome, *NETWORK).stderr
    assert "trained on" not in run("train", *genome, *NETWORK, "-q").stderr


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        ("lightgbm", {"leaves": 7, "rounds": 10, "k": [2, 3]}),
        ("random_forest", {"leaves": 7, "rounds": 10, "k": [2, 3]}),
        ("kmer_ridge", {}),
        ("esm", {"hidden": 16, "layers": 1, "heads": 2, "inner": 32, "frozen": 1}),
    ],
)
def test_models_that_are_no_convolutions_go_through_the_same_verbs(run, tmp_path, model, sizes):
    needs = {"esm": "transformers", "kmer_ridge": "scipy"}.get(model, "lightgbm")
    pytest.importorskip(needs, reason=f"{needs} is not installed")
    codes = np.random.default_rng(0).integers(0, 4, (200, 30), dtype=np.uint8)
    gc = np.isin(codes, (1, 2)).mean(1)
    pd.DataFrame({"seq": decode(codes), "y": gc}).to_csv("gc.tsv", sep="\t", index=False)
    options = [f"--size={name}={json.dumps(value)}" for name, value in sizes.items()]
    done = run("train", "--data", "gc.tsv", "--model", model, *options, "--epochs", 1,
               "-o", "m.safetensors")  # fmt: skip
    assert done.exit_code == 0, done.output
    judged = run("evaluate", "--data", "gc.tsv", "-m", "m.safetensors", "--json")
    assert judged.exit_code == 0, judged.output
    assert model == "esm" or json.loads(judged.stdout)["pearson"] > 0.7
    told = run("predict", "-m", "m.safetensors", "gc.tsv", "-o", "y.tsv")
    assert told.exit_code == 0, told.output
    y_hat = pd.read_csv("y.tsv", sep="\t")["y_hat"]
    assert np.mean((y_hat - gc) ** 2) == pytest.approx(json.loads(judged.stdout)["mse"], rel=1e-3)
