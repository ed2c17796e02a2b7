"""The GPU command runs from end to end, interpreted, and says why it does nothing without a GPU."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import page
from benchmarks.kernels import networks, report
from tests.kernels.interpreter import ROOT, SETTINGS

COMMAND = [sys.executable, "-m", "benchmarks.kernels.bench_gpu"]
PATHS = os.pathsep.join([str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the command itself can run")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Return the file of a smoke test."""
    output = tmp_path_factory.mktemp("gpu") / "smoke.json"
    environment = os.environ | SETTINGS | {"PYTHONPATH": PATHS}
    done = subprocess.run([*COMMAND, "--smoke", "--output", output], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_smoke(smoke):
    rows = json.loads(smoke.read_text())["rows"]
    assert [row for row in rows if "error" in row] == []
    assert {row["section"] for row in rows} == {
        "ceiling", "network", "layer", "mutants", "variants", "training", "config"
    }  # fmt: skip
    assert smoke.with_suffix(".configs.json").exists()
    scored = [row for row in rows if "figure" in row]
    assert [row["n"] for row in scored] == [18, 12]
    assert all("36.5 M SNVs would take" in row["note"] for row in scored)


class Names:
    """A report that runs nothing: its rows have the names of the real ones, and one speed."""

    smoke = False

    def __init__(self):
        self.rows = []

    def add(self, section, name, figure, *, again=False):
        speeds = {"sequences_per_second": 1.0, "edits_per_second": 1.0}
        self.rows.append({"section": section, "name": name, **speeds})


def test_every_aim_on_a_gpu_is_answered_by_a_figure_of_the_command(smoke, monkeypatch):
    def contest_of(report, net):
        codes = torch.zeros(65536, net.length, dtype=torch.uint8)
        return SimpleNamespace(name=net.name, n=len(codes), codes=codes, plan=None, plain=None,
                               flat=None, ours=None, whole_way=None, theirs=None)  # fmt: skip

    monkeypatch.setattr(networks, "contest_of", contest_of)
    # `partial` holds the methods that time, and refuses None
    monkeypatch.setattr(networks, "partial", lambda *given, **options: None)
    names = Names()
    contests = networks.networks(names)
    networks.mutants(names, contests)
    networks.compiled(names, contests)
    smoked = [row for row in json.loads(smoke.read_text())["rows"] if "figure" in row]
    rows = [*page.networks(names.rows), *smoked]
    goals = tomllib.loads((page.HERE / "goals.toml").read_text())["goal"]
    aims = [page.Goal(**goal) for goal in goals if goal["of"] == "kernels.gpu"]
    assert len(aims) > 10
    assert [aim for aim in aims if not aim.answers(rows)] == []


def crash(output, *, goes_on):
    """Add three figures, of which the second ends the process."""
    rows = report.Report(Path(output), 60, goes_on=goes_on)
    rows.add("layer", "first", lambda: {"ms": 1.0})
    rows.add("layer", "second", lambda: os.kill(os.getpid(), signal.SIGSEGV))
    rows.add("layer", "third", lambda: {"ms": 3.0})


def test_a_figure_that_ends_the_process_costs_no_other(tmp_path):
    output, codes = tmp_path / "rows.json", []
    for goes_on in (False, True):
        call = f"crash({str(output)!r}, goes_on={goes_on})"
        command = [sys.executable, "-c", f"from tests.kernels.test_bench_gpu import crash; {call}"]
        environment = os.environ | {"PYTHONPATH": PATHS}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment)
        codes.append(done.returncode)
    assert codes == [-signal.SIGSEGV, 0]
    rows = json.loads(output.read_text())["rows"]
    assert [(row["name"], row.get("ms"), row.get("error")) for row in rows] == [
        ("first", 1.0, None), ("second", None, "the process ended in it"), ("third", 3.0, None)
    ]  # fmt: skip


def test_figures_that_fail_are_written_down_and_needed_ones_are_done_again(tmp_path):
    output = tmp_path / "rows.json"

    def broken():
        raise ArithmeticError("relative error 1")

    for goes_on in (False, True):
        rows = report.Report(output, 60, goes_on=goes_on)
        assert rows.add("network", "wrong", broken, again=True) is None
        assert rows.add("network", "needed", lambda: {"n": 2}, again=True) == {
            "section": "network", "name": "needed", "n": 2
        }  # fmt: skip
    late = report.Report(output, -1, goes_on=True)
    assert late.add("layer", "late", dict) is None
    errors = [row.get("error") for row in json.loads(output.read_text())["rows"]]
    assert errors == ["ArithmeticError: relative error 1", None, "not reached in the time given"]


def test_without_a_gpu_it_says_so(tmp_path):
    output = tmp_path / "none.json"
    environment = os.environ | {"PYTHONPATH": PATHS}
    done = subprocess.run([*COMMAND, "--output", output], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0
    assert "PyTorch sees no GPU here" in done.stderr
    assert not output.exists()
