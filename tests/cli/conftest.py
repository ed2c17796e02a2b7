import io
import json
import signal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import fastseq
from fastseq.cli import demo, demo_genome
from fastseq.cli.demo_genome import DRAWN
from fastseq.cli.main import main


def hears_interrupts():
    """Undo, in a process about to start, what a shell's & does to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """Networks this small only wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs a command line in an empty folder and returns click's result."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, stdin=None):
        return CliRunner().invoke(main, [str(part) for part in arguments], input=stdin)

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Return the path of a small checkpoint for 40 bp that knows how it was trained."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    network = fastseq.models.build("tum_cnn", length=40, channels=8)
    history = [{"epoch": 1, "loss": 0.5, "val_loss": 0.6, "pearson": 0.1}]
    return fastseq.models.save(network, path, training={"history": history})


@pytest.fixture(scope="session")
def sequences():
    """Return 12 sequences of 40 bp."""
    return fastseq.decode(np.random.default_rng(7).integers(0, 4, (12, 40), dtype=np.uint8))


@pytest.fixture
def fasta(tmp_path, sequences):
    """Return a FASTA of these sequences, named s0, s1, ..."""
    path = tmp_path / "seqs.fa"
    path.write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(sequences)))
    return path


@pytest.fixture
def table(tmp_path):
    """Return a table of 60 sequences with GC content, fold and a column of identifiers."""
    codes = np.random.default_rng(3).integers(0, 4, (60, 40), dtype=np.uint8)
    rows = zip(fastseq.decode(codes), np.isin(codes, (1, 2)).mean(1))
    lines = [
        f"{i}\t{seq}\t{gc}\t{'val' if i % 4 == 0 else 'train'}" for i, (seq, gc) in enumerate(rows)
    ]
    path = tmp_path / "gc.tsv"
    path.write_text("\n".join(["row\tseq\tgc\tfold", *lines]) + "\n")
    return path


@pytest.fixture(scope="session")
def task():
    return fastseq.simulate_motif_task(400)


def make_small(monkeypatch, task):
    """Make the demo small and its network untrained."""

    def untrained(name, task, *, path, **_):
        network = fastseq.models.build(name, length=200, channels=4, activation="none").eval()
        fastseq.models.save(network, path)
        return SimpleNamespace(model=network, history=[{"epoch": 1, "loss": 0.7, "val_loss": 0.7}])

    monkeypatch.setattr(fastseq, "train", untrained)
    monkeypatch.setattr(fastseq, "simulate_motif_task", lambda seed: task)
    for name, size in [("MUTATED", 4), ("ATTRIBUTED", 12), ("LAID_OUT", 12)]:
        monkeypatch.setattr(demo, name, size)
    monkeypatch.setattr(demo_genome, "DRAWN", dict.fromkeys(DRAWN, 3))


@pytest.fixture
def small(monkeypatch, task):
    """Make the demo small and its network untrained."""
    make_small(monkeypatch, task)


@pytest.fixture(scope="session")
def demo_told(tmp_path_factory, task):
    """Return the folder that the small demo leaves, and what it says as JSON."""
    home = tmp_path_factory.mktemp("demo") / "fastseq-demo"
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_small(monkeypatch, task)
        told = CliRunner().invoke(main, ["demo", str(home), "-q", "--json"])
    assert "the demo falls short" in told.stderr
    return home, told


@pytest.fixture(scope="session")
def demo_folder(demo_told):
    """Return the folder that the small demo leaves."""
    return demo_told[0]


def one_line(result):
    """Assert that a command failed with one line on standard error, and return the line."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    failed = [line for line in lines if line.startswith("fastseq: ")]
    assert "Traceback" not in result.stderr
    return failed[-1].removeprefix("fastseq: ")


def parsed(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def frame(result):
    """Return the table that a command wrote to standard output."""
    assert result.exit_code == 0, result.stderr
    return pd.read_csv(io.StringIO(result.stdout), sep="\t")
