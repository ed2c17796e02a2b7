"""K-mer KLD: both metrics and a null, beside the published way and beside NumPy."""

import numpy as np

from benchmarks.rivals import numpy_kld, published_kld
from benchmarks.run import Case, Rival
from fastseq.reliability.kld import kmer_kld
from fastseq.reliability.tables import Metric, count_windows, tables_of_maps

KS = (3, 4, 5, 6, 7, 8)


def windows(n, length):
    return sum(n * (length - k + 1) for k in KS)


def cases(size):
    """Yield the cases of the goals: 1,000 sequences of 200 bp at full size."""
    n, length, replicates = (1000, 200, 20) if size == "full" else (40, 200, 2)
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (n, length), dtype=np.uint8)
    maps = random.standard_t(3, (n, 4, length)).astype(np.float32)
    scores = np.abs(maps[:, 0]).astype(np.float64)
    words = f"{n} x {length}, Student t maps, seed 0"

    def weighted():
        return kmer_kld(codes, scores, threads=1).per_k

    def both():
        methods, scores = ("weighted", "thresholded"), ("observed", "l2")
        kmer_kld(codes, maps, method=methods, score=scores, threads=1)

    def thresholded():
        return kmer_kld(codes, maps, ks=[6], method="thresholded", score="l2", threads=1).per_k[6]

    def same_as_numpy():
        theirs = numpy_kld.weighted(codes, scores, KS)
        np.testing.assert_allclose(list(weighted().values()), list(theirs.values()), rtol=1e-9)

    def same_as_published():
        np.testing.assert_allclose(thresholded(), published_kld.thresholded(codes, maps), rtol=1e-6)

    metric = Metric(KS, "weighted", "observed", "instance", 0.9, 2, True)

    def tables():
        count_windows(codes, metric)
        tables_of_maps(codes, scores, metric, 1)

    yield Case(
        "weight and count tables from scores, k = 3..8", tables, windows(n, length), "updates",
        words, goal=700e6, note="the pass over the windows, without divergences",
    )  # fmt: skip
    yield Case(
        "weighted from scores, k = 3..8", weighted, windows(n, length), "updates", words,
        [Rival("NumPy bincount", lambda: numpy_kld.weighted(codes, scores, KS), "numpy", goal=8)],
        same_as_numpy,
    )  # fmt: skip
    yield Case(
        "thresholded from maps, k = 6", thresholded, n * length, "bp", words,
        [Rival("published way, Python", lambda: published_kld.thresholded(codes, maps),
               goal=500)],
        same_as_published,
        note="the published code itself takes 1.57 s, more than twice this rival",
    )  # fmt: skip
    yield Case(
        "weighted and thresholded from float32 maps, k = 3..8", both, 1, "sets", words,
        goal=1 / 3e-3,
    )  # fmt: skip
    for kind in ("swap", "shift", "permute", "composition"):
        yield Case(
            f"null of {replicates} replicates, {kind}",
            lambda kind=kind: kmer_kld(
                codes, maps, null=replicates, null_kind=kind, threads=1
            ),
            replicates, "replicates", words,
            goal=200 * 140 / 120 if kind == "swap" else None,
            note="goal: 200 replicates for each of 140 models in 2 minutes",
        )  # fmt: skip
