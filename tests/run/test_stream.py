"""Bars of long runs: silent where not asked for, and never in the way."""

import subprocess
import sys

from fastseq.run.stream import blocks

# a child is killed with tqdm's lock, which forks share
KILLED = """
import os, signal
from tqdm import tqdm
from fastseq.run.stream import blocks
lock = tqdm.get_lock()
if not (child := os.fork()):
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
for shown in (False, True):
    print(sum(rows.stop - rows.start for rows in blocks(10, 4, progress=shown, label="test")))
"""


def test_blocks_cover_the_rows_in_silence(capsys):
    assert list(blocks(10, 4, progress=False, label="")) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(blocks(0, 4, progress=False, label="")) == []
    assert capsys.readouterr().err == ""


def test_a_killed_child_does_not_stop_its_parent():
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["10", "10"]
    assert "test" in done.stderr
