"""Batches: rows of codes expanded, or drawn from bits, shifted and turned over, in one pass."""

from dataclasses import dataclass

import numpy as np

from fastseq._native import batches as native
from fastseq.arrays import UNKNOWN, Codes

PLACES = np.array([0, 2, 4, 6], np.uint8)
# rows that are packed at a time
BLOCK = 1 << 16


def expand(
    codes: Codes, table: np.ndarray, out: np.ndarray, *, reversed: bool = False
) -> np.ndarray:
    """Return ``out`` filled with the channels of rows of codes.

    Parameters
    ----------
    codes : uint8, (n, length)
        C-contiguous; anything above 3 is unknown.
    table : float32, (5, channels)
        Channels of each code; those of its complement for the other strand.
    out : float32, (n, length, channels)
    reversed : bool
        Whether rows are read from their last base on.

    Raises
    ------
    ValueError
        An array has another shape, or is not contiguous.

    Notes
    -----
    One pass, no copy: 8 to 9 million rows of 110 bp a second and core into an ``out`` of 256 rows,
    which stays in the core's cache.

    Examples
    --------
    >>> codes, out = np.array([[0, 0, 1]], np.uint8), np.empty((1, 3, 4), np.float32)
    >>> complement = np.eye(5, 4, dtype=np.float32)[[3, 2, 1, 0, 4]]
    >>> expand(codes, complement, out, reversed=True)[0].argmax(1)  # AAC becomes GTT
    array([2, 3, 3])
    """
    native.expand(codes, table, out, reversed)
    return out


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Rows of one length at two bits a base, three where any base is unknown, drawn from as such.

    Attributes
    ----------
    records : uint8, (n, bytes)
        Four bases a byte, the first in the low bits, and a spare byte; then, where any row has an
        unknown base, eight bases a byte that say which are.
    length : int
        Bases of a row.
    unknown : bool
        Whether the records tell of unknown bases.
    """

    records: np.ndarray
    length: int
    unknown: bool

    @classmethod
    def pack(cls, codes: Codes) -> "PackedRows":
        """Return rows of codes packed; anything above 3 is unknown.

        Parameters
        ----------
        codes : uint8, (n, length)
        """
        n, length = codes.shape
        blocks = [slice(at, at + BLOCK) for at in range(0, n, BLOCK)]
        unknown = any((codes[block] >= UNKNOWN).any() for block in blocks)
        fours = -(-length // 4)
        records = np.zeros((n, fours + 1 + unknown * -(-length // 8)), np.uint8)
        for block in blocks:
            bases = codes[block] & 3
            for place, by in enumerate(PLACES):
                part = bases[:, place::4]
                records[block, : part.shape[1]] |= part << by
            if unknown:
                bits = np.packbits(codes[block] >= UNKNOWN, axis=1, bitorder="little")
                records[block, fours + 1 :] = bits
        return cls(records, length, unknown)

    def __len__(self) -> int:
        return len(self.records)

    def codes(self, rows: "np.ndarray | slice") -> Codes:
        """Return the codes of chosen rows: uint8, (rows, length)."""
        records, fours = self.records[rows], -(-self.length // 4)
        codes = (records[:, :fours, None] >> PLACES & 3).reshape(len(records), -1)
        codes = codes[:, : self.length]
        if self.unknown:
            bits = records[:, fours + 1 :]
            codes[np.unpackbits(bits, axis=1, count=self.length, bitorder="little") > 0] = UNKNOWN
        return np.ascontiguousarray(codes, np.uint8)

    def gather(
        self,
        rows: np.ndarray,
        tables: tuple[np.ndarray, np.ndarray],
        out: np.ndarray,
        *,
        shift: np.ndarray | None = None,
        turned: int | None = None,
    ) -> np.ndarray:
        """Return ``out`` filled with the channels of chosen rows.

        Parameters
        ----------
        rows : int64, (batch,)
        tables : float32, (2, 5, channels) and (2, 256, 4, channels)
            Channels of each code as it stands and of its complement, and what `four_at_once` makes
            of them.
        out : float32, (batch, length, channels)
        shift : int16, (batch,), optional
            Positions that each row moves to the right, within the length; unknown bases come in.
        turned : int, optional
            Rows of the batch from this one on are reversed and take the second table; none
            otherwise.

        Raises
        ------
        IndexError
            A row does not exist.
        ValueError
            An array has another shape, or a shift exceeds the length.

        Notes
        -----
        A byte names four bases, whose channels lie side by side in a table of 256:
        18 million rows of 110 bp a second on a core of a Zen 4, 15 with shifts, where ``out``
        stays in the core's cache.
        """
        table, words = tables
        end = len(rows) if turned is None else turned
        native.draw(self.records, self.length, self.unknown, rows, shift, end, words, table, out)
        return out


def four_at_once(table: np.ndarray) -> np.ndarray:
    """Return the channels of every four bases, those of the second table in reverse order.

    Parameters
    ----------
    table : float32, (2, 5, channels)

    Returns
    -------
    float32, (2, 256, 4, channels)
    """
    bases = np.arange(256, dtype=np.uint8)[:, None] >> PLACES & 3
    return np.ascontiguousarray(np.stack([table[0][bases], table[1][bases[:, ::-1]]]))
