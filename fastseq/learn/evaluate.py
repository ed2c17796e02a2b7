"""The DREAM Challenge's evaluation: nine subsets, two weighted scores, bootstraps with ranks.

Rafi et al. 2024 (Methods). Six subsets are of promoters; three are of pairs, judged by the
difference of alt and ref. Pearson Score = sum w r^2 / sum w, Spearman Score = sum w rho / sum w.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from fastseq.errors import OptionError, ShapeError, TargetError
from fastseq.learn.metrics import pearson, spearman
from fastseq.learn.subsets import WEIGHTS, Subsets

SHARE, DRAWS = 0.1, 10_000


@dataclass(frozen=True)
class SubsetScore:
    """How one prediction does on one subset: rows or pairs, r, r^2, rho, and the weight."""

    n: int
    r: float
    r2: float
    rho: float
    weight: float


@dataclass(frozen=True)
class Bootstrap:
    """Scores and ranks over random parts of every subset, the same parts for all predictions.

    Attributes
    ----------
    models : tuple of str
    pearson, spearman : float64, (draws, models)
        The two scores of each draw.
    """

    models: tuple[str, ...]
    pearson: np.ndarray
    spearman: np.ndarray

    @property
    def ranks(self) -> dict[str, dict[str, float]]:
        """Mean rank of each prediction by either score, 1 the best, ties averaged."""
        mean = {
            name: rankdata(-values, axis=1).mean(0)
            for name, values in (("pearson", self.pearson), ("spearman", self.spearman))
        }
        return {
            model: {name: float(rank[at]) for name, rank in mean.items()}
            for at, model in enumerate(self.models)
        }

    def interval(self, level: float = 0.95) -> dict[str, dict[str, tuple[float, float]]]:
        """Return the central interval of each prediction's scores over the draws."""
        ends = [(1 - level) / 2, (1 + level) / 2]
        found: dict[str, dict[str, tuple[float, float]]] = {model: {} for model in self.models}
        for name, values in (("pearson", self.pearson), ("spearman", self.spearman)):
            for model, (low, high) in zip(self.models, np.quantile(values, ends, axis=0).T):
                found[model][name] = float(low), float(high)
        return found


@dataclass(frozen=True)
class DreamScore:
    """What `dream_score` found.

    Attributes
    ----------
    scores : dict of str to (dict of str to SubsetScore)
        By prediction, then by subset; a single prediction is called "y_pred".
    missing : tuple of str
        Subsets without a pair of rows; the weights are renormalised over the others, and such
        scores do not stand beside those of nine subsets.
    notes : tuple of str
        Constant predictions, and where.
    """

    scores: dict[str, dict[str, SubsetScore]]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    _values: dict[str, tuple[np.ndarray, np.ndarray]]

    @property
    def pearson(self) -> "float | dict[str, float]":
        """The Pearson Score; by name where several predictions were given."""
        return self._weighted("r2")

    @property
    def spearman(self) -> "float | dict[str, float]":
        """The Spearman Score; by name where several predictions were given."""
        return self._weighted("rho")

    @property
    def per_subset(self) -> "dict[str, SubsetScore] | dict[str, dict[str, SubsetScore]]":
        """Figures by subset; by prediction first where several were given."""
        return next(iter(self.scores.values())) if len(self.scores) == 1 else self.scores

    def _weighted(self, figure: str) -> "float | dict[str, float]":
        found = {model: _score(by, figure) for model, by in self.scores.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def __str__(self) -> str:
        lines = []
        for model, by in self.scores.items():
            of = f"{len(by)} of {len(WEIGHTS)} subsets" + (" only" if self.missing else "")
            lines.append(
                f"{model}: Pearson Score {_score(by, 'r2'):.4f}, "
                f"Spearman Score {_score(by, 'rho'):.4f} ({of})"
            )
            lines += [
                f"  {name:18} n {s.n:6,}  weight {s.weight:4.2f}  r {s.r:+.4f}  r2 {s.r2:.4f}  "
                f"rho {s.rho:+.4f}"
                for name, s in by.items()
            ]
        if self.missing:
            lines.append(f"missing: {', '.join(self.missing)}; weights renormalised over the rest")
        return "\n".join([*lines, *self.notes])

    def bootstrap(self, draws: int = DRAWS, *, share: float = SHARE, seed: int = 0) -> Bootstrap:
        """Return scores over random parts of every subset.

        Parameters
        ----------
        draws : int
        share : float
            Part of each subset, pairs as pairs, drawn without replacement.
        seed : int

        Notes
        -----
        The paper draws 10 % of the test set 10,000 times and ranks; its script was not published.
        Drawing within every subset is our reading, since a tenth of the whole would often leave
        too few of the small subsets.
        """
        if not 0 < share <= 1:
            raise OptionError(f"share={share}; expected a share of the rows, above 0 and up to 1")
        shape = (draws, len(self.scores))
        total = {"pearson": np.zeros(shape), "spearman": np.zeros(shape)}
        weights = [by.weight for by in next(iter(self.scores.values())).values()]
        for at, (weight, values) in enumerate(zip(weights, self._values.values())):
            r, rho = _resample(*values, draws, share, np.random.default_rng([seed, at]))
            total["pearson"] += weight * r**2
            total["spearman"] += weight * rho
        return Bootstrap(tuple(self.scores), *(values / sum(weights) for values in total.values()))


def dream_score(
    y_true: np.ndarray,
    y_pred: "np.ndarray | Mapping[str, np.ndarray]",
    subsets: Subsets,
    *,
    weights: Mapping[str, float] = WEIGHTS,
) -> DreamScore:
    """Return the Pearson and Spearman Scores of the DREAM Challenge, and what they are made of.

    Parameters
    ----------
    y_true : float, (n,)
        Measured expression.
    y_pred : float, (n,), or dict of such
        One prediction a row; of several models, by name.
    subsets : dict of str to int arrays
        Row numbers (k,), or pairs (k, 2) of the rows of alt and ref; see
        `fastseq.learn.subsets.read_subsets`. "all" is every row where it is not given.
    weights : dict of str to float

    Raises
    ------
    ShapeError
        Predictions and measurements differ in length, or a subset names a row beyond them.
    TargetError
        A value is not finite.
    OptionError
        A subset that has no weight.

    Examples
    --------
    >>> y = np.arange(10.0)
    >>> score = dream_score(y, y**2, {"high": np.arange(5)})
    >>> round(score.spearman, 3), score.missing[:2]
    (1.0, ('low', 'native'))
    """
    y_true = np.asarray(y_true, dtype=float)
    named = dict(y_pred) if isinstance(y_pred, Mapping) else {"y_pred": y_pred}
    predictions = np.stack([_checked(name, values, y_true) for name, values in named.items()])
    subsets = {"all": np.arange(len(y_true)), **subsets}
    if unknown := subsets.keys() - weights.keys():
        raise OptionError(
            f"subsets {', '.join(sorted(unknown))} have no weight; known are {', '.join(weights)}"
        )
    values = {
        name: (_pick(y_true, rows, name), _pick(predictions, rows, name))
        for name in weights
        if len(rows := np.asarray(subsets.get(name, ()))) > 1
    }
    scores: dict[str, dict[str, SubsetScore]] = {model: {} for model in named}
    notes = []
    for subset, (measured, predicted) in values.items():
        for model, row in zip(named, predicted):
            r, rho = pearson(measured, row), spearman(measured, row)
            if np.ptp(row) == 0:
                notes.append(f"{model} is constant on {subset}: it scores 0 there")
            scores[model][subset] = SubsetScore(len(row), r, r * r, rho, weights[subset])
    missing = tuple(name for name in weights if name not in values)
    return DreamScore(scores, missing, tuple(notes), values)


def _score(by: Mapping[str, SubsetScore], figure: str) -> float:
    total = sum(subset.weight for subset in by.values())
    return float(sum(s.weight * getattr(s, figure) for s in by.values()) / total)


def _checked(name: str, values: np.ndarray, y_true: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.shape != y_true.shape or y_true.ndim != 1:
        raise ShapeError(
            f"{name} has shape {values.shape}, the measurements {y_true.shape}; expected one "
            "number a row in both"
        )
    bad = np.flatnonzero(~(np.isfinite(values) & np.isfinite(y_true)))
    if bad.size:
        raise TargetError(
            f"row {bad[0]} of {name} or of the measurements is not finite; {bad.size} of "
            f"{len(values)} rows are not"
        )
    return values


def _pick(values: np.ndarray, rows: np.ndarray, name: str) -> np.ndarray:
    """Return values (.., n) at rows (k,), or alt minus ref at pairs (k, 2)."""
    if rows.min() < 0 or rows.max() >= values.shape[-1]:
        raise ShapeError(
            f"subset {name} names row {int(rows.max())} of {values.shape[-1]}; map the challenge's "
            "positions to rows with read_subsets(..., positions=)"
        )
    if rows.ndim == 1:
        return values[..., rows]
    return values[..., rows[:, 0]] - values[..., rows[:, 1]]


def _resample(
    measured: np.ndarray, predicted: np.ndarray, draws: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return r and rho of parts of one subset, each float64 (draws, models)."""
    order = np.argsort(measured, kind="stable")
    measured, predicted = measured[order], predicted[:, order]
    n, models = len(measured), len(predicted)
    size = min(max(round(share * n), 2), n)
    ranks = np.stack([rankdata(row, "dense") for row in predicted]) - 1
    ranks = ranks.astype(np.uint16 if n <= 1 << 16 else np.uint32)
    tied = [int(row.max()) < n - 1 for row in ranks]
    tied_measured = bool((np.diff(measured) == 0).any())
    centred = np.ascontiguousarray((predicted - predicted.mean(1, keepdims=True)).T)
    about = measured - measured.mean()
    plain = np.arange(size, dtype=float) - (size - 1) / 2
    r, rho = np.zeros((2, draws, models))
    for draw in range(draws):
        # ascending rows are in the order of the measurements, so places stand for measured ranks
        rows = np.sort(rng.choice(n, size, replace=False, shuffle=False))
        r[draw] = _correlate(about.take(rows), centred.take(rows, 0))
        y_rank = _average_ranks(measured.take(rows)) if tied_measured else plain
        y_norm = np.sqrt(y_rank @ y_rank)
        for model in range(models):
            drawn = ranks[model].take(rows)
            places = _argsort(drawn)
            x_rank = _average_ranks(drawn.take(places)) if tied[model] else plain
            norm = y_norm * np.sqrt(x_rank @ x_rank)
            rho[draw, model] = y_rank.take(places) @ x_rank / norm if norm else 0.0
    return r, rho


def _correlate(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return Pearson's r of y (k,) with each column of x (k, models); 0 where one is constant."""
    y = y - y.mean()
    x -= np.ones(len(y)) @ x / len(y)
    norm = np.sqrt((y @ y) * np.einsum("km,km->m", x, x))
    return np.divide(y @ x, norm, out=np.zeros(x.shape[1]), where=norm > 0)


def _argsort(ranks: np.ndarray) -> np.ndarray:
    """Return the order of uint16 or uint32 ranks; NumPy sorts 16 bits by radix, thrice as fast."""
    if ranks.dtype == np.uint16:
        return np.argsort(ranks, kind="stable")
    first = np.argsort(ranks.astype(np.uint16), kind="stable")
    high = (ranks >> np.uint32(16)).astype(np.uint16)
    return first.take(np.argsort(high.take(first), kind="stable"))


def _average_ranks(ascending: np.ndarray) -> np.ndarray:
    """Return centred ranks of sorted values, ties at their average."""
    size = len(ascending)
    begins = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    counts = np.diff(np.r_[begins, size])
    return np.repeat(begins + (counts - 1) / 2, counts) - (size - 1) / 2
