"""The GPU command runs from end to end, interpreted, and says why it does nothing without a GPU."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.kernels import bench_gpu
from tests.kernels.interpreter import ROOT, SETTINGS

COMMAND = [sys.executable, "-m", "benchmarks.kernels.bench_gpu"]
PATHS = os.pathsep.join([str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the command itself can run")


def test_smoke(tmp_path):
    output = tmp_path / "smoke.json"
    environment = os.environ | SETTINGS | {"PYTHONPATH": PATHS}
    done = subprocess.run([*COMMAND, "--smoke", "--output", output], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(output.read_text())["rows"]
    assert [row for row in rows if "error" in row] == []
    assert {row["section"] for row in rows} == {
        "ceiling", "network", "layer", "mutants", "training", "config"
    }  # fmt: skip
    assert output.with_suffix(".configs.json").exists()


def crash(output, *, goes_on):
    """Add three figures, of which the second ends the process."""
    report = bench_gpu.Report(Path(output), 60, goes_on=goes_on)
    report.add("layer", "first", lambda: {"ms": 1.0})
    report.add("layer", "second", lambda: os.kill(os.getpid(), signal.SIGSEGV))
    report.add("layer", "third", lambda: {"ms": 3.0})


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
        report = bench_gpu.Report(output, 60, goes_on=goes_on)
        assert report.add("network", "wrong", broken, again=True) is None
        assert report.add("network", "needed", lambda: {"n": 2}, again=True) == {
            "section": "network", "name": "needed", "n": 2
        }  # fmt: skip
    late = bench_gpu.Report(output, -1, goes_on=True)
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
