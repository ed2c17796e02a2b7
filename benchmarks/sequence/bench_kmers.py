"""k-mer counts, shuffles, GC and melting temperatures, beside NumPy and the peers."""

import numpy as np

from benchmarks.rivals import numpy_sequence, optional
from benchmarks.run import Case, Rival
from benchmarks.sequence.bench_encode import letters
from fastseq.sequence.encode import one_hot
from fastseq.sequence.features import gc_content, melting_temperature
from fastseq.sequence.kmers import count_kmers
from fastseq.sequence.shuffle import shuffle


def cases(size):
    """Yield the cases: 12 Mbp in one sequence, 20,000 x 110 and 5,000 x 2,114 at full size."""
    full = size == "full"
    one = letters(1, 12_000_000 if full else 3000)
    yield from global_cases(one)
    yield from row_cases(letters(20_000 if full else 20, 110), tangermeme_too=True)
    yield from row_cases(letters(5_000 if full else 3, 2114), tangermeme_too=False)
    yield from other_cases(letters(200_000 if full else 50, 110))


def global_cases(one):
    words = f"one random sequence of {one.size} bp"
    text = one.tobytes().decode()
    kmertools = optional("pykmertools")
    for k, goal in ((4, 2e9), (6, 2e9), (8, 2e9), (10, None), (12, 2e8)):
        rivals = [
            Rival(
                "numpy shift and bincount",
                lambda k=k: numpy_sequence.count_kmers(one, k),
                "numpy",
                3 if k == 12 else 12 if k <= 8 else None,
            )
        ]
        if kmertools and k <= 8:
            rivals.append(
                Rival("pykmertools", lambda k=k: kmertools.count_kmers(text, k), "pykmertools", 2)
            )

        def right(k=k):
            expected = numpy_sequence.count_kmers(one, k)
            np.testing.assert_array_equal(count_kmers(one, k, threads=1), expected)

        yield Case(
            f"count_kmers k={k}",
            lambda k=k: count_kmers(one, k, threads=1),
            one.size,
            "bp",
            words,
            rivals,
            right,
            goal,
        )
    repeat = np.tile(np.frombuffer(b"AT", np.uint8), one.size // 2)
    for k in (6, 8):
        yield Case(
            f"count_kmers k={k} of a repeat",
            lambda k=k: count_kmers(repeat, k, threads=1),
            repeat.size,
            "bp",
            f"(AT)n, {repeat.size} bp",
            goal=1.5e9,
        )
    yield Case(
        "count_kmers k=6 canonical",
        lambda: count_kmers(one, 6, canonical=True, threads=1),
        one.size,
        "bp",
        words,
    )
    yield Case(
        "count_kmers k=6 spaced",
        lambda: count_kmers(one, 6, pattern="11011011", threads=1),
        one.size,
        "bp",
        f"{words}, pattern 11011011",
    )
    listed = np.random.default_rng(0).integers(0, 4**21, one.size - 20, dtype=np.uint64)
    yield Case(
        "count_kmers k=21 canonical",
        lambda: count_kmers(one, 21, canonical=True, output="pairs"),
        one.size,
        "bp",
        words,
        [
            Rival(
                "numpy.unique of ready words",
                lambda: numpy_sequence.canonical_pairs(listed),
                "numpy",
                0.9,
            )
        ],
        goal=8e7,
    )
    yield from beside_kmc(one)


def beside_kmc(one):
    """Yield canonical 21-mers beside KMC, a program of its own: by the wall, start and all."""
    kmc = optional("kmc")
    if kmc is None:
        return
    file = kmc.write_fasta(one)

    def ours():
        return count_kmers(one, 21, canonical=True, output="pairs", threads=1)

    def right():
        assert len(ours()[0]) == kmc.count_kmers(file, 21)

    yield Case(
        "count_kmers k=21 canonical beside KMC",
        ours,
        one.size,
        "bp",
        f"one random sequence of {one.size} bp; KMC reads it as FASTA",
        [Rival(f"KMC {kmc.VERSION}", lambda: kmc.count_kmers(file, 21), None, 8)],
        right,
        clock="wall",
    )


def row_cases(x, *, tangermeme_too):
    out = np.zeros((len(x), 4**6), np.int32)
    texts = [row.tobytes().decode() for row in x]
    # bytes of counts; a fill of them is the limit
    rivals = [Rival("ndarray.fill", lambda: out.fill(1), "numpy", 0.6)]
    tangermeme, sklearn = optional("tangermeme"), optional("sklearn_kmers")
    if tangermeme:
        hot = tangermeme.tensor(one_hot(x, dtype="float32"))
        rivals.append(
            Rival("tangermeme.kmers", lambda: tangermeme.count_kmers(hot, 6), "tangermeme", 20)
        )
    if sklearn:
        rivals.append(
            Rival("CountVectorizer", lambda: sklearn.count_kmers(texts, 6), "scikit-learn", 25)
        )

    def ours():
        count_kmers(x, 6, per_sequence=True, out=out, threads=1)

    def right():
        ours()
        np.testing.assert_array_equal(out.sum(0), numpy_sequence.count_kmers(x, 6))

    words = f"{len(x)} x {x.shape[1]}"
    yield Case(
        f"count_kmers per sequence k=6 L={x.shape[1]}",
        ours,
        x.size,
        "bp",
        f"{words}, touched int32 output",
        rivals,
        right,
    )
    yield Case(
        f"count_kmers per sequence k=6 csr L={x.shape[1]}",
        lambda: count_kmers(x, 6, per_sequence=True, output="csr"),
        x.size,
        "bp",
        words,
        rivals[-1:] if sklearn else [],
    )


def other_cases(x):
    some = x[: max(1, len(x) // 10)]
    seqpro, tangermeme, biopython = (
        optional("seqpro"),
        optional("tangermeme"),
        optional("biopython"),
    )
    for k in (2, 3):
        rivals = []
        if seqpro:
            rivals.append(
                Rival(
                    "seqpro.k_shuffle", lambda k=k: seqpro.shuffle(some.view("S1"), k), "seqpro", 2
                )
            )
        if tangermeme and k == 2:
            hot = tangermeme.tensor(one_hot(some, dtype="int8"))
            rivals.append(
                Rival(
                    "tangermeme",
                    lambda hot=hot: tangermeme.dinucleotide_shuffle(hot),
                    "tangermeme",
                    5,
                )
            )
        yield Case(
            f"shuffle k={k}",
            lambda k=k: shuffle(some, k, threads=1),
            some.size,
            "bp",
            f"{len(some)} x {x.shape[1]}",
            rivals,
            goal=1.2e8 if k == 2 else None,
        )
    yield Case(
        "gc_content",
        lambda: gc_content(x, threads=1),
        x.size,
        "bp",
        f"{len(x)} x {x.shape[1]}",
        [Rival("numpy", lambda: numpy_sequence.gc_content(x), "numpy", 10)],
        goal=8e9,
    )
    yield Case(
        "melting_temperature",
        lambda: melting_temperature(x, threads=1),
        len(x),
        "sequences",
        f"{len(x)} x {x.shape[1]}",
        goal=1 / 150e-9,
    )
    if biopython:
        few = x[:300]
        texts = [row.tobytes().decode() for row in few]
        yield Case(
            "melting_temperature of few",
            lambda: melting_temperature(few, threads=1),
            len(few),
            "sequences",
            f"{len(few)} x {x.shape[1]}",
            [
                Rival(
                    "Bio.SeqUtils Tm_NN",
                    lambda: biopython.melting_temperature(texts),
                    "biopython",
                    300,
                )
            ],
            lambda: np.testing.assert_allclose(
                melting_temperature(few), biopython.melting_temperature(texts), rtol=0, atol=1e-9
            ),
        )
