"""Slow twins of the sequence room: one letter at a time, nothing clever."""

from collections import Counter

import numpy as np

CODES = {"A": 0, "C": 1, "G": 2, "T": 3, "U": 3}
COMPLEMENT = dict(zip("ACGTUNRYSWKMBDHV", "TGCAANYRSWMKVHDB"))
IUPAC = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
         "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG"}  # fmt: skip


def encode(texts, length=None, pad="right", truncate="right"):
    """Return codes of str, row by row."""
    length = max(map(len, texts), default=0) if length is None else length
    rows = []
    for text in texts:
        excess = max(0, len(text) - length)
        skip = {"right": 0, "left": excess, "center": excess // 2}[truncate]
        codes = [CODES.get(c.upper() if c.isascii() else c, 4) for c in text[skip : skip + length]]
        missing = length - len(codes)
        before = {"right": 0, "left": missing, "center": missing // 2}[pad]
        rows.append([4] * before + codes + [4] * (missing - before))
    return np.array(rows, np.uint8).reshape(len(texts), length)


def one_hot(texts, layout="ncl", dtype="uint8", unknown="zero", ambiguity="unknown", **placing):
    """Return the one-hot array of str."""
    codes = encode(texts, **placing)
    array = np.zeros((*codes.shape, 4), dtype)
    for i, j in np.ndindex(codes.shape):
        if codes[i, j] < 4:
            array[i, j, codes[i, j]] = 1
        elif unknown == "uniform":
            array[i, j] = 0.25
    if ambiguity == "fraction":
        for i, text in enumerate(texts):
            for j, letter in enumerate(text):
                for base in IUPAC.get(letter.upper(), ""):
                    array[i, j] = 0 if base == IUPAC[letter.upper()][0] else array[i, j]
                    array[i, j, CODES[base]] = 1 / len(IUPAC[letter.upper()])
    return np.swapaxes(array, 1, 2) if layout == "ncl" else array


def reverse_complement(text):
    """Return the other strand of a str, case kept."""
    turned = []
    for c in reversed(text):
        other = COMPLEMENT.get(c.upper(), c) if c.isascii() else c
        turned.append(other.lower() if c.islower() and c.upper() in COMPLEMENT else other)
    return "".join(turned)


def words(text, k, *, canonical=False, stride=1, pattern=None):
    """Return the numbers of the k-mers of a str, in order of place."""
    pattern = pattern or "1" * k
    found = []
    for i in range(0, len(text) - len(pattern) + 1, stride):
        codes = [CODES.get(c.upper(), 4) for c in text[i : i + len(pattern)]]
        if max(codes) > 3:
            continue
        picked = [c for c, care in zip(codes, pattern) if care == "1"]
        forward = sum(c * 4**e for e, c in enumerate(reversed(picked)))
        backward = sum((3 - c) * 4**e for e, c in enumerate(picked))
        found.append(min(forward, backward) if canonical else forward)
    return found


def count(text, k, **options):
    """Return a Counter of the numbers of the k-mers of a str."""
    return Counter(words(text, k, **options))


def klets(text, k):
    """Return a Counter of the k-lets of a str."""
    return Counter(text[i : i + k] for i in range(len(text) - k + 1))


def gc_content(text, unknown="ignore"):
    """Return the fraction of G and C of a str."""
    codes = [CODES.get(c.upper(), 4) for c in text]
    known = len(codes) if unknown == "count" else sum(c < 4 for c in codes)
    return sum(c in (1, 2) for c in codes) / known if known else float("nan")


def arrangements(text, k):
    """Return every str with the k-lets and the first k - 1 letters of ``text``."""
    found = set()

    def grow(begun, left):
        if not left:
            found.add(begun)
        for klet in left:
            if begun[len(begun) - k + 1 :] == klet[:-1]:
                grow(begun + klet[-1], left - Counter([klet]))

    grow(text[: k - 1], klets(text, k))
    return found
