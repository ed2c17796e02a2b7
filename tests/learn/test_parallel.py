"""Two processes that torchrun starts train to what one would, and only the first one writes."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from fastseq.errors import OptionError
from fastseq.learn.loop import Run
from fastseq.learn.parallel import World
from fastseq.learn.train import train
from fastseq.models import checkpoints
from fastseq.models.registry import build

STRANDS = ("augment", "conjoined")


def fit(folder, strands, **options):
    codes = np.random.default_rng(0).integers(0, 4, (210, 30), dtype=np.uint8)
    gc = np.isin(codes, (1, 2)).mean(1)
    torch.manual_seed(5)
    model = build("bpnet", length=30, channels=8, layers=2)
    return train(
        model, (codes, gc), epochs=3, batch_size=32, flanks="none", strands=strands, shift=2,
        path=f"{folder}/{strands}.safetensors", progress=False, **options,
    )  # fmt: skip


def launched(folder, **environment):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    return subprocess.run(
        [sys.executable, *launch, str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def test_two_processes_train_as_one_would(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    done = launched(tmp_path / "two")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert len(lines) == 4
    assert len(set(lines)) == 2
    assert sorted(os.listdir(tmp_path / "two")) == [f"{kind}.safetensors" for kind in STRANDS]
    for strands in STRANDS:
        alone = fit(tmp_path / "one", strands)
        shared = tmp_path / "two" / f"{strands}.safetensors"
        weights = checkpoints.load(shared).state_dict()
        for name, weight in alone.model.state_dict().items():
            torch.testing.assert_close(weights[name], weight, rtol=1e-4, atol=1e-5)
        for row, other in zip(alone.history, checkpoints.describe(shared)["training"]["history"]):
            for figure in ("loss", "val_loss", "pearson"):
                assert row[figure] == pytest.approx(other[figure], rel=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_killed_process_ends_both_and_the_next_two_go_on(tmp_path, rank):
    killed = launched(tmp_path, KILL_RANK=rank)
    assert killed.returncode != 0
    assert (tmp_path / "augment.safetensors.state").exists()
    done = launched(tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == [f"{kind}.safetensors" for kind in STRANDS]
    (tmp_path / "one").mkdir()
    for strands in STRANDS:
        alone = fit(tmp_path / "one", strands)
        weights = checkpoints.load(tmp_path / f"{strands}.safetensors").state_dict()
        for name, weight in alone.model.state_dict().items():
            torch.testing.assert_close(weights[name], weight, rtol=1e-4, atol=1e-5)


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


def die_in_the_third_epoch():
    """Let this process end as kill -9 ends it."""
    epoch = Run._epoch

    def until(self, stage, number, *rest):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return epoch(self, stage, number, *rest)

    Run._epoch = until


if __name__ == "__main__":
    torch.set_num_threads(1)
    if os.environ.get("KILL_RANK") == os.environ["RANK"]:
        die_in_the_third_epoch()
    for kind in STRANDS:
        print(fit(sys.argv[1], kind, resume=True).best["pearson"])
