"""What is made of a reference answer and its change: ratios, distances, quantiles, p-values."""

import numpy as np
from numpy.typing import NDArray

from fastseq.errors import OptionError, ShapeError


def log2_fold_change(
    y_ref: NDArray[np.float32], diff: NDArray[np.float32], scale: str, pseudocount: float = 1.0
) -> NDArray[np.float32]:
    """Return log2 of ALT over REF, as the scale of the numbers allows.

    Parameters
    ----------
    y_ref, diff : float32, same shape
    scale : str
        linear and counts: ``log2((alt + c) / (ref + c))``; log2: the difference; ln: the
        difference over ln 2; logit and bin: NaN, since no ratio can be formed of them.
    pseudocount : float
        c.

    Returns
    -------
    float32, same shape
        NaN also where a sum with the pseudo-count is not positive.

    Raises
    ------
    OptionError
        The pseudo-count is negative or no finite number.
    """
    if not 0 <= pseudocount < np.inf:
        raise OptionError(f"pseudocount={pseudocount}; expected a finite number of 0 or more")
    if scale == "log2":
        return diff.copy()
    if scale == "ln":
        return (diff / np.log(2)).astype(np.float32)
    if scale not in ("linear", "counts"):
        return np.full_like(diff, np.nan)
    below = y_ref.astype(np.float64) + pseudocount
    with np.errstate(divide="ignore", invalid="ignore"):
        # log1p keeps the digits of small effects
        fold = np.log1p(diff / below) / np.log(2)
    fold[~((below > 0) & (below + diff > 0))] = np.nan
    return fold.astype(np.float32)


def shares(profile: NDArray[np.floating], scale: str) -> NDArray[np.float64]:
    """Return profiles as shares of their sum along the last axis; logits through a softmax."""
    values = profile.astype(np.float64)
    if scale == "logit":
        values = np.exp(values - values.max(-1, keepdims=True))
    values = np.maximum(values, 0)
    total = values.sum(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, values / total, 1 / values.shape[-1])


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance of shares along the last axis, in 0 .. 1.

    Notes
    -----
    The square root of the divergence in bits, symmetric and a metric (Endres and Schindelin 2003).
    """
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(p > 0, p * np.log2(p / middle), 0) + np.where(
            q > 0, q * np.log2(q / middle), 0
        )
    return np.sqrt(np.clip(apart.sum(-1) / 2, 0, 1))


def empirical_p_values(
    values: NDArray[np.floating], null: NDArray[np.floating], tail: str = "two-sided"
) -> NDArray[np.float64]:
    """Return how often the null is at least as extreme as each value.

    Parameters
    ----------
    values : float, (v,)
        NaN gives NaN.
    null : float, (n,)
        Effects of background variants; NaN are left out.
    tail : {"two-sided", "greater", "less"}

    Returns
    -------
    float64, (v,)
        ``(r + 1) / (n + 1)`` with r null values at least as extreme, so never 0; two-sided is
        twice the smaller tail, at most 1.

    Raises
    ------
    OptionError
        Another word for the tail, or a null without values.

    Examples
    --------
    >>> empirical_p_values(np.array([0.0, 9.0]), np.arange(-4.0, 5.0)).tolist()
    [1.0, 0.2]
    """
    if tail not in ("two-sided", "greater", "less"):
        raise OptionError(f"tail={tail!r}; expected 'two-sided', 'greater' or 'less'")
    ranked = np.sort(np.asarray(null, np.float64)[~np.isnan(null)])
    if not len(ranked):
        raise OptionError("the null holds no value; score some background variants first")
    values = np.asarray(values, np.float64)
    above = (len(ranked) - np.searchsorted(ranked, values, "left") + 1) / (len(ranked) + 1)
    below = (np.searchsorted(ranked, values, "right") + 1) / (len(ranked) + 1)
    chosen = {"greater": above, "less": below}.get(tail)
    p = np.minimum(2 * np.minimum(above, below), 1) if chosen is None else chosen
    return np.where(np.isnan(values), np.nan, p)


def active_quantile(
    y_ref: NDArray[np.floating], y_alt: NDArray[np.floating], background: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return where the more active allele stands among background sequences, in 0 .. 1.

    Parameters
    ----------
    y_ref, y_alt : float, (v,)
    background : float, (n,)
        Answers for sequences such as the peaks of the assay.

    Returns
    -------
    float64, (v,)
        The share of the background below the larger of both answers.

    Raises
    ------
    ShapeError
        The two differ in length.
    """
    if len(y_ref) != len(y_alt):
        raise ShapeError(f"y_ref has {len(y_ref)} values, y_alt {len(y_alt)}")
    ranked = np.sort(np.asarray(background, np.float64))
    most = np.maximum(y_ref, y_alt).astype(np.float64)
    quantile = np.searchsorted(ranked, most, "left") / max(len(ranked), 1)
    return np.where(np.isnan(most), np.nan, quantile)
