"""Text becomes codes or one-hot arrays, and back; all of them turn to the other strand."""

from dataclasses import dataclass

import numpy as np

from fastseq.arrays import UNKNOWN, Codes, OneHot, Text
from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError, ShapeError

_CODE = np.full(256, UNKNOWN, np.uint8)
for _letters, _code in (("Aa", 0), ("Cc", 1), ("Gg", 2), ("TtUu", 3)):
    _CODE[list(_letters.encode())] = _code
_COMPLEMENT = bytes.maketrans(
    b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv", b"TGCAANYRSWMKVHDBtgcaanyrswmkvhdb"
)


@dataclass(frozen=True)
class Ragged:
    """Sequences of different lengths in one buffer.

    Attributes
    ----------
    data : uint8, (total,)
        Codes or ASCII, one sequence after the other.
    offsets : int64, (n + 1,)
        Sequence i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.data[self.offsets[row] : self.offsets[row + 1]]


def _as_codes(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8:
        raise DTypeError(f"sequences have dtype {array.dtype}; expected text or uint8")
    return array if not array.size or array.max() <= UNKNOWN else _CODE[array]


def _rows(seqs) -> tuple[list[np.ndarray] | np.ndarray, bool]:
    if isinstance(seqs, str):
        seqs = seqs.encode("ascii", "replace")
    if isinstance(seqs, (bytes, bytearray, memoryview)):
        return [_CODE[np.frombuffer(seqs, np.uint8)]], True
    if isinstance(seqs, Ragged):
        data = _as_codes(seqs.data)
        return [data[a:b] for a, b in zip(seqs.offsets, seqs.offsets[1:])], False
    if isinstance(seqs, np.ndarray) and seqs.dtype.kind not in "SUO":
        if seqs.ndim not in (1, 2):
            raise ShapeError(
                f"sequences have shape {seqs.shape}; expected (length,) or (n, length)"
            )
        codes = _as_codes(seqs)
        return (codes[None], True) if seqs.ndim == 1 else (codes, False)
    if isinstance(seqs, np.ndarray):
        seqs = seqs.tolist()
    return [
        _as_codes(s) if isinstance(s, np.ndarray) else
        _CODE[np.frombuffer(s.encode("ascii", "replace") if isinstance(s, str) else s, np.uint8)]
        for s in seqs
    ], False  # fmt: skip


def encode(
    seqs: "Text | Ragged",
    *,
    unknown: str = "mask",
    length: int | None = None,
    pad: str = "right",
    truncate: str = "error",
    out: Codes | None = None,
    threads: int | None = None,
) -> Codes:
    """Return the codes of the sequences, padded with 4: (n, length), or (length,) for one text."""
    rows, single = _rows(seqs)
    length = max(map(len, rows), default=0) if length is None else length
    codes = np.full((len(rows), length), UNKNOWN, np.uint8)
    for i, row in enumerate(rows):
        excess = len(row) - length
        if excess > 0:
            if truncate == "error":
                raise LengthError(f"row {i} has {len(row)} bp; expected at most {length}")
            cut = {"right": 0, "left": excess, "center": excess // 2}[truncate]
            row = row[cut : cut + length]
        start = {"right": 0, "left": length - len(row), "center": (length - len(row)) // 2}[pad]
        codes[i, start : start + len(row)] = row
    if unknown == "error" and (codes == UNKNOWN).any():
        raise SequenceError("a sequence has an unknown letter")
    codes = codes[0] if single else codes
    if out is None:
        return codes
    out[...] = codes
    return out


def one_hot(
    seqs: "Text | Ragged",
    *,
    layout: str = "ncl",
    dtype="uint8",
    unknown: str = "zero",
    out: OneHot | None = None,
    **options,
) -> OneHot:
    """Return the one-hot array of the sequences, (n, 4, length) or (n, length, 4)."""
    codes = encode(seqs, unknown="error" if unknown == "error" else "mask", **options)
    table = np.zeros((5, 4), dtype)
    np.fill_diagonal(table, 1)
    if unknown == "uniform":
        table[4] = 0.25
    array = table[codes]
    if layout == "ncl":
        array = np.ascontiguousarray(np.swapaxes(array, -1, -2))
    if out is None:
        return array
    out[...] = array
    return out


def decode(x: Codes | OneHot, *, layout: str = "ncl") -> str | list[str]:
    """Return the text of codes (uint8, up to two axes) or of a one-hot array."""
    x = np.asarray(x)
    if x.ndim == 3 or (x.ndim == 2 and x.dtype != np.uint8):
        axis = -2 if layout == "ncl" else -1
        x = np.where((x.max(axis) > 0) & ((x > 0).sum(axis) == 1), x.argmax(axis), UNKNOWN)
    text = np.frombuffer(b"ACGTN", np.uint8)[x]
    if x.ndim == 1:
        return text.tobytes().decode()
    return [row.tobytes().decode() for row in text]


def reverse_complement(x, *, layout: str = "ncl"):
    """Return the other strand of text (case and IUPAC kept), codes or a one-hot array."""
    if isinstance(x, str):
        return x.translate(_COMPLEMENT.decode("latin-1"))[::-1]
    if isinstance(x, (bytes, bytearray)):
        return bytes(x).translate(_COMPLEMENT)[::-1]
    if isinstance(x, (list, tuple)):
        return [reverse_complement(s) for s in x]
    if not isinstance(x, np.ndarray):
        raise OptionError(f"cannot reverse complement {type(x).__name__}")
    if x.dtype.kind in "SUO":
        return np.array([reverse_complement(s) for s in x], x.dtype)
    if x.ndim == 3 or (x.ndim == 2 and x.dtype != np.uint8):
        return x[..., ::-1, ::-1].copy()
    if x.size and x.max() > UNKNOWN:
        return np.frombuffer(_COMPLEMENT, np.uint8)[x[..., ::-1]]
    return np.array([3, 2, 1, 0, 4], np.uint8)[x[..., ::-1]]
