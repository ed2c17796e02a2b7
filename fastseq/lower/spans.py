"""Edits of one length as spans: cut to what they change, each change once, gathered into sites."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes
from fastseq.lower.sites import Sites

# alternatives of one site that share its windows: three other bases
ALTERNATIVES = 3
# how many bases a site covers: few widths, so that many spans share a shape
WIDTHS = 1 << np.arange(48)


class Spans(NamedTuple):
    """What edits change, each from the first base that differs to the last.

    Attributes
    ----------
    edit : int64, (s,)
        The edit of the caller's. One that changes nothing has no span.
    row, start, size : int64, (s,)
        ``codes[row, start : start + size]`` is replaced.
    word : int64, (s,)
        By ``inserted[word : word + size]``.
    begin, width : int64, (s,)
        The site, which lies around the span and inside the sequence.
    """

    edit: NDArray[np.int64]
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    word: NDArray[np.int64]
    begin: NDArray[np.int64]
    width: NDArray[np.int64]

    def take(self, which: NDArray[np.integer] | slice) -> "Spans":
        """Return chosen spans in a given order."""
        return Spans(*(part[which] for part in self))

    def words(self, codes: Codes, inserted: Codes) -> Codes:
        """Return what sites of one width hold, uint8, (s, width): unchanged bases beside a span."""
        at = self.begin[:, None] + np.arange(self.width[0])
        word = at - self.start[:, None]
        inside = (word >= 0) & (word < self.size[:, None])
        mutants = codes[self.row[:, None], at]
        mutants[inside] = inserted[(word + self.word[:, None])[inside]]
        return mutants


def changed(
    codes: Codes,
    row: NDArray[np.int64],
    start: NDArray[np.int64],
    inserted: Codes,
    offsets: NDArray[np.int64],
) -> Spans:
    """Return the spans of edits that put ``inserted[offsets[e] : offsets[e + 1]]`` at ``start``."""
    edit = np.repeat(np.arange(len(row)), np.diff(offsets))
    position = np.arange(len(inserted)) - offsets[edit] + start[edit]
    other = np.flatnonzero(codes[row[edit], position] != inserted)
    first = np.flatnonzero(np.diff(edit[other], prepend=-1))
    last = np.append(first[1:], len(other))[: len(first)] - 1
    word = other[first]
    edit, low, size = edit[word], position[word], other[last] - word + 1
    width = np.minimum(WIDTHS[np.searchsorted(WIDTHS, size)], codes.shape[1])
    return Spans(edit, row[edit], low, size, word, np.minimum(low, codes.shape[1] - width), width)


def distinct(
    spans: Spans, inserted: Codes, rank: NDArray[np.int64]
) -> tuple[Spans, NDArray[np.int64], NDArray[np.int64]]:
    """Return every change once, site by site, and which edits repeat which.

    Parameters
    ----------
    spans : Spans
    inserted : uint8, (total,)
    rank : int64, (n,)
        Place of every row in the order of the answer.

    Returns
    -------
    spans : Spans
    twins, originals : int64, (t,)
        Edits left out, and the edit in `spans` that each equals.
    """
    if not len(spans.edit):
        return spans, spans.edit, spans.edit
    keys = np.stack([
        rank[spans.row], spans.width, spans.begin, spans.start, spans.size, _names(spans, inserted)
    ])  # fmt: skip
    order = np.lexsort(keys[::-1])
    fresh = np.r_[True, (np.diff(keys[:, order]) != 0).any(0)]
    kept = order[fresh]
    originals = kept[np.cumsum(fresh) - 1]
    return (
        spans.take(kept), spans.edit[order[~fresh]], spans.edit[originals[~fresh]]
    )  # fmt: skip


def _names(spans: Spans, inserted: Codes) -> NDArray[np.int64]:
    """Return a number for the word of every span: one for equal words."""
    names = inserted[spans.word].astype(np.int64)
    long = np.flatnonzero(spans.size > 1)
    text, known = inserted.tobytes(), dict[bytes, int]()
    ends = zip(spans.word[long].tolist(), (spans.word + spans.size)[long].tolist())
    names[long] = [known.setdefault(text[a:b], len(known)) for a, b in ends]
    return names


def sites(spans: Spans, codes: Codes, inserted: Codes, place: NDArray[np.int64]) -> Iterator[Sites]:
    """Yield sites of one width and one number of alternatives, from spans in order.

    Parameters
    ----------
    spans : Spans
        As `distinct` gives them.
    codes : uint8, (n, length)
    inserted : uint8, (total,)
    place : int64, (n,)
        The reference of every row.
    """
    if not len(spans.edit):
        return
    site = np.stack([spans.row, spans.width, spans.begin])
    fresh = np.flatnonzero(np.r_[True, (np.diff(site) != 0).any(0)])
    rank = np.arange(site.shape[1]) - np.repeat(fresh, np.diff(np.r_[fresh, site.shape[1]]))
    first = np.flatnonzero(rank % ALTERNATIVES == 0)
    count = np.diff(np.r_[first, len(rank)])
    for width, alternatives in sorted({*zip(spans.width[first].tolist(), count.tolist())}):
        chosen = first[(spans.width[first] == width) & (count == alternatives)]
        mine = chosen[:, None] + np.arange(alternatives)
        words = spans.take(mine.ravel()).words(codes, inserted)
        yield Sites(
            place[spans.row[chosen]], spans.begin[chosen],
            words.reshape(*mine.shape, width), spans.edit[mine],
        )  # fmt: skip
