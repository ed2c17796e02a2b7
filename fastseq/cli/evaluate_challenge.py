"""The DREAM challenge's subsets and scores, as values for JSON and as lines."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from fastseq._lazy import load

COLUMNS = ("n", "weight", "r", "r2", "rho")


def subsets_of(path: str, positions: np.ndarray, fold: str | None) -> dict[str, np.ndarray]:
    """Return the challenge's subsets as rows of the caller's table.

    Parameters
    ----------
    path : str
        The challenge's folder, or a JSON file of subsets by fold.
    positions : int64, (n,)
        The challenge's position of each row.
    fold : str, optional
        Fold of the JSON file; "val" for none and for "all".

    Raises
    ------
    MissingFileError, FormatError, TableError
        The subsets cannot be read.
    """
    return load("fastseq.learn.subsets").read_subsets(
        path,
        fold="val" if fold in (None, "all") else fold,
        positions=positions,
        rows=int(positions.max()) + 1,
    )


def judge_subsets(
    y_true: np.ndarray,
    y_hat: np.ndarray,
    subsets: Mapping[str, np.ndarray],
    *,
    draws: int = 0,
) -> dict[str, Any]:
    """Return both scores and the figures of each subset, in JSON values.

    Parameters
    ----------
    y_true, y_hat : float, (n,)
    subsets : dict of str to int arrays
        As `subsets_of` returns them.
    draws : int
        Draws of a tenth of every subset; the central 95 % of their scores is told. r^2 of so few
        rows lies above that of all where a model explains little, and so may the interval.

    Raises
    ------
    TargetError
        A prediction is not finite.
    """
    evaluate = load("fastseq.learn.evaluate")
    score = evaluate.dream_score(y_true, y_hat, subsets)
    told = {
        "pearson_score": score.pearson,
        "spearman_score": score.spearman,
        "missing": list(score.missing),
        "notes": list(score.notes),
        "subsets": {name: asdict(figures) for name, figures in score.per_subset.items()},
    }
    if draws:
        (intervals,) = score.bootstrap(draws).interval().values()
        told["bootstrap"] = {"draws": draws, "share": evaluate.SHARE, "level": 0.95, **intervals}
    return told


def as_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `judge_subsets` found as lines of a table, and the scores below it."""
    yield "\t".join(["subset", *COLUMNS])
    for name, figures in told["subsets"].items():
        yield "\t".join([name, *(f"{figures[column]:.6g}" for column in COLUMNS)])
    for name in ("pearson", "spearman"):
        line = f"{name}_score\t{told[f'{name}_score']:.6g}"
        if "bootstrap" in told:
            low, high = told["bootstrap"][name]
            line += f"\tdraws {low:.6g} to {high:.6g}"
        yield line
    missing = ", ".join(told["missing"])
    yield f"missing\t{f'{missing} (weights renormalised)' if missing else 'none'}"
    yield from (f"note\t{text}" for text in told["notes"])
