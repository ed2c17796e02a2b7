"""kmertools (Rust) through its Python binding."""

from __future__ import annotations

import pykmertools as kmertools


def count_kmers(text, k):
    """Return the counts of one str, all 4^k of them."""
    return kmertools.OligoComputer(k).vectorise_one(text, False, False)
