"""k-mers are counted: over all sequences or for each, dense or sparse, spaced or canonical."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastseq import threads as pool
from fastseq._native import kmers as native
from fastseq._native.rows import Rows, windows
from fastseq.errors import CountOverflowError, DTypeError, OptionError, ShapeError
from fastseq.sequence.rows import Sequences, as_rows
from fastseq.sequence.sparse_kmers import SMALL_K, as_csr, narrowed, pairs_of_all, pairs_of_rows
from fastseq.sequence.words import (
    DENSE_K,
    canonical_rank,
    canonical_words,
    check_k,
    kmer_names,
    kmer_order,
)

__all__ = ["count_kmers", "kmer_names", "kmer_order"]

_COUNTS = ("uint8", "uint16", "uint32", "int32", "int64", "float32", "float64")


def count_kmers(
    seqs: Sequences,
    k: int | Sequence[int],
    *,
    per_sequence: bool = False,
    stride: int = 1,
    window: int | None = None,
    canonical: bool = False,
    output: str = "dense",
    pattern: str | None = None,
    dtype: DTypeLike | None = None,
    normalize: str | None = None,
    max_bytes: int = 8 << 30,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> Any:
    """Return how often each k-mer occurs, over all sequences or for each of them.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`. A k-mer never bridges an unknown base.
    k : int or sequence of int
        1 to 32; several give a dict ``{k: result}``.
    per_sequence : bool
        One row of counts for each sequence.
    stride : int
        k-mers begin at every ``stride``-th position of a sequence. With ``window``: windows do,
        and all k-mers of a window count.
    window : int, optional
        Width in bp: counts of each window, on an axis of their own before the k-mers. There are
        as many windows as fit into the longest sequence.
    canonical : bool
        A k-mer and its reverse complement are one, named by the smaller number; palindromes count
        once. The columns are those of ``kmer_names(k, canonical=True)``.
    output : {"dense", "csr", "pairs"}
        ``"dense"``: an array, k up to 12. ``"csr"``: a scipy sparse array with the same columns, k
        up to 31 (canonical: 12). ``"pairs"``: (kmers uint64, counts int64), ascending; per
        sequence (offsets int64 (n + 1,), kmers, counts).
    pattern : str, optional
        Spaced k-mers: ``"1101"`` takes the letters at the ones; k of them in at most 32.
    dtype : dtype, optional
        Of counts: int64 over all sequences and in pairs, int32 for each; a float type when
        normalized.
    normalize : {None, "l1", "l2"}
        Divide by the sum or the Euclidean norm, each row by its own; nothing counted stays 0.
    max_bytes : int
        A larger dense result is refused before it is made.
    out : ndarray, optional
        Dense counts per sequence: written instead of a new array.
    threads : int, optional
        As for `encode`. The answer is the same for any number.

    Returns
    -------
    ndarray (columns,), (n, columns), (windows, columns) or (n, windows, columns); see ``output``

    Raises
    ------
    CountOverflowError
        A count beyond ``dtype``.
    OptionError
        Options out of range, or that exclude each other.

    Notes
    -----
    The first base is the most significant: the number of a k-mer is its place in `kmer_names`;
    `kmer_order` leads to the orders of other tools. Dense counting costs 0.3 to 0.5 ns a base for
    k <= 8; listing and sorting takes 16 bytes of memory a base.

    Examples
    --------
    >>> count_kmers("ACACG", 2).nonzero()[0], count_kmers(["AAA", "CC"], 1, per_sequence=True)
    (array([1, 4, 6]), array([[3, 0, 0, 0],
           [0, 2, 0, 0]], dtype=int32))
    """
    if not isinstance(k, (int, np.integer)):
        if isinstance(k, str) or not hasattr(k, "__iter__"):
            check_k(k, 32)
        if out is not None or (pattern is not None and len(set(k)) > 1):
            raise OptionError("several k exclude out= and pattern=; call once for each")
        rows = as_rows(seqs)
        return {
            int(one): count_kmers(
                rows, one, per_sequence=per_sequence, stride=stride, window=window,
                canonical=canonical, output=output, pattern=pattern, dtype=dtype,
                normalize=normalize, max_bytes=max_bytes, threads=threads,
            )
            for one in k
        }  # fmt: skip
    rows = seqs if isinstance(seqs, Rows) else as_rows(seqs)
    word, span = _word(k, pattern, canonical, 1 if window is not None else stride)
    _check_options(k, canonical, output, normalize, per_sequence, window, stride, out)
    kind = np.dtype(_count_type(dtype, per_sequence, output, normalize))
    shape: tuple = (rows.n,)
    if window is not None:
        number = max(0, (rows.longest - window) // stride + 1)
        shape = (rows.n, number)
        rows = windows(rows, window, stride, number)
    if output == "dense":
        columns = len(canonical_words(k)) if canonical else 4**k
        if per_sequence:
            counts = _dense_rows(rows, word, k, columns, canonical, kind, max_bytes, out, threads)
            counts = counts.reshape(*shape, columns)
        elif window is not None:
            int32 = np.dtype("int32")
            each = _dense_rows(rows, word, k, columns, canonical, int32, max_bytes, None, threads)
            counts = narrowed(each.reshape(*shape, columns).sum(0, dtype=np.int64), kind)
        else:
            counts = narrowed(_dense_all(rows, word, k, canonical, span, stride, threads), kind)
        return _normalized(counts, normalize, dtype)
    if not per_sequence:
        kmers, found = pairs_of_all(rows, word, k, span)
        if output == "pairs":
            return kmers, _normalized(narrowed(found, kind), normalize, dtype)
        return as_csr(np.array([0, len(kmers)]), kmers, found, k, canonical, kind, normalize, dtype)
    small = output == "csr" and int(k) <= 15 and rows.longest < 1 << 31
    offsets, kmers, found = pairs_of_rows(rows, word, k, span, small=small, threads=threads)
    if output == "pairs":
        return offsets, kmers, narrowed(found, kind)
    return as_csr(offsets, kmers, found, k, canonical, kind, normalize, dtype)


def _word(k, pattern, canonical, stride) -> tuple[native.Word, int]:
    check_k(k, 32)
    if stride < 1:
        raise OptionError(f"stride is {stride}; expected at least 1")
    if pattern is None:
        return native.Word(k, (1 << k) - 1, canonical, stride), k
    if not pattern or set(pattern) - {"0", "1"} or len(pattern) > 32:
        raise OptionError(f"pattern is {pattern!r}; expected at most 32 of 1 and 0")
    if pattern.count("1") != k:
        raise OptionError(f"pattern {pattern!r} takes {pattern.count('1')} letters; k is {k}")
    if pattern[0] + pattern[-1] != "11":
        raise OptionError(f"pattern is {pattern!r}; expected 1 at both ends")
    if canonical and pattern != pattern[::-1]:
        raise OptionError(f"pattern {pattern!r} reads differently on the other strand")
    return native.Word(len(pattern), int(pattern, 2), canonical, stride), len(pattern)


def _count_type(dtype, per_sequence, output, normalize):
    """Return the type that counts are made in, before they are divided."""
    if dtype is None or (normalize is not None and np.dtype(dtype).kind == "f"):
        return "int32" if per_sequence and output != "pairs" else "int64"
    return dtype


def _check_options(k, canonical, output, normalize, per_sequence, window, stride, out) -> None:
    if output not in ("dense", "csr", "pairs"):
        raise OptionError(f"output is {output!r}; expected dense, csr or pairs")
    if normalize not in (None, "l1", "l2"):
        raise OptionError(f"normalize is {normalize!r}; expected None, l1 or l2")
    if output == "dense" and k > DENSE_K:
        raise OptionError(f'dense counts end at k = {DENSE_K}, k is {k}; pass output="pairs"')
    if output == "csr" and (k > 31 or (canonical and k > DENSE_K)):
        raise OptionError(f'csr columns end before k = {k}; pass output="pairs"')
    if output == "pairs" and normalize and per_sequence:
        raise OptionError('normalize needs output="dense" or "csr" per sequence')
    if window is not None and (window < 1 or stride < 1):
        raise OptionError(f"window is {window}, stride {stride}; expected at least 1")
    if window is not None and output != "dense":
        raise OptionError('window needs output="dense"')
    if out is not None and (output != "dense" or not per_sequence):
        raise OptionError('out needs per_sequence=True and output="dense"')


def _dense_all(rows, word, k, canonical, span, stride, threads) -> np.ndarray:
    """Return the counts over all rows, int64."""
    total = np.zeros(4**k, np.int64)
    threads = pool.resolve(threads, rows.total) if k <= 10 else 1
    if threads == 1:
        native.count(rows.capsule, word, 0, rows.n, total, k > SMALL_K)
    else:
        rows = _pieces(rows, span, stride, threads)
        lock = threading.Lock()

        def count(first: int, last: int) -> None:
            own = np.zeros_like(total)
            native.count(rows.capsule, word, first, last, own, k > SMALL_K)
            with lock:
                np.add(total, own, out=total)

        pool.run(count, rows.n, threads)
    return total[canonical_words(k)] if canonical else total


def _pieces(rows: Rows, span: int, stride: int, threads: int) -> Rows:
    """Return a single long row as overlapping pieces, so that threads can share it."""
    if rows.n > 1 or rows.longest < 1 << 16:
        return rows
    step = -(-rows.longest // (16 * threads * stride)) * stride
    return windows(rows, step + span - 1, step, -(-rows.longest // step))


def _dense_rows(rows, word, k, columns, canonical, kind, max_bytes, out, threads) -> np.ndarray:
    """Return the counts of each row, (n, columns)."""
    if kind.name not in _COUNTS:
        raise DTypeError(f"dtype is {kind}; expected one of {', '.join(_COUNTS)}")
    size = rows.n * columns * kind.itemsize
    if out is None and size > max_bytes:
        raise OptionError(
            f"{rows.n} x {columns} counts take {size / 1e9:.1f} GB, more than max_bytes; pass "
            'output="csr", a smaller dtype or a larger max_bytes'
        )
    counts = np.empty((rows.n, columns), kind) if out is None else out
    if counts.dtype != kind or counts.shape != (rows.n, columns) or not counts.flags.c_contiguous:
        raise ShapeError(
            f"out is {counts.dtype} {counts.shape}; expected {kind} {(rows.n, columns)} in C order"
        )
    rank = canonical_rank(k) if canonical else None

    def count(first: int, last: int) -> None:
        full = native.count_rows(rows.capsule, word, first, last, counts, rank)
        if full >= 0:
            raise CountOverflowError(f"row {full} has more of one {k}-mer than {kind} holds")

    pool.run(count, rows.n, pool.resolve(threads, size + rows.total))
    return counts


def _normalized(counts: np.ndarray, normalize: str | None, dtype) -> np.ndarray:
    if normalize is None:
        return counts
    kind = np.dtype(dtype or np.float64)
    if kind.kind != "f":
        raise OptionError(f"normalized counts are fractions; dtype is {kind}")
    norm = np.linalg.norm(counts, 1 if normalize == "l1" else 2, axis=-1, keepdims=True)
    return np.divide(counts, np.where(norm == 0, 1, norm)).astype(kind)
