"""Sources of edits: the tables that a question about every sequence asks for."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import OptionError, SequenceError
from fastseq.sequence.edits import Edits
from fastseq.sequence.encode import encode
from fastseq.sequence.shuffle import shuffle

SOURCES = (
    "substitutions, deletions:BP, insertions:WORD,.., motifs:WORD,.., ablations:BP, shuffles:BP[xN]"
)


def deletions(codes: Codes, bases: int = 1, *, start: int = 0, end: int | None = None) -> Edits:
    """Return the deletion of every ``bases`` consecutive bases of a span.

    What stands behind moves up; unknown bases, or those of a margin, come in from the right.

    Parameters
    ----------
    codes : uint8, (n, length)
    bases : int
    start, end : int
        0-based, half-open; a deletion lies inside.
    """
    starts = _starts(codes, bases, start, end)
    return _grid(codes, starts, bases, [np.zeros(0, np.uint8)])


def insertions(
    codes: Codes, words: Sequence[str], *, start: int = 0, end: int | None = None
) -> Edits:
    """Return the insertion of each word before every base of a span; the last bases move out.

    Row by row, position by position, word by word.
    """
    return _grid(codes, _starts(codes, 1, start, end), 0, _words(words))


def placements(
    codes: Codes, words: Sequence[str], *, start: int = 0, end: int | None = None
) -> Edits:
    """Return each word written over the bases at every position of a span where it fits.

    Row by row, word by word, position by position.
    """
    tables = [
        _grid(codes, _starts(codes, len(word), start, end), len(word), [word])
        for word in _words(words)
    ]
    joined = Edits.concatenate(tables)
    return joined.take(np.argsort(joined.row, kind="stable"))


def ablations(
    codes: Codes, bases: int, *, step: int = 1, start: int = 0, end: int | None = None
) -> Edits:
    """Return windows of a span, every ``step`` bases, whose bases become unknown."""
    starts = _starts(codes, bases, start, end)[::step]
    return _grid(codes, starts, bases, [np.full(bases, UNKNOWN, np.uint8)])


def shuffles(
    codes: Codes,
    bases: int,
    n: int = 10,
    *,
    k: int = 2,
    step: int = 1,
    start: int = 0,
    end: int | None = None,
    seed: int = 0,
    row_offset: int = 0,
) -> Edits:
    """Return windows of a span, every ``step`` bases, shuffled ``n`` times with the same k-lets.

    Row by row, window by window, shuffle by shuffle. ``row_offset`` is the number of the first
    row in a larger set, whose shuffles these then are.
    """
    starts = _starts(codes, bases, start, end)[::step]
    windows = sliding_window_view(codes, bases, axis=1)[:, starts].reshape(-1, bases)
    words = shuffle(windows, k, n, seed=seed, row_offset=row_offset * len(starts))
    row, window, _ = np.indices((len(codes), len(starts), n)).reshape(3, -1)
    count = len(row)
    return Edits(
        row.astype(np.int64),
        starts[window],
        np.full(count, bases, np.int64),
        words.ravel(),
        np.arange(count + 1, dtype=np.int64) * bases,
    )


def pairs(codes: Codes, distance: int, *, start: int = 0, end: int | None = None) -> Edits:
    """Return all changes of two bases ``distance`` apart: 3 x 3 where both are known.

    Row by row, pair by pair, in the order of the first letter and then the second. The bases
    between are put back as they were, which no engine counts as a change.
    """
    starts = _starts(codes, distance + 1, start, end)
    words = sliding_window_view(codes, distance + 1, axis=1)[:, starts]
    letters = np.arange(4, dtype=np.uint8)
    first = words[:, :, :1] != letters
    second = words[:, :, -1:] != letters
    known = (words[:, :, [0, -1]] < UNKNOWN).all(2)
    row, at, left, right = np.nonzero(
        first[..., :, None] & second[..., None, :] & known[..., None, None]
    )
    inserted = words[row, at]
    inserted[:, 0], inserted[:, -1] = left, right
    count = len(row)
    return Edits(
        row,
        starts[at],
        np.full(count, distance + 1, np.int64),
        inserted.ravel(),
        np.arange(count + 1, dtype=np.int64) * (distance + 1),
    )


def read_source(
    text: str, codes: Codes, *, start: int = 0, end: int | None = None, row_offset: int = 0
) -> Edits:
    """Return the edits that a word names, such as ``"deletions:3"``.

    Parameters
    ----------
    text : str
        ``substitutions``, ``deletions:BP``, ``insertions:WORD,..``, ``motifs:WORD,..`` (written
        over the bases), ``ablations:BP`` or ``shuffles:BPxN``.
    codes : uint8, (n, length)
    start, end : int
    row_offset : int
        Number of the first row in a larger set.

    Raises
    ------
    OptionError
        Another word, a number that is none, or one that does not fit the span.
    """
    name, _, rest = text.partition(":")
    span = {"start": start, "end": end}
    match name:
        case "substitutions" if not rest:
            return Edits.substitutions(codes, start, end)
        case "deletions":
            return deletions(codes, _number(text, rest or "1"), **span)
        case "insertions" if rest:
            return insertions(codes, rest.split(","), **span)
        case "motifs" if rest:
            return placements(codes, rest.split(","), **span)
        case "ablations" if rest:
            return ablations(codes, _number(text, rest), **span)
        case "shuffles" if rest:
            bases, _, n = rest.partition("x")
            count = _number(text, n or "10")
            return shuffles(codes, _number(text, bases), count, row_offset=row_offset, **span)
    raise OptionError(f"edits={text!r}; expected {SOURCES}")


def _number(text: str, digits: str) -> int:
    if not digits.isascii() or not digits.isdigit() or not int(digits):
        raise OptionError(f"edits={text!r}: {digits!r} is no number above 0; expected {SOURCES}")
    return int(digits)


def _words(words: Sequence[str]) -> list[Codes]:
    if isinstance(words, str | bytes):
        raise OptionError(f"words={words!r}; expected a list of words")
    for word in words:
        if not {*word.upper()} <= {*"ACGTN"}:
            raise SequenceError(f"word {word!r}; expected letters A, C, G, T and N")
    read = [encode(word) for word in words]
    if not read or not all(map(len, read)):
        raise OptionError(f"words={list(words)!r}; expected at least one, and none empty")
    return read


def _starts(codes: Codes, bases: int, start: int, end: int | None) -> NDArray[np.int64]:
    """Return where ``bases`` consecutive bases of a span may begin."""
    end = codes.shape[1] if end is None else end
    if not all(isinstance(number, Integral) for number in (bases, start, end)):
        raise OptionError(f"{bases} bp from {start} to {end}; expected whole numbers of bp")
    if bases < 1 or not 0 <= start <= end - bases or end > codes.shape[1]:
        raise OptionError(
            f"{bases} bp do not fit into positions {start} to {end} of {codes.shape[1]} bp"
        )
    return np.arange(start, end - bases + 1)


def _grid(codes: Codes, starts: NDArray[np.int64], removed: int, words: list[Codes]) -> Edits:
    """Return every word at every start of every row."""
    row, at, _ = np.indices((len(codes), len(starts), len(words))).reshape(3, -1)
    places = len(codes) * len(starts)
    lengths = np.tile([len(word) for word in words], places)
    return Edits(
        row.astype(np.int64),
        starts[at],
        np.full(len(row), removed, np.int64),
        np.tile(np.concatenate(words), places),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )
