"""Sequences are kept at two bits a base, unknown bases as runs, and sliced without unpacking."""

from dataclasses import dataclass

import numpy as np

from fastseq import threads as pool
from fastseq._native import pack as native
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import OptionError
from fastseq.sequence.encode import reverse_complement
from fastseq.sequence.rows import Sequences, as_rows


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences at two bits a base.

    Attributes
    ----------
    data : uint8, (bytes,)
        Four bases a byte, the first in the low bits; every sequence begins a new byte. The
        bits of unknown bases mean nothing.
    at : int64, (n + 1,)
        The first byte of each sequence.
    sizes : int64, (n,)
        The bases of each sequence.
    runs : int64, (r, 3)
        Sequence, begin and end of each run of unknown bases, ascending.
    single : bool
        One text was packed, not a list of one.
    """

    data: np.ndarray
    at: np.ndarray
    sizes: np.ndarray
    runs: np.ndarray
    single: bool = False

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.data.nbytes + self.at.nbytes + self.sizes.nbytes + self.runs.nbytes

    def codes(self, row: int = 0, start: int = 0, end: int | None = None) -> Codes:
        """Return codes [start, end) of one sequence, uint8 (end - start,); nothing else is read.

        Raises
        ------
        OptionError
            The sequence or the bases do not exist.
        """
        if not 0 <= row < len(self):
            raise OptionError(f"row is {row}; expected 0 to {len(self) - 1}")
        size = int(self.sizes[row])
        end = size if end is None else end
        if not 0 <= start <= end <= size:
            raise OptionError(f"bases {start}..{end} of row {row} are not within its {size}")
        codes = np.empty(end - start, np.uint8)
        native.unpack(self.data[self.at[row] : self.at[row + 1]], start, end, codes)
        first, last = np.searchsorted(self.runs[:, 0], [row, row + 1])
        runs = self.runs[first:last]
        for _, a, b in runs[np.searchsorted(runs[:, 2], start, side="right") :]:
            if a >= end:
                break
            codes[max(a - start, 0) : b - start] = UNKNOWN
        return codes

    def __getitem__(self, which: "int | slice | tuple[int, slice]") -> "Codes | Packed":
        """Return a part: ``packed[a:b]`` of a single text, else ``packed[i]``, ``packed[i, a:b]``.

        An integer gives codes; a slice of sequences gives a Packed that shares the bytes.
        """
        if self.single:
            row, part = 0, which
        elif isinstance(which, tuple):
            row, part = which
        elif isinstance(which, slice):
            return self._rows(which)
        else:
            row, part = which, slice(None)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        if not isinstance(part, slice):
            return self.codes(row, *slice(part, part + 1 or None).indices(int(self.sizes[row]))[:2])
        start, end, step = part.indices(int(self.sizes[row]))
        if step == 1:
            return self.codes(row, start, max(start, end))
        return self.codes(row)[part]

    def _rows(self, which: slice) -> "Packed":
        first, last, step = which.indices(len(self))
        if step != 1:
            raise OptionError(f"sequences are sliced with step 1, not {step}")
        last = max(first, last)
        a, b = np.searchsorted(self.runs[:, 0], [first, last])
        runs = self.runs[a:b] - np.array([first, 0, 0])
        return Packed(self.data, self.at[first : last + 1], self.sizes[first:last], runs)

    def unpack(self, *, out: Codes | None = None, threads: int | None = None) -> Codes:
        """Return the codes: uint8, (n, longest) padded with 4, or (length,) of a single text.

        Raises
        ------
        OptionError
            ``out`` is not uint8 of this shape in C order.
        """
        length = int(self.sizes.max(initial=0))
        shape = (length,) if self.single else (len(self), length)
        codes = np.empty(shape, np.uint8) if out is None else out
        if codes.shape != shape or codes.dtype != np.uint8 or not codes.flags.c_contiguous:
            raise OptionError(
                f"out is {codes.dtype} {codes.shape}; expected uint8 {shape} in C order"
            )
        matrix = codes.reshape(len(self), length)
        pool.run(
            lambda first, last: native.unpack_rows(
                self.data, self.at, self.sizes, first, last, matrix
            ),
            len(self),
            pool.resolve(threads, codes.size),
        )
        for row, begin, end in self.runs:
            matrix[row, begin:end] = UNKNOWN
        return codes

    def reverse_complement(self) -> "Packed":
        """Return the other strand of every sequence, packed."""
        turned = [reverse_complement(self.codes(row)) for row in range(len(self))]
        return pack(turned[0] if self.single else turned)


def pack(seqs: Sequences, *, threads: int | None = None) -> Packed:
    """Return the sequences at two bits a base, with the runs of unknown bases beside them.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`. Everything that is no base is unknown: which letter it was is lost.

    Returns
    -------
    Packed
        ``.unpack()`` gives the codes of `encode` back, ``.codes(row, start, end)`` and slices any
        part of them.

    Examples
    --------
    >>> pack("ACGTNNA").codes(0, 2, 6), pack(["ACGT", "NN"]).runs
    (array([2, 3, 4, 4], dtype=uint8), array([[1, 0, 2]]))
    """
    rows = as_rows(seqs)
    sizes = np.empty(rows.n, np.int64)
    rows.sizes(sizes)
    at = np.zeros(rows.n + 1, np.int64)
    np.cumsum((sizes + 3) // 4, out=at[1:])
    data, unknown = np.empty(at[-1], np.uint8), np.zeros(rows.n, np.uint8)
    pool.run(
        lambda first, last: native.pack(rows.capsule, first, last, at, data, unknown),
        rows.n,
        pool.resolve(threads, rows.total),
    )
    runs = [np.empty((0, 3), np.int64)]
    for row in np.flatnonzero(unknown).tolist():
        found = np.empty((native.runs(rows.capsule, row, np.empty((0, 2), np.int64)), 2), np.int64)
        native.runs(rows.capsule, row, found)
        runs.append(np.insert(found, 0, row, axis=1))
    return Packed(data, at, sizes, np.concatenate(runs), rows.single)
