"""What the command line does with input that is not what it should be: one line, and no file."""

import gzip
import os
import pickle
from pathlib import Path

import pytest

from tests.cli.conftest import one_line


@pytest.mark.parametrize("verb", ["predict", "ism", "attribute"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\x1f\x8b\x08\x00garbage", "gzip"),
        (b">a\nACGT\n>b\nACGTA\n", "bp"),
        (b">a\nAC!T\n", "'!'"),
        (b"name\tletters\na\tACGT\n", "letters"),
    ],
    ids=["missing", "empty", "broken", "lengths", "letters", "columns"],
)
def test_bad_sequences(run, model, verb, content, message):
    if content is not None:
        Path("in.fa").write_bytes(content)
    result = run(verb, "-m", model, "in.fa", "-o", "out.tsv", "-q")
    assert message in one_line(result)
    assert not Path("out.tsv").exists()
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no checkpoint"), (b"", "truncated"), (pickle.dumps({"a": 1}), "pickle")],
)
def test_bad_checkpoints(run, fasta, content, message):
    if content is not None:
        Path("m.safetensors").write_bytes(content)
    assert message in one_line(run("predict", "-m", "m.safetensors", fasta))


def test_a_truncated_checkpoint(run, fasta, model):
    Path("m.safetensors").write_bytes(model.read_bytes()[:-100])
    assert "truncated" in one_line(run("predict", "-m", "m.safetensors", fasta))


def test_a_sequence_of_another_length(run, model):
    Path("in.fa").write_text(">a\nACGTACGT\n")
    line = one_line(run("predict", "-m", model, "in.fa"))
    assert "8" in line
    assert "40" in line


TRAIN = ["train", "--model", "tum_cnn", "--epochs", 1, "--size", "channels=4", "-q"]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["seq\ty", "ACGT\tnan"], [], "target"),
        (["seq\ty", "ACGT\t1", "ACG!\t2"], [], "unreadable"),
        (["seq\ty", "ACGT\t1", "ACGTA\t2"], [], "bp"),
        (["a\tb", "ACGT\tx"], [], "--target-column"),
        (["seq\ty\tz", "ACGT\t1.5\t2.5"], [], "y, z all could be"),
        (["seq\ty", "ACGT\t1"], ["--target-column", "z"], "no column 'z'; it has seq, y"),
        (["seq\ty", "ACGT\t1"], ["--fold-column", "fold"], "no column 'fold'"),
        (["seq\ty", "ACGT\t1"], ["--set", "speed=1"], "no speed"),
        (["seq\ty", "ACGT\t1"], ["--size", "channels"], "expected name=value"),
        (["seq\ty", "ACGT\t1"], ["--validation", "absent.tsv"], "no file"),
    ],
)  # fmt: skip
def test_bad_training_tables(run, lines, options, message):
    Path("t.tsv").write_text("\n".join(lines) + "\n")
    result = run(*TRAIN, "--data", "t.tsv", *options)
    assert message in one_line(result)
    assert not Path("model.safetensors").exists()


def test_a_model_that_does_not_exist_is_named(run, table):
    line = one_line(run("train", "--data", table, "--model", "tum_resnot", "-q"))
    assert "did you mean 'tum_resnet'?" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "absent.npz"], ["report", "here"], ["report", "odd.npz"], ["report", "odd.json"],
        ["report", "odd.xyz"], ["kld", "odd.npz"], ["kld", "absent.npz"],
        ["score", "-m", "MODEL", "--vcf", "absent.vcf", "--fasta", "absent.fa"],
        ["models", "explain", "tum_resnot"], ["encode", "odd.json", "-o", "x.npy"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_odd_results(run, model, arguments):
    Path("here").mkdir()
    for name in ("odd.npz", "odd.json", "odd.xyz"):
        Path(name).write_text("odd")
    one_line(run(*[model if part == "MODEL" else part for part in arguments]))
    assert not Path("report.html").exists()
    assert not Path("x.npy").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "-m", "MODEL", "FASTA", "-o", "locked/out.tsv"],
        ["ism", "-m", "MODEL", "FASTA", "-o", "locked/out.npz"],
        ["kmers", "FASTA", "-o", "locked/out.tsv"],
        ["encode", "FASTA", "-o", "locked/out.npy"],
        ["simulate", "-n", "10", "-o", "locked/out.tsv"],
        ["train", "--data", "TABLE", "--model", "tum_cnn", "-o", "locked/out.safetensors"],
        ["demo", "locked/demo"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("how", ["missing", "file"])
def test_a_folder_that_takes_no_files(run, model, fasta, table, arguments, how):
    if how == "file":
        Path("locked").write_text("not a folder")
    elif arguments[0] == "demo":
        pytest.skip("the demo makes its folder")
    places = {"MODEL": model, "FASTA": fasta, "TABLE": table}
    line = one_line(run(*[places.get(part, part) for part in arguments], "-q"))
    assert "locked" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder(run, fasta):
    Path("locked").mkdir(mode=0o500)
    assert "Permission denied" in one_line(run("kmers", fasta, "-o", "locked/out.tsv"))


def test_an_unreadable_gzip_leaves_no_half_written_file(run):
    whole = gzip.compress(b">a\n" + b"ACGT" * 100_000 + b"\n", mtime=0)
    Path("cut.fa.gz").write_bytes(whole[: len(whole) // 2])
    line = one_line(run("kmers", "cut.fa.gz", "-o", "out.tsv"))
    assert "cut.fa.gz" in line
    assert [file.name for file in Path().iterdir()] == ["cut.fa.gz"]


@pytest.mark.parametrize("name", ["foo", "cuda:99"])
def test_a_device_that_is_not_there(run, model, fasta, table, name):
    for arguments in (
        ["predict", "-m", model, fasta],
        ["train", "--data", table, "--model", "tum_cnn"],
    ):
        assert f"--device {name} does not run here" in one_line(run(*arguments, "--device", name))


def test_the_page_does_not_replace_what_it_shows(run, model, fasta):
    assert run("ism", "-m", model, fasta, "-o", "maps.npz", "-q").exit_code == 0
    assert run("report", "maps.npz", "-o", "page.html", "-q").exit_code == 0
    before = Path("page.html").read_bytes()
    assert "would be replaced" in one_line(run("report", "page.html", "-o", "./page.html"))
    assert Path("page.html").read_bytes() == before


@pytest.mark.parametrize(
    ("output", "message"),
    [(".", "it is a folder"), ("out.npz", "ending in"), ("none/out.tsv", "no folder none")],
)
def test_names_that_take_no_table(run, model, fasta, output, message):
    assert message in one_line(run("predict", "-m", model, fasta, "-o", output, "-q"))
    assert [file.name for file in Path().iterdir()] == ["seqs.fa"]


def test_gaps_are_unknown_bases(run, model):
    lines = ["A" * 20 + letter + "C" * 19 for letter in "-.nR"]
    answers = run("predict", "-m", model, "-", "-q", stdin="name,seq\n" + "\n".join(
        f"{row},{line}" for row, line in enumerate(lines)
    )).stdout.splitlines()[1:]  # fmt: skip
    assert len({line.split("\t")[1] for line in answers}) == 1


def test_sizes_a_network_cannot_have(run, table):
    for size, message in (
        ("channels=-3", "channels=-3; expected whole numbers of 1 or more"),
        ("channels=x", "channels='x'; expected whole numbers of 1 or more"),
    ):
        result = run("train", "--data", table, "--model", "tum_cnn", "--size", size, "-q")
        assert message in one_line(result)


@pytest.mark.parametrize("verb", ["kmers", "encode"])
def test_empty_files_have_nothing_to_stream(run, verb):
    Path("in.fa").write_bytes(b"")
    assert "in.fa: empty; expected FASTA or FASTQ" in one_line(run(verb, "in.fa", "-o", "out"))
    assert not Path("out").exists()
