"""tangermeme: its fastest way for each task, private kernels included."""

from __future__ import annotations

import numpy as np
import torch
from tangermeme import utils
from tangermeme.ersatz import dinucleotide_shuffle as shuffles
from tangermeme.kmers import kmers


def one_hot(text):
    """Return the (4, length) one-hot view of one long str."""
    return utils.one_hot_encode(text)


def pair_kernel(text, out):
    """Return a function that writes the one-hot of one str, two letters at a time, into ``out``."""
    _, _, pairs = utils._one_hot_encode_mapping("ACGT", "N")
    words = np.frombuffer(text.encode(), np.uint16)
    target = out.reshape(-1).view(np.uint64)
    return lambda: utils._fast_one_hot_encode_pairs4(target, words, pairs, 0, len(words))


def one_hot_rows(texts):
    """Return the (n, 4, length) one-hot array of a list of str."""
    return utils._one_hot_encode_rows(texts)


def count_kmers(hot, k):
    """Return k-mer counts of each row of a float (n, 4, length) one-hot tensor."""
    return kmers(hot, k)


def tensor(array):
    """Return an array as the tensor that tangermeme takes."""
    return torch.from_numpy(array)


def dinucleotide_shuffle(hot):
    """Return one shuffle of each row of a (n, 4, length) one-hot tensor."""
    return shuffles(hot, n=1, random_state=0)
