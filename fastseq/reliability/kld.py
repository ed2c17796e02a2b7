"""K-mer Kullback-Leibler divergence: do the maps of many sequences point at the same words?

Maps of a model that has learnt motifs put their weight on the k-mers of those motifs, again and
again; maps of a model that has not spread it over all k-mers alike. Two metrics measure that:
Majdandzic et al. 2022 (Selecting deep neural networks that yield consistent attribution-based
interpretations for genomics) compare the k-mers of the positions with the highest scores with all
k-mers; the attribution-weighted one lets every window count with the sum of its scores.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastseq import threads as pool
from fastseq.arrays import Attributions, Text, whole
from fastseq.errors import OptionError
from fastseq.reliability.nulls import KINDS, compare, replicate
from fastseq.reliability.result import KLDResult, describe
from fastseq.reliability.tables import (
    Metric,
    all_scores,
    as_weights,
    check_maps,
    codes_beside,
    count_windows,
    divergences,
    divergences_by_row,
    tables_of_maps,
)
from fastseq.sequence.encode import Ragged, encode

OWN_PRIOR = "the k-mer frequencies of the same sequences"
GIVEN_PRIOR = "a given prior"


def kmer_kld(
    seqs: Text | Ragged,
    attributions: Attributions | Mapping[str, Attributions],
    *,
    ks: int | Sequence[int] = (3, 4, 5, 6, 7, 8),
    method: str | Sequence[str] = "weighted",
    score: str | Sequence[str] = "observed",
    form: str = "instance",
    weights: Mapping[int, float] | Sequence[float] | None = None,
    prior: Mapping[int, np.ndarray] | Text | None = None,
    pseudocount: float = 0.0,
    quantile: float = 0.9,
    buffer: int = 2,
    correct: bool = True,
    null: int = 0,
    null_kind: str = "swap",
    seed: int = 0,
    per_sequence: bool = False,
    threads: int | None = None,
    tick: Callable[[], object] = lambda: None,
) -> KLDResult | dict[str, Any]:
    """Return how far the k-mers that attribution maps point at are from all k-mers.

    Parameters
    ----------
    seqs : sequences
        n sequences; shorter ones end in unknown bases.
    attributions : float, (n, 4, length) or (n, length), or a dict of these
        Gradients of all four bases (or the result of `fastseq.attribute`), or ready scores whose
        sign is dropped. A dict holds the maps of several models over the same sequences and gives
        a dict of results.
    ks : int or ints
        Word lengths, 1 to 12.
    method : "weighted" or "thresholded", or both as a tuple
        "weighted": every window counts with the sum of its scores over the sum of its sequence.
        "thresholded" (Majdandzic et al.): windows count once where they lie inside blocks of
        positions above the ``quantile`` of their sequence, blocks ``buffer`` longer on the right.
        A tuple gives a dict with a result for each method.
    score : "observed" or "l2", or one for each method
        Of maps: |gradient| at the observed base, or the norm over the four bases (as Majdandzic
        et al. have it).
    form : "instance", "product" or "sequence_product"
        How "frequency times weight" is read; see Notes.
    weights : dict, sequence or LengthWeights, optional
        Weight of each length in ``total``; uniform otherwise.
    prior : dict of int to (4^k,), or sequences, optional
        Frequencies to compare with, instead of those of ``seqs``.
    pseudocount : float
        Added to every entry of a given prior; without it a k-mer that the prior lacks gives inf.
    correct : bool
        Take the mean over the four bases off every position of the maps (Majdandzic et al. 2023).
    null : int
        Replicates under maps that mean nothing; each costs about as much as the metric itself.
    null_kind : "swap", "shift", "permute" or "composition"
        What the replicates keep; see Notes.
    seed : int
        Names the draw of the replicates.
    per_sequence : bool
        Also give the divergence of each row's own weights (weighted instance form only).
    threads : int, optional
        The result is the same to the last bit for any number.
    tick : callable
        Called after each replicate of the null.

    Returns
    -------
    KLDResult
        ``per_k``, ``total``, ``null`` and what must be known to compare them; ``print`` it. In
        dicts by model, by method, or by model and then by method, where several were given.

    Raises
    ------
    ShapeError, LengthError
        Sequences and maps do not fit.
    MapError
        A map is not finite; its row is named.
    OptionError
        An option outside its choices.

    Notes
    -----
    For length k, with a(i) the score at position i, word m and window i of sequence s:
    w_s(m) = sum over windows i of m of (a(i) + .. + a(i + k - 1)) / sum of all a in s, c_s(m) the
    number of windows, g(m) the pooled frequency. "instance": f(m) = sum_s w_s(m). "product":
    f(m) = g(m) sum_s w_s(m). "sequence_product": f(m) = sum_s c_s(m) w_s(m). The result is
    sum_m P ln(P / Q) with P = f / sum f and Q = g or the prior, natural logarithm, no pseudocount.
    Only "instance" is 0 for uniform scores.

    Windows that touch an unknown base drop out of f and g; scores there stay in the sum of their
    sequence. A map of zeros attributes nothing. No window at all, or maps of zeros only, give NaN.

    Scores are summed as 64-bit whole multiples of at most 2^-30 of their row's total, so that the
    order of summation cannot matter. One pass over the maps; memory holds tables, and the scores
    (8 bytes a base) where a null is asked for.

    "swap" and "shift" keep the texture of the maps; "permute" does not, and a smooth map that
    ignores the sequence passes it (z = 170 was measured). "composition" also lets every base keep
    its mean score: a map that is merely high on G and C passes all but this one.

    Examples
    --------
    >>> codes = np.random.default_rng(0).integers(0, 4, (50, 100), dtype=np.uint8)
    >>> kmer_kld(codes, np.ones((50, 100))).total
    0.0
    """
    metrics = _metrics(ks, method, score, form, quantile, buffer, correct)
    first = metrics[0]
    times, seed = whole("null", null), whole("seed", seed)
    if null_kind not in KINDS:
        raise OptionError(f"null_kind={null_kind!r}; expected one of {', '.join(KINDS)}")
    threads = None if threads is None else whole("threads", threads, 1)
    if per_sequence and any(m.method != "weighted" or m.form != "instance" for m in metrics):
        raise OptionError("per_sequence=True needs method='weighted' and form='instance'")
    several = isinstance(attributions, Mapping)
    named = dict(attributions) if several else {"attributions": attributions}
    if not named:
        raise OptionError("the dict of attributions holds no maps")
    codes = codes_beside(seqs, next(iter(named.values()), None))
    named = {name: check_maps(name, maps, codes) for name, maps in named.items()}
    priors = _prior(prior, first, pseudocount)
    parts = as_weights(weights, first.ks)
    counts = count_windows(codes, first)

    def one(maps: np.ndarray, metric: Metric) -> KLDResult:
        ready = maps.ndim == 2
        metric = replace(metric, correct=False) if ready else metric
        n_threads = pool.resolve(threads, codes.size * len(metric.ks) * (1 + times))
        tables, silent = tables_of_maps(codes, maps, metric, n_threads)
        per_k = divergences(tables, counts, priors, metric)
        beside = None
        if times:
            beside = compare(null_kind, per_k, parts, replicate(
                codes, all_scores(codes, maps, metric), metric,
                lambda found: divergences(found, counts, priors, metric),
                kind=null_kind, times=times, seed=seed, threads=n_threads, tick=tick,
            ))  # fmt: skip
        carriers = tables if metric.method == "thresholded" else counts
        return KLDResult(
            per_k=per_k,
            total=float(sum(parts[k] * per_k[k] for k in per_k if parts[k])),
            weights=parts,
            null=beside,
            n=len(codes),
            length=codes.shape[1],
            n_kmers={k: int(metric.table(carriers, k).sum()) for k in metric.ks},
            n_silent=silent,
            method=metric.method,
            score="given" if ready else metric.score,
            form=form,
            prior=OWN_PRIOR if prior is None else GIVEN_PRIOR,
            settings=describe(metric),
            per_sequence=(
                divergences_by_row(codes, maps, _frequencies(counts, priors, metric), metric)
                if per_sequence
                else None
            ),
        )

    def each(maps: np.ndarray) -> KLDResult | dict[str, KLDResult]:
        found = {metric.method: one(maps, metric) for metric in metrics}
        return found if _several(method) else found[first.method]

    results = {name: each(maps) for name, maps in named.items()}
    return results if several else results["attributions"]


def _metrics(
    ks: Any, method: Any, score: Any, form: Any, quantile: Any, buffer: Any, correct: bool
) -> list[Metric]:
    """Return one metric for each method asked for."""
    methods = tuple(method) if _several(method) else (method,)
    scores = tuple(score) if _several(score) else (score,) * len(methods)
    if not methods or len(set(methods)) != len(methods) or len(scores) != len(methods):
        raise OptionError(
            f"method={method!r}, score={score!r}; expected each method once, and one score or one "
            "for each of them"
        )
    lengths = tuple(whole("ks", k) for k in (ks if isinstance(ks, Iterable) else (ks,)))
    quantile, buffer = _number("quantile", quantile), whole("buffer", buffer)
    return [
        Metric(lengths, *pair, form, quantile, buffer, bool(correct))
        for pair in zip(methods, scores)
    ]


def _several(choice: Any) -> bool:
    return isinstance(choice, Sequence) and not isinstance(choice, str)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{name}={value!r}; expected a number") from error


def _prior(prior: object, metric: Metric, pseudocount: float) -> dict[int, np.ndarray] | None:
    """Return float64 tables (4^k,) to compare with, or None for the sequences' own."""
    if not 0 <= _number("pseudocount", pseudocount) < np.inf:
        raise OptionError(f"pseudocount={pseudocount}; expected 0 or more")
    if prior is None:
        if pseudocount:
            raise OptionError("pseudocount goes with a given prior; the own one lacks no k-mer")
        return None
    if not isinstance(prior, Mapping):
        codes = np.ascontiguousarray(np.atleast_2d(encode(prior)))
        counts = count_windows(codes, metric)
        prior = {k: metric.table(counts, k) for k in metric.ks}
    tables = {}
    for k in metric.ks:
        given = np.asarray(prior.get(k, ()))
        table = given.ravel() + pseudocount if given.dtype.kind in "fiub" else np.empty(0)
        table = table.astype(np.float64) / 4**k  # so that the sum is finite where they are
        if table.size != 4**k or not (np.isfinite(table) & (table >= 0)).all() or not table.any():
            raise OptionError(
                f"the prior of k = {k} has {given.size} entries; expected {4**k} finite numbers of "
                "0 or more that are not all 0"
            )
        tables[k] = table / table.sum()
    return tables


def _frequencies(
    counts: np.ndarray, priors: dict[int, np.ndarray] | None, metric: Metric
) -> dict[int, np.ndarray]:
    if priors:
        return priors
    tables = {k: metric.table(counts, k) for k in metric.ks}
    return {k: table / max(table.sum(), 1) for k, table in tables.items()}
