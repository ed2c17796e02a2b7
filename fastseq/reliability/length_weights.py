"""How much each word length says about the signal to noise of many models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fastseq.arrays import check, whole
from fastseq.errors import OptionError, ShapeError
from fastseq.reliability.result import KLDResult

LEAST_MODELS = 30  # a correlation of fewer says nothing


@dataclass(frozen=True, eq=False)
class LengthWeights:
    """Weights of the word lengths, for ``kmer_kld(weights=...)``.

    Attributes
    ----------
    weights : dict of int to float
        Mean over the subsets; sums to 1.
    sd : dict of int to float
        Standard deviation over the subsets.
    explained : dict of int to float
        R^2 of ln SNR ~ KLD_k over all models.
    held_out : float64, (subsets,)
        Explained variance of ln SNR by the combined KLD, on the models a subset left out.
    n : int
        Models used.
    """

    weights: dict[int, float]
    sd: dict[int, float]
    explained: dict[int, float]
    held_out: np.ndarray = field(repr=False)
    n: int


def fit_length_weights(
    kld: Mapping[int, np.ndarray] | Sequence[KLDResult] | np.ndarray,
    snr: np.ndarray,
    *,
    ks: Sequence[int] = (3, 4, 5, 6, 7, 8),
    mask_nonpositive: bool = False,
    subsets: int = 10,
    folds: int = 5,
    seed: int = 0,
) -> LengthWeights:
    """Return weights in proportion to the variance of ln SNR that each length explains.

    Parameters
    ----------
    kld : dict of int to float (m,), m results, or float (m, lengths)
        KLD of m models for each length.
    snr : float, (m,)
        Their signal to noise.
    ks : ints
        The lengths that the columns of an array stand for.
    mask_nonpositive : bool
        Leave models with SNR <= 0 out instead of raising: they have no logarithm.
    subsets, folds : int
        Each of the disjoint subsets is held out once; the rest is cross-validated.
    seed : int
        Names the split.

    Raises
    ------
    OptionError
        SNR of 0 or less unless masked; fewer than 30 models; values that are not finite; no length
        explains anything.
    ShapeError
        KLD and SNR of different numbers of models.

    Notes
    -----
    For each subset and length: the explained variance 1 - var(y - y_hat) / var(y) of y = ln SNR by
    the least-squares line on KLD_k, on each fold in turn, averaged, cut at 0; normalised over the
    lengths. ``weights`` is the mean over the subsets. The held-out score fits one line on the
    weighted sum of KLD_k.

    Examples
    --------
    >>> x = np.linspace(0.1, 1, 40)
    >>> fitted = fit_length_weights({3: x, 6: x**2}, np.exp(2 * x))
    >>> fitted.weights[3] > fitted.weights[6], round(fitted.explained[3], 6)
    (True, 1.0)
    """
    subsets, folds = whole("subsets", subsets, 2), whole("folds", folds, 2)
    seed = whole("seed", seed)
    values = _columns(kld, ks)
    snr = check("snr", snr, "m", dtype=("f", "i"))
    for k, column in values.items():
        if column.shape != snr.shape:
            raise ShapeError(f"KLD of k = {k} has shape {column.shape}, SNR has {snr.shape}")
    low = np.flatnonzero(~(snr > 0))
    if low.size and not mask_nonpositive:
        raise OptionError(
            f"model {low[0]} has SNR {snr[low[0]]:.4g}, which has no logarithm; "
            "pass mask_nonpositive=True to leave it out"
        )
    kept = snr > 0
    x = np.stack([column[kept] for column in values.values()], axis=1)
    y = np.log(snr[kept])
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise OptionError("KLD or SNR holds NaN or infinity; leave those models out")
    if len(y) < max(LEAST_MODELS, 2 * subsets):
        raise OptionError(
            f"{len(y)} models; expected at least {max(LEAST_MODELS, 2 * subsets)}, "
            "a correlation of fewer says nothing"
        )
    # of what a subset leaves, every fold holds two models or more
    most = (len(y) - -(-len(y) // subsets)) // 2
    if folds > most or not y.std():
        raise OptionError(f"folds={folds}; expected {most} at most, and SNR that vary")
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(y))
    weights, held_out = [], []
    for out in np.array_split(order, subsets):
        rest = np.setdiff1d(order, out, assume_unique=True)
        mine = np.zeros(x.shape[1])
        for fold in range(folds):
            inside, valid = rest[np.arange(len(rest)) % folds != fold], rest[fold::folds]
            mine += [_explained(x[:, k], y, inside, valid) for k in range(x.shape[1])]
        mine = np.maximum(mine, 0)
        if not mine.sum():
            raise OptionError("no length explains any of the variance of ln SNR")
        weights.append(mine / mine.sum())
        held_out.append(_explained(x @ weights[-1], y, rest, out))
    everything = np.arange(len(y))
    mean, sd = np.mean(weights, axis=0), np.std(weights, axis=0, ddof=1)
    return LengthWeights(
        weights=dict(zip(values, mean.tolist())),
        sd=dict(zip(values, sd.tolist())),
        explained={k: _explained(x[:, i], y, everything, everything) for i, k in enumerate(values)},
        held_out=np.array(held_out),
        n=len(y),
    )


def _columns(
    kld: Mapping[int, np.ndarray] | Sequence[KLDResult] | np.ndarray, ks: Sequence[int]
) -> dict[int, np.ndarray]:
    if isinstance(kld, np.ndarray):
        return dict(zip(ks, check("kld", kld, "m k", dtype="f", k=len(ks)).T))
    if isinstance(kld, Mapping) and kld:
        columns = {k: check(f"KLD of k = {k}", x, "m", dtype=("f", "i")) for k, x in kld.items()}
        return {whole("k", k): column.astype(np.float64) for k, column in columns.items()}
    results = list(kld) if isinstance(kld, Sequence) else []
    if not results or not all(isinstance(result, KLDResult) for result in results):
        raise OptionError("no models; expected a list of KLD results, a dict or an array")
    max(results)  # refuses results that cannot be compared
    return {k: np.array([result.per_k[k] for result in results]) for k in results[0].per_k}


def _explained(x: np.ndarray, y: np.ndarray, train: np.ndarray, valid: np.ndarray) -> float:
    """Return the variance of y[valid] that the least-squares line of train explains."""
    centred = x[train] - x[train].mean()
    spread = (centred**2).sum()
    slope = (centred * y[train]).sum() / spread if spread else 0.0
    variance = y[valid].var()
    return float(1 - (y[valid] - slope * x[valid]).var() / variance) if variance else 0.0
