"""K-mer Kullback-Leibler divergence: do the maps of many sequences point at the same words?

Maps of a model that has learnt motifs put their weight on the k-mers of those motifs, again and
again; maps of a model that has not spread it over all k-mers alike. Two metrics measure that:
Majdandzic et al. 2022 compare the k-mers of the positions with the highest scores with all
k-mers; the attribution-weighted one lets every window count with the sum of its scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fastseq import threads as pool
from fastseq.arrays import Attributions, Codes, Text
from fastseq.errors import OptionError
from fastseq.reliability.nulls import compare, replicate
from fastseq.reliability.result import KLDResult, describe
from fastseq.reliability.tables import (
    Metric,
    add_rows,
    as_weights,
    blocks,
    check_maps,
    codes_beside,
    count_windows,
    divergences,
    divergences_by_row,
    finish,
    new_sums,
    score_rows,
    tables_of_maps,
)
from fastseq.sequence.encode import Ragged, encode

OWN_PRIOR = "the k-mer frequencies of the same sequences"
GIVEN_PRIOR = "a given prior"


def kmer_kld(
    seqs: Text | Ragged,
    attributions: Attributions | Mapping[str, Attributions],
    *,
    ks: Sequence[int] = (3, 4, 5, 6, 7, 8),
    method: str = "weighted",
    score: str = "observed",
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
) -> KLDResult | dict[str, KLDResult]:
    """Return how far the k-mers that attribution maps point at are from all k-mers.

    Parameters
    ----------
    seqs : sequences
        n sequences; shorter ones end in unknown bases.
    attributions : float, (n, 4, length) or (n, length), or a dict of these
        Gradients of all four bases (or the result of `fastseq.attribute`), or ready scores whose
        sign is dropped. A dict holds the maps of
        several models over the same sequences and gives a dict of results.
    ks : ints
        Word lengths, 1 to 12.
    method : "weighted" or "thresholded"
        "weighted": every window counts with the sum of its scores over the sum of its sequence.
        "thresholded" (Majdandzic et al.): windows count once where they lie inside blocks of
        positions above the ``quantile`` of their sequence, blocks ``buffer`` longer on the right.
    score : "observed" or "l2"
        Of maps: |gradient| at the observed base, or the norm over the four bases.
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

    Returns
    -------
    KLDResult
        ``per_k``, ``total``, ``null`` and what must be known to compare them; ``print`` it.

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
    metric = Metric(tuple(ks), method, score, form, float(quantile), int(buffer), bool(correct))
    if null < 0:
        raise OptionError(f"null={null}; expected 0 or more replicates")
    if per_sequence and (method, form) != ("weighted", "instance"):
        raise OptionError("per_sequence=True needs method='weighted' and form='instance'")
    several = isinstance(attributions, Mapping)
    named = dict(attributions) if several else {"attributions": attributions}
    codes = codes_beside(seqs, next(iter(named.values()), None))
    named = {name: check_maps(name, maps, codes) for name, maps in named.items()}
    counts = count_windows(codes, metric)
    priors = _prior(prior, metric, pseudocount)
    parts = as_weights(weights, metric.ks)
    updates = codes.size * len(metric.ks)

    def one(maps: np.ndarray) -> KLDResult:
        mine = metric if maps.ndim == 3 else replace(metric, correct=False)
        n_threads = pool.resolve(threads, updates * (1 + null))
        if null:
            scores = _all_scores(codes, maps, mine)
            sums = new_sums(mine)
            silent = add_rows(codes, scores, mine, mine.bits(codes), sums)
            tables = finish(sums, mine)
        else:
            tables, silent = tables_of_maps(codes, maps, mine, n_threads)
        per_k = divergences(tables, counts, priors, mine)
        beside = None
        if null:
            beside = compare(null_kind, per_k, parts, replicate(
                codes, scores, mine, lambda found: divergences(found, counts, priors, mine),
                kind=null_kind, times=null, seed=seed, threads=n_threads,
            ))  # fmt: skip
        carriers = tables if method == "thresholded" else counts
        return KLDResult(
            per_k=per_k,
            total=float(sum(parts[k] * per_k[k] for k in per_k if parts[k])),
            weights=parts,
            null=beside,
            n=len(codes),
            length=codes.shape[1],
            n_kmers={k: int(mine.table(carriers, k).sum()) for k in mine.ks},
            n_silent=silent,
            method=method,
            score=score if maps.ndim == 3 else "given",
            form=form,
            prior=OWN_PRIOR if prior is None else GIVEN_PRIOR,
            settings=describe(mine),
            per_sequence=(
                divergences_by_row(codes, maps, _frequencies(counts, priors, mine), mine)
                if per_sequence
                else None
            ),
        )

    results = {name: one(maps) for name, maps in named.items()}
    return results if several else results["attributions"]


def _all_scores(codes: Codes, maps: np.ndarray, metric: Metric) -> np.ndarray:
    scores = np.empty(codes.shape)
    for first, last in blocks(0, len(codes), codes.shape[1]):
        scores[first:last] = score_rows(codes, maps, metric, first, last)
    return scores


def _prior(prior: object, metric: Metric, pseudocount: float) -> dict[int, np.ndarray] | None:
    """Return float64 tables (4^k,) to compare with, or None for the sequences' own."""
    if pseudocount < 0:
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
        table = np.array(prior.get(k, ()), np.float64).ravel() + pseudocount
        if table.size != 4**k or not (np.isfinite(table) & (table >= 0)).all() or not table.sum():
            raise OptionError(
                f"the prior of k = {k} has {table.size} entries; expected {4**k} finite numbers of "
                "0 or more that do not sum to 0"
            )
        tables[k] = table
    return tables


def _frequencies(
    counts: np.ndarray, priors: dict[int, np.ndarray] | None, metric: Metric
) -> dict[int, np.ndarray]:
    tables = priors or {k: metric.table(counts, k).astype(np.float64) for k in metric.ks}
    return {k: table / max(table.sum(), 1) if not priors else table / table.sum()
            for k, table in tables.items()}  # fmt: skip
