import os
import re
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


# each shell is given what is printed, and asked what it would offer for these words
ASKED = {
    "bash": "source ./completion; COMP_WORDS=(fastseq {words}); COMP_CWORD={last};"
    ' _fastseq_completion fastseq; printf "%s\\n" "${{COMPREPLY[@]}}"',
    # the widgets of zsh work in its line editor only: here they print what they are given
    "zsh": "compdef() {{ : }}; _describe() {{ print -l -- ${{(P)3}} }};"
    " compadd() {{ print -l -- ${{(P)@[-1]}} }}; source ./completion;"
    " words=(fastseq {words}); CURRENT=$(({last} + 1)); _fastseq_completion",
    "fish": 'source ./completion; complete --do-complete "fastseq {words}"',
}


@pytest.mark.parametrize("shell", ASKED)
def test_the_shell_offers_what_it_was_told(run, tmp_path, shell):
    script = run("--completion", shell)
    assert script.exit_code == 0
    assert "_FASTSEQ_COMPLETE" in script.stdout
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here to run it")
    (tmp_path / "completion").write_text(script.stdout)
    command = tmp_path / "bin/fastseq"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\nfrom fastseq.cli.main import main\nmain(prog_name='fastseq')\n"
    )
    command.chmod(0o755)
    path = f"{command.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(tmp_path)}

    def offers(*words):
        asked = ASKED[shell].format(words=" ".join(words), last=len(words))
        done = subprocess.run(
            [shell, "-c", asked], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stderr == ""
        return {re.split(r"[:\t]", line)[0] for line in done.stdout.splitlines()}

    assert offers("exp") == {"export"}
    assert "--canonical" in offers("kmers", "--can")
    assert {"L//2", "L//2-1"} <= offers("score", "--anchor", "L")
