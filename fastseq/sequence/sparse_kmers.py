"""k-mers are listed, sorted and run-length encoded: counts of those that occur."""

import numpy as np

from fastseq import threads as pool
from fastseq._lazy import load
from fastseq._native import kmers as native
from fastseq._native.rows import Rows
from fastseq.errors import CountOverflowError, DTypeError
from fastseq.sequence.words import canonical_rank, canonical_words

# two tables of 32-bit counts stay in the second cache up to here (measured: 2 x 256 KB)
SMALL_K = 8
# words a row, over 2^k, from which a table is faster than sorting them (measured for k = 3..8)
TABLE_FROM = 8


def pairs_of_all(rows, word, k, span) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct words, ascending, and their counts."""
    if k <= 10:
        table = np.zeros(4**k, np.int64)
        native.count(rows.capsule, word, 0, rows.n, table, k > SMALL_K)
        kmers = np.flatnonzero(table)
        return kmers.astype(np.uint64), table[kmers]
    words, found = _list(rows, word, 0, rows.n, np.uint64, span)
    words = words[: _close_gaps(words, found)]
    ordered = np.empty_like(words)
    if len(words) < 1 << 32:
        native.sort_words(words, k, ordered)
    else:
        ordered[:] = np.sort(words)
    # the unsorted words make room for the counts: 16 bytes a base in all
    counts = words.view(np.int64)
    m = native.run_lengths(ordered, ordered, counts)
    if m > len(words) // 2:
        return ordered[:m], counts[:m]
    # mostly repeats: what is returned should not hold on to room for every word
    return ordered[:m].copy(), counts[:m].copy()


def _places(rows: Rows, first: int, last: int, span: int) -> np.ndarray:
    sizes = np.empty(rows.n, np.int64)
    rows.sizes(sizes)
    at = np.zeros(last - first + 1, np.int64)
    np.cumsum(np.maximum(sizes[first:last] - span + 1, 0), out=at[1:])
    return at


def _list(rows, word, first, last, kind, span) -> tuple[np.ndarray, np.ndarray]:
    at = _places(rows, first, last, span)
    words = np.empty(at[-1], kind)
    found = np.zeros((2, last - first), np.int64)
    if last > first:
        native.list_words(rows.capsule, word, first, last, at, words, found[0])
    found[1] = at[:-1]
    return words, found


def _close_gaps(words: np.ndarray, found: np.ndarray) -> int:
    """Move the words of each row to the end of those before; return how many there are."""
    counts, at = found
    if not len(counts):
        return 0
    if counts.sum() == len(words):
        return len(words)
    end = 0
    for n, begin in zip(counts.tolist(), at.tolist()):
        words[end : end + n] = words[begin : begin + n]
        end += n
    return end


def pairs_of_rows(rows, word, k, span, *, small: bool, threads: int | None) -> tuple:
    """Return offsets, distinct words and counts of each row, some rows at a time.

    ``small`` gives int32 words and counts, as sparse matrices want them, for k up to 15.
    """
    sizes = np.empty(rows.n, np.int64)
    rows.sizes(sizes)
    widths = np.maximum(sizes - span + 1, 0)
    if small and k <= SMALL_K and widths.sum() >= (TABLE_FROM << k) * rows.n:
        return _tabled_rows(rows, word, k, widths, pool.resolve(threads, 8 * rows.total))
    kind = np.uint16 if k <= 8 else np.uint32 if k <= 16 else np.uint64
    offsets = np.zeros(rows.n + 1, np.int64)
    # room for every word and a block's padding; what is not written is never touched
    room = int(widths.sum()) + (1 << 20) + int(widths.max(initial=0))
    kmers = np.empty(room, np.int32 if small else np.uint64)
    counts = np.empty(room, np.int32 if small else np.int64)
    reduce = native.row_run_columns if small else native.row_run_lengths
    first = end = 0
    while first < rows.n:
        # as many rows as make 1 M words at the width of the longest among them
        widest = np.maximum.accumulate(widths[first : first + 65536])
        fit = np.searchsorted(widest * np.arange(1, len(widest) + 1), 1 << 20, side="right")
        last = first + max(1, int(fit))
        width = int(widest[last - first - 1])
        block = np.empty((last - first, width), kind)
        found = np.zeros(last - first, np.int64)
        at = np.arange(last - first + 1, dtype=np.int64) * width
        native.list_words(rows.capsule, word, first, last, at, block.reshape(-1), found)
        block.sort(axis=1)
        end += reduce(block, found, kmers[end:], counts[end:], offsets[first + 1 : last + 1])
        first = last
    return np.cumsum(offsets), kmers[:end], counts[:end]


def _tabled_rows(rows, word, k, widths, threads) -> tuple:
    """Do the same by a table that each thread empties after a row."""
    at = np.append(0, np.cumsum(np.minimum(widths, 4**k)))
    columns, counts = np.empty((2, at[-1]), np.int32)
    offsets = np.zeros(rows.n + 1, np.int64)
    chunks = []

    def tell(first: int, last: int) -> None:
        table, marks = np.zeros(4**k, np.uint32), np.zeros(-(-(4**k) // 64), np.uint64)
        room = slice(at[first], at[last])
        into = columns[room], counts[room], offsets[first + 1 : last + 1]
        found = native.sparse_rows(rows.capsule, word, first, last, table, marks, *into)
        chunks.append((at[first], found))

    pool.run(tell, rows.n, threads)
    end = 0
    for begin, found in sorted(chunks):
        for values in (columns, counts):
            values[end : end + found] = values[begin : begin + found]
        end += found
    return np.cumsum(offsets), columns[:end], counts[:end]


def as_csr(offsets, kmers, counts, k, canonical, kind, normalize, dtype):
    columns = canonical_rank(k)[kmers] if canonical else kmers
    small = 4**k <= 2**31 and len(kmers) < 2**31
    array = load("scipy.sparse").csr_array(
        (
            narrowed(counts, kind),
            columns.astype(np.int32 if small else np.int64, copy=False),
            offsets.astype(np.int32 if small else np.int64),
        ),
        shape=(len(offsets) - 1, len(canonical_words(k)) if canonical else 4**k),
    )
    if normalize is not None:
        values = array.data.astype(dtype or np.float64)
        norms = np.zeros(len(offsets) - 1)
        row = np.repeat(np.arange(len(norms)), np.diff(offsets))
        np.add.at(norms, row, values if normalize == "l1" else values**2)
        array.data = (values / (norms if normalize == "l1" else np.sqrt(norms))[row]).astype(
            values.dtype
        )
    return array


def narrowed(counts: np.ndarray, kind: np.dtype) -> np.ndarray:
    if counts.dtype == kind:
        return counts
    if kind.kind not in "iuf":
        raise DTypeError(f"dtype is {kind}; expected an integer or float type")
    # floats hold every integer up to 2^(mantissa bits + 1)
    most = 2 ** (np.finfo(kind).nmant + 1) if kind.kind == "f" else np.iinfo(kind).max
    if counts.size and counts.max() > most:
        raise CountOverflowError(f"a k-mer occurs {counts.max()} times, more than {kind} holds")
    return counts.astype(kind)
