"""Whatever a training dies of, what lies on disk is whole, and going on is as if unbroken."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from fastseq.errors import MissingFileError, ResumeError, UnreadableFileError
from fastseq.learn.train import train
from fastseq.models import checkpoints

EPOCHS = 3


class Killed(BaseException):
    """Nobody catches it."""


def data(seed=3, rows=120):
    codes = np.random.default_rng(seed).integers(0, 4, (rows, 30), dtype=np.uint8)
    return codes, np.isin(codes, (1, 2)).mean(1)


def fit(path=None, rows=None, epochs=EPOCHS, **options):
    options = {"batch_size": 32, "sizes": {"channels": 4}, "progress": False, **options}
    return train("tum_cnn", rows or data(), path=path, epochs=epochs, **options)


def weights(model):
    return torch.cat([weight.flatten().double() for weight in model.state_dict().values()])


@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_any_write_leaves_whole_files(tmp_path, monkeypatch, call, moment):
    path, real, calls = tmp_path / "m.safetensors", os.replace, []

    def replace(source, target):
        calls.append(target)
        if moment == "after":
            real(source, target)
        if len(calls) == call:
            # as kill -9: what was being written stays
            monkeypatch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: None)
            raise Killed
        if moment == "before":
            real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    try:
        fit(path)
    except Killed:
        monkeypatch.undo()
    else:
        # the last epoch was not the best one: fewer writes than calls asked for
        monkeypatch.undo()
        assert len(calls) < call
    if path.exists():
        checkpoints.load(path)
    resumed = fit(path, resume=True)
    assert torch.equal(weights(resumed.model), weights(fit().model))
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_kill_9_at_any_time(tmp_path):
    path = tmp_path / "m.safetensors"
    state, program = path.with_name("m.safetensors.state"), [sys.executable, __file__, str(path)]
    child = subprocess.Popen(program, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        for _ in range(1200):
            if state.exists() or child.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    if path.exists():
        checkpoints.load(path)
    training = json.loads(torch.load(state, weights_only=True)["training"])
    assert training["history"][0]["epoch"] == 1
    # the state is of a run of 2,000 epochs
    with pytest.raises(ResumeError, match="other rows, model, recipe or seed"):
        fit(path, resume=True)


@pytest.mark.parametrize(
    "other",
    [
        {"rows": data(4)}, {"rows": (data()[0], data()[1] + 1)}, {"seed": 1}, {"epochs": 4},
        {"lr": 0.1}, {"shift": 1}, {"sizes": {"channels": 8}}, {"validation": 0.4},
        {"flanks": "none", "scale": "log2"},
    ],
    ids=str,
)  # fmt: skip
def test_another_training_is_not_gone_on_with(tmp_path, other):
    path = tmp_path / "m.safetensors"
    fit(path)
    before = path.read_bytes()
    with pytest.raises(ResumeError, match="belongs to a run of other rows, model, recipe or seed"):
        fit(path, resume=True, **other)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_found_out_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("fastseq.learn.loop.Run.fit", lambda self: pytest.fail("it trained"))
    with pytest.raises(MissingFileError, match="no folder"):
        fit(tmp_path / "none" / "m.safetensors")
    # not even root writes there
    with pytest.raises(UnreadableFileError, match="m.safetensors cannot be written: /proc"):
        fit("/proc/m.safetensors")


def test_a_folder_that_fills_up_keeps_the_last_whole_state(tmp_path, monkeypatch):
    path, real, calls = tmp_path / "m.safetensors", os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UnreadableFileError, match="cannot be written: No space left"):
        fit(path)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["m.safetensors", "m.safetensors.state"]
    assert torch.equal(weights(fit(path, resume=True).model), weights(fit().model))


if __name__ == "__main__":
    torch.set_num_threads(1)
    fit(sys.argv[1], epochs=2000)
