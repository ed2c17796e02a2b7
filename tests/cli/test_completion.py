import os
import shutil
import subprocess
import sys

import click
import pytest

from fastseq.cli import main as cli
from fastseq.cli.main import VERBS, main

COMMAND = [sys.executable, "-c", "from fastseq.cli.main import main; main(prog_name='fastseq')"]


def offered(*words):
    """Return what the shell is offered for the last of these words."""
    environment = {
        **os.environ, "_FASTSEQ_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["fastseq", *words]), "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


def test_verbs_options_values_and_files_are_completed():
    assert offered("ex") == ["plain,export"]
    assert "plain,--canonical" in offered("kmers", "--c")
    assert offered("score", "--anchor", "L") == ["plain,L//2", "plain,L//2-1"]
    assert offered("predict", "--model", "mo") == ["file,mo"]
    assert offered("kmers", "x.f") == ["file,x.f"]


def test_verbs_are_completed_without_importing_them(monkeypatch):
    monkeypatch.setattr(cli, "load", lambda name: pytest.fail(f"imported {name}"))
    found = main.shell_complete(click.Context(main), "")
    assert [item.value for item in found][: len(VERBS)] == list(VERBS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_what_is_printed(run, tmp_path, shell):
    script = run("--completion", shell)
    assert script.exit_code == 0
    assert "_FASTSEQ_COMPLETE" in script.stdout
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here to read it")
    path = tmp_path / "completion"
    path.write_text(script.stdout)
    assert subprocess.run([shell, "-n", path]).returncode == 0
