"""Batches of codes through one call, on the CPU and on a device that puts its copies off."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import FastseqWarning
from fastseq.lower import gpu

CPU = torch.device("cpu")


def call(codes):
    """One number for each row, on which all of its codes bear."""
    return (codes.float() * torch.arange(1, codes.shape[1] + 1)).sum(1, keepdim=True)


def random_codes(n, length=6):
    return np.random.default_rng(n).integers(0, 5, (n, length)).astype(np.uint8)


@given(st.integers(0, 70), st.sets(st.integers(1, 20), min_size=1))
def test_any_number_of_rows(n, sizes):
    runner = gpu.Runner(call, 6, tuple(sorted(sizes)), CPU)
    codes = random_codes(n)
    assert (runner(codes) == call(torch.from_numpy(codes)).numpy()).all()


def test_the_last_batch_is_the_smallest_that_holds_it():
    runner = gpu.Runner(call, 6, (1, 8, 32), CPU)
    assert [size for _, size in runner.batches(100)] == [32, 32, 32, 8]
    assert [size for _, size in runner.batches(65)] == [32, 32, 1]


class Late:
    """An event whose work happens only when somebody waits for it."""

    def __init__(self, queue):
        self.queue, self.mark = queue, 0

    def record(self):
        self.mark = self.queue.given

    def wait(self):
        self.queue.run(self.mark)

    synchronize = wait


class Queue:
    """A stream that does nothing until it must."""

    def __init__(self):
        self.given, self.work = 0, []

    def put(self, work):
        self.given += 1
        self.work.append((self.given, work))

    def run(self, mark):
        while self.work and self.work[0][0] <= mark:
            self.work.pop(0)[1]()


def test_a_buffer_is_written_only_when_its_codes_are_gone(monkeypatch):
    """Copies happen as late as events allow; an overwritten buffer would then be seen."""
    queue = Queue()
    monkeypatch.setattr(gpu, "event", lambda device: Late(queue))
    plain = torch.Tensor.copy_

    def copy_(self, other, non_blocking=False):
        if non_blocking:
            queue.put(lambda: plain(self, other))
            return self
        return plain(self, other)

    monkeypatch.setattr(torch.Tensor, "copy_", copy_)
    codes = random_codes(50)
    found = gpu.Runner(call, 6, (4,), CPU)(codes)
    monkeypatch.undo()
    assert (found == call(torch.from_numpy(codes)).numpy()).all()


def test_threads_take_turns():
    runner = gpu.Runner(call, 6, (1, 4, 16), CPU)
    wrong = []

    def work(n):
        codes = random_codes(n)
        for _ in range(20):
            if not (runner(codes) == call(torch.from_numpy(codes)).numpy()).all():
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in (3, 17, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_large_batches_run_in_parts():
    seen = []

    def counted(codes):
        seen.append(len(codes))
        return call(codes)

    codes = torch.from_numpy(random_codes(10))
    assert torch.equal(gpu.in_parts(counted, 4)(codes), call(codes))
    assert seen == [4, 4, 2]


@pytest.mark.parametrize("floats", [1, 110 * 64, 10**9])
def test_micro_batches_are_powers_of_two(floats):
    size = gpu.fitting(CPU, floats, 2)
    assert size >= 1
    assert size & (size - 1) == 0


def test_what_cannot_be_captured_runs_and_says_so(monkeypatch):
    def refuse(call, example):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(gpu, "captured", refuse)
    codes = random_codes(5)
    with pytest.warns(FastseqWarning, match="a capture failed: operation not permitted"):
        found = gpu.Runner(call, 6, (8,), CPU)(codes)
    assert (found == call(torch.from_numpy(codes)).numpy()).all()
