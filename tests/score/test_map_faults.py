"""Real faults under results of large sets: kills at any time, a full disk, a read-only one."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import fastseq
from fastseq.io.map_shards import read_shards
from tests.cli.test_main import COMMAND

ROWS, SHARD = 448, 64
PARTS = ROWS // SHARD
KILLS = 20 if os.environ.get("FASTSEQ_LONG") else 2

# mutates or attributes in children that are killed after a while; the last one is left alone
KILLED = """
import os, random, signal, sys, time
import numpy as np
import torch
import fastseq
torch.set_num_threads(1)
plan, codes = fastseq.lower("m.safetensors", device="cpu"), np.load("codes.npy")
verb, ending, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
if verb == "deletions":
    import pyarrow.parquet  # once, and not in every child
def explain(name):
    how = {"output": name + ending, "shard": 64, "resume": True}
    if verb == "ism":
        fastseq.saturation_mutagenesis(plan, codes, **how)
    elif verb == "deletions":
        fastseq.perturb(plan, codes, verb, **how)
    else:
        fastseq.attribute(plan, codes, verb, baselines="shuffle", n=2, steps=8, **how)
def run(name, seconds=None, behind=0):
    child = os.fork()
    if not child:
        explain(name)
        os._exit(0)
    if seconds is not None:
        while len(parts()) < behind:
            time.sleep(1e-3)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
def parts():
    home = "killed" + ending
    done = home + "/done" if ending else home
    return sorted(f"{done}/{part}" for part in os.listdir(done) if part[-4:] != ".tmp" and
                  part != "manifest.json") if os.path.isdir(done) else []
begin = time.monotonic()
assert run(verb + "-timed") == 0
whole, draw = time.monotonic() - begin, random.Random(8)
behind = 1
while kills:
    kills -= run("killed", (not behind) * draw.uniform(0.1, 0.7) * whole, behind) == signal.SIGKILL
    behind = 0
    print(len(parts()))
    for part in parts() if len(parts()) > 4 else []:
        os.unlink(part)
assert run("killed") == 0
"""

# a file system of its own, too small at first
FULL = """
mount -t tmpfs -o size=160k tmpfs small || exit 9
"$@" 2> told; echo $? > status; ls small/run* > parts
mount -o remount,size=64m small && "$@" --resume && cp -r small/run* grown
"""
READ_ONLY = """
mount -t tmpfs tmpfs small && mount -o remount,ro small || exit 9
"$@" 2> told; echo $? > status
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with a model and sequences."""
    folder = tmp_path_factory.mktemp("maps")
    codes = np.random.default_rng(1).integers(0, 5, (ROWS, 40)).astype(np.uint8)
    np.save(folder / "codes.npy", codes)
    (folder / "seqs.txt").write_text("\n".join(fastseq.decode(codes)) + "\n")
    network = fastseq.models.build("tum_cnn", length=40, channels=8)
    fastseq.models.save(network, folder / "m.safetensors")
    return folder


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(
    ("verb", "ending"),
    [
        ("ism", ""),
        ("deletions", ""),
        pytest.param("ism", ".zarr", marks=pytest.mark.long),
        pytest.param("integrated_gradients", "", marks=pytest.mark.long),
        pytest.param("integrated_gradients", ".zarr", marks=pytest.mark.long),
    ],
)
def test_kills_at_any_time_are_resumed_to_the_same_bytes(inputs, verb, ending):
    if ending:
        pytest.importorskip("zarr")
    if verb == "deletions":
        pytest.importorskip("pyarrow")
    for left in inputs.glob(f"killed{ending}"):
        shutil.rmtree(left)
    words = [sys.executable, "-c", KILLED, verb, ending, str(KILLS)]
    ended = subprocess.run(words, cwd=inputs, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert contents(inputs / f"killed{ending}") == contents(inputs / f"{verb}-timed{ending}")
    reached = [int(count) for count in ended.stdout.split()]
    assert any(0 < count < PARTS for count in reached), reached


@pytest.fixture
def mounted(inputs, tmp_path):
    """Return a function that runs the verb where a script has mounted a file system."""
    trial = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", tmp_path]
    if not shutil.which("unshare") or subprocess.run(trial, check=False).returncode:
        pytest.skip("a file system may not be mounted here")

    def run(script, output):
        for name in ("small", "grown"):
            (tmp_path / name).mkdir()
        files = ["-m", inputs / "m.safetensors", inputs / "seqs.txt", "--shard", SHARD]
        verb = [*COMMAND, "ism", *files, "-q", "-o", output]
        words = map(str, ["unshare", "-Urm", "sh", "-c", script, "sh", *verb])
        ended = subprocess.run(words, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "status").read_text() == "1\n"
        told = (tmp_path / "told").read_text()
        assert told.count("\n") == 1, told
        return told

    return run


@pytest.mark.parametrize("name", ["run", pytest.param("run.zarr", marks=pytest.mark.long)])
def test_a_full_disk_is_told_and_resumed_when_there_is_room(inputs, mounted, tmp_path, name):
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    told = mounted(FULL, f"small/{name}" + "/" * (name == "run"))
    assert "cannot be written: No space left on device" in told
    grown = read_shards(tmp_path / "grown" / name)
    codes = np.load(inputs / "codes.npy")
    whole = fastseq.saturation_mutagenesis(str(inputs / "m.safetensors"), codes)
    np.testing.assert_array_equal(grown.values, whole.effect)
    np.testing.assert_array_equal(grown.y_ref, whole.y_ref)


@pytest.mark.parametrize(
    "name", ["run/", *(pytest.param(n, marks=pytest.mark.long) for n in ("run.zarr", "run.npz"))]
)
def test_a_read_only_disk_is_told(mounted, name):
    told = mounted(READ_ONLY, f"small/{name}")
    assert "fastseq: small/run" in told
    assert "Read-only file system" in told or "takes no files" in told
