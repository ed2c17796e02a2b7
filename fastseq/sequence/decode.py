"""Codes and one-hot arrays become text."""

import numpy as np

from fastseq import threads as pool
from fastseq._native import encode as native
from fastseq.arrays import Codes, OneHot
from fastseq.errors import DTypeError, OptionError, ShapeError
from fastseq.sequence import alphabet as letters
from fastseq.sequence.rows import as_rows, checked_out, is_codes


def decode(
    x: Codes | OneHot,
    *,
    layout: str = "ncl",
    alphabet: str = letters.DNA,
    unknown: str = "N",
    ambiguity: str = "unknown",
    as_array: bool = False,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> str | list[str] | np.ndarray:
    """Return the text of codes or of a one-hot array.

    Parameters
    ----------
    x : ndarray
        Codes, uint8, (length,) or (n, length); or one-hot: three axes, or two axes of any other
        type than uint8.
    layout : {"ncl", "nlc"}
        Layout of a one-hot array.
    alphabet : str
        The letter of each code; ``"ACGU"`` writes RNA. One-hot arrays must have four letters.
    unknown : str
        Letter for unknown codes and for positions where not exactly one channel differs from 0.
    ambiguity : {"unknown", "letter"}
        Positions with several channels: ``unknown``, or the IUPAC letter for this set of bases.
    as_array : bool
        Return ASCII as uint8, (n, length), instead of str; implied by ``out``.

    Returns
    -------
    str, list of str, or uint8 (n, length)

    Raises
    ------
    DTypeError, ShapeError, OptionError
        ``x`` is neither codes nor one-hot, or an option is outside its choices.

    Examples
    --------
    >>> decode(np.array([0, 1, 4], np.uint8)), decode(np.eye(4)[None])
    ('ACN', ['ACGT'])
    """
    x = np.asarray(x)
    if len(unknown) != 1 or not unknown.isascii():
        raise OptionError(f"unknown is {unknown!r}; expected one ASCII letter")
    if x.ndim == 3 or (x.ndim == 2 and x.dtype != np.uint8):
        text = _decode_one_hot(x, layout, alphabet, unknown, ambiguity, out, threads)
    else:
        text = _decode_codes(x, alphabet, unknown, out, threads)
    if as_array or out is not None:
        return text
    if text.ndim == 1:
        return text.tobytes().decode("ascii")
    joined, length = text.tobytes().decode("ascii"), text.shape[1]
    return [joined[i * length : (i + 1) * length] for i in range(len(text))]


def _decode_codes(x, alphabet, unknown, out, threads) -> np.ndarray:
    if x.dtype != np.uint8 or x.ndim not in (1, 2):
        raise DTypeError(f"x is {x.dtype} {x.shape}; expected uint8 codes or a one-hot array")
    if not is_codes(x, len(alphabet)):
        raise DTypeError(f"x holds {x.max()}; codes are 0..{len(alphabet)}")
    rows = as_rows(x, unknown=len(alphabet))
    text = np.empty(x.shape, np.uint8) if out is None else checked_out(out, x.shape, np.uint8)
    base = 0 if len(alphabet) < 32 else -1
    table = native.Lookup(letters.letters_of(alphabet, unknown), base)
    n, length = rows.n, rows.longest
    pool.run_blocks(
        lambda first, last, begin, end: native.codes(
            rows.capsule, first, last, begin, end, text, length, 0, 0, 255, table
        ),
        n, length, pool.resolve(threads, 2 * n * length),
    )  # fmt: skip
    return text


def _decode_one_hot(x, layout, alphabet, unknown, ambiguity, out, threads) -> np.ndarray:
    if layout not in ("ncl", "nlc"):
        raise OptionError(f'layout is {layout!r}; expected "ncl" or "nlc"')
    if x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        raise DTypeError(f"one-hot array has dtype {x.dtype}; expected bool, integer or float")
    axis = x.ndim - (2 if layout == "ncl" else 1)
    if x.shape[axis] != 4 or len(alphabet) != 4:
        raise ShapeError(f"one-hot array has shape {x.shape}; expected 4 channels at axis {axis}")
    sets = {1 << i: letter for i, letter in enumerate(alphabet)}
    if ambiguity == "letter":
        sets |= {sum(1 << "ACGT".index(b) for b in of): code for code, of in letters.IUPAC.items()}
    elif ambiguity != "unknown":
        raise OptionError(f'ambiguity is {ambiguity!r}; expected "unknown" or "letter"')
    table = np.array([ord(sets.get(bits, unknown)) for bits in range(16)], np.uint8)
    x = np.ascontiguousarray(x)
    shape = tuple(size for i, size in enumerate(x.shape) if i != axis)
    text = np.empty(shape, np.uint8) if out is None else checked_out(out, shape, np.uint8)
    n, length = shape if len(shape) == 2 else (1, shape[0])
    item = x.dtype.itemsize
    bits = 8 * item - (x.dtype.kind == "f")
    pool.run(
        lambda first, last: native.decode(
            x, text, n, length, item, (1 << bits) - 1, layout == "nlc", table, first, last
        ),
        n, pool.resolve(threads, x.nbytes + text.nbytes),
    )  # fmt: skip
    return text
