"""Rows come out of memory and out of a device as they went in: moved, turned and expanded."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from fastseq.learn.augment import batches
from fastseq.learn.feed import DeviceFeed, HostFeed, feed
from fastseq.learn.recipes import Recipe
from fastseq.models.specs import InputSpec

CPU = torch.device("cpu")
SPECS = (
    InputSpec(21),
    InputSpec(21, base_order="AGCT", unknown="uniform", strand_channel=True,
              flag_channels=("singleton",)),
)  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("kinds", [4, 6])
@pytest.mark.parametrize("turned", [(9,), (4,), (0,), (9, 0)])
def test_a_device_gives_the_batches_of_the_cpu(spec, kinds, turned):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, kinds, (30, 21), dtype=np.uint8)
    rows, moves = rng.integers(0, 30, 9), rng.integers(-21, 22, 9, np.int16)
    here, there = HostFeed(codes, spec), DeviceFeed(codes, spec, CPU)
    for shift in (None, moves):
        expected = here.batch(rows, shift, turned)
        found = there.batch(rows, shift, turned)
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride()


@pytest.mark.parametrize("strands", ["forward", "augment", "conjoined"])
def test_an_epoch_is_the_same_from_either(strands):
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 5, (50, 21), dtype=np.uint8)
    labels = rng.normal(size=(50, 1)).astype(np.float32)
    flags, clusters = (np.arange(50) % 2).astype(np.float32), np.arange(50) // 3
    plan = Recipe(batch_size=16, strands=strands, shift=2, mask=0.2, label_noise=0.1)
    here, there = HostFeed(codes, SPECS[1]), DeviceFeed(codes, SPECS[1], CPU)
    pairs = zip(
        *(
            batches(rows, labels, np.arange(50), plan, np.random.default_rng(3), None, clusters,
                    flags)
            for rows in (here, there)
        )
    )  # fmt: skip
    for one, other in pairs:
        for part, same in zip(one, other):
            assert torch.equal(part, same)


def test_both_strands_hide_the_same_bases():
    rows = HostFeed(np.zeros((8, 21), np.uint8), InputSpec(21))
    plan = Recipe(strands="conjoined", mask=0.5)
    ((x, _, _),) = batches(
        rows, np.zeros((8, 1), np.float32), np.arange(8), plan, np.random.default_rng(0)
    )
    forward, reverse = x.sum(1).chunk(2)
    assert torch.equal(forward, reverse.flip(1))
    assert 0 < forward.mean() < 1


@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
def test_other_devices_hold_the_bits(device):
    codes = np.random.default_rng(0).integers(0, 5, (30, 21), dtype=np.uint8)
    rows = feed(codes, InputSpec(21), torch.device(device))
    x = rows.batch(np.arange(9), np.arange(9, dtype=np.int16), (4,))
    assert (x.device.type, tuple(x.shape)) == (device, (9, 4, 21))
    assert rows.rows.records.nbytes == 30 * (6 + 1 + 3)


# the memory of a training besides PyTorch's own, on a tenth of the challenge's rows
MEMORY = """
import resource, sys
import numpy as np, torch
from fastseq.learn.augment import batches
from fastseq.learn.feed import feed
from fastseq.learn.recipes import Recipe
from fastseq.models.specs import InputSpec

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

n, plan = 670_000, Recipe(batch_size=1024)
def codes():
    rng = np.random.default_rng(0)
    return rng.integers(0, 4, (n, 110), dtype=np.uint8)
before = peak()
rows = feed(codes(), InputSpec(110), torch.device("cpu"))
packed = peak()
y = np.zeros((n, 1), np.float32)
for at, _ in zip(range(50), batches(rows, y, np.arange(n), plan, np.random.default_rng(0))):
    pass
print(before, packed, peak(), rows.rows.records.nbytes / 2**20)
"""


def test_ten_million_bases_take_little_more_than_their_bits():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=120
    )
    before, packed, end, bits = map(float, done.stdout.split())
    codes = 670_000 * 110 / 2**20
    # codes once, bits, and what packs a block; drawing adds order, labels and one batch
    assert bits < 0.27 * codes
    assert packed - before < codes + bits + 40
    assert end - packed < 40
