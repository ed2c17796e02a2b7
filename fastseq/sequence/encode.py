"""Text becomes codes or one-hot arrays, and codes or one-hot arrays become text."""

import numpy as np

from fastseq import threads as pool
from fastseq._native import encode as native
from fastseq._native.rows import Rows
from fastseq.arrays import Codes, OneHot
from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError, ShapeError
from fastseq.sequence import alphabet as letters
from fastseq.sequence.rows import Ragged, as_rows, is_codes
from fastseq.sequence.strand import reverse_complement

__all__ = ["Ragged", "decode", "encode", "one_hot", "reverse_complement"]

SIDE = {"right": 0, "left": 1, "center": 2}
_CUT = {"error": 0, **SIDE}

# bases that one thread encodes before a second has started
_FEW = 1 << 17


def encode(
    seqs,
    *,
    unknown: str = "mask",
    length: int | None = None,
    pad: str = "right",
    truncate: str = "error",
    alphabet: str = letters.DNA,
    out: Codes | None = None,
    threads: int | None = None,
) -> Codes:
    """Return the codes of the sequences: A C G T = 0 1 2 3, anything else 4.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `fastseq.sequence.rows.as_rows`. Lower case and U are bases.
    unknown : {"mask", "error"}
        Letters that are neither bases nor N: ``"mask"`` reads them as 4, ``"error"`` raises. N is
        4 in both.
    length : int, optional
        Positions of the output; None takes the longest row.
    pad : {"right", "left", "center"}
        Where shorter rows get their 4s.
    truncate : {"error", "right", "left", "center"}
        What happens to longer rows: refused, or cut at this side (``"center"``: at both).
    alphabet : str
        Other letters than ACGT: their codes are their places, the unknown code is their number.
    out : uint8, (n, length), optional
        Written instead of a new array; C-contiguous. Untouched when an error is raised.
    threads : int, optional
        None: one for small calls, else the cores of this process.

    Returns
    -------
    uint8, (n, length), or (length,) for a single text

    Raises
    ------
    SequenceError
        ``unknown="error"`` and a letter is no base; the message names row, position and letter.
    LengthError
        A row is longer than ``length`` and ``truncate="error"``.
    DTypeError, ShapeError, OptionError
        An input, ``out`` or option of the wrong kind.

    Examples
    --------
    >>> encode(["ACGT", "nu"])
    array([[0, 1, 2, 3],
           [4, 3, 4, 4]], dtype=uint8)
    """
    fill = len(alphabet)
    rows = as_rows(seqs, unknown=fill)
    table = letters.lookup(alphabet, rows.codes)
    length, side, cut = _placement(rows, length, pad, truncate)
    if unknown == "error":
        _refuse_foreign(rows, seqs, alphabet)
    elif unknown != "mask":
        raise OptionError(f'unknown is {unknown!r}; expected "mask" or "error"')
    n = rows.n
    shape = (length,) if rows.single else (n, length)
    codes = np.empty(shape, np.uint8) if out is None else _checked_out(out, shape, np.uint8)
    threads = pool.resolve(threads, n * length)
    _spread(
        lambda first, last, begin, end: native.codes(
            rows.capsule, first, last, begin, end, codes, length, side, cut, fill, table
        ),
        n, length, threads,
    )  # fmt: skip
    return codes


def one_hot(
    seqs,
    *,
    layout: str = "ncl",
    dtype="uint8",
    unknown: str = "zero",
    ambiguity: str = "unknown",
    length: int | None = None,
    pad: str = "right",
    truncate: str = "error",
    alphabet: str = letters.DNA,
    out: OneHot | None = None,
    threads: int | None = None,
) -> OneHot:
    """Return the one-hot array of the sequences: (n, 4, length), or (n, length, 4) for "nlc".

    Parameters
    ----------
    seqs, length, pad, truncate, alphabet, threads
        As for `encode`.
    layout : {"ncl", "nlc"}
        Letters before or after the positions.
    dtype : dtype
        Any bool, integer or float type.
    unknown : {"zero", "uniform", "error"}
        N, padding and foreign letters: all zeros, or 1 / number of letters each (float types).
        ``"error"`` raises on foreign letters; N and padding are zeros.
    ambiguity : {"unknown", "fraction"}
        IUPAC codes R Y S W K M B D H V: like foreign letters, or equal parts of the bases they
        stand for (float types).
    out : (n, 4, length) or (n, length, 4), optional
        Written instead of a new array; of ``dtype``, C-contiguous. Untouched on error.

    Returns
    -------
    dtype, (n, 4, length) or (n, length, 4), without n for a single text

    Raises
    ------
    SequenceError, LengthError, DTypeError, ShapeError, OptionError
        As for `encode`; OptionError also where an integer type cannot hold fractions.

    Notes
    -----
    One pass over the input; each byte of the output is written once. Large outputs in layout
    "nlc" are stored past the caches where the processor has AVX-512.

    Examples
    --------
    >>> one_hot("AN", unknown="uniform", dtype="float32").T
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    key = (layout, dtype, unknown, ambiguity, alphabet)
    form, item, count = _FORMS.get(key) or _form(*key)
    rows = as_rows(seqs, unknown=count)
    if length is None and pad == "right" and truncate == "error":
        length, side, cut = rows.longest, 0, 0
    else:
        length, side, cut = _placement(rows, length, pad, truncate)
    if unknown == "error":
        _refuse_foreign(rows, seqs, alphabet, also=ambiguity == "fraction")
    n = rows.n
    shape = (count, length) if layout == "ncl" else (length, count)
    if not rows.single:
        shape = (n, *shape)
    array = np.empty(shape, item) if out is None else _checked_out(out, shape, item)
    if side == cut == 0 and threads is None and length == rows.longest and rows.total < _FEW:
        native.one_hot_whole(rows.capsule, form, array)
        return array
    _spread(
        lambda first, last, begin, end: native.one_hot(
            rows.capsule, form, first, last, begin, end, array, length, side, cut
        ),
        n, length, pool.resolve(threads, array.nbytes),
    )  # fmt: skip
    return array


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
    >>> decode(encode("acgTN")), decode(one_hot(["GA", "TC"]))
    ('ACGTN', ['GA', 'TC'])
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
    text = np.empty(x.shape, np.uint8) if out is None else _checked_out(out, x.shape, np.uint8)
    base = 0 if len(alphabet) < 32 else -1
    table = native.Lookup(letters.letters_of(alphabet, unknown), base)
    n, length = rows.n, rows.longest
    _spread(
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
    text = np.empty(shape, np.uint8) if out is None else _checked_out(out, shape, np.uint8)
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


def _placement(rows: Rows, length, pad, truncate) -> tuple[int, int, int]:
    """Return length, padding side and cutting side, once they are known to be possible."""
    if pad not in SIDE:
        raise OptionError(f"pad is {pad!r}; expected one of {', '.join(SIDE)}")
    if truncate not in _CUT:
        raise OptionError(f"truncate is {truncate!r}; expected one of {', '.join(_CUT)}")
    if length is None:
        return rows.longest, SIDE[pad], 0
    if length < 0:
        raise OptionError(f"length is {length}; expected 0 or more")
    if rows.n and rows.longest > length and truncate == "error":
        sizes = np.empty(rows.n, np.int64)
        rows.sizes(sizes)
        row = int(np.argmax(sizes > length))
        raise LengthError(
            f"row {row} has {sizes[row]} letters; expected at most {length} "
            '(pass truncate="right" to keep its left part)'
        )
    return int(length), SIDE[pad], _CUT[truncate]


def _refuse_foreign(rows: Rows, seqs, alphabet: str, *, also: bool = False) -> None:
    """Raise on the first letter that is neither of the alphabet nor its neutral one.

    A pass of its own, so that ``out`` is untouched on error. ``also`` allows IUPAC codes.
    """
    table = letters.lookup(alphabet, rows.codes)
    if also:
        allowed = letters.letter_codes(alphabet).copy()
        allowed[list("".join(letters.IUPAC).encode() + "".join(letters.IUPAC).lower().encode())] = 0
        table = native.Lookup(allowed) if not rows.codes else None
    found = native.first_foreign(rows.capsule, len(alphabet), table)
    if found is None:
        return
    row, position = found
    shown = chr(rows.row(row)[position])
    text = seqs if rows.single else seqs[row] if isinstance(seqs, (list, tuple)) else None
    if isinstance(text, str):
        shown = text[position]
    expected = f"{', '.join(alphabet[:-1])}, {alphabet[-1]} or {letters.neutral(alphabet)}"
    raise SequenceError(
        f"row {row} has {shown!r} at position {position}; expected {expected} "
        '(leave out unknown="error" to read it as unknown)'
    )


def _checked_out(out, shape: tuple, dtype) -> np.ndarray:
    if not isinstance(out, np.ndarray) or out.dtype != dtype:
        found = getattr(out, "dtype", type(out).__name__)
        raise DTypeError(f"out is {found}; expected {np.dtype(dtype)}")
    if out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}; expected {shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise ShapeError("out is read-only or not C-contiguous; expected a writeable C-order array")
    return out


def _spread(call, n: int, length: int, threads: int) -> None:
    """Run ``call(first, last, begin, end)`` over rows, or over positions where rows are few."""
    if threads == 1:
        call(0, n, 0, length)
    elif n >= 4 * threads:
        pool.run(lambda first, last: call(first, last, 0, length), n, threads)
    else:
        pool.run(lambda begin, end: call(0, n, begin, end), length, threads, multiple=64)


_FORMS: dict[tuple, tuple[native.Form, np.dtype, int]] = {}


def _form(layout, dtype, unknown, ambiguity, alphabet) -> tuple[native.Form, np.dtype, int]:
    """Return what the kernel needs to know of a one-hot block, made once for each choice."""
    item = np.dtype(dtype)
    if item.kind not in "biuf" or item.itemsize > 8:
        raise DTypeError(f"dtype is {item}; expected bool, an integer or a float type")
    for name, value, choices in (
        ("layout", layout, ("ncl", "nlc")),
        ("unknown", unknown, ("zero", "uniform", "error")),
        ("ambiguity", ambiguity, ("unknown", "fraction")),
    ):
        if value not in choices:
            raise OptionError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    if item.kind != "f" and (unknown == "uniform" or ambiguity == "fraction"):
        raise OptionError(f"dtype {item} holds no fractions; pass a float dtype")
    if ambiguity == "fraction" and not letters.is_nucleic(alphabet):
        raise OptionError(f"alphabet {alphabet!r} has no IUPAC codes")
    code_of, count = letters.letter_codes(alphabet), len(alphabet)
    rest = 1 / count if unknown == "uniform" else 0.0
    per_code = np.full((count + 2, count), rest, item)
    per_code[:count] = np.eye(count, dtype=item)
    per_text = per_code[code_of]
    if ambiguity == "fraction":
        for code, bases in letters.IUPAC.items():
            part = [letter in bases for letter in "ACGT"] / np.float64(len(bases))
            per_text[[ord(code), ord(code.lower())]] = part
    of_codes = per_code[np.minimum(np.arange(256), count)]
    nucleic = letters.is_nucleic(alphabet) and ambiguity == "unknown"
    fast = {1: 1, 4: 2 if item == np.float32 else 0}.get(item.itemsize, 0) if nucleic else 0
    # the table of codes wants the alphabet's own codes; text goes through per_text
    form = native.Form(fast, layout == "nlc", count, item.itemsize, rest, _bytes(per_text),
                       _bytes(of_codes), _bytes(per_code[count]))  # fmt: skip
    if len(_FORMS) < 256:
        _FORMS[layout, dtype, unknown, ambiguity, alphabet] = form, item, count
    return form, item, count


def _bytes(table: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(table).view(np.uint8).reshape(-1)
