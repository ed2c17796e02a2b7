"""The thresholded k-mer divergence the way the published Python goes about it.

Scores and blocks one sequence at a time, a dense count vector for every block, and
SciPy's kl_div at the end; written anew from the paper's description.
"""

import numpy as np
from scipy.special import kl_div


def counts(rows, k):
    """Return a dense (rows, 4^k) table of k-mer counts, built window by window."""
    place = 4 ** np.arange(k)[::-1]
    table = np.zeros((len(rows), 4**k))
    for row, bases in enumerate(rows):
        for start in range(len(bases) - k + 1):
            table[row, np.sum(bases[start : start + k] * place)] += 1
    return table


def thresholded(codes, maps, k=6, quantile=0.9, buffer=2):
    """Return the divergence of length k of maps (n, 4, length) over codes without unknowns."""
    blocks = []
    for bases, values in zip(codes.astype(int), maps.transpose(0, 2, 1)):
        scores = np.linalg.norm(values - values.mean(-1, keepdims=True), axis=-1)
        above = np.where(scores > np.quantile(scores, quantile))[0]
        if not len(above):
            continue
        merged = []
        for run in np.split(above, np.where(np.diff(above) != 1)[0] + 1):
            first, last = run[0], min(run[-1] + buffer, len(bases) - 1)
            if merged and first <= merged[-1][1]:
                merged[-1][1] = last
            else:
                merged.append([first, last])
        blocks += [bases[a : b + 1] for a, b in merged if b + 1 - a >= k]
    attributed, prior = counts(blocks, k).sum(0), counts(codes.astype(int), k).sum(0)
    return kl_div(attributed / attributed.sum(), prior / prior.sum()).sum()
