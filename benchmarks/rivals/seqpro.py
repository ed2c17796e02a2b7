"""SeqPro: one-hot, decoding, the other strand and k-let shuffles of S1 arrays."""

from __future__ import annotations

import seqpro as sp


def one_hot(letters):
    """Return the (n, length, 4) one-hot array of an S1 array."""
    return sp.DNA.ohe(letters)


def decode(array):
    """Return the S1 array of a (n, length, 4) one-hot array."""
    return sp.DNA.decode_ohe(array, ohe_axis=-1)


def reverse_complement(letters):
    """Return the other strand of an S1 array."""
    return sp.DNA.reverse_complement(letters, length_axis=-1)


def shuffle(letters, k):
    """Return one k-let shuffle of each row of an S1 array."""
    return sp.k_shuffle(letters, k, sp.DNA, length_axis=-1, seed=0)
