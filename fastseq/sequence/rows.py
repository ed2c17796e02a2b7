"""Every form in which people hold sequences becomes rows of bytes, without a copy where it can."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fastseq._native import rows as native
from fastseq.arrays import UNKNOWN, Text
from fastseq.errors import DTypeError, ShapeError

# bytes below are no letters of ASCII
CONTROL = 32


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences of different lengths in one buffer.

    Attributes
    ----------
    data : uint8, (total,)
        Codes (all <= 4) or ASCII, one sequence after the other.
    offsets : int64, (n + 1,)
        Sequence i is ``data[offsets[i]:offsets[i + 1]]``.
    """

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.data[self.offsets[row] : self.offsets[row + 1]]

    @classmethod
    def of(cls, arrays: "Sequence[np.ndarray]") -> "Ragged":
        """Return the arrays, one after the other, in one buffer.

        Raises
        ------
        DTypeError
            One of them is not uint8.
        ShapeError
            One of them has more than one axis.
        """
        for i, array in enumerate(arrays):
            if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
                found = getattr(array, "dtype", type(array).__name__)
                raise DTypeError(f"row {i} is {found}; expected uint8 like the rows before it")
            if array.ndim != 1:
                raise ShapeError(f"row {i} has shape {array.shape}; expected (length,)")
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        return cls(np.concatenate([np.empty(0, np.uint8), *arrays]), offsets)


Sequences: TypeAlias = Text | Ragged
"""Whatever `as_rows` takes: text of any form, codes, or rows of different lengths."""


def as_rows(seqs, *, unknown: int = UNKNOWN) -> native.Rows:
    """Return the rows of whatever holds sequences.

    Parameters
    ----------
    seqs : str, bytes, bytearray, memoryview, list, tuple, ndarray or Ragged
        One text gives one row with ``single`` set; so does a uint8 array with one axis. An S or U
        array with one axis holds one text an item; with two axes its items are single letters.
        A uint8 array whose values are all <= ``unknown`` is codes, otherwise ASCII.

    Raises
    ------
    DTypeError
        An array of another type or with values that are neither codes nor letters, or a list with
        something that is no text.
    ShapeError
        An array with too many axes.
    """
    kind = type(seqs)
    if kind is str or kind is bytes:
        return native.of_text(seqs)
    if kind is list:
        return _of_list(seqs, unknown)
    if isinstance(seqs, np.ndarray):
        return _of_array(seqs, unknown)
    if isinstance(seqs, Ragged):
        data = np.ascontiguousarray(seqs.data)
        if data.dtype != np.uint8 or data.ndim != 1:
            raise DTypeError(f"ragged data is {data.dtype} {data.shape}; expected uint8 (total,)")
        try:
            offsets = np.ascontiguousarray(seqs.offsets, np.int64)
            return native.of_ragged(data, offsets, is_codes(data, unknown))
        except ValueError as error:
            raise ShapeError(str(error)) from None
    if isinstance(seqs, (str, bytes, bytearray, memoryview)):
        return native.of_text(seqs)
    if isinstance(seqs, Sequence):
        return _of_list(list(seqs), unknown)
    if hasattr(seqs, "__array__"):
        return _of_array(np.asarray(seqs), unknown)
    raise DTypeError(
        f"sequences are {kind.__name__}; expected text, a list of texts, an array or Ragged"
    )


def is_codes(array: np.ndarray, unknown: int = UNKNOWN) -> bool:
    """Return whether a uint8 array is codes: every value at most the unknown code.

    The first value settles nearly every ASCII array; only codes are read to the end.

    Raises
    ------
    DTypeError
        The values begin like codes and end between the unknown code and the letters of ASCII.
    """
    if array.size == 0:
        return True
    if array.flat[0] > unknown and array.flat[0] >= CONTROL:
        return False
    largest = int(array.max())
    if unknown < largest < CONTROL:
        raise DTypeError(
            f"a uint8 array holds values up to {largest}; expected codes 0..{unknown}, or ASCII"
        )
    return largest <= unknown


def checked_out(out, shape: tuple, dtype) -> np.ndarray:
    """Return ``out`` once it is known to take this shape and type.

    Raises
    ------
    DTypeError, ShapeError
        It is of another type or shape, read-only, or not C-contiguous.
    """
    if not isinstance(out, np.ndarray) or out.dtype != dtype:
        found = getattr(out, "dtype", type(out).__name__)
        raise DTypeError(f"out is {found}; expected {np.dtype(dtype)}")
    if out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}; expected {shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ShapeError("out is read-only or not C-contiguous; expected a writeable C-order array")
    return out


def _of_list(texts: list, unknown: int) -> native.Rows:
    if texts and isinstance(texts[0], np.ndarray):
        return as_rows(Ragged.of(texts), unknown=unknown)
    try:
        return native.of_list(texts)
    except TypeError as error:
        raise DTypeError(str(error)) from None


def _of_array(array: np.ndarray, unknown: int) -> native.Rows:
    if array.dtype.kind == "O":
        if array.ndim != 1:
            raise ShapeError(f"an object array has shape {array.shape}; expected (n,)")
        return _of_list(array.tolist(), unknown)
    if array.dtype.kind in "SU":
        return _of_text_array(array)
    if array.dtype != np.uint8:
        raise DTypeError(f"sequences have dtype {array.dtype}; expected text or uint8")
    if array.ndim not in (1, 2):
        raise ShapeError(f"sequences have shape {array.shape}; expected (length,) or (n, length)")
    single = array.ndim == 1
    matrix = array[None] if single else array
    if matrix.shape[1] > 1 and matrix.strides[1] != 1:
        matrix = np.ascontiguousarray(matrix)
    return native.of_matrix(matrix, is_codes(matrix, unknown), single)


def _of_text_array(array: np.ndarray) -> native.Rows:
    if array.ndim == 0:
        return native.of_text(array.item())
    width = array.dtype.itemsize // (4 if array.dtype.kind == "U" else 1)
    if array.ndim > 2 or (array.ndim == 2 and width != 1):
        raise ShapeError(
            f"a text array has shape {array.shape} and {width} letters an item; expected (n,), "
            "or (n, length) of single letters"
        )
    if array.dtype.kind == "U":
        # anything beyond ASCII is one unknown letter
        points = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).view(np.uint32)
        letters = np.minimum(points, 255).astype(np.uint8)
    else:
        letters = np.ascontiguousarray(array).view(np.uint8)
    if array.ndim == 2:
        return native.of_matrix(letters.reshape(array.shape), False, False)
    return native.of_fixed(letters.reshape(len(array), width))
