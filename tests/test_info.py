"""What is said of the build and the machine is what runs."""

import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np

import fastseq
from fastseq._native import cpu


def test_the_path_is_the_one_that_runs():
    native = fastseq.info()["native"]
    assert native["path"] == cpu.current()
    assert native["path"] in native["paths"] == [*cpu.supported()]
    assert {"encode", "kmers", "kld"} <= {*native["modules"]}
    before = cpu.use("portable")
    try:
        assert fastseq.info()["native"]["path"] == "portable"
    finally:
        cpu.use(before)


def test_the_processor_and_the_packages_are_named():
    found = fastseq.info()
    assert found["processor"]["name"]
    assert set(found["packages"]) == {"numpy", "scipy", "click"}
    assert found["packages"]["numpy"] == np.__version__
    if "avx2" in found["native"]["paths"] and sys.platform == "linux":
        assert "avx2" in found["processor"]["features"]


def test_everything_said_is_json():
    assert json.loads(json.dumps(fastseq.info())) == fastseq.info()


def test_what_plans_fuse_is_said_for_both_kinds_of_device():
    on_cpu, on_gpu = fastseq.info()["fused"]
    assert cpu.current() in on_cpu
    assert "conv1d" in on_gpu
    assert "PyTorch sees no GPU" in on_gpu or on_gpu.endswith("here, too")


def test_one_version_is_told_everywhere():
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert fastseq.__version__ == project["version"]
    cited = re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text(), re.M)
    assert cited[1] == project["version"]
    assert f"## {project['version']}" in (root / "CHANGELOG.md").read_text()
