"""Chunks cover everything once, and the first failure is heard."""

import numpy as np
import pytest

from fastseq import threads
from fastseq.errors import OptionError


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("multiple", [1, 64])
def test_every_item_once(n, count, multiple):
    seen = np.zeros(n, int)
    starts = []

    def call(first, last):
        starts.append(first)
        seen[first:last] += 1

    threads.run(call, n, count, multiple=multiple)
    assert (seen == 1).all()
    assert all(start % multiple == 0 for start in starts)


def test_failures_reach_the_caller():
    def call(first, last):
        if first > 50:
            raise ValueError(f"chunk {first}")

    with pytest.raises(ValueError, match="chunk"):
        threads.run(call, 1000, 3)


def test_how_many(monkeypatch):
    monkeypatch.setenv("FASTSEQ_THREADS", "6")
    assert threads.usable() == 6
    assert threads.resolve(None, 1000) == 1
    assert threads.resolve(None, 1 << 30) == 6
    assert threads.resolve(2, 0) == 2
    monkeypatch.setenv("FASTSEQ_THREADS", "many")
    with pytest.raises(OptionError, match="many"):
        threads.usable()
    monkeypatch.delenv("FASTSEQ_THREADS")
    assert threads.usable() >= 1
    with pytest.raises(OptionError):
        threads.resolve(0, 1)
