"""The sequence room in good NumPy, and the limits of memory: fill and copy."""

import numpy as np

_CODE = np.full(256, 4, np.uint8)
_CODE[list(b"ACGT")] = range(4)


def lookup_one_hot(letters, out):
    """Write the (n, length, 4) one-hot of ASCII by a table of 256 rows."""
    table = np.zeros((256, 4), out.dtype)
    table[list(b"ACGT")] = np.eye(4, dtype=out.dtype)
    return np.take(table, letters, axis=0, out=out, mode="clip")


def pack(letters):
    """Return two bits a base and whether every letter is one."""
    codes = _CODE[letters].reshape(-1, 4)
    return codes @ np.array([1, 4, 16, 64], np.uint8), codes.max() < 4


def count_kmers(letters, k):
    """Return the counts of all rows of (n, length) letters without unknowns."""
    codes = _CODE[letters].astype(np.int64)
    words = np.zeros((len(codes), codes.shape[1] - k + 1), np.int64)
    for i in range(k):
        words = words << 2 | codes[:, i : i + words.shape[1]]
    return np.bincount(words.ravel(), minlength=4**k)


def canonical_pairs(words):
    """Return distinct words and their counts."""
    return np.unique(words, return_counts=True)


def gc_content(letters):
    """Return the GC fraction of each row."""
    return ((letters == 67) | (letters == 71)).mean(1)
