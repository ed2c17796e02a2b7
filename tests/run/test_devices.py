"""Devices of workers: taken in turns, of one type, and there."""

import pytest
import torch

from fastseq.errors import OptionError
from fastseq.run.devices import device_of_rank, named_devices


@pytest.fixture(autouse=True)
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (2, ("cuda:0", "cuda:1")),
        ("all", ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        ("cuda:3", ("cuda:3",)),
        (["cuda:2", "cuda:0"], ("cuda:2", "cuda:0")),
        (["cpu", "cpu"], ("cpu", "cpu")),
    ],
)
def test_devices_are_named(given, names):
    assert named_devices(given) == names


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "5 devices asked for; this machine has 4 GPUs"),
        (0, "0 devices asked for"),
        (["cuda:4", "cuda:1"], "no device cuda:4; this machine has 4 GPUs"),
        (["cuda:0", "cpu"], "all of one type"),
        ([], "expected some"),
        ("gpu0", "expected names such as cuda:0"),
    ],
)
def test_devices_that_are_not_there_are_named(given, message):
    with pytest.raises(OptionError, match=message):
        named_devices(given)


def test_all_of_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(OptionError, match="this machine has 0 GPUs"):
        named_devices("all")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_of_rank() is None


def test_ranks_of_a_launcher_take_the_gpus_in_turns(monkeypatch):
    assert device_of_rank() is None
    found = []
    for rank in range(6):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        found.append((device_of_rank(), device_of_rank(["cuda:1", "cuda:3"])))
    assert [first for first, _ in found] == [f"cuda:{rank % 4}" for rank in range(6)]
    assert [second for _, second in found] == ["cuda:1", "cuda:3"] * 3
