"""Array types by name, and the one gate that checks them at the public door.

Axis letters, the same in every docstring: n sequences, l positions (bp), t tasks, e edits.
"""

from collections.abc import Sequence
from functools import cache
from operator import index
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastseq.errors import DTypeError, OptionError, ShapeError

Codes: TypeAlias = NDArray[np.uint8]
"""uint8, (n, length) or (length,): A C G T = 0 1 2 3, anything else 4."""

OneHot: TypeAlias = NDArray[np.generic]
"""Any number type, (n, 4, length) in layout "ncl" or (n, length, 4) in layout "nlc"."""

Attributions: TypeAlias = NDArray[np.floating]
"""float, (n, 4, length) maps or (n, length) scores at the observed base."""

Text: TypeAlias = (
    str | bytes | bytearray | memoryview | Sequence[str] | Sequence[bytes] | NDArray[Any]
)
"""Whatever holds sequences: one text, a list of texts, an S, U, object or uint8 array."""

UNKNOWN = 4
"""The code of every letter that is not A, C, G, T or U."""


def check(
    name: str, array: object, axes: str, *, dtype: str | tuple[str, ...] = (), **sizes: int
) -> np.ndarray:
    """Return ``array`` as an ndarray once its dtype kind and axes are the expected ones.

    Parameters
    ----------
    name : str
        What the message calls it.
    array : array_like
        What the caller handed over; not copied when it is an array already.
    axes : str
        Axis names, one word each: ``"n 4 l"``. A number is a fixed size; a name found in
        ``sizes`` must have that size.
    dtype : str or tuple of str
        Accepted dtype names or one-letter kinds (``"f"`` any float); empty accepts all.

    Raises
    ------
    DTypeError
        The dtype is none of the accepted ones.
    ShapeError
        The number of axes or the size of one differs.

    Examples
    --------
    >>> check("maps", np.zeros((2, 4, 7)), "n 4 l", dtype="f").shape
    (2, 4, 7)
    """
    found = np.asarray(array)
    accepted = (dtype,) if isinstance(dtype, str) else dtype
    if accepted and _name(found.dtype) not in accepted and found.dtype.kind not in accepted:
        raise DTypeError(f"{name} has dtype {found.dtype}; expected {' or '.join(accepted)}")
    words = axes.split()
    fits = found.ndim == len(words) and all(
        size == (int(word) if word.isdigit() else sizes.get(word, size))
        for word, size in zip(words, found.shape)
    )
    if not fits:
        named = ", ".join(f"{word}={sizes[word]}" if word in sizes else word for word in words)
        raise ShapeError(f"{name} has shape {found.shape}; expected ({named})")
    return found


@cache
def _name(dtype: np.dtype) -> str:
    return dtype.name  # which NumPy puts together anew each time


def whole(name: str, value: object, least: int = 0) -> int:
    """Return an option as an int once it is a whole number of ``least`` or more.

    Raises
    ------
    OptionError
        It is something else.

    Examples
    --------
    >>> whole("rows", np.int64(3))
    3
    """
    try:
        found = index(value)  # type: ignore[arg-type]
    except TypeError:
        found = None
    if found is None or found < least:
        raise OptionError(f"{name}={value!r}; expected a whole number of {least} or more")
    return found
