"""k-mers by name and by number, canonical or not, in our order and in that of other tools."""

from functools import lru_cache

import numpy as np

from fastseq._native import kmers as native
from fastseq.errors import OptionError
from fastseq.sequence.alphabet import DNA

# 4^12 names or 64-bit counts take 128 MB and more; larger k are for sparse outputs
DENSE_K = 12

ORDERS = ("tangermeme", "bionumpy", "cogent3")


def kmer_names(k: int, canonical: bool = False, *, alphabet: str = DNA) -> list[str]:
    """Return the k-mers in the order of the columns of `count_kmers`.

    Parameters
    ----------
    k : int
        1 to 12.
    canonical : bool
        Only those that are not larger than their reverse complement.

    Raises
    ------
    OptionError
        ``k`` is out of range.

    Examples
    --------
    >>> kmer_names(1), kmer_names(2, canonical=True)[:5]
    (['A', 'C', 'G', 'T'], ['AA', 'AC', 'AG', 'AT', 'CA'])
    """
    check_k(k, DENSE_K)
    words = canonical_words(k) if canonical else np.arange(4**k, dtype=np.uint64)
    return kmer_texts(words, k, alphabet=alphabet)


def kmer_texts(words, k: int, *, alphabet: str = DNA) -> list[str]:
    """Return the letters of k-mers given by number: first base most significant, A C G T = 0..3."""
    check_k(k, 32)
    words = np.asarray(words, np.uint64).reshape(-1, 1)
    shifts = np.arange(2 * (k - 1), -1, -2, dtype=np.uint64)
    letters = np.frombuffer(alphabet.encode(), np.uint8)[
        (words >> shifts & np.uint64(3)).astype(int)
    ]
    return np.ascontiguousarray(letters).view(f"S{k}").reshape(-1).astype(str).tolist()


def reverse_complement_words(words: np.ndarray, k: int) -> np.ndarray:
    """Return the numbers of the reverse complements of k-mers, uint64 (n,)."""
    check_k(k, 32)
    words = np.ascontiguousarray(words, np.uint64)
    turned = np.empty_like(words)
    native.turned(words, k, turned)
    return turned


@lru_cache(maxsize=16)
def canonical_words(k: int) -> np.ndarray:
    """Return the canonical k-mers by number, ascending, uint64 (m,)."""
    words = np.arange(4**k, dtype=np.uint64)
    kept = words[words <= reverse_complement_words(words, k)]
    kept.flags.writeable = False
    return kept


@lru_cache(maxsize=16)
def canonical_rank(k: int) -> np.ndarray:
    """Return the column of each canonical k-mer among the canonical ones, uint32 (4^k,)."""
    rank = np.zeros(4**k, np.uint32)
    rank[canonical_words(k)] = np.arange(len(canonical_words(k)), dtype=np.uint32)
    rank.flags.writeable = False
    return rank


def kmer_order(k: int, tool: str) -> np.ndarray:
    """Return where each column of another tool's dense counts stands in ours, int64 (4^k,).

    ``ours[..., kmer_order(k, tool)]`` is in the tool's order, and
    ``theirs[..., np.argsort(kmer_order(k, tool))]`` is in ours.

    Parameters
    ----------
    k : int
        1 to 12.
    tool : {"tangermeme", "bionumpy", "cogent3"}
        tangermeme and bionumpy count with the first base least significant; cogent3 orders the
        letters T C A G. seqpro, pykmertools and jellyfish dumps are lexicographic, as ours.

    Raises
    ------
    OptionError
        ``k`` is out of range or the tool is none of these.

    Examples
    --------
    >>> kmer_names(2)[kmer_order(2, "tangermeme")[4]]
    'AC'
    """
    check_k(k, DENSE_K)
    theirs = np.arange(4**k)
    digits = [theirs >> 2 * i & 3 for i in range(k)]  # least significant first
    if tool in ("tangermeme", "bionumpy"):
        return np.sum([digit << 2 * (k - 1 - i) for i, digit in enumerate(digits)], axis=0)
    if tool == "cogent3":
        code = np.array([3, 1, 0, 2])  # T C A G
        return np.sum([code[digit] << 2 * i for i, digit in enumerate(digits)], axis=0)
    raise OptionError(f"tool is {tool!r}; expected one of {', '.join(ORDERS)}")


def check_k(k: int, most: int) -> None:
    """Raise unless 1 <= k <= most."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= most:
        raise OptionError(f"k is {k!r}; expected 1 to {most}")
