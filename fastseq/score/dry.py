"""What a run would do: outcomes counted, time measured on a sample, memory added up."""

import time
from collections import Counter

import numpy as np

from fastseq.io.variants import VariantInput
from fastseq.score.scorer import ROWS_BYTES, Scorer
from fastseq.sequence.alleles import OK, STATUS

# alleles timed; their median over rounds is what the estimate rests on
SAMPLE, ROUNDS = 512, 3


def dry_run(run: Scorer, variants: VariantInput) -> dict:
    """Return counts per status, and estimates of hours and memory, without scoring.

    Returns
    -------
    dict
        ``rows``, ``counts`` by status, ``seconds`` and ``hours`` on one device,
        ``alleles_per_second``, and ``memory_mb`` of genome and blocks, without model and libraries.
    """
    counts: Counter[str] = Counter()
    rows, seconds, timed = 0, [], 0
    for block, places in variants.blocks(run.genome):
        found = run.resolve(block, places)
        counts.update(dict(zip(STATUS, np.bincount(found.status, minlength=len(STATUS)).tolist())))
        rows += len(block)
        ok = np.flatnonzero(found.status == OK)
        if not seconds and len(ok):
            sample = block[ok[:SAMPLE]]
            timed = len(sample)
            run.score(sample, places)
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                run.score(sample, places)
                seconds.append(time.perf_counter() - begin)
    each = float(np.median(seconds)) / timed if seconds else 0.0
    total = each * counts["ok"]
    return {
        "rows": rows,
        "counts": {name: number for name, number in counts.items() if number},
        "alleles_per_second": round(1 / each, 1) if each else None,
        "seconds": round(total, 1),
        "hours": round(total / 3600, 3),
        "memory_mb": round((len(run.genome.data) + 2 * ROWS_BYTES) / 2**20),
    }
