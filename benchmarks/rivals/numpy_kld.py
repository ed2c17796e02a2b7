"""The attribution-weighted divergence in good NumPy: rolling codes, window sums and bincount."""

import numpy as np


def weighted(codes, scores, ks):
    """Return the divergence of every length for codes without unknowns and scores (n, length)."""
    share = scores / scores.sum(1, keepdims=True)
    word, sums, found = codes.astype(np.int64), share.copy(), {}
    for k in range(2, max(ks) + 1):
        word = word[:, :-1] * 4 + codes[:, k - 1 :]
        sums = sums[:, :-1] + share[:, k - 1 :]
        if k in ks:
            flat = word.ravel()
            p = np.bincount(flat, sums.ravel(), 4**k)
            q = np.bincount(flat, minlength=4**k).astype(np.float64)
            kept = p > 0
            p, q = p[kept] / p.sum(), q[kept] / q.sum()
            found[k] = float((p * np.log(p / q)).sum())
    return found
