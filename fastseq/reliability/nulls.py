"""What the metric says of maps that mean nothing; each kind of null keeps something of the maps."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastseq import threads as pool
from fastseq.arrays import Codes
from fastseq.errors import OptionError
from fastseq.reliability.tables import Metric, add_rows, finish, new_sums

KINDS = {
    "swap": "maps of this texture (maps exchanged between sequences)",
    "shift": "maps of this texture (each map turned by a random offset)",
    "permute": "maps with these values in random places; smooth maps that ignore the sequence "
    "pass it, too",
    "composition": "maps of this texture that prefer the same bases (each base keeps its mean "
    "score, what is left over is exchanged between sequences)",
}

# replicates that differ by less, relatively, are one replicate summed in another order
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Null:
    """Replicates of the metric under maps that mean nothing.

    Attributes
    ----------
    kind : "swap", "shift", "permute" or "composition"
    per_k : dict of int to float64 (replicates,)
    total : float64, (replicates,)
    p : float
        (1 + replicates at or above the observed total) / (1 + replicates).
    z : float
        Observed total minus the mean of the replicates, over their standard deviation; nan where
        they do not vary, as with two sequences, whose maps can be exchanged in one way only.
    p_per_k, z_per_k : dict of int to float
    """

    kind: str
    per_k: dict[int, np.ndarray] = field(repr=False)
    total: np.ndarray = field(repr=False)
    p: float
    z: float
    p_per_k: dict[int, float]
    z_per_k: dict[int, float]

    def __str__(self) -> str:
        """Say what the p-value is against."""
        return f"p = {self.p:.3g}, z = {self.z:.1f} against {KINDS[self.kind]}"


def compare(
    kind: str,
    observed: dict[int, float],
    weights: dict[int, float],
    replicates: list[dict[int, float]],
) -> Null:
    """Return the null of these replicates beside the observed values."""
    per_k = {k: np.array([replicate[k] for replicate in replicates]) for k in observed}
    total = np.sum([weights[k] * per_k[k] for k in observed if weights[k]], axis=0)
    judged = {k: _judge(observed[k], per_k[k]) for k in observed}
    p, z = _judge(sum(weights[k] * observed[k] for k in observed if weights[k]), total)
    return Null(
        kind, per_k, total, p, z,
        {k: found[0] for k, found in judged.items()},
        {k: found[1] for k, found in judged.items()},
    )  # fmt: skip


def _judge(observed: float, null: np.ndarray) -> tuple[float, float]:
    if not (np.isfinite(observed) and np.isfinite(null).all()):
        return np.nan, np.nan
    ties = observed - ROUNDING * abs(observed)
    p = (1 + int((null >= ties).sum())) / (1 + len(null))
    if len(null) < 2 or np.ptp(null) <= ROUNDING * np.abs(null).max():
        return p, np.nan
    return p, (observed - float(null.mean())) / float(null.std(ddof=1))


def replicate(
    codes: Codes,
    scores: np.ndarray,
    metric: Metric,
    evaluate: Callable[[np.ndarray], dict[int, float]],
    *,
    kind: str,
    times: int,
    seed: int,
    threads: int,
    tick: Callable[[], object] = lambda: None,
) -> list[dict[int, float]]:
    """Return the metric of ``times`` rearrangements of scores (n, length).

    Replicate r draws from its own stream, so that neither threads nor ``times`` change it. After
    each, ``tick`` is called.

    Raises
    ------
    OptionError
        A seed out of range, or fewer than two sequences to exchange.
    """
    if len(codes) < 2 and kind in ("swap", "composition"):
        raise OptionError(
            f"null_kind={kind!r} exchanges maps between sequences and there is {len(codes)}; "
            "pass null_kind='shift'"
        )
    if seed >= 1 << 128:
        raise OptionError(f"seed={seed}; expected less than 2^128")
    bits = metric.bits(codes)
    found: list[dict[int, float]] = [{}] * times
    means, residuals = _by_base(codes, scores) if kind == "composition" else (None, scores)

    def run(first: int, last: int) -> None:
        for at in range(first, last):
            random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, at]))
            source, shifts, mine = None, None, residuals
            if kind == "permute":
                mine = random.permuted(scores, axis=1)
            elif kind == "shift":
                # a turn by nothing would be the map itself
                most = max(scores.shape[1] - 1, 0)
                shifts = random.integers(min(1, most), most + 1, len(codes))
            else:
                source = _derangement(len(codes), random)
            if means is not None:
                mine, source = means[codes] * residuals[source], None
            sums = new_sums(metric)
            add_rows(codes, mine, metric, bits, sums, source, shifts)
            found[at] = evaluate(finish(sums, metric))
            tick()

    pool.run(run, times, threads)
    return found


def _derangement(n: int, random: np.random.Generator) -> np.ndarray:
    """Return one random cycle through all rows: no map stays with its sequence."""
    order = random.permutation(n)
    source = np.empty(n, np.int64)
    source[order] = np.roll(order, 1)
    return source


def _by_base(codes: Codes, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean share of each code's scores (5,), and scores over the mean of their base."""
    totals = scores.sum(1, keepdims=True)
    shares = np.divide(scores, totals, out=np.zeros_like(scores), where=totals > 0)
    # of nothing at all, sums come back as integers
    found = np.bincount(codes.ravel(), shares.ravel(), minlength=5).astype(np.float64)
    # a base that never has a score still carries what it is given
    means = np.divide(found, np.bincount(codes.ravel(), minlength=5), where=found > 0, out=found)
    expected = means[codes]
    return means, np.divide(shares, expected, out=np.ones_like(shares), where=expected > 0)
