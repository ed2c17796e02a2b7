import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from fastseq.cli import main as cli
from fastseq.cli.main import VERBS, LogLines, main, one_line
from fastseq.errors import SequenceError
from tests.cli.conftest import hears_interrupts

COMMAND = [sys.executable, "-c", "from fastseq.cli.main import main; main(prog_name='fastseq')"]


def fastseq(*arguments, **options):
    options = {"capture_output": True, "text": True, "timeout": 60} | options
    return subprocess.run([*COMMAND, *map(str, arguments)], **options)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_teaches_with_an_example(run, verb):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"fastseq {verb}" in result.stdout.partition("Example:\n")[2]


def test_help_imports_neither_torch_nor_pandas():
    calls = [["--help"], *([verb, "--help"] for verb in VERBS)]
    code = f"""
import sys
from fastseq.cli.main import main
for call in {calls}:
    try:
        main(call)
    except SystemExit:
        assert not {{'torch', 'pandas', 'matplotlib', 'pyarrow'}} & set(sys.modules), call
"""
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)


def test_help_imports_no_numpy():
    code = "import sys; import fastseq.cli.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["predict"],
        ["kmers", "-k", "0", "x"],
        ["predict", "--bogus", "x"],
        ["encode", "x"],
    ],
)
def test_wrong_usage_exits_with_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_version(run):
    assert run("--version").stdout.startswith("fastseq, version ")


def test_an_error_is_one_line_and_debug_shows_where(run):
    quiet = run("kmers", "absent.fa")
    assert quiet.exit_code == 1
    assert quiet.stdout == ""
    assert len(quiet.stderr.splitlines()) == 1
    assert quiet.stderr.startswith("fastseq: ")
    assert "absent.fa" in quiet.stderr
    for arguments in (["--debug", "kmers", "absent.fa"], ["kmers", "absent.fa", "--debug"]):
        loud = run(*arguments)
        assert loud.exit_code == 1
        assert "Traceback" in loud.stderr
        assert loud.stderr.splitlines()[-1] == quiet.stderr.splitlines()[0]


def _command(error):
    @click.command("broken")
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SequenceError("row 3\nhas 'Z'"), 1, "fastseq: row 3 has 'Z'"),
        (PermissionError(13, "Permission denied", "x.fa"), 1, "fastseq: x.fa: Permission denied"),
        (MemoryError("9 GiB"), 1, "fastseq: out of memory (9 GiB)"),
        (ZeroDivisionError("oh"), 1, "fastseq: ZeroDivisionError: oh (not foreseen"),
        (KeyboardInterrupt(), 130, "fastseq: interrupted"),
    ],
)
def test_every_exception_has_its_line_and_exit_code(run, monkeypatch, error, code, line):
    monkeypatch.setattr(cli.Verbs, "get_command", lambda self, ctx, name: _command(error))
    result = run("broken")
    assert result.exit_code == code
    (found,) = result.stderr.splitlines()
    assert found.startswith(line)


def test_one_line_is_one_line():
    assert (
        one_line(OSError("no errno\nhere"))
        == "OSError: no errno here (not foreseen; --debug shows where)"
    )


def test_a_closed_pipe_is_quiet(tmp_path):
    path = tmp_path / "some.fa"
    path.write_text(">s\nACGTTGCA\n")
    arguments = [*COMMAND, "kmers", str(path), "-q"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_ctrl_c_exits_with_130_and_leaves_no_file(tmp_path):
    fifo = tmp_path / "endless.fa"
    os.mkfifo(fifo)
    output = tmp_path / "kmers.tsv"
    process = subprocess.Popen(
        [*COMMAND, "kmers", str(fifo), "-o", str(output)], stderr=subprocess.PIPE, text=True,
        preexec_fn=hears_interrupts,
    )  # fmt: skip
    with open(fifo, "w") as pipe:  # opens once the command reads
        pipe.write(">s\nACGT\n")
        pipe.flush()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == f"fastseq: interrupted: {output} was not written, nor half of it"
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_config_file_sets_options_and_names_what_it_does_not_know(run, tmp_path, fasta):
    config = tmp_path / "run.toml"
    config.write_text("canonical = true\n[kmers]\nk = 3\n")
    assert (
        run("kmers", fasta, "--config", config).stdout
        == run("kmers", fasta, "-k", 3, "--canonical").stdout
    )
    # what is said at the prompt wins
    assert (
        run("kmers", fasta, "--config", config, "-k", 2).stdout
        != run("kmers", fasta, "--config", config).stdout
    )
    config.write_text("kay = 3\n")
    result = run("kmers", fasta, "--config", config)
    assert result.exit_code == 2
    assert "has the key kay; expected kmers's options" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("verb", "text", "message"),
    [
        ("kmers", "canonicol = true", "the key canonicol (did you mean canonical?)"),
        ("kmers", "per_sequense = true", "the key per_sequense (did you mean per-sequence?)"),
        ("kmers", "[kmer]\nk = 3", "the table kmer (did you mean kmers?)"),
        ("kmers", "kmers = 3", "the key kmers"),
        ("kld", "quantile = 2", "2.0 is not in the range 0<=x<=1"),
        ("kld", 'ks = "three"', "'three'; expected numbers such as 3,4,5"),
        ("kmers", "k = ", "is no TOML"),
        ("kld", 'strands = "sideways"', "'sideways' is not one of"),
    ],
    ids=lambda part: part.replace("\n", " "),
)
def test_a_config_that_is_wrong_says_what_is_meant_or_allowed(run, verb, text, message):
    Path("run.toml").write_text(text)
    result = run(verb, "--config", "run.toml")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_config_without_a_file_is_wrong_usage(run):
    assert "No such file" in run("kmers", "--config", "absent.toml").stderr


def test_a_misspelled_table_within_a_table_is_named(run):
    Path("run.toml").write_text("[models.explian]\nlength = 50\n")
    result = run("models", "explain", "tum_resnet", "--config", "run.toml")
    assert result.exit_code == 2
    assert "the table explian (did you mean explain?)" in " ".join(result.stderr.split())


def test_a_verb_within_a_verb_has_a_table_within_a_table(run):
    Path("run.toml").write_text("[models.explain]\nlength = 50\n[kmers]\nk = 3\n")
    told = run("models", "explain", "tum_cnn", "--config", "run.toml", "--json")
    assert "50 bp" in json.loads(told.stdout)["explanation"][0]


def test_progress_in_a_log_is_lines():
    log = io.StringIO()
    stream = LogLines(log)
    bar = ["\r  0%| | 0/9", "\r 50%|# | 4/9  ", "\r        ", "\r", "note\n", "\r100%| 9/9", "\n"]
    for text in bar:
        stream.write(text)
    assert log.getvalue() == "0%| | 0/9\n50%|# | 4/9\nnote\n100%| 9/9\n"


def test_a_pipe_gets_no_carriage_returns(run, fasta, model):
    told = run("predict", "-m", model, fasta).stderr
    assert "seq" in told
    assert "\r" not in told
    assert run("predict", "-m", model, fasta, "-q").stderr == ""


def test_verbose_tells_with_what_it_ran_and_what_it_took(run, fasta):
    first, *_, last = run("kmers", fasta, "-k", 3, "-v").stderr.splitlines()
    assert first.startswith("fastseq: kmers with {")
    assert "'k': 3" in first
    assert re.fullmatch(r"fastseq: kmers took [\d.]+ s, .* MB at most", last)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "models"])
def test_every_key_of_a_config_is_an_option(tmp_path, verb):
    command = main.get_command(click.Context(main), verb)
    keys = [
        param.opts[-1].lstrip("-") for param in command.params
        if isinstance(param, click.Option) and param.expose_value
    ]  # fmt: skip
    values = {key: 1 for key in keys}
    config = tmp_path / "all.toml"
    config.write_text("".join(f"{key} = 1\n" for key in keys))
    context = click.Context(command, info_name=verb)
    (option,) = (param for param in command.params if param.name == "config")
    option.callback(context, option, str(config))
    assert len(context.default_map or {}) == len(values)


def test_main_is_a_group_that_lists_all_verbs():
    assert main.list_commands(click.Context(main)) == list(VERBS)
