"""What runs on measured promoters say: mean figures over seeds, and intervals of the gains."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.run import save
from fastseq.learn.evaluate import DreamScore, dream_score

DRAWS = 1000
# as of one member of four
RIDGE_SHARE = 0.25
# what the gains are over: a way's own reference, or the plain loop
RIVALS = {"part ": "part reference", "": "plain"}
# what the gains are told of; high, low and native are too few rows to choose by
COMPARED = ("all", "random", "challenging", "SNVs", "motif_tiling")
NOTE = (
    "8 of 9 subsets: motif perturbation has no pairs in this fold; high, low and native are 86, 78 "
    "and 48 rows, reported and not tuned on"
)
# r2 of all rows, r2 of SNV pairs, Pearson and Spearman Score
FLOORS = {"r2_all": 0.71, "r2_SNVs": 0.31, "pearson_score": 0.45, "spearman_score": 0.59}
LONG_FLOORS = {"pearson_score": 0.50, "spearman_score": 0.62}
# beyond these CPU seconds a run belongs to the long goals
SHORT_RUN = 400


def write(folder: Path, held: pd.DataFrame, subsets: dict[str, np.ndarray]) -> None:
    """Print and save one row a way: figures, what was spent, the gain over the plain loop.

    Parameters
    ----------
    folder : Path
        With ``NAME.SEED.npz`` of predictions of the rows of ``held``.
    held : DataFrame
        maude_expr and cluster of the validation fold.
    subsets : dict of str to int64
    """
    y = held["maude_expr"].to_numpy()
    ways: dict[str, list[tuple[np.ndarray, dict]]] = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as kept:
            members = {name: kept[name] for name in kept.files if name != "about"}
            about = json.loads(str(kept["about"]))
        for way, y_hat in _combined(path.name.split(".")[0], members).items():
            ways.setdefault(way, []).append((y_hat, about))
    rows = []
    for name, runs in ways.items():
        each = [figures(dream_score(y, y_hat, subsets)) for y_hat, _ in runs]
        spent = [round(about["cpu"]) for _, about in runs]
        row = {
            "figure": f"{name}, mean of {len(runs)} seeds",
            "input": "DREAM-mini, train fold only; validation fold, both strands averaged",
            "budget": runs[0][1]["budget"],
            "cpu_seconds": spent,
            "wall_seconds": [round(about["wall"]) for _, about in runs],
            "settings": {k: v for k, v in runs[0][1].items() if k not in ("cpu", "wall", "budget")},
            "values": {key: round(float(np.mean([e[key] for e in each])), 4) for key in each[0]},
            "seeds": {key: [round(e[key], 4) for e in each] for key in FLOORS},
            "note": NOTE,
        }
        rival = next(rival for prefix, rival in RIVALS.items() if name.startswith(prefix))
        if name != rival and not name.startswith("part "):
            floors = FLOORS if max(spent) < SHORT_RUN else LONG_FLOORS
            row["goals"] = {k: [v, bool(row["values"][k] >= v)] for k, v in floors.items()}
        if name != rival and rival in ways:
            pair = [[y_hat for y_hat, _ in some] for some in (runs, ways[rival])]
            row["gain_over"] = rival
            row["gain_95"] = gain(y, *pair, held["cluster"].to_numpy(), subsets)
        rows.append(row)
        print(json.dumps(row, indent=1))
    save("learn.dream_mini", rows, "python -m benchmarks.learn.dream_mini short")


def together(members: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mean of the networks' predictions, the ridge's with a share of a quarter."""
    others = np.mean([y_hat for name, y_hat in members.items() if name != "ridge"], axis=0)
    if "ridge" not in members:
        return others
    return (1 - RIDGE_SHARE) * others + RIDGE_SHARE * members["ridge"]


def _combined(way: str, members: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the members together under the way's name, and what parts of it would have given.

    The budget is that of all members together, so a part is told at more than it took.
    """
    networks = [y_hat for name, y_hat in members.items() if name.startswith("network")]
    found = {way: together(members)}
    if "ridge" in members:
        found[f"{way}, the k-mer ridge alone"] = members["ridge"]
        found[f"{way}, {len(networks)} networks without the ridge"] = np.mean(networks, axis=0)
    if len(networks) > 1:
        found[f"{way}, one of its networks"] = networks[0]
    return found


def figures(score: DreamScore) -> dict[str, float]:
    """Return the figures that the goals name, and those of every subset."""
    by = score.per_subset
    return {
        "pearson_score": score.pearson,
        "spearman_score": score.spearman,
        **{f"r2_{name}": subset.r2 for name, subset in by.items()},
        **{f"rho_{name}": subset.rho for name, subset in by.items()},
    }


def gain(
    y: np.ndarray,
    ours: list[np.ndarray],
    theirs: list[np.ndarray],
    cluster: np.ndarray,
    subsets: dict[str, np.ndarray],
) -> dict[str, list[float]]:
    """Return the 95 % interval of mean ours minus mean theirs, clusters drawn with replacement.

    Parameters
    ----------
    y : float, (n,)
    ours, theirs : list of float, (n,)
        Predictions, one array a seed; both ways are judged on the same draws.
    cluster : int, (n,)
        Rows of one cluster are drawn together.
    subsets : dict of str to int64
        Rows, or pairs of rows, which lie within one cluster.
    """
    _, member = np.unique(cluster, return_inverse=True)
    random, found = np.random.default_rng(0), []
    while len(found) < DRAWS:
        counts = np.bincount(random.integers(0, member.max() + 1, member.max() + 1),
                             minlength=member.max() + 1)  # fmt: skip
        times = counts[member]
        drawn = {
            name: np.repeat(entries, times[entries if entries.ndim == 1 else entries[:, 0]], axis=0)
            for name, entries in {"all": np.arange(len(y)), **subsets}.items()
        }
        if not all(map(len, drawn.values())):
            continue  # a subset of few clusters may miss a draw
        predictions = {f"o{i}": p for i, p in enumerate(ours)}
        predictions |= {f"p{i}": p for i, p in enumerate(theirs)}
        score = dream_score(y, predictions, drawn)
        tables = {"pearson_score": score.pearson, "spearman_score": score.spearman}
        tables |= {
            f"r2_{name}": {model: by[name].r2 for model, by in score.scores.items()}
            for name in COMPARED
        }
        found.append({key: _apart(values) for key, values in tables.items()})
    return {
        key: np.quantile([draw[key] for draw in found], [0.025, 0.975]).round(4).tolist()
        for key in found[0]
    }


def _apart(values: dict[str, float]) -> float:
    """Return the mean over our models minus the mean over theirs."""
    mine = [value for name, value in values.items() if name.startswith("o")]
    theirs = [value for name, value in values.items() if name.startswith("p")]
    return float(np.mean(mine) - np.mean(theirs))
