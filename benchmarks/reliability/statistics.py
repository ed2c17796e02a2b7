"""Rank correlations across models, with bootstrap intervals over their configurations."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

from fastseq.errors import OptionError

LEAST_MODELS = 30  # a correlation of fewer says nothing
DRAWS = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure and the 95 % interval of its bootstrap draws."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return rank correlations along the last axis; NaN where one side does not vary."""
    x, y = (rankdata(side, axis=-1) for side in (x, y))
    x, y = (side - side.mean(-1, keepdims=True) for side in (x, y))
    spread = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.divide((x * y).sum(-1), spread, out=np.full(spread.shape, np.nan), where=spread > 0)


def draws(configurations: np.ndarray, times: int, seed: int = 0) -> list[np.ndarray]:
    """Return rows of bootstrap samples: whole configurations are drawn, with all their trials.

    Trials of one configuration are near-copies; drawing them one by one would pretend to more
    models than there are.
    """
    _, cell = np.unique(configurations, return_inverse=True)
    members = [np.flatnonzero(cell == i) for i in range(cell.max() + 1)]
    random = np.random.Generator(np.random.Philox(seed))
    return [
        np.concatenate([members[i] for i in random.integers(0, len(members), len(members))])
        for _ in range(times)
    ]


def correlations(
    snr: np.ndarray, columns: dict[str, np.ndarray], configurations: np.ndarray
) -> dict[str, tuple[Estimate, np.ndarray]]:
    """Return the Spearman correlation of each column with SNR, and its bootstrap draws.

    The same draws serve every column, so that differences between columns are paired.

    Raises
    ------
    OptionError
        Fewer than 30 models.
    """
    if len(snr) < LEAST_MODELS:
        raise OptionError(
            f"{len(snr)} models; expected at least {LEAST_MODELS}, a correlation of fewer says "
            "nothing"
        )
    samples, found = draws(configurations, DRAWS), {}
    for name, column in columns.items():
        drawn = np.array([float(spearman(column[rows], snr[rows])) for rows in samples])
        found[name] = (estimate(float(spearman(column, snr)), drawn), drawn)
    return found


def estimate(value: float, drawn: np.ndarray) -> Estimate:
    """Return a value with the 2.5 and 97.5 percentiles of its draws."""
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def difference(one: tuple[Estimate, np.ndarray], other: tuple[Estimate, np.ndarray]) -> Estimate:
    """Return how much larger the first correlation is, by paired draws."""
    return estimate(one[0].value - other[0].value, one[1] - other[1])
