"""Real faults: a full disk, kills at any time, workers killed here and under Ray."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastseq import models
from fastseq.io.fasta import write_fasta
from fastseq.score.variants import score_variants
from tests.cli.test_main import COMMAND

RECORDS, SHARD = 400, 8
PARTS = RECORDS // SHARD
KILLS = 20 if os.environ.get("FASTSEQ_LONG") else 3

# scores in children that are killed after a while; the last one is left alone
KILLED = """
import os, random, signal, sys, time
import torch
import fastseq
torch.set_num_threads(1)
plan = fastseq.lower("m.safetensors", length=40, device="cpu")
def score(name, **options):
    fastseq.score_variants(plan, "v.vcf", "g.fa", output=name, shard=8, **options)
def run(seconds):
    child = os.fork()
    if not child:
        score("killed", resume=True)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
begin = time.monotonic()
score("timed")
whole = time.monotonic() - begin
draw = random.Random(8)
kills = 0
while kills < int(sys.argv[1]):
    kills += run(draw.uniform(0.2, 0.9) * whole) == signal.SIGKILL
    there = [name for name in os.listdir("killed") if name.startswith("part-")]
    print(len(there))
    for name in os.listdir("killed") if len(there) > 25 else []:
        os.unlink(f"killed/{name}")
score("killed", resume=True)
"""

# a file system of its own, too small at first
FULL = """
mount -t tmpfs -o size=120k tmpfs small || exit 9
"$@" 2> told; echo $? > status; ls small/run > parts
mount -o remount,size=64m small && "$@" --resume && cp small/run/* grown
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with a model, a genome and a VCF, and the parts of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("faults")
    rng = np.random.default_rng(1)
    text = "".join(rng.choice(list("ACGT"), 5000))
    write_fasta(folder / "g.fa", {"chr1": text})
    places = np.sort(rng.choice(4900, RECORDS, replace=False)).tolist()
    alleles = [
        (text[at : at + 1 + 2 * (at % 7 == 0)], "ACGT"[at % 4] + "G" * (at % 5 == 0))
        for at in places
    ]
    rows = [f"chr1\t{at + 1}\t.\t{ref}\t{alt}\n" for at, (ref, alt) in zip(places, alleles)]
    (folder / "v.vcf").write_text("".join(rows))
    models.save(models.build("tum_cnn", length=40, channels=8), folder / "m.safetensors")
    files = (folder / name for name in ("m.safetensors", "v.vcf", "g.fa"))
    assert len(score_variants(*files, output=folder / "whole", shard=SHARD)["parts"]) == PARTS
    return folder


def command(folder: Path, output: str, *more: str) -> list[str]:
    files = ["-m", "m.safetensors", "--vcf", "v.vcf", "--fasta", "g.fa"]
    return [*COMMAND, "score", *files, "-q", "--shard", str(SHARD), "-o", output, *more]


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.suffix != ".tmp"}


def test_kills_at_any_time_are_resumed_to_the_same_bytes(inputs):
    words = [sys.executable, "-c", KILLED, str(KILLS)]
    ended = subprocess.run(words, cwd=inputs, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert contents(inputs / "killed") == contents(inputs / "whole")
    reached = [int(count) for count in ended.stdout.split()]
    assert any(0 < count < PARTS for count in reached), reached


def test_a_full_disk_keeps_whole_parts_and_is_resumed_when_there_is_room(inputs):
    trial = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", inputs]
    if not shutil.which("unshare") or subprocess.run(trial, check=False).returncode:
        pytest.skip("a file system may not be mounted here")
    for name in ("small", "grown"):
        (inputs / name).mkdir()
    words = ["unshare", "-Urm", "sh", "-c", FULL, "sh", *command(inputs, "small/run")]
    ended = subprocess.run(words, cwd=inputs, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert (inputs / "status").read_text() == "1\n"
    told = (inputs / "told").read_text()
    assert told.count("\n") == 1
    assert "cannot be written: No space left on device" in told
    left = (inputs / "parts").read_text().split()
    assert 2 < len(left) < PARTS
    assert contents(inputs / "grown") == contents(inputs / "whole")


def test_a_quota_is_told_and_leaves_whole_parts(inputs):
    """Files may not grow beyond a size, as under a quota: no part is half there."""
    whole = contents(inputs / "whole")
    limit = max(len(whole[f"part-0000{number}.parquet"]) for number in range(3))
    code = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from fastseq.cli.main import main\nmain()"
    )
    words = [sys.executable, "-c", code, *command(inputs, "quota")[len(COMMAND) :]]
    ended = subprocess.run(words, cwd=inputs, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "cannot be written: File too large" in ended.stderr
    for name, data in contents(inputs / "quota").items():
        assert name == "manifest.json" or data == whole[name]
    files = (inputs / name for name in ("m.safetensors", "v.vcf", "g.fa"))
    score_variants(*files, output=inputs / "quota", shard=SHARD, resume=True)
    assert contents(inputs / "quota") == whole


def descendants(process: int) -> list[tuple[int, str]]:
    """Return process number and command line of all children, theirs included."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            names[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    found, new = [], [process]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += [(child, names.get(child, "")) for child in new]
    return found


def killed_midway(inputs: Path, output: str, worker: str, *more: str) -> int:
    """Run the verb, kill one of its workers once there are parts; return the exit status."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc to find workers in")
    running = subprocess.Popen(command(inputs, output, *more), cwd=inputs)
    try:
        deadline = time.monotonic() + 120
        while not list((inputs / output).glob("part-*")) and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        victims = [number for number, name in descendants(running.pid) if worker in name]
        assert victims, "the run was over before a worker could be killed"
        os.kill(victims[-1], signal.SIGKILL)
        return running.wait(timeout=180)
    finally:
        running.kill()
        running.wait()


def test_a_killed_worker_loses_nothing(inputs):
    assert killed_midway(inputs, "workers", "spawn_main", "--workers", "2") == 0
    assert contents(inputs / "workers") == contents(inputs / "whole")


def test_a_killed_actor_of_a_ray_cluster_loses_nothing(inputs):
    pytest.importorskip("ray", reason="ray is not installed (the extra [cluster])")
    more = ("--cluster", "local", "--workers", "2")
    assert killed_midway(inputs, "ray", "ray::", *more) == 0
    assert contents(inputs / "ray") == contents(inputs / "whole")
