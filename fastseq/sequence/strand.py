"""The other strand of text, codes, one-hot arrays and attributions."""

from typing import Any, Protocol, TypeVar, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastseq import threads as pool
from fastseq._native import encode as native
from fastseq._native.encode import Lookup
from fastseq.errors import DTypeError, ShapeError
from fastseq.sequence.alphabet import COMPLEMENT
from fastseq.sequence.rows import Ragged, as_rows

Strands = TypeVar("Strands")
_COMPLEMENT_CODE = np.arange(256, dtype=np.uint8)
_COMPLEMENT_CODE[:4] = [3, 2, 1, 0]
_TEXT, _CODES = Lookup(COMPLEMENT, 64), Lookup(_COMPLEMENT_CODE, 0)
_BYTES = COMPLEMENT.tobytes()


@runtime_checkable
class _Turns(Protocol):
    def reverse_complement(self) -> Any: ...


@overload
def reverse_complement(
    x: bytearray | memoryview, *, out: None = None, threads: int | None = None
) -> bytes: ...
@overload
def reverse_complement(
    x: Strands, *, out: NDArray[Any] | None = None, threads: int | None = None
) -> Strands: ...
def reverse_complement(
    x: Any, *, out: NDArray[Any] | None = None, threads: int | None = None
) -> Any:
    """Return the other strand, in the form and type of what came in.

    Parameters
    ----------
    x : text, list of texts, ndarray, Ragged or Packed
        Text keeps its case, and IUPAC codes are complemented (R <-> Y, K <-> M, B <-> V, D <-> H);
        U gives A and A gives T; other characters stay. uint8 arrays with up to two axes are codes
        (all <= 4) or ASCII. Arrays with three axes, and two-axis arrays of other types, are one-hot
        arrays or maps with A, C, G, T in one axis: both axes are turned around.
    out : ndarray, optional
        For uint8 and one-hot arrays: written instead of a new array.

    Returns
    -------
    Same type and shape as ``x``; ``bytes`` for other buffers

    Raises
    ------
    DTypeError
        ``x`` is nothing that has strands.
    ShapeError
        No axis of a one-hot array holds 4 channels, or ``out`` does not fit.

    Examples
    --------
    >>> reverse_complement("AACRn"), reverse_complement([b"GGA"])
    ('nYGTT', [b'TCC'])
    """
    if isinstance(x, str):
        return _turn_str(x)
    if isinstance(x, (bytes, bytearray, memoryview)):
        return bytes(x).translate(_BYTES)[::-1]
    if isinstance(x, (list, tuple)):
        return type(x)(_turn_list(list(x), threads))
    if isinstance(x, Ragged):
        rows = as_rows(x)
        offsets = np.asarray(x.offsets, np.int64)
        return Ragged(_turn_rows(rows, None, threads), offsets - offsets[0])
    if isinstance(x, np.ndarray):
        return _turn_array(x, out, threads)
    if isinstance(x, _Turns):
        return x.reverse_complement()
    raise DTypeError(f"x is {type(x).__name__}; expected text, a list of texts or an array")


def _turn_str(text: str) -> str:
    if text.isascii():
        return text.encode("ascii").translate(_BYTES)[::-1].decode("ascii")
    return "".join(chr(_BYTES[ord(c)]) if ord(c) < 128 else c for c in reversed(text))


def _turn_list(texts: list, threads: int | None) -> list:
    if texts and isinstance(texts[0], np.ndarray):
        turned = reverse_complement(Ragged.of(texts), threads=threads)
        return [turned[i] for i in range(len(turned))]
    if not all(type(s) is str and s.isascii() for s in texts):
        return [reverse_complement(s) for s in texts]
    rows = as_rows(texts)
    joined = _turn_rows(rows, None, threads).tobytes().decode("ascii")
    end, turned = 0, []
    for text in texts:
        begin, end = end, end + len(text)
        turned.append(joined[begin:end])
    return turned


def _turn_rows(rows, out: np.ndarray | None, threads: int | None) -> np.ndarray:
    out = np.empty(rows.total, np.uint8) if out is None else out
    table = _CODES if rows.codes else _TEXT
    pool.run(
        lambda first, last: native.translate_reversed(rows.capsule, first, last, out, table),
        rows.n,
        pool.resolve(threads, 2 * rows.total),
    )
    return out


def _turn_array(x: np.ndarray, out: np.ndarray | None, threads: int | None) -> np.ndarray:
    if x.dtype.kind in "SUO" and x.ndim <= 1:
        turned = _turn_list(x.reshape(-1).tolist(), threads)
        return np.array(turned, x.dtype).reshape(x.shape)
    if x.dtype.kind in "SU":
        return np.array([reverse_complement(c) for c in x[:, ::-1].flat], x.dtype).reshape(x.shape)
    if out is not None and (
        out.shape != x.shape or out.dtype != x.dtype or not out.flags.c_contiguous
    ):
        raise ShapeError(f"out is {out.dtype} {out.shape}; expected {x.dtype} {x.shape} in C order")
    if x.dtype == np.uint8 and x.ndim in (1, 2):
        result = np.empty(x.shape, np.uint8) if out is None else out
        _turn_rows(as_rows(x), result, threads)
        return result
    return _turn_maps(x, out, threads)


def _turn_maps(x: np.ndarray, out: np.ndarray | None, threads: int | None) -> np.ndarray:
    if x.dtype.kind not in "biuf" or x.ndim not in (2, 3):
        raise DTypeError(f"x is {x.dtype} {x.shape}; expected codes, text or a one-hot array")
    if 4 not in x.shape[-2:]:
        raise ShapeError(f"x has shape {x.shape}; expected (n, 4, length) or (n, length, 4)")
    x = np.ascontiguousarray(x)
    result = np.empty_like(x) if out is None else out
    n, count = (len(x) if x.ndim == 3 else 1), x.shape[-1] * x.shape[-2]
    pool.run(
        lambda first, last: native.reverse_items(x, result, n, count, x.itemsize, first, last),
        n,
        pool.resolve(threads, 2 * x.nbytes),
    )
    return result
