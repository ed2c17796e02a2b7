"""The challenge's evaluator, at the size of its test set."""

import numpy as np

from benchmarks.rivals import scipy_dream
from benchmarks.run import Case, Rival
from fastseq.learn.evaluate import dream_score
from fastseq.learn.subsets import WEIGHTS

# distinct entries of the published files
SINGLES = {"high": 968, "low": 997, "native": 578, "random": 6349, "challenging": 1953}
PAIRS = {"SNVs": 44_340, "motif_perturbation": 3287, "motif_tiling": 2624}


def cases(size):
    """Yield the cases: one prediction, and bootstraps of ten."""
    rows, part, draws = (71_103, 1, 10_000) if size == "full" else (2000, 50, 2)
    random = np.random.default_rng(0)
    y = random.normal(size=rows)
    models = {f"model {i}": y + random.normal(size=rows) for i in range(10)}
    subsets = {"all": np.arange(rows)}
    subsets |= {name: random.choice(rows, n // part, replace=False) for name, n in SINGLES.items()}
    subsets |= {name: random.integers(0, rows, (n // part, 2)) for name, n in PAIRS.items()}
    words = f"{rows} rows, subsets of the published sizes over {part}, normal values"
    one = models["model 0"]
    scored = dream_score(y, models, subsets)

    def same_as_scipy():
        ours = dream_score(y, one, subsets)
        theirs = scipy_dream.scores(y, one, subsets, WEIGHTS)
        np.testing.assert_allclose((ours.pearson, ours.spearman), theirs, atol=1e-12)

    yield Case(
        "dream_score of one prediction", lambda: dream_score(y, one, subsets), 1, "scores", words,
        [Rival("lists and scipy", lambda: scipy_dream.scores(y, one, subsets, WEIGHTS), "scipy")],
        same_as_scipy, goal=1 / 0.2,
    )  # fmt: skip
    yield Case(
        "bootstrap of 10 predictions", lambda: scored.bootstrap(draws), draws, "draws", words,
        goal=10_000 / 60, rounds=1,
    )  # fmt: skip
