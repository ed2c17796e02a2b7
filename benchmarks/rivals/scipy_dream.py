"""The challenge's scores as its published evaluator computes them: Python lists, then scipy."""

from scipy.stats import pearsonr, spearmanr


def scores(y_true, y_pred, subsets, weights):
    """Return the Pearson and Spearman Scores."""
    sums = [0.0, 0.0]
    for name, entries in subsets.items():
        if entries.ndim == 1:
            pairs = [(float(y_true[i]), float(y_pred[i])) for i in entries]
        else:
            pairs = [(y_true[i] - y_true[j], y_pred[i] - y_pred[j]) for i, j in entries]
        measured, predicted = zip(*pairs)
        sums[0] += weights[name] * pearsonr(measured, predicted)[0] ** 2
        sums[1] += weights[name] * spearmanr(measured, predicted)[0]
    total = sum(weights[name] for name in subsets)
    return sums[0] / total, sums[1] / total
