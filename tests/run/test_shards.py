"""Workers: each shard done once, deaths forgiven up to a point, errors handed on."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastseq.errors import OptionError
from fastseq.run.shards import Place, place

VARIABLES = (
    "RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_every_shard_has_one_owner():
    owners = [[rank for rank in range(3) if Place(rank, 3).owns(shard)] for shard in range(10)]
    assert owners == [[shard % 3] for shard in range(10)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Place(0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, Place(2, 4)),
        ({"RANK": "2"}, Place(0, 1)),
        (dict(zip(VARIABLES[2:], "341")), Place(2, 4)),
    ],
)
def test_launchers_give_the_place(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert place() == expected


def test_a_place_outside_its_size_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "4")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(OptionError, match="RANK=4 of WORLD_SIZE=4"):
        place()


# what spawned processes run must be importable by name
WORK = """
import os, signal, sys, time
from pathlib import Path
from fastseq.errors import TableError
from fastseq.run.shards import supervise

def shards_of(where, folder, shards):
    for shard in filter(where.owns, range(shards)):
        path = Path(folder, str(shard))
        if not path.exists():
            path.write_text(str(where.rank))
            if shard == 2:
                os.kill(os.getpid(), signal.SIGKILL)

def always_killed(where):
    os.kill(os.getpid(), signal.SIGKILL)

def refuses(where):
    if where.rank == 1:
        raise TableError("no such column")
    time.sleep(60)

if __name__ == "__main__":
    exec(sys.argv[1])
"""


def run(tmp_path: Path, call: str) -> subprocess.CompletedProcess:
    path = tmp_path / "work.py"
    path.write_text(WORK)
    words = [sys.executable, str(path), call]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=50)


def test_a_killed_worker_is_started_again_and_skips_what_is_done(tmp_path):
    folder = tmp_path / "done"
    folder.mkdir()
    assert run(tmp_path, f"supervise(shards_of, ({str(folder)!r}, 7), 2)").returncode == 0
    ranks = [(folder / str(shard)).read_text() for shard in range(7)]
    assert ranks == [str(shard % 2) for shard in range(7)]


def test_deaths_are_forgiven_up_to_a_point(tmp_path):
    ended = run(tmp_path, "supervise(always_killed, (), 1, restarts=0)")
    assert "WorkerError: worker 0 ended with status -9" in ended.stderr


def test_what_a_worker_refuses_stops_them_all(tmp_path):
    ended = run(tmp_path, "supervise(refuses, (), 2)")
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("TableError: no such column")
