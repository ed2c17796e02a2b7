"""Ctrl-C during the long verbs: exit 130, and --resume goes on to the same end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastseq
from tests.cli.conftest import hears_interrupts, parsed

COMMAND = [sys.executable, "-c", "from fastseq.cli.main import main; main(prog_name='fastseq')"]


@pytest.fixture
def interrupted(tmp_path):
    """Return a function that runs a command until a file is there, and then interrupts it."""

    def call(*arguments, until):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=hears_interrupts,
        )  # fmt: skip
        end = time.monotonic() + 120
        while not list(tmp_path.glob(until)):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 130, stderr
        assert stderr.splitlines()[-1] == "fastseq: interrupted"

    return call


def test_a_training_goes_on_where_it_was_interrupted(run, interrupted, table):
    train = ["train", "--data", table, "--model", "tum_cnn", "--size", "channels=4", "-q"]
    train += ["--sequence-column", "seq", "--target-column", "gc", "--fold-column", "fold"]
    train += ["--epochs", 300, "--set", "patience=999"]
    interrupted(*train, until="model.safetensors")
    assert fastseq.models.load("model.safetensors").input_spec.length == 40
    history = parsed(run(*train, "--resume", "--json"))["history"]
    assert [row["epoch"] for row in history] == list(range(1, 301))


def test_scores_go_on_where_they_were_interrupted(run, interrupted, model, tmp_path):
    genome = fastseq.decode(np.random.default_rng(1).integers(0, 4, 1200, dtype=np.uint8))
    (tmp_path / "g.fa").write_text(f">chr1\n{genome}\n")
    score = ["score", "-m", model, "--saturate", "chr1", "--fasta", "g.fa", "--shard", 25, "-q"]
    interrupted(*score, "-o", "scores", until="scores/part-*")
    parts = len(list(tmp_path.glob("scores/part-*")))
    assert parts < 144
    assert run(*score, "-o", "scores", "--resume").exit_code == 0
    assert run(*score, "-o", "whole").exit_code == 0
    for part in sorted(tmp_path.glob("whole/part-*")):
        assert (tmp_path / "scores" / part.name).read_bytes() == part.read_bytes()
