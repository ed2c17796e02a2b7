"""Whether a reduced precision still tells the effects: measured on a sample before the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastseq.arrays import Codes
from fastseq.errors import PrecisionError
from fastseq.lower.plan import Engine, Plan
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.views import Views
from fastseq.sequence.edits import Edits

# edits compared: enough for a median, a second of work at most
SAMPLE = 256
LARGEST_MEDIAN_ERROR = 0.05


@dataclass(frozen=True)
class PrecisionReport:
    """How far a reduced precision's effects are from those of float32, on a sample.

    Attributes
    ----------
    precision : str
    edits : int
        Edits compared.
    error : float
        Median |error| over median |effect|.
    pearson : float
    sign_flips : float
        Share of effects whose sign differs.
    large_flips : int
        Effects above the median in size whose sign differs.
    """

    precision: str
    edits: int
    error: float
    pearson: float
    sign_flips: float
    large_flips: int


def check_precision(
    plans: Sequence[Plan],
    rows: Codes,
    edits: Edits,
    views: Views,
    *,
    left: int = 0,
    length: int | None = None,
    scale: OutputScale = "output",
    engine: Engine = "full",
) -> PrecisionReport | None:
    """Return how well the plans' precision keeps effects; None where all run in float32.

    Parameters
    ----------
    plans, rows, edits, views, left, length, scale, engine
        As for `fastseq.run.views.effects`; evenly spaced edits are compared.

    Raises
    ------
    PrecisionError
        The median error exceeds .05 of the median |effect|, or an effect above the median
        flips its sign.
    """
    reduced = {plan.precision for plan in plans} - {"float32"}
    if not reduced or not len(edits):
        return None
    picked = np.unique(np.linspace(0, len(edits) - 1, SAMPLE).astype(int))
    sample = edits.take(picked)
    options: dict[str, Any] = {"left": left, "length": length, "scale": scale, "engine": engine}
    found = viewed.effects(plans, rows, sample, views, **options).deltas.ravel()
    exact = [plan.in_float32() for plan in plans]
    truth = viewed.effects(exact, rows, sample, views, **options).deltas.ravel()
    report = _compare("/".join(sorted(reduced)), found.astype(float), truth.astype(float))
    if report.error > LARGEST_MEDIAN_ERROR or report.large_flips:
        raise PrecisionError(
            f"{report.precision} loses the effects: on {report.edits} edits the median error is "
            f"{report.error:.2g} of the median |effect| (at most {LARGEST_MEDIAN_ERROR} is "
            f"accepted) and {report.large_flips} large effects flip their sign; use "
            "precision='float32'"
        )
    return report


def _compare(precision: str, found: np.ndarray, truth: np.ndarray) -> PrecisionReport:
    size = np.median(np.abs(truth))
    flips = np.sign(found) * np.sign(truth) < 0
    spread = found.std() * truth.std()
    covariance = np.mean((found - found.mean()) * (truth - truth.mean()))
    error = float(np.median(np.abs(found - truth)))
    return PrecisionReport(
        precision,
        len(truth),
        error / size if size else (np.inf if error else 0.0),
        float(covariance / spread) if spread else 1.0,
        float(flips.mean()),
        int((flips & (np.abs(truth) > size)).sum()),
    )
