"""The k-mer divergences as their papers state them: dictionaries and loops, never fast."""

from collections import Counter, defaultdict
from math import inf, log, nan

import numpy as np


def scores_of(maps, codes, score, correct):
    """Return (n, length) scores of maps (n, 4, length)."""
    maps = np.asarray(maps, np.float64)
    if correct:
        maps = maps - maps.mean(1, keepdims=True)
    if score == "l2":
        return np.sqrt((maps**2).sum(1))
    observed = np.zeros(codes.shape)
    for row, position in np.ndindex(*codes.shape):
        if codes[row, position] < 4:
            observed[row, position] = abs(maps[row, codes[row, position], position])
    return observed


def windows(row, k):
    """Yield start and k-mer of every window without an unknown base."""
    for start in range(len(row) - k + 1):
        word = tuple(int(base) for base in row[start : start + k])
        if max(word) < 4:
            yield start, word


def divergence(p, q):
    """Return sum P ln(P / Q) of two dictionaries of weights."""
    p_total, q_total = sum(p.values()), sum(q.values())
    if not p_total or not q_total:
        return nan
    total = 0.0
    for word, weight in p.items():
        if weight:
            if not q.get(word):
                return inf
            total += weight / p_total * log(weight / p_total / (q[word] / q_total))
    return total


def frequencies(codes, k):
    """Return how often each k-mer stands in the rows."""
    return Counter(word for row in codes for _, word in windows(row, k))


def weighted(codes, scores, k, form="instance", prior=None):
    """Return the attribution-weighted divergence of length k."""
    pooled = frequencies(codes, k)
    weights = defaultdict(float)
    for row, a in zip(codes, scores):
        if not a.sum():
            continue
        mine, counts = defaultdict(float), Counter()
        for start, word in windows(row, k):
            mine[word] += a[start : start + k].sum() / a.sum()
            counts[word] += 1
        for word, weight in mine.items():
            weights[word] += weight * (counts[word] if form == "sequence_product" else 1)
    if form == "product":
        weights = {word: weight * pooled[word] for word, weight in weights.items()}
    return divergence(weights, pooled if prior is None else prior)


def attributed_blocks(a, quantile, buffer):
    """Return half-open blocks of positions above the quantile, longer on the right, merged."""
    above = a > np.quantile(a, quantile)
    runs, position = [], 0
    while position < len(a):
        if not above[position]:
            position += 1
            continue
        start = position
        while position < len(a) and above[position]:
            position += 1
        runs.append([start, min(position - 1 + buffer, len(a) - 1)])
    merged = []
    for first, last in runs:
        if merged and first <= merged[-1][1]:
            merged[-1][1] = last
        else:
            merged.append([first, last])
    return [(first, last + 1) for first, last in merged]


def thresholded(codes, scores, k, quantile=0.9, buffer=2, prior=None):
    """Return the divergence of the k-mers inside attributed blocks."""
    found = Counter()
    for row, a in zip(codes, scores):
        for first, end in attributed_blocks(a, quantile, buffer):
            found.update(word for _, word in windows(row[first:end], k))
    return divergence(found, frequencies(codes, k) if prior is None else prior)


def row_divergence(row, a, k, prior):
    """Return the divergence of one row's weights from prior."""
    weights = defaultdict(float)
    for start, word in windows(row, k):
        weights[word] += a[start : start + k].sum()
    return divergence(weights, prior)
