"""Labels meet the head: the affine map between their units, and what the head can reach."""

from dataclasses import replace

import numpy as np

from fastseq.errors import ShapeError, TargetError
from fastseq.models.specs import TargetSpec

# lowest answer a head gives, and whether it may equal it
LOWEST = {"softplus": 0.0, "exp": 0.0, "sigmoid": 0.0}
HIGHEST = {"sigmoid": 1.0}


def fit_affine(spec: TargetSpec, targets: np.ndarray, *, binary: bool) -> TargetSpec:
    """Return the spec with the map that brings these labels into the head's range.

    Parameters
    ----------
    spec : TargetSpec
    targets : float, (n, tasks)
        Labels of the training fold, no other.
    binary : bool
        The labels are classes; one logit a task needs no map.

    Returns
    -------
    TargetSpec
        A linear head answers in standard deviations from the mean; softplus and exp answer in
        standard deviations above just below the smallest label, where that is negative; a sigmoid
        spans the labels' range; bins span it with one bin to spare at each end. Labels that
        already lie in the head's range keep their units, except under a linear head.
    """
    if binary:
        return replace(spec, scale="logit") if spec.activation == "none" else spec
    low, high, sd = float(targets.min()), float(targets.max()), float(targets.std()) or 1.0
    match spec.activation:
        case "none":
            scale = "linear" if spec.scale == "logit" else spec.scale
            return replace(spec, scale=scale, slope=sd, offset=float(targets.mean()))
        case "softplus" | "exp" if low < 0:
            return replace(spec, slope=sd, offset=low - 0.5 * sd)
        case "sigmoid" if low < 0 or high > 1:
            span = (high - low) / 0.998 or 1.0
            return replace(spec, slope=span, offset=low - 0.001 * span)
        case "expected_bin":
            first, last = spec.bins[0], spec.bins[-1]
            if low < first or high > last or high - low < 0.25 * (last - first):
                inner = last - first - 2 if last - first > 3 else last - first
                slope = (high - low) / inner or 1.0
                return replace(
                    spec, slope=slope, offset=low - slope * (first + (last - first - inner) / 2)
                )
    return spec


def check_reach(spec: TargetSpec, targets: np.ndarray, rows: np.ndarray) -> None:
    """Refuse labels that no answer of the head can equal.

    Parameters
    ----------
    spec : TargetSpec
    targets : float, (n, tasks)
    rows : int, (n,)
        What the message calls the rows.

    Raises
    ------
    ShapeError
        The model has another number of tasks.
    TargetError
        A label is out of reach; the first such row is named.
    """
    if targets.shape[1] != len(spec.tasks):
        raise ShapeError(
            f"the rows have {targets.shape[1]} targets, the model answers {len(spec.tasks)} "
            f"({', '.join(spec.tasks)}); build it with tasks={targets.shape[1]}"
        )
    inner = spec.invert(targets)
    low, high = LOWEST.get(spec.activation, -np.inf), HIGHEST.get(spec.activation, np.inf)
    if spec.activation == "expected_bin":
        low, high = spec.bins[0] - 0.5, spec.bins[-1] + 0.5
    out = (inner < low) | (inner > high)
    if out.any():
        at, *which = np.argwhere(out)[0]
        beyond, value = int(out.reshape(len(out), -1).any(1).sum()), targets[at, *which]
        ends = sorted((spec.slope * low + spec.offset, spec.slope * high + spec.offset))
        raise TargetError(
            f"row {rows[at]} has target {value:g}, which a {spec.activation} head with "
            f"slope {spec.slope:g} and offset {spec.offset:g} cannot reach (it gives {ends[0]:g} "
            f"to {ends[1]:g}); {beyond} of {len(out)} rows are out of reach: let "
            "affine='auto' fit the map, or build the model with activation='none'"
        )
