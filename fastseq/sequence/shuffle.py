"""Sequences are shuffled so that every k-let is kept, uniformly over all such arrangements."""

from typing import Any, Literal, overload

import numpy as np

from fastseq import threads as pool
from fastseq._native import shuffle as native
from fastseq.arrays import Codes
from fastseq.errors import OptionError
from fastseq.sequence.encode import decode
from fastseq.sequence.rows import Sequences, as_rows
from fastseq.sequence.words import check_k

# the graph has 4^(k - 1) vertices, cleared for every row: 64 K of them at most
_MOST_K = 9


@overload
def shuffle(
    seqs: Sequences,
    k: int = 2,
    n: int = 1,
    *,
    seed: int = 0,
    row_offset: int = 0,
    as_text: Literal[False] = False,
    threads: int | None = None,
) -> Codes: ...
@overload
def shuffle(
    seqs: Sequences,
    k: int = 2,
    n: int = 1,
    *,
    seed: int = 0,
    row_offset: int = 0,
    as_text: Literal[True],
    threads: int | None = None,
) -> list[Any]: ...
def shuffle(
    seqs: Sequences,
    k: int = 2,
    n: int = 1,
    *,
    seed: int = 0,
    row_offset: int = 0,
    as_text: bool = False,
    threads: int | None = None,
) -> Codes | list[Any]:
    """Return ``n`` shuffles of each sequence with the same k-lets.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`. Unknown bases stay where they are, and each stretch between them is
        shuffled for itself, so that no k-let appears or is lost.
    k : int
        1 (letters) to 9. The first and last k - 1 letters of a stretch cannot move.
    n : int
        Shuffles of each sequence.
    seed : int
        The same seed, row and shuffle give the same result for any number of threads.
    row_offset : int
        Number of the first row in a larger set: a batch from row 1000 on passes 1000 and gets what
        the whole set would have got.
    as_text : bool
        Lists of str instead of codes: ``[row][shuffle]``, each of its sequence's own length.

    Returns
    -------
    uint8, (rows, n, length) padded with 4, or (n, length) of a single text

    Raises
    ------
    OptionError
        ``k``, ``n`` or ``row_offset`` is out of range.

    Notes
    -----
    Uniform over all arrangements: a uniform spanning tree (Wilson, STOC 1996) of last edges, then
    random orders of the others, after Altschul and Erickson (1985) and Kandel et al. (1996).
    Homopolymers and other sequences with one arrangement come back unchanged.

    Examples
    --------
    >>> shuffle("AACACGACTA", seed=3, as_text=True)
    ['AACTACGACA']
    """
    check_k(k, _MOST_K)
    if n < 0 or row_offset < 0:
        raise OptionError(f"n is {n}, row_offset is {row_offset}; expected 0 or more")
    rows = as_rows(seqs)
    codes = np.empty((rows.n, n, rows.longest), np.uint8)
    key = int(seed) % (1 << 64)
    pool.run(
        lambda first, last: native.shuffle(rows.capsule, first, last, k, key, row_offset, codes),
        rows.n,
        pool.resolve(threads, 32 * codes.size),
    )
    if not as_text:
        return codes[0] if rows.single else codes
    sizes = np.empty(rows.n, np.int64)
    rows.sizes(sizes)
    texts = [
        [text[:size] for text in decode(shuffles)] for shuffles, size in zip(codes, sizes.tolist())
    ]
    return texts[0] if rows.single else texts
