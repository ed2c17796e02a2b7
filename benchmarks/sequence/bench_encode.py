"""One-hot, decoding, the other strand and packing, beside the limits of memory and the peers."""

import random

import numpy as np

from benchmarks.rivals import numpy_sequence, optional
from benchmarks.run import Case, Rival
from fastseq.sequence.encode import decode, encode, one_hot, reverse_complement
from fastseq.sequence.pack import pack

LETTERS = np.frombuffer(b"ACGT", np.uint8)


def letters(n, length):
    """Return random ASCII, uint8 (n, length)."""
    return LETTERS[np.random.default_rng(0).integers(0, 4, (n, length))]


def cases(size):
    """Yield the cases: 200,000 x 110 bp, 20,000 x 2,114 bp and one of 12 Mbp at full size."""
    full = size == "full"
    short = letters(200_000 if full else 50, 110)
    long = letters(20_000 if full else 5, 2114)
    one = letters(1, 12_000_000 if full else 500)
    for x in (short, long, one):
        yield from one_hot_cases(x)
    yield from cached_cases(letters(256, 200), letters(1024 if full else 16, 110))
    yield from list_cases(short)
    yield from back_cases(short)
    yield from thread_cases(long)


def one_hot_cases(x):
    words = f"{len(x)} x {x.shape[1]} uint8 ASCII, touched output"
    texts = x.view("S1")
    seqpro, tangermeme = optional("seqpro"), optional("tangermeme")
    expected = np.eye(4, dtype=np.uint8)[encode(x[:3])]
    for dtype, nbytes in (("uint8", 1), ("float32", 4)):
        for layout, shape in (("ncl", (len(x), 4, x.shape[1])), ("nlc", (*x.shape, 4))):
            out = np.zeros(shape, dtype)

            def ours(out=out, layout=layout, dtype=dtype):
                one_hot(x, layout=layout, dtype=dtype, out=out, threads=1)

            def right(ours=ours, out=out, layout=layout):
                ours()
                found = out[:3] if layout == "nlc" else out[:3].swapaxes(1, 2)
                np.testing.assert_array_equal(found, expected)

            rivals = [Rival("ndarray.fill", lambda out=out: out.fill(1), "numpy", 0.65)]
            if layout == "nlc":
                rivals.append(
                    Rival(
                        "numpy.take", lambda out=out: numpy_sequence.lookup_one_hot(x, out), "numpy"
                    )
                )
            if seqpro and layout == "nlc":
                goal = 30 if dtype == "uint8" else 15
                run = (
                    (lambda: seqpro.one_hot(texts))
                    if dtype == "uint8"
                    else (lambda: seqpro.one_hot(texts).astype(np.float32))
                )
                rivals.append(Rival("seqpro.ohe", run, "seqpro", goal))
            if tangermeme and len(x) == 1 and dtype == "uint8" and layout == "nlc":
                own = np.zeros(out.size, np.uint8)
                text = x.tobytes().decode()
                rivals.append(
                    Rival(
                        "tangermeme pair kernel",
                        tangermeme.pair_kernel(text, own),
                        "tangermeme",
                        1.1,
                    )
                )
            yield Case(
                f"one_hot {dtype} {layout} L={x.shape[1]}",
                ours,
                out.size * nbytes,
                "bytes",
                words,
                rivals,
                right,
            )


def cached_cases(x, short):
    out = np.zeros((len(x), 4, x.shape[1]), np.uint8)
    floats = out.astype(np.float32)
    words = f"{len(x)} x {x.shape[1]}, output in cache"
    yield Case(
        "one_hot uint8 in cache",
        lambda: one_hot(x, out=out, threads=1),
        x.size,
        "bp",
        words,
        goal=8e9,
    )
    yield Case(
        "one_hot float32 in cache",
        lambda: one_hot(x, dtype="float32", out=floats, threads=1),
        x.size,
        "bp",
        words,
        goal=4.5e9,
    )
    text = x[0].tobytes().decode()
    yield Case(
        "one_hot of one text",
        lambda: one_hot(text),
        1,
        "calls",
        "1 x 200 str, new output",
        goal=1 / 1.5e-6,
    )
    array = np.zeros((len(short), 4, short.shape[1]), np.uint8)
    rivals = []
    compiled = optional("numba_one_hot")
    if compiled:
        rivals.append(Rival("numba", lambda: compiled.one_hot(short, array), "numba", 2))
    yield Case(
        "one_hot uint8 short rows",
        lambda: one_hot(short, out=array, threads=1),
        short.size,
        "bp",
        f"{len(short)} x {short.shape[1]}, output in cache",
        rivals,
    )


def list_cases(x):
    texts = [row.tobytes().decode() for row in x]
    random.Random(0).shuffle(texts)
    seqpro, tangermeme = optional("seqpro"), optional("tangermeme")
    rivals = [Rival("fastseq from an array", lambda: one_hot(x, threads=1), None, 1 / 2.5)]
    if tangermeme:
        rivals.append(
            Rival("tangermeme rows", lambda: tangermeme.one_hot_rows(texts), "tangermeme", 2.5)
        )
    if seqpro:
        rivals.append(Rival("seqpro.ohe", lambda: seqpro.one_hot(texts), "seqpro", 20))
    yield Case(
        "one_hot of a list",
        lambda: one_hot(texts, threads=1),
        x.size,
        "bp",
        f"shuffled list of {len(x)} str of {x.shape[1]} bp, new output",
        rivals,
    )


def back_cases(x):
    seqpro = optional("seqpro")
    hot = one_hot(x, layout="nlc")
    channels = one_hot(x)
    text = np.zeros(x.shape, np.uint8)
    for name, array, layout in (("nlc", hot, "nlc"), ("ncl", channels, "ncl")):
        # counted as read and written: a fill of both is the limit
        both = np.zeros(array.size + text.size, np.uint8)
        rivals = [Rival("ndarray.fill", lambda both=both: both.fill(1), "numpy", 0.5)]
        if seqpro and layout == "nlc":
            rivals.append(Rival("seqpro.decode_ohe", lambda: seqpro.decode(hot), "seqpro", 60))
        yield Case(
            f"decode uint8 {name}",
            lambda array=array, layout=layout: decode(array, layout=layout, out=text, threads=1),
            x.size,
            "bp",
            f"one-hot of {len(x)} x {x.shape[1]}, touched output",
            rivals,
            lambda: np.testing.assert_array_equal(text, x) if text.any() else None,
        )
    turned = np.zeros_like(x)
    rivals = [Rival("ndarray.copy to touched memory", lambda: np.copyto(turned, x), "numpy", 0.6)]
    if seqpro:
        rivals.append(Rival("seqpro", lambda: seqpro.reverse_complement(x.view("S1")), "seqpro", 8))
    yield Case(
        "reverse_complement ASCII",
        lambda: reverse_complement(x, out=turned, threads=1),
        x.size,
        "bp",
        f"{len(x)} x {x.shape[1]}, touched output",
        rivals,
    )
    maps = np.zeros_like(channels)
    rivals = [
        Rival("ndarray.copy to touched memory", lambda: np.copyto(maps, channels), "numpy", 0.6),
        Rival(
            "numpy [:, ::-1, ::-1]", lambda: np.copyto(maps, channels[:, ::-1, ::-1]), "numpy", 8
        ),
    ]
    yield Case(
        "reverse_complement one-hot",
        lambda: reverse_complement(channels, out=maps, threads=1),
        x.size,
        "bp",
        f"{len(x)} x 4 x {x.shape[1]} uint8, touched output",
        rivals,
    )
    rivals = [Rival("numpy", lambda: numpy_sequence.pack(flat), "numpy", 20)]
    flat = x.reshape(-1)[: x.size // 4 * 4]
    yield Case(
        "pack with validation",
        lambda: pack(flat, threads=1),
        flat.size,
        "bp",
        f"{flat.size} bp in one sequence",
        rivals,
        goal=15e9,
    )
    packed = pack(flat)
    codes = np.zeros(flat.size, np.uint8)
    yield Case(
        "unpack",
        lambda: packed.unpack(out=codes, threads=1),
        flat.size,
        "bp",
        f"{flat.size} bp in one sequence, touched output",
    )


def thread_cases(x):
    out = np.zeros((len(x), 4, x.shape[1]), np.uint8)
    small = x[:16]
    part = out[:16]
    words = f"{len(x)} x {x.shape[1]}, wall time; the machine has to be idle for this to mean much"
    yield Case(
        "one_hot with two threads",
        lambda: one_hot(x, out=out, threads=2),
        x.size,
        "bp",
        words,
        [Rival("one thread", lambda: one_hot(x, out=out, threads=1), None, 1.7)],
        clock="wall",
    )
    yield Case(
        "one_hot of little, threads left to itself",
        lambda: one_hot(small, out=part),
        small.size,
        "bp",
        f"{len(small)} x {x.shape[1]}",
        [Rival("one thread", lambda: one_hot(small, out=part, threads=1), None, 0.9)],
        clock="wall",
    )
