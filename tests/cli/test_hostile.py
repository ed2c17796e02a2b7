"""Odd terminals, names, places and values: a line that says what is allowed, and nothing broken."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fastseq
from fastseq.errors import UnreadableFileError
from tests.cli.conftest import one_line

COMMAND = [sys.executable, "-c", "from fastseq.cli.main import main; main(prog_name='fastseq')"]
MODEL_FILE = ["-m", "MODEL"]


@pytest.fixture
def call(run, model, fasta, table):
    """Return a function that runs a command line with the fixtures' files in their places."""
    places = {"MODEL": model, "FASTA": fasta, "TABLE": table}

    def invoke(*words, **options):
        return run(*[places.get(word, word) for word in words], **options)

    return invoke


@pytest.mark.parametrize(
    "arguments",
    [
        ["kmers", "FASTA", "-k", "0"], ["kmers", "FASTA", "-k", "33"],
        ["simulate", "-n", "0"], ["simulate", "--length", "-1"], ["simulate", "--seed", "-1"],
        ["predict", *MODEL_FILE, "FASTA", "--batch-size", "0"],
        ["predict", *MODEL_FILE, "FASTA", "--strands", "reverse"],
        ["predict", *MODEL_FILE, "FASTA", "--shifts", "a"],
        ["ism", *MODEL_FILE, "FASTA", "--rows", "0"],
        ["attribute", *MODEL_FILE, "FASTA", "--n", "0"],
        ["score", *MODEL_FILE, "--vcf", "v", "--fasta", "g", "--pseudocount", "-1"],
        ["score", *MODEL_FILE, "--vcf", "v", "--fasta", "g", "--workers", "0"],
        ["train", "--data", "TABLE", "--model", "tum_cnn", "--lr", "0"],
        ["train", "--data", "TABLE", "--model", "tum_cnn", "--epochs", "0"],
        ["evaluate", *MODEL_FILE, "--data", "TABLE", "--bootstrap", "0"],
        ["kld", "a.npz", "--quantile", "1.5"], ["kld", "a.npz", "--null", "-1"],
        ["kld", "a.npz", "--pseudocount", "-0.1"], ["kld", "a.npz", "--weights", "1,x"],
        ["report", "a.npz", "--rows", "-1"], ["demo", "--seed", "-1"],
        ["encode", "FASTA", "-o", "x.npy", "--length", "0"],
        ["models", "explain", "tum_cnn", "--length", "0"],
    ],
    ids=lambda words: " ".join((words[0], *words[-2:])),
)  # fmt: skip
def test_a_value_out_of_range_is_wrong_usage_that_says_what_is_allowed(call, arguments):
    result = call(*arguments)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert any(
        text in said for text in ("is not in the range", "is not one of", "expected numbers")
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", *MODEL_FILE, "FASTA", "-o", "x.xlsx"],
        ["ism", *MODEL_FILE, "FASTA", "-o", "x.xlsx"],
        ["attribute", *MODEL_FILE, "FASTA", "--seqlets", "x.xlsx"],
        ["score", *MODEL_FILE, "--vcf", "v.vcf", "--fasta", "g.fa", "-o", "x.xlsx"],
        ["evaluate", *MODEL_FILE, "--data", "TABLE", "-o", "x.npz"],
        ["compare", "a", "b", "-o", "x.json"],
        ["export", "scores", "x.txt"], ["annotate", "scores", "v.vcf", "x.bcf"],
        ["kmers", "FASTA", "-o", "x.csv"], ["encode", "FASTA", "-o", "x.npz"],
        ["simulate", "-o", "x.fa"], ["report", "a.npz", "-o", "x.pdf"],
        ["kld", "a.npz", "-o", "x.csv"], ["kld", "a.npz", "--plot", "x.gif"],
        ["models", "explain", "tum_cnn", "--length", "40", "--diagram", "x.gif"],
    ],
    ids=lambda words: " ".join((words[0], *words[-2:])),
)  # fmt: skip
def test_an_unknown_ending_is_refused_before_the_work(call, arguments):
    Path("g.fa").write_text(">chr1\nACGT\n")
    Path("v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    line = one_line(call(*arguments, "-q"))
    assert arguments[-1] in line
    assert "expected" in line
    assert not Path(arguments[-1]).exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["predict", *MODEL_FILE, "in.tsv", "-o", "./in.tsv"], "SEQUENCES"),
        (["predict", "-m", "in.tsv", "FASTA", "-o", "in.tsv"], "--model"),
        (["kmers", "in.tsv", "-o", "in.tsv"], "SEQUENCES"),
        (["encode", "FASTA", "-o", "x.npy", "--names", "x.npy"], "--output"),
        (["export", "in.tsv", "in.tsv"], "FOLDER"),
        (["simulate", "-o", "in.tsv", "--spans", "in.tsv"], "--output"),
        (["simulate", "-o", "x.tsv", "--core", "in.tsv", "--motifs", "in.tsv"], "--core"),
        (["train", "--data", "in.tsv", "--model", "tum_cnn", "-o", "in.tsv"], "--data"),
        (["evaluate", *MODEL_FILE, "--data", "in.tsv", "-o", "link.tsv"], "--data"),
        (["compare", "in.tsv", "FASTA", "-o", "in.tsv"], "A"),
        (["kld", "in.npy", "--seqs", "in.txt", "-o", "in.txt"], "--seqs"),
        (["kld", "maps.json", "-o", "maps.json"], "MAPS"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_an_output_that_is_an_input_is_refused(call, arguments, named):
    Path("in.tsv").write_text("seq\ty\nACGT\t1\n")
    Path("link.tsv").symlink_to("in.tsv")
    line = one_line(call(*arguments, "-q"))
    assert "would be replaced" in line
    assert named in line
    assert Path("in.tsv").read_text() == "seq\ty\nACGT\t1\n"


def test_a_folder_that_takes_no_files_is_told_before_the_work(call, monkeypatch):
    Path("locked").mkdir()
    monkeypatch.setattr("fastseq.cli.shared.files.os.access", lambda *_: False)
    monkeypatch.setattr("fastseq.cli.kmers.count_kmers_in", lambda *_, **__: pytest.fail("ran"))
    assert "locked takes no files" in one_line(call("kmers", "FASTA", "-o", "locked/k.tsv"))


@pytest.mark.parametrize(
    "name", ["with space.fa", "with\nnewline.fa", "-dash.fa", "ñ.fa", "'\".fa"]
)
def test_files_of_any_name(run, fasta, name):
    Path(name).write_bytes(fasta.read_bytes())
    there = f"./{name}" if name.startswith("-") else name
    assert run("encode", there, "-o", f"{there}.npy", "-q").exit_code == 0
    assert np.load(f"{there}.npy").shape == (12, 40)
    # in an error it is one line nevertheless
    assert len(run("encode", f"{there}.gone", "-o", "x.npy").stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", [["kmers", "-"], ["encode", "-", "-o", "x.npy"]])
def test_standard_input_is_read(run, fasta, verb):
    assert run(*verb, "-q", stdin=fasta.read_text()).exit_code == 0


def test_a_pipe_is_written_to_and_not_replaced(run, fasta):
    os.mkfifo("pipe.tsv")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe.tsv").read_text()))
    reader.start()
    assert run("kmers", fasta, "-k", 1, "-o", "pipe.tsv", "-q").exit_code == 0
    reader.join(timeout=60)
    assert read[0].startswith("kmer\tcount\nA\t")
    assert stat.S_ISFIFO(os.stat("pipe.tsv").st_mode)


def test_a_link_keeps_its_place(run, fasta):
    Path("far").mkdir()
    Path("far/k.tsv").write_text("old")
    Path("k.tsv").symlink_to("far/k.tsv")
    assert run("kmers", fasta, "-o", "k.tsv", "-q").exit_code == 0
    assert Path("k.tsv").is_symlink()
    assert Path("far/k.tsv").read_text().startswith("kmer\t")


def test_a_model_never_replaces_a_pipe(tmp_path, model):
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableFileError, match="no file that can be replaced"):
        fastseq.models.save(fastseq.models.load(model), pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_letters_that_a_terminal_lacks_are_spelled():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run(
        [*COMMAND, "kmers", "ñ.fa", "-o", "x.tsv"], env=environment, capture_output=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"fastseq: ")
    assert b"\\udcc3\\udcb1.fa" in done.stderr  # as the shell gave it


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(fasta):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, "kmers", fasta], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"fastseq: No space left on device\n"


def test_a_reader_of_sentences_that_goes_away_is_no_error():
    with subprocess.Popen(
        [*COMMAND, "models", "recipes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141
