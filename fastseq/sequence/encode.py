"""Text becomes codes or one-hot arrays."""

import numpy as np
from numpy.typing import DTypeLike

from fastseq import threads as pool
from fastseq._native import encode as native
from fastseq._native.rows import Rows
from fastseq.arrays import Codes, OneHot
from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError
from fastseq.sequence import alphabet as letters
from fastseq.sequence.decode import decode
from fastseq.sequence.rows import Ragged, Sequences, as_rows, checked_out
from fastseq.sequence.strand import reverse_complement

__all__ = ["Ragged", "decode", "encode", "one_hot", "reverse_complement"]

SIDE = {"right": 0, "left": 1, "center": 2}
_CUT = {"error": 0, **SIDE}

# bases that one thread encodes before a second has started
_FEW = 1 << 17


def encode(
    seqs: Sequences,
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
    unknown : {"mask", "iupac", "error"}
        Letters that are neither bases nor N: ``"mask"`` reads them as 4; ``"iupac"`` so reads
        ambiguity codes, - and ., and raises on the rest; ``"error"`` raises. N is always 4.
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
        A letter that ``unknown`` does not allow; the message names row, position and letter.
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
    if unknown not in ("mask", "iupac", "error"):
        raise OptionError(f'unknown is {unknown!r}; expected "mask", "iupac" or "error"')
    if unknown != "mask":
        _refuse_foreign(rows, seqs, alphabet, unknown)
    n = rows.n
    shape = (length,) if rows.single else (n, length)
    codes = np.empty(shape, np.uint8) if out is None else checked_out(out, shape, np.uint8)
    threads = pool.resolve(threads, n * length)
    pool.run_blocks(
        lambda first, last, begin, end: native.codes(
            rows.capsule, first, last, begin, end, codes, length, side, cut, fill, table
        ),
        n, length, threads,
    )  # fmt: skip
    return codes


def one_hot(
    seqs: Sequences,
    *,
    layout: str = "ncl",
    dtype: DTypeLike = "uint8",
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
    unknown : {"zero", "uniform", "iupac", "error"}
        N, padding and foreign letters: all zeros, or 1 / number of letters each (float types).
        ``"iupac"`` and ``"error"`` raise on letters as `encode` does; the rest is zeros.
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
    if unknown in ("iupac", "error"):
        _refuse_foreign(rows, seqs, alphabet, unknown, ambiguous=ambiguity == "fraction")
    n = rows.n
    shape = (count, length) if layout == "ncl" else (length, count)
    if not rows.single:
        shape = (n, *shape)
    array = np.empty(shape, item) if out is None else checked_out(out, shape, item)
    if side == cut == 0 and threads is None and length == rows.longest and rows.total < _FEW:
        native.one_hot_whole(rows.capsule, form, array)
        return array
    pool.run_blocks(
        lambda first, last, begin, end: native.one_hot(
            rows.capsule, form, first, last, begin, end, array, length, side, cut
        ),
        n, length, pool.resolve(threads, array.nbytes),
    )  # fmt: skip
    return array


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


def _refuse_foreign(
    rows: Rows, seqs, alphabet: str, unknown: str, *, ambiguous: bool = False
) -> None:
    """Raise on the first letter that ``unknown`` does not allow.

    A pass of its own, so that ``out`` is untouched on error. ``ambiguous`` allows IUPAC codes.
    """
    table = letters.lookup(alphabet, rows.codes)
    if unknown == "iupac" and not letters.is_nucleic(alphabet):
        raise OptionError(f'alphabet {alphabet!r} has no IUPAC codes; expected unknown="error"')
    if not rows.codes and (ambiguous or unknown == "iupac"):
        table = letters.readable(alphabet, gaps=unknown == "iupac")
    found = native.first_foreign(rows.capsule, len(alphabet), table)
    if found is None:
        return
    row, position = found
    shown = chr(rows.row(row)[position])
    text = seqs if rows.single else seqs[row] if isinstance(seqs, (list, tuple)) else None
    if isinstance(text, str):
        shown = text[position]
    expected = f"{', '.join(alphabet[:-1])}, {alphabet[-1]} or {letters.neutral(alphabet)}"
    mend = 'leave out unknown="error" to read it as unknown'
    if unknown == "iupac":
        expected, mend = "IUPAC letters, - or .", 'encode with unknown="mask" to read it as unknown'
    raise SequenceError(
        f"row {row} has {shown!r} at position {position}; expected {expected} ({mend})"
    )


_FORMS: dict[tuple, tuple[native.Form, np.dtype, int]] = {}


def _form(layout, dtype, unknown, ambiguity, alphabet) -> tuple[native.Form, np.dtype, int]:
    """Return what the kernel needs to know of a one-hot block, made once for each choice."""
    try:
        item = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(
            f"dtype is {dtype!r}; expected bool, an integer or a float type"
        ) from error
    if item.kind not in "biuf" or item.itemsize > 8:
        raise DTypeError(f"dtype is {item}; expected bool, an integer or a float type")
    for name, value, choices in (
        ("layout", layout, ("ncl", "nlc")),
        ("unknown", unknown, ("zero", "uniform", "iupac", "error")),
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
            part = [(letter in bases) / len(bases) for letter in "ACGT"]
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
