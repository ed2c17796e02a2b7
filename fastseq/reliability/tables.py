"""Codes and attribution maps become k-mer tables, a block of rows at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastseq import threads as pool
from fastseq._native import kld as native
from fastseq.arrays import Codes, Text
from fastseq.errors import MapError, OptionError, ShapeError
from fastseq.sequence.encode import Ragged, encode

LONGEST = native.LONGEST
FORMS = ("instance", "product", "sequence_product")
METHODS = ("weighted", "thresholded")
SCORES = ("observed", "l2")
# 64-bit sums of weights stay below 2^62; more than 50 bits add nothing to a float64 score
_SUM_BITS, _MOST_BITS = 62, 50
# what is made beside the maps for a block of rows, scores or another type: 2 MB at most
_POSITIONS_PER_BLOCK = 1 << 18


@dataclass(frozen=True)
class Metric:
    """Which metric, apart from the data: see `kmer_kld` for each field."""

    ks: tuple[int, ...]
    method: str
    score: str
    form: str
    quantile: float
    buffer: int
    correct: bool

    def __post_init__(self) -> None:
        for name, allowed in (("method", METHODS), ("score", SCORES), ("form", FORMS)):
            if getattr(self, name) not in allowed:
                raise OptionError(
                    f"{name}={getattr(self, name)!r}; expected one of {', '.join(allowed)}"
                )
        if not self.ks or any(not 1 <= k <= LONGEST for k in self.ks):
            raise OptionError(f"ks={self.ks}; expected lengths between 1 and {LONGEST}")
        if len(set(self.ks)) != len(self.ks):
            raise OptionError(f"ks={self.ks}; expected each length once")
        if not 0 <= self.quantile < 1:
            raise OptionError(f"quantile={self.quantile}; expected 0 <= quantile < 1")

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest length of the tables; 3 and 8 have the fastest loop."""
        lo, hi = min(self.ks), max(self.ks)
        return (3, 8) if 3 <= lo < hi <= 8 else (lo, hi)

    @property
    def by_row(self) -> bool:
        """Whether rows are summed by themselves before they are pooled."""
        return self.method == "weighted" and self.form == "sequence_product"

    @property
    def table_size(self) -> int:
        """Values of all tables, shortest length first."""
        lo, hi = self.lengths
        return native.table_offset(lo, hi + 1)

    def table(self, tables: np.ndarray, k: int) -> np.ndarray:
        """Return the view (4^k,) of one length."""
        lo, _ = self.lengths
        return tables[native.table_offset(lo, k) : native.table_offset(lo, k + 1)]

    def bits(self, codes: Codes) -> int:
        """Return s: weights are whole multiples of 2^-s of their row's total.

        No table overflows: a row adds at most k to a k-mer, times its count in the product form.
        """
        n, length = codes.shape
        most = max(n, 1) * max(8, max(self.ks)) * (length if self.form == "sequence_product" else 1)
        return min(_MOST_BITS, _SUM_BITS - (most + 1).bit_length())


def blocks(first: int, last: int, length: int) -> list[tuple[int, int]]:
    """Return half-open row ranges of about equal work."""
    step = max(1, _POSITIONS_PER_BLOCK // max(length, 1))
    return [(at, min(at + step, last)) for at in range(first, last, step)]


def score_rows(codes: Codes, maps: np.ndarray, metric: Metric, first: int, last: int) -> np.ndarray:
    """Return float64 (last - first, length): scores of 0 or more at every position.

    Raises
    ------
    MapError
        A map holds NaN or infinity; the row is named.
    """
    scores = np.empty((last - first, codes.shape[1]))
    score = native.OBSERVED if metric.score == "observed" else native.NORM
    bad = native.score(codes[first:last], values(maps[first:last]), score, metric.correct, scores)
    _refuse(first, bad)
    return scores


def all_scores(codes: Codes, maps: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the scores of all rows, float64 (n, length)."""
    scores = np.empty(codes.shape)
    for first, last in blocks(0, len(codes), codes.shape[1]):
        scores[first:last] = score_rows(codes, maps, metric, first, last)
    return scores


def values(block: np.ndarray) -> np.ndarray:
    """Return maps or scores as contiguous float32 or float64 rows; what is so already, uncopied."""
    exact = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
    with np.errstate(over="ignore"):  # too large for float64 is infinite, and refused as such
        return np.ascontiguousarray(block, exact).reshape(len(block), -1)


def _refuse(first: int, bad: int) -> None:
    if bad >= 0:
        raise MapError(
            f"the attribution map of row {first + bad} holds NaN, infinity or values whose sums or "
            "squares overflow; expected finite numbers (drop the row or attribute it again)"
        )


def add_rows(
    codes: Codes,
    rows: np.ndarray,
    metric: Metric,
    bits: int,
    sums: np.ndarray,
    source: np.ndarray | None = None,
    shifts: np.ndarray | None = None,
) -> tuple[int, int]:
    """Add what codes say under rows[source], turned by shifts, as `values` gives them.

    Returns the first row that is not finite, or -1, and how many say nothing.
    """
    if metric.by_row:
        found = [
            native.by_row(codes, rows, source, shifts, bits, k, metric.table(sums, k), None, None)
            for k in metric.ks
        ]
        return max(found)
    if metric.method == "weighted":
        score = native.OBSERVED if metric.score == "observed" else native.NORM
        return native.weigh(
            codes, rows, source, shifts, score, metric.correct, bits, *metric.lengths, sums
        )
    # blocks hang on the order of the scores alone, which their squares share
    score = native.OBSERVED if metric.score == "observed" else native.SQUARE
    return native.count_blocks(
        codes, rows, source, shifts, score, metric.correct,
        metric.quantile, min(metric.buffer, codes.shape[1]), *metric.lengths, sums,
    )  # fmt: skip


def finish(sums: np.ndarray, metric: Metric) -> np.ndarray:
    """Return int64 tables of all lengths from what `add_rows` summed."""
    if metric.method == "thresholded":
        native.spread_counts(*metric.lengths, sums)
    elif not metric.by_row and metric.lengths == (3, 8):
        native.spread(sums)
    return sums[: metric.table_size]


def new_sums(metric: Metric) -> np.ndarray:
    """Return zeros for `add_rows`, at the start of a cache line."""
    working = metric.method == "weighted" and not metric.by_row and metric.lengths == (3, 8)
    size = native.WORK if working else metric.table_size
    room = np.zeros(size + 7, np.int64)
    first = -room.ctypes.data % 64 // 8
    return room[first : first + size]


def tables_of_maps(
    codes: Codes, maps: np.ndarray, metric: Metric, threads: int
) -> tuple[np.ndarray, int]:
    """Return int64 tables of all lengths, and how many rows attribute nothing.

    Whole numbers are summed, so that neither the threads nor the blocks can change a bit.

    Raises
    ------
    MapError
        A map holds NaN or infinity; the row is named.
    """
    bits = metric.bits(codes)
    free: list[np.ndarray] = []
    silent: list[int] = []

    def add(first: int, last: int) -> None:
        sums = free.pop() if free else new_sums(metric)
        for start, stop in blocks(first, last, codes.shape[1]):
            if metric.by_row:
                rows = score_rows(codes, maps, metric, start, stop)
            else:
                rows = values(maps[start:stop])
            bad, said_nothing = add_rows(codes[start:stop], rows, metric, bits, sums)
            _refuse(start, bad)
            silent.append(said_nothing)
        free.append(sums)

    pool.run(add, len(codes), threads)
    if not free:
        free.append(new_sums(metric))
    for other in free[1:]:
        free[0] += other
    return finish(free[0], metric), sum(silent)


def count_windows(codes: Codes, metric: Metric) -> np.ndarray:
    """Return int64 tables: how often each k-mer of each length stands in codes."""
    lo, hi = metric.lengths
    tables = np.zeros(metric.table_size, np.int64)
    native.count(codes, lo, hi, tables)
    native.spread_counts(lo, hi, tables)
    return tables


def divergences(
    tables: np.ndarray, counts: np.ndarray, prior: dict[int, np.ndarray] | None, metric: Metric
) -> dict[int, float]:
    """Return KL(tables || counts or prior) of every length."""
    product = metric.method == "weighted" and metric.form == "product"
    found = {}
    for k in metric.ks:
        p, q = metric.table(tables, k), metric.table(counts, k)
        if prior is None and not product:
            found[k] = native.divergence(p, q)
            continue
        p = p * q.astype(np.float64) if product else p.astype(np.float64)
        found[k] = native.divergence_of_weights(
            p, q.astype(np.float64) if prior is None else prior[k]
        )
    return found


def divergences_by_row(
    codes: Codes, maps: np.ndarray, priors: dict[int, np.ndarray], metric: Metric
) -> dict[int, np.ndarray]:
    """Return float64 (n,) of every length: the divergence of each row's own weights."""
    found = {k: np.full(len(codes), np.nan) for k in metric.ks}
    for first, last in blocks(0, len(codes), codes.shape[1]):
        scores = score_rows(codes, maps, metric, first, last)
        for k, prior in priors.items():
            part = found[k][first:last]
            native.by_row(codes[first:last], scores, None, None, _MOST_BITS, k, None, prior, part)
    return found


def codes_beside(seqs: Text | Ragged, maps: Any) -> Codes:
    """Return contiguous codes (n, length); text is padded to the length of the maps.

    Raises
    ------
    ShapeError
        One sequence, where n of them are expected.
    SequenceError
        A letter outside IUPAC.
    """
    shape = as_array("attributions", getattr(maps, "raw", maps)).shape
    is_array = isinstance(seqs, np.ndarray) and seqs.dtype.kind not in "SUO"
    length = None if is_array or len(shape) not in (2, 3) else shape[-1]
    codes = encode(seqs, unknown="iupac", length=length)
    if codes.ndim != 2:
        raise ShapeError(
            f"one sequence of {codes.shape[-1]} bp; expected n of them beside maps (n, 4, length) "
            "(pass a list of one)"
        )
    return np.ascontiguousarray(codes)


def check_maps(name: str, maps: Any, codes: Codes) -> np.ndarray:
    """Return maps (n, 4, length) or scores (n, length) that fit the codes, as an array.

    Raises
    ------
    ShapeError
        They do not fit.
    MapError
        They are no real numbers.
    """
    found = as_array(name, getattr(maps, "raw", maps))
    n, length = codes.shape
    if found.shape not in ((n, 4, length), (n, length)):
        turned = " (channels come second: pass maps.transpose(0, 2, 1))"
        raise ShapeError(
            f"{name} has shape {found.shape}; expected maps (n={n}, 4, length={length}) or scores "
            f"(n={n}, length={length})" + (turned if found.shape == (n, length, 4) else "")
        )
    if found.dtype.kind not in "fiu":
        raise MapError(f"{name} has dtype {found.dtype}; expected real numbers")
    return found


def as_array(name: str, maps: Any) -> np.ndarray:
    """Return what can be read as an array; masked entries are NaN.

    Raises
    ------
    MapError
        It cannot.
    """
    try:
        found = np.asanyarray(maps)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MapError(
            f"{name} is no array of numbers ({error}); expected one, such as a tensor's "
            ".detach().float().cpu()"
        ) from error
    return np.ma.filled(found.astype(np.float64), np.nan) if np.ma.isMA(found) else found


def as_weights(weights: Any, ks: Sequence[int]) -> dict[int, float]:
    """Return one weight for each length; uniform where None.

    Raises
    ------
    OptionError
        Weights that miss a length, are negative or sum to 0.
    """
    if weights is None:
        return {k: 1 / len(ks) for k in ks}
    weights = getattr(weights, "weights", weights)
    try:
        table = dict(weights) if hasattr(weights, "keys") else dict(zip(ks, weights, strict=True))
        values = np.array([table.get(k, np.nan) for k in ks], np.float64)
    except (TypeError, ValueError):
        values = np.full(len(ks), np.nan)
    if not (np.isfinite(values) & (values >= 0)).all() or values.sum() <= 0:
        raise OptionError(
            f"weights={weights!r}; expected a number of 0 or more for each of k = "
            f"{', '.join(map(str, ks))}"
        )
    return {k: float(value) for k, value in zip(ks, values / values.sum())}
