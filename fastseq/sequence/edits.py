"""Edits as data: a table of what is removed and inserted where, and the sequences they lead to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastseq.arrays import UNKNOWN, Codes, check
from fastseq.errors import OptionError, ShapeError
from fastseq.sequence.encode import encode


@dataclass(frozen=True, eq=False)
class Edits:
    """A table of edits against reference rows; edit e turns one row into one sequence.

    Reference rows carry a margin on both sides of what the model sees, so that a deletion draws
    in real bases. All positions count in the row, margins included.

    Parameters
    ----------
    row : int64, (e,)
        The reference row each edit belongs to.
    start : int64, (e,)
        0-based position in the row of the first base removed, or before which bases go in.
    removed : int64, (e,)
        How many bases are removed.
    inserted : uint8, (total,)
        Codes put in their place, one edit after the other.
    offsets : int64, (e + 1,)
        Edit e inserts ``inserted[offsets[e]:offsets[e + 1]]``.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    removed: NDArray[np.int64]
    inserted: Codes
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.row)
        for name in ("row", "start", "removed"):
            check(name, getattr(self, name), "e", dtype="int64", e=count)
        check("inserted", self.inserted, "total", dtype="uint8")
        check("offsets", self.offsets, "e+1", dtype="int64", **{"e+1": count + 1})
        if (self.offsets[1:] < self.offsets[:-1]).any():
            worst = int(np.argmax(self.offsets[1:] < self.offsets[:-1]))
            raise ShapeError(f"offsets decrease at edit {worst}; expected each at least the last")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.inserted):
            raise ShapeError(
                f"offsets run from {self.offsets[0]} to {self.offsets[-1]}; expected 0 to "
                f"{len(self.inserted)}, the number of inserted codes"
            )

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, part: slice) -> "Edits":
        """Return consecutive edits as a table of their own (views, save the offsets)."""
        first, last, step = part.indices(len(self))
        if step != 1:
            raise OptionError(f"edits[{first}:{last}:{step}]; expected consecutive edits, step 1")
        last = max(first, last)
        offsets = self.offsets[first : last + 1]
        return Edits(
            self.row[first:last],
            self.start[first:last],
            self.removed[first:last],
            self.inserted[offsets[0] : offsets[-1]],
            offsets - offsets[0],
        )

    def take(self, which: NDArray[np.integer]) -> "Edits":
        """Return chosen edits in a given order."""
        lengths = self.lengths[which]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.arange(offsets[-1]) + np.repeat(self.offsets[which] - offsets[:-1], lengths)
        return Edits(
            self.row[which], self.start[which], self.removed[which], self.inserted[source], offsets
        )

    def moved(self, by: int = 0, *, rows: int = 0) -> "Edits":
        """Return the same edits ``by`` positions to the right and ``rows`` rows further down."""
        return replace(self, start=self.start + by, row=self.row + rows)

    @classmethod
    def concatenate(cls, tables: Sequence["Edits"]) -> "Edits":
        """Return tables one after the other."""
        parts = zip(*((t.row, t.start, t.removed, t.inserted, t.lengths) for t in tables))
        *columns, lengths = map(np.concatenate, parts)
        return cls(*columns, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    @classmethod
    def of_words(
        cls, row: ArrayLike, start: ArrayLike, removed: ArrayLike, words: Sequence[str]
    ) -> "Edits":
        """Return an explicit table: ``removed[e]`` bases of a row give way to ``words[e]``.

        Raises
        ------
        OptionError
            A row, position or number of bases is no whole number.
        SequenceError
            A word has other letters than A C G T N.

        Examples
        --------
        >>> edits = Edits.of_words([0, 0], [3, 5], [2, 0], ["", "GATA"])
        >>> edits.lengths.tolist()
        [0, 4]
        """
        lengths = [len(word) for word in words]
        return cls(
            _whole("row", row),
            _whole("start", start),
            _whole("removed", removed),
            encode("".join(words), unknown="error"),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        )

    def blocks(self, size: int) -> Iterator["Edits"]:
        """Yield the table in consecutive parts of at most ``size`` edits."""
        for first in range(0, len(self), size):
            yield self[first : first + size]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many bases each edit inserts, int64, (e,)."""
        return np.diff(self.offsets)

    @classmethod
    def substitutions(cls, codes: Codes, start: int = 0, end: int | None = None) -> "Edits":
        """Return every single-base change of a span: row by row, position by position, A C G T.

        Parameters
        ----------
        codes : uint8, (n, length)
        start, end : int
            0-based, half-open.

        Returns
        -------
        Edits
            Three edits at a known base, four at an unknown one.

        Examples
        --------
        >>> edits = Edits.substitutions(np.array([[0, 4]], np.uint8))
        >>> edits.start.tolist(), edits.inserted.tolist()
        ([0, 0, 0, 1, 1, 1, 1], [1, 2, 3, 0, 1, 2, 3])
        """
        span = codes[:, start:end]
        differs = span[:, :, None] != np.arange(4, dtype=np.uint8)
        row, position, letter = np.nonzero(differs)
        return cls.point(row, position + start, letter.astype(np.uint8))

    @classmethod
    def point(
        cls, row: NDArray[np.integer], start: NDArray[np.integer], inserted: Codes
    ) -> "Edits":
        """Return single-base substitutions from three arrays, each (e,)."""
        count = len(row)
        return cls(
            np.asarray(row, np.int64),
            np.asarray(start, np.int64),
            np.ones(count, np.int64),
            np.asarray(inserted, np.uint8),
            np.arange(count + 1, dtype=np.int64),
        )


def apply(codes: Codes, edits: Edits, *, left: int = 0, length: int | None = None) -> Codes:
    """Return the sequence each edit leads to, as the model sees it.

    Parameters
    ----------
    codes : uint8, (n, row_length)
        Reference rows with their margins.
    edits : Edits
    left : int
        Where the window begins in a row. Bases before an edit stay where they are; those behind
        it move, and the window is refilled from the right margin, then with unknown bases.
    length : int, optional
        Window length; to the end of the row where not given.

    Returns
    -------
    uint8, (e, length)

    Raises
    ------
    OptionError
        An edit reaches outside its row, or a row number has no row.
    """
    rows, row_length = codes.shape
    length = row_length - left if length is None else length
    check_inside(edits, rows, row_length)
    if (edits.removed == 1).all() and (edits.lengths == 1).all():
        mutants = window(codes, left, length)[edits.row]
        at = edits.start - left
        seen = np.flatnonzero((at >= 0) & (at < length))
        mutants[seen, at[seen]] = edits.inserted[seen]
        return mutants
    position = np.arange(left, left + length)
    behind = position - (edits.start + edits.lengths)[:, None]
    source = np.where(behind < 0, position, behind + (edits.start + edits.removed)[:, None])
    padded = np.concatenate([codes, np.full((rows, 1), UNKNOWN, np.uint8)], axis=1)
    outside = (source < 0) | (source > row_length)
    source[outside] = row_length
    mutants = padded[edits.row[:, None], source]
    word = position - edits.start[:, None]
    edit, column = np.nonzero((word >= 0) & (behind < 0))
    mutants[edit, column] = edits.inserted[edits.offsets[edit] + word[edit, column]]
    return mutants


def window(codes: Codes, left: int, length: int) -> Codes:
    """Return what the model sees of unedited rows: [left, left + length), unknown beyond the ends.

    Parameters
    ----------
    codes : uint8, (n, row_length)
    left, length : int

    Returns
    -------
    uint8, (n, length)
        A view where the window lies inside the row.
    """
    if left >= 0 and left + length <= codes.shape[1]:
        return codes[:, left : left + length]
    seen = np.full((len(codes), length), UNKNOWN, np.uint8)
    first, last = max(left, 0), min(left + length, codes.shape[1])
    if first < last:
        seen[:, first - left : last - left] = codes[:, first:last]
    return seen


def _whole(name: str, numbers: ArrayLike) -> NDArray[np.int64]:
    """Return whole numbers as they are kept."""
    given = np.asarray(numbers)
    if given.size and given.dtype.kind not in "iu":
        raise OptionError(f"{name} holds {given.dtype}; expected whole numbers of at most 64 bit")
    return given.astype(np.int64)


def check_inside(edits: Edits, rows: int, row_length: int) -> None:
    """Raise an OptionError where an edit reaches outside its row or inserts what is no code."""
    if not len(edits):
        return
    if len(edits.inserted) and edits.inserted.max() > UNKNOWN:
        at = int(np.argmax(edits.inserted > UNKNOWN))
        worst = int(np.searchsorted(edits.offsets, at, "right")) - 1
        raise OptionError(
            f"edit {worst} inserts {edits.inserted[at]}; expected codes, 0 to {UNKNOWN}"
        )
    if edits.row.min() < 0 or edits.row.max() >= rows:
        worst = int(np.argmax((edits.row < 0) | (edits.row >= rows)))
        raise OptionError(f"edit {worst} names row {edits.row[worst]} of {rows}")
    # no sum, which could leave 64 bit
    behind = row_length - edits.start
    bad = (edits.start < 0) | (edits.removed < 0) | (edits.removed > behind)
    if bad.any():
        worst = int(np.argmax(bad))
        raise OptionError(
            f"edit {worst} removes {edits.removed[worst]} bases at position {edits.start[worst]}; "
            f"the row holds {row_length}"
        )
