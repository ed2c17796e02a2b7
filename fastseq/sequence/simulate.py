"""Sequences with planted motifs and known truth: the synthetic task of Majdandzic et al. and D4.

Positive sequences carry motifs of a small core set, negative ones motifs of a larger pool; the
task is to tell them apart, and every planted base is known. The recipe follows the notebook
"task3" of Koo & Ploenzke 2021 (exponential activations).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastseq.arrays import Codes, whole
from fastseq.errors import LengthError, OptionError
from fastseq.sequence.motifs import INFORMATIVE_BITS, Motif, jaspar

CORE = ("MA0079.3", "MA0062.2", "MA0466.2", "MA0058.3", "MA0095.2")  # SP1 Gabpa CEBPB MAX YY1
MOTIF_COUNTS = {3: 0.50, 4: 0.25, 5: 0.17, 6: 0.05, 7: 0.03}
SPLIT = {"train": 0.7, "valid": 0.1, "test": 0.2}
NEGATIVES = ("authors", "document")
SPANS = np.dtype(
    [("row", np.int64), ("start", np.int64), ("end", np.int64), ("motif", "U32"), ("strand", "U1")]
)
_ROWS_PER_BLOCK = 2048
_REDRAWS = 10_000


@dataclass(frozen=True, eq=False)
class MotifTask:
    """Simulated sequences and where their motifs lie.

    Attributes
    ----------
    codes : uint8, (n, length)
    labels : uint8, (n,)
        1 where only core motifs were planted.
    spans : structured, (s,)
        Fields row, start, end, motif (name) and strand, sorted by row and start.
    information : float32, (n, length)
        Bits of the column each base was drawn from; 0 outside motifs.
    split : str, (n,)
        "train", "valid" or "test".
    """

    codes: Codes
    labels: np.ndarray
    spans: np.ndarray
    information: np.ndarray
    split: np.ndarray

    @property
    def motif_mask(self) -> np.ndarray:
        """Return bool (n, length): columns of more than 0.1 bit, as tfomics takes them."""
        return self.information > INFORMATIVE_BITS

    @property
    def background_mask(self) -> np.ndarray:
        """Return bool (n, length): positions outside every motif."""
        return self.information == 0

    def rows(self, split: str, *, label: int | None = None) -> np.ndarray:
        """Return int64 (r,): the rows of a split, of one label where given."""
        if split not in SPLIT:
            raise OptionError(f"split={split!r}; expected one of {', '.join(SPLIT)}")
        chosen = self.split == split
        return np.flatnonzero(chosen if label is None else chosen & (self.labels == label))


def simulate_motif_task(
    n: int = 20_000,
    length: int = 200,
    seed: int = 22,
    *,
    core: Sequence[Motif] | None = None,
    background: Sequence[Motif] | None = None,
    negatives: str = "authors",
    motif_counts: dict[int, float] | None = None,
) -> MotifTask:
    """Return labelled sequences with planted motifs; same arguments, same bytes.

    Parameters
    ----------
    n : int
        Sequences, half of them positive.
    length : int
        bp of each.
    seed : int
        Names the draw.
    core, background : list of Motif, optional
        What positives carry, and the pool beside it; the five core motifs and fifty others of
        JASPAR CORE 2016 otherwise. Each is planted on either strand.
    negatives : "authors" or "document"
        "authors": negatives draw from the background pool and the core motifs alike, as the
        published notebook does; "document": from the background pool alone.
    motif_counts : dict of int to float, optional
        Probability of each number of motifs in a sequence; 3 to 7 otherwise.

    Returns
    -------
    MotifTask
        Rows in random order, split 7 : 1 : 2 into train, valid and test.

    Raises
    ------
    OptionError
        A negative n, unknown negatives, core motifs among those of "document" negatives, or
        probabilities that do not sum to 1.
    LengthError
        Motifs that do not fit into the length.

    Notes
    -----
    A row draws its number of motifs, then motifs uniformly with replacement, again while they are
    too wide together; gaps are round(u / sum u * rest) with u ~ U(0, 2), again until they sum to
    the rest. The default background leaves out the ten look-alikes of core motifs that the
    notebook meant to leave out. Every draw is a uniform double of a Philox stream.

    Examples
    --------
    >>> task = simulate_motif_task(n=100, seed=1)
    >>> task.codes.shape, int(task.labels.sum()), task.spans["motif"][0] != ""
    ((100, 200), 50, True)
    """
    n, length, seed = whole("n", n), whole("length", length, 1), whole("seed", seed)
    if negatives not in NEGATIVES:
        raise OptionError(f"negatives={negatives!r}; expected one of {', '.join(NEGATIVES)}")
    core = jaspar(CORE) if core is None else list(core)
    given = core if background is None else [*core, *background]
    if odd := [motif for motif in given if not isinstance(motif, Motif)]:
        raise OptionError(f"{odd[0]!r} is no Motif; jaspar() and read_motifs() return them")
    planted = {motif.id for motif in core}
    if background is None:
        background = [motif for motif in jaspar() if motif.id not in planted.union(CORE)]
    shared = [motif.id for motif in background if motif.id in planted]
    if shared and negatives == "document":
        raise OptionError(
            f"{', '.join(shared)} both core and background; expected disjoint sets, or "
            "negatives='authors'"
        )
    pools = (
        list(background) + (core if negatives == "authors" else []),
        core,
    )
    counts = _motif_counts(MOTIF_COUNTS if motif_counts is None else motif_counts)
    random = np.random.Generator(np.random.Philox(seed))
    labels = (np.arange(n) < (n + 1) // 2).astype(np.uint8)
    parts = [
        _plant(int((labels == label).sum()), length, pools[label], counts, random)
        for label in (1, 0)
    ]
    codes, information = (np.concatenate(x) for x in zip(*(part[:2] for part in parts)))
    spans = np.concatenate([part[2] for part in parts])
    spans["row"][len(parts[0][2]) :] += len(parts[0][0])

    order = np.argsort(random.random(n), kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    spans["row"] = rank[spans["row"]]
    spans = spans[np.lexsort((spans["start"], spans["row"]))]
    bounds = (np.cumsum(list(SPLIT.values())) * n + 0.5).astype(int)
    split = np.array(list(SPLIT))[np.searchsorted(bounds[:-1], np.arange(n), side="right")]
    return MotifTask(codes[order], labels[order], spans, information[order], split)


def _motif_counts(counts: Mapping[int, float]) -> dict[int, float]:
    if isinstance(counts, Mapping):
        p = np.array([*counts.values()])
        if p.dtype.kind in "fi" and (p >= 0).all() and abs(p.sum() - 1) <= 1e-9:
            return {whole("motif_counts", number, 1): share for number, share in counts.items()}
    raise OptionError(f"motif_counts={counts!r}; expected {{number: probability}}, sum of p = 1")


def _plant(
    n: int, length: int, pool: list[Motif], counts: dict[int, float], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes, information and spans of n sequences with motifs of the pool."""
    motifs = [oriented for motif in pool for oriented in (motif, motif.reverse_complement())]
    if not motifs:
        raise OptionError("the motif pool is empty; expected at least one motif")
    widths = np.array([motif.width for motif in motifs] + [0])
    if min(counts) * widths[:-1].min() >= length:
        raise LengthError(
            f"{min(counts)} motifs of {widths[:-1].min()} bp or more need more than {length} bp"
        )
    picks = _pick_motifs(n, length, widths, counts, random)
    starts = _place(length, widths[picks], random)

    # one table of columns: 0 is the background, then every motif's columns in turn
    first_column = 1 + np.concatenate([[0], np.cumsum(widths[:-1])])
    probabilities = np.full((first_column[-1], 4), 0.25)
    bits = np.zeros(first_column[-1], np.float32)
    for motif, first in zip(motifs, first_column):
        probabilities[first : first + motif.width] = motif.probabilities().T
        bits[first : first + motif.width] = motif.information()
    column = np.zeros((n, length), np.int32)
    planted = picks < len(motifs)
    for slot in range(picks.shape[1]):
        for offset in range(widths.max()):
            rows = np.flatnonzero(planted[:, slot] & (offset < widths[picks[:, slot]]))
            column[rows, starts[rows, slot] + offset] = first_column[picks[rows, slot]] + offset

    row, slot = np.nonzero(planted)
    spans = np.empty(len(row), SPANS)
    spans["row"], spans["start"] = row, starts[row, slot]
    spans["end"] = spans["start"] + widths[picks[row, slot]]
    spans["motif"] = np.array([motif.name for motif in motifs])[picks[row, slot]]
    spans["strand"] = np.array(["+", "-"])[picks[row, slot] % 2]
    return _draw(column, probabilities.cumsum(1)[:, :3], random), bits[column], spans


def _pick_motifs(n, length, widths, counts, random) -> np.ndarray:
    """Return int64 (n, most motifs): indices into the pool, the last index where a slot is free."""
    numbers, edges = np.array(list(counts)), np.cumsum(list(counts.values()))[:-1]
    number = numbers[np.searchsorted(edges, random.random(n))]
    picks = np.empty((n, numbers.max()), np.int64)
    free = np.arange(picks.shape[1]) >= number[:, None]
    todo = np.arange(n)
    for _ in range(_REDRAWS):
        if not todo.size:
            return picks
        drawn = (random.random((todo.size, picks.shape[1])) * (len(widths) - 1)).astype(np.int64)
        picks[todo] = np.where(free[todo], len(widths) - 1, drawn)
        todo = todo[widths[picks[todo]].sum(1) >= length]
    raise LengthError(f"{number[todo[0]]} motifs of this pool do not fit into {length} bp")


def _place(length, widths, random) -> np.ndarray:
    """Return int64 (n, most motifs): where each motif starts."""
    n, slots = widths.shape
    rest = length - widths.sum(1)
    used = np.arange(slots + 1) <= (widths > 0).sum(1)[:, None]
    gaps = np.zeros((n, slots + 1), np.int64)
    todo = np.arange(n)
    for _ in range(_REDRAWS):
        if not todo.size:
            break
        u = 2 * random.random((todo.size, slots + 1)) * used[todo]
        gaps[todo] = np.round(u / u.sum(1, keepdims=True) * rest[todo, None])
        todo = todo[gaps[todo].sum(1) != rest[todo]]
    assert not todo.size, "rounded gaps sum to the rest in every third draw or so"
    return np.cumsum(gaps[:, :-1] + np.pad(widths, ((0, 0), (1, 0)))[:, :-1], axis=1)


def _draw(column, cumulative, random) -> Codes:
    """Return uint8 (n, length): one base for each column index."""
    codes = np.empty(column.shape, np.uint8)
    for at in range(0, len(column), _ROWS_PER_BLOCK):
        block = cumulative[column[at : at + _ROWS_PER_BLOCK]]
        u = random.random(block.shape[:2])
        (u[..., None] >= block).sum(-1, dtype=np.uint8, out=codes[at : at + _ROWS_PER_BLOCK])
    return codes
