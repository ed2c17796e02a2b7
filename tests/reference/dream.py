"""The challenge's scores, one subset after the other, by scipy: plain and slow."""

from scipy.stats import pearsonr, spearmanr


def dream_scores(y_true, y_pred, subsets, weights):
    """Return the Pearson and Spearman Scores over the given subsets."""
    pearson_sum = spearman_sum = total = 0.0
    for name, entries in subsets.items():
        if entries.ndim == 1:
            measured = [y_true[i] for i in entries]
            predicted = [y_pred[i] for i in entries]
        else:
            measured = [y_true[alt] - y_true[ref] for alt, ref in entries]
            predicted = [y_pred[alt] - y_pred[ref] for alt, ref in entries]
        pearson_sum += weights[name] * pearsonr(measured, predicted)[0] ** 2
        spearman_sum += weights[name] * spearmanr(measured, predicted)[0]
        total += weights[name]
    return pearson_sum / total, spearman_sum / total


def bootstrap(y_true, y_pred, n, size, draws, rng):
    """Return r and rho of each draw of one subset; rows are drawn in the order of y_true."""
    order = sorted(range(n), key=lambda i: y_true[i])
    found = []
    for _ in range(draws):
        rows = [order[i] for i in rng.choice(n, size, replace=False, shuffle=False)]
        measured, predicted = [y_true[i] for i in rows], [y_pred[i] for i in rows]
        found.append((pearsonr(measured, predicted)[0], spearmanr(measured, predicted)[0]))
    return found
