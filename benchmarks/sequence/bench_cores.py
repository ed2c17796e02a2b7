"""What more threads bring, from one to all cores; wall time, so only an idle machine tells."""

import os
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.run import Case
from fastseq import count_kmers, one_hot

ROWS = {"tiny": 8, "full": 200_000}
LENGTH = 200


def cases(size: str) -> Iterator[Case]:
    """Yield one-hot and k-mer counts of one batch for each number of threads."""
    codes = np.random.default_rng(0).integers(0, 4, (ROWS[size], LENGTH), dtype=np.uint8)
    out = np.empty((len(codes), 4, LENGTH), np.uint8)
    some = codes[:10_000]
    count = partial(count_kmers, some, 6, per_sequence=True)
    for threads in range(1, (os.cpu_count() or 1) + 1):
        for name, rows, call in (
            ("one_hot", codes, partial(one_hot, codes, out=out, threads=threads)),
            ("count_kmers per sequence", some, partial(count, threads=threads)),
        ):
            words = f"{len(rows):,} x {LENGTH} codes"
            yield Case(f"{name}, {threads} threads", call, rows.size, "bp", words, clock="wall")
