"""Ctrl-C and SIGTERM during the long verbs: exit 130 or 143, a line that says what is left, and
--resume goes on.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

import fastseq
from fastseq.io.map_shards import read_shards
from fastseq.score.journey import Journey
from tests.cli.conftest import hears_interrupts, parsed

COMMAND = [sys.executable, "-c", "from fastseq.cli.main import main; main(prog_name='fastseq')"]


@pytest.fixture
def interrupted(tmp_path):
    """Return a function that interrupts a command once a file is there; it returns what is told."""

    def call(*arguments, until, by=signal.SIGINT):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=hears_interrupts,
        )  # fmt: skip
        end = time.monotonic() + 120
        while not (until() if callable(until) else list(tmp_path.glob(until))):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        stderr = None
        while stderr is None:
            assert time.monotonic() < end + 120
            process.send_signal(by)
            # a signal just before a read of an empty pipe is seen behind it: a person presses again
            with suppress(subprocess.TimeoutExpired):
                _, stderr = process.communicate(timeout=30)
        assert process.returncode == 128 + by, stderr
        told = stderr.splitlines()[-1]
        words = "interrupted" if by == signal.SIGINT else "told to end"
        assert told.startswith(f"fastseq: {words}: ")
        return told

    return call


def test_a_training_goes_on_where_it_was_interrupted(run, interrupted, table):
    train = ["train", "--data", table, "--model", "tum_cnn", "--size", "channels=4", "-q"]
    train += ["--sequence-column", "seq", "--target-column", "gc", "--fold-column", "fold"]
    train += ["--epochs", 150, "--set", "patience=999"]
    told = interrupted(*train, until="model.safetensors")
    assert told.endswith("model.safetensors keeps what was finished, and --resume goes on with it")
    assert fastseq.models.load("model.safetensors").input_spec.length == 40
    history = parsed(run(*train, "--resume", "--json"))["history"]
    assert [row["epoch"] for row in history] == list(range(1, 151))


def test_scores_go_on_where_they_were_interrupted(run, interrupted, model, tmp_path):
    genome = fastseq.decode(np.random.default_rng(1).integers(0, 4, 1200, dtype=np.uint8))
    (tmp_path / "g.fa").write_text(f">chr1\n{genome}\n")
    score = ["score", "-m", model, "--saturate", "chr1", "--fasta", "g.fa", "--shard", 25, "-q"]
    told = interrupted(*score, "-o", "scores", until="scores/part-*")
    assert told.endswith("scores keeps what was finished, and --resume goes on with it")
    parts = len(list(tmp_path.glob("scores/part-*")))
    assert parts < 144
    assert run(*score, "-o", "scores", "--resume").exit_code == 0
    assert run(*score, "-o", "whole").exit_code == 0
    for part in sorted(tmp_path.glob("whole/part-*")):
        assert (tmp_path / "scores" / part.name).read_bytes() == part.read_bytes()


@pytest.mark.parametrize(
    ("by", "edits"), [(signal.SIGINT, []), (signal.SIGTERM, ["--edits", "deletions"])]
)
def test_maps_go_on_where_they_were_interrupted(run, interrupted, model, many, tmp_path, by, edits):
    ism = ["ism", "-m", model, many(448), "--shard", 64, "-q", *edits]
    told = interrupted(*ism, "-o", "maps/", until="maps/part-*", by=by)
    assert told.endswith("maps/ keeps what was finished, and --resume goes on with it")
    assert len(list(tmp_path.glob("maps/part-*"))) < 7
    assert run(*ism, "-o", "maps/", "--resume").exit_code == 0
    assert run(*ism, "-o", "whole/").exit_code == 0
    for part in sorted(tmp_path.glob("whole/*")):
        assert (tmp_path / "maps" / part.name).read_bytes() == part.read_bytes()


@pytest.fixture
def many(tmp_path):
    """Return a function that makes a file of so many sequences of 40 bp."""

    def make(rows):
        codes = np.random.default_rng(5).integers(0, 5, (rows, 40)).astype(np.uint8)
        (tmp_path / "many.txt").write_text("\n".join(fastseq.decode(codes)) + "\n")
        return tmp_path / "many.txt"

    return make


def test_programs_are_told_of_an_end(run, model, many, monkeypatch):
    def end(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Journey, "effects", end)
    stopped = run("ism", "-m", model, many(3), "-q", "--json", "-o", "maps.npz")
    assert stopped.exit_code == 143
    told = json.loads(stopped.stdout)
    assert (told["status"], told["kind"]) == (143, "Terminated")
    assert told["error"].startswith("told to end: maps.npz was not written, nor half of it")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("output", ["maps/", "maps.zarr", "maps.npz", "maps.tsv", "-"])
@pytest.mark.parametrize("verb", [["ism"], ["attribute", "--method", "ism"]])
def test_every_output_says_what_an_interrupt_left(run, model, many, verb, output, monkeypatch):
    if output == "maps.zarr":
        pytest.importorskip("zarr")
    effects, blocks = Journey.effects, []

    def interrupt(*given):
        blocks.append(given)
        if len(blocks) == 6:
            raise KeyboardInterrupt
        return effects(*given)

    call = [*verb, "-m", model, many(100), "--shard", 64, "-q", "-o"]
    with monkeypatch.context() as patch:
        patch.setattr(Journey, "effects", interrupt)
        stopped = run(*call, output)
    assert stopped.exit_code == 130
    told = stopped.stderr.splitlines()[-1]
    if output in ("maps/", "maps.zarr"):
        assert "--resume goes on with it" in told
        assert run(*call, output, "--resume").exit_code == 0
        assert run(*call, f"whole-{output}").exit_code == 0
        np.testing.assert_array_equal(
            read_shards(output).values, read_shards(f"whole-{output}").values
        )
    else:
        assert "a folder or .zarr group (-o maps/) is written as it is made" in told
        assert "nor half of it" in told or output == "-"
    assert not run(*call, "done.npz").exit_code


FOLDER = "a folder (-o predictions/) is written as it is made and can be resumed"
MAPS = "a folder or .zarr group (-o maps/) is written as it is made and can be resumed"


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        (["simulate", "--core", "endless", "-o", "out.tsv"], ""),
        (["kmers", "endless", "-o", "out.tsv"], ""),
        (["kld", "a.npy", "--seqs", "endless", "-o", "out.json"], ""),
        (["export", "folder", "out.tsv"], ""),
        (["predict", "-m", "MODEL", "endless", "-o", "out.tsv"], f"; {FOLDER}"),
        (["attribute", "-m", "MODEL", "endless", "-o", "out.npz"], f"; {MAPS}"),
    ],
    ids=lambda part: part[0] if isinstance(part, list) else None,
)
def test_a_single_file_is_whole_or_as_it_was(interrupted, model, tmp_path, arguments, rest):
    fifo = tmp_path / ("folder/manifest.json" if arguments[0] == "export" else "endless")
    (tmp_path / "folder").mkdir()
    os.mkfifo(fifo)
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 8), np.float32))
    before = {path.name for path in tmp_path.iterdir()}
    holder = []

    def read():  # opens without waiting once the command reads
        try:
            holder.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    words = [model if part == "MODEL" else part for part in arguments]
    told = interrupted(*words, "-q", until=read)
    assert told.endswith(f"interrupted: {words[-1]} was not written, nor half of it{rest}")
    os.close(*holder)
    assert {path.name for path in tmp_path.iterdir()} == before
