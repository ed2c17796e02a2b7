"""Two processes that torchrun starts train to what one would, and only the first one writes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from fastseq.errors import OptionError
from fastseq.learn.parallel import World
from fastseq.learn.train import train
from fastseq.models import checkpoints

SCRIPT = """
import sys
import numpy as np, torch
from fastseq import train
from fastseq.models import build
torch.set_num_threads(1)
codes = np.random.default_rng(0).integers(0, 4, (210, 30), dtype=np.uint8)
gc = np.isin(codes, (1, 2)).mean(1)
torch.manual_seed(5)
model = build("bpnet", length=30, channels=8, layers=2)
result = train(model, (codes, gc), epochs=3, batch_size=32, flanks="none", path=sys.argv[1],
               strands=sys.argv[2], shift=2, progress=False)
print("best", result.best["pearson"])
"""


@pytest.mark.parametrize("strands", ["augment", "conjoined"])
def test_two_processes_train_as_one_would(tmp_path, strands):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    found = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [sys.executable, *(launch if processes == 2 else []), str(script),
             str(folder / "m.safetensors"), strands],
            capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("best") == processes
        assert len(set(done.stdout.split("\n")[:-1])) == 1
        assert os.listdir(folder) == ["m.safetensors"]
        found[processes] = folder / "m.safetensors"
    one, two = (checkpoints.load(path).state_dict() for path in found.values())
    for name, weight in one.items():
        torch.testing.assert_close(weight, two[name], rtol=1e-4, atol=1e-5)
    one, two = (checkpoints.describe(path)["training"]["history"] for path in found.values())
    for row, other in zip(one, two):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert row["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4)


def test_a_batch_is_shared_without_loss_or_overlap():
    batch = torch.arange(22)
    parts = [World(rank, 3).part(batch[:11]) for rank in range(3)]
    assert torch.cat(parts).tolist() == list(range(11))
    both = [World(rank, 3).part(batch, copies=2).view(2, -1) for rank in range(3)]
    assert torch.cat(both, dim=1).tolist() == [list(range(11)), list(range(11, 22))]
    assert World().part(batch) is batch


def test_what_cannot_be_shared_is_refused(monkeypatch):
    codes = np.zeros((40, 30), np.uint8)
    codes[::2] = 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    with pytest.raises(OptionError, match="WORLD_SIZE=2"):
        train("tum_cnn", (codes, codes[:, 0]), epochs=1, progress=False)
