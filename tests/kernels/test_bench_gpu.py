"""The GPU command runs from end to end, interpreted, and says why it does nothing without a GPU."""

import json
import os
import subprocess
import sys

import pytest
import torch

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


def test_without_a_gpu_it_says_so(tmp_path):
    output = tmp_path / "none.json"
    environment = os.environ | {"PYTHONPATH": PATHS}
    done = subprocess.run([*COMMAND, "--output", output], cwd=ROOT, env=environment,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0
    assert "PyTorch sees no GPU here" in done.stderr
    assert not output.exists()
