"""Predicted profiles beside measured ones: their counts, their shapes."""

from typing import Any

import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.options import ensemble
from fastseq.cli.shared.verb import answer, quiet
from fastseq.io.tables import write_table


def judge_profiles(
    models: tuple[str, ...],
    rows: Any,
    judged: np.ndarray,
    output: str | None,
    options: dict[str, Any],
) -> None:
    """Tell how the mean of the models' profiles meets those of the judged rows.

    Parameters
    ----------
    rows : Labelled
        Its targets are profiles, (n, tasks, positions).
    judged : bool, (n,)
    output : str or None
        Table of the counts, measured and predicted, a row a window.
    """
    y_true = rows.targets[judged]
    y_hat = fastseq.predict(ensemble(models), rows.codes[judged], progress=not quiet(), **options)
    figures = load("fastseq.learn.profiles").judge(y_true, y_hat)
    if output is not None:
        counts = {"y": y_true.sum(2), "y_hat": y_hat.sum(2)}
        columns = {
            f"{name}_{task}": values[:, at]
            for name, values in counts.items() for at, task in enumerate(rows.tasks)
        }  # fmt: skip
        write_table(load("pandas").DataFrame({"name": np.flatnonzero(judged), **columns}), output)
    shown = {"rows": len(y_true), **figures}
    lines = [f"{name}\t{value:.6g}" for name, value in shown.items()]
    answer("\n".join(lines), output=output, data="the genome", tasks=list(rows.tasks), **shown)
