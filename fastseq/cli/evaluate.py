"""How well a model's predictions meet measurements."""

import json
from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.challenge import as_lines, judge_subsets
from fastseq.cli.columns import choose_columns
from fastseq.cli.options import (
    ensemble,
    json_option,
    models_option,
    note,
    quiet,
    running_options,
    verb,
)
from fastseq.errors import TableError, TargetError
from fastseq.io.tables import pick, read_table, write_table

HELD_OUT = ("test", "val", "valid", "validation")


@verb("evaluate")
@models_option
@click.option("--data", required=True, metavar="FILE", help="Table (TSV, CSV, Parquet), or '-'.")
@click.option("--sequence-column", metavar="NAME", help="Column with the sequences.")
@click.option("--target-column", metavar="NAME", help="Column with the measurements.")
@click.option("--fold-column", metavar="NAME", help="Column that says which rows are held out.")
@click.option(
    "--fold", metavar="WORD",
    help="Rows to judge; test where there are such, else val, else all. 'all' takes all.",
)  # fmt: skip
@click.option(
    "--subsets", metavar="FILE|FOLDER",
    help="Also the DREAM challenge's scores: its published folder, or JSON of subsets by fold.",
)  # fmt: skip
@click.option(
    "--position-column", metavar="NAME",
    help="Column with the challenge's positions; pos, else the row's number.",
)  # fmt: skip
@click.option(
    "--bootstrap", type=click.IntRange(1), metavar="N",
    help="Also the central 95 % of these scores over N draws of a tenth of every subset.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Also write name, measured and predicted.")
@running_options
@json_option
def command(
    models: tuple[str, ...],
    data: str,
    sequence_column: str | None,
    target_column: str | None,
    fold_column: str | None,
    fold: str | None,
    subsets: str | None,
    position_column: str | None,
    bootstrap: int | None,
    output: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare predictions with measurements: correlations and errors, or ranking of classes.

    \b
    Example:
      fastseq evaluate --model model.safetensors --data promoters.tsv.gz --fold val
      fastseq evaluate -m model.safetensors --data test.tsv --subsets challenge/ --bootstrap 10000
    """
    if subsets is None and (bootstrap or position_column):
        raise click.UsageError("--bootstrap and --position-column need --subsets")
    table = read_table(data, text=[sequence_column or "seq"])
    named = [target_column] if target_column else []
    columns = choose_columns(table, sequence_column, named, fold_column, where=data)
    for guess in columns.guesses:
        note(guess)
    if columns.fold is not None:
        words = table[columns.fold].to_numpy(dtype=str)
        there = sorted(set(words))
        fold = fold or next((word for word in HELD_OUT if word in there), "all")
        if fold != "all":
            table = table.loc[words == fold]
            note(f"{len(table):,} of {len(words):,} rows have {columns.fold} = {fold}")
        if not len(table):
            raise TableError(f"{data}: no row has {columns.fold} = {fold}; there is {there}")
    (target,) = columns.targets
    y_true = table[target].to_numpy(dtype=float)
    bad = np.flatnonzero(~np.isfinite(y_true))
    if bad.size:
        raise TargetError(
            f"{data}: row {table.index[bad[0]]} has no finite {target} ({bad.size} of "
            f"{len(table)} rows); leave such rows out"
        )
    seqs = table[columns.sequence].astype(str).tolist()
    y_hat = fastseq.predict(ensemble(models), seqs, progress=not quiet(), **options)
    if y_hat.ndim != 1:
        raise TargetError(f"the model gives {y_hat.shape[1:]} answers; evaluate compares one")
    figures = {"rows": len(y_true), **judge(y_true, y_hat)}
    told = None
    if subsets is not None:
        place = _positions(table, position_column, data)
        told = judge_subsets(y_true, y_hat, subsets, place, fold=fold, draws=bootstrap or 0)
    if output is not None:
        held = {"name": table.index, "y": y_true, "y_hat": y_hat}
        write_table(load("pandas").DataFrame(held), output)
    if as_json:
        challenge = {} if told is None else {"challenge": told}
        click.echo(json.dumps({"data": data, "target": target, **figures, **challenge}, indent=2))
        return
    lines = [f"{name}\t{value:.6g}" for name, value in figures.items()]
    click.echo("\n".join([*lines, *(as_lines(told) if told else [])]))


def _positions(table: Any, column: str | None, where: str) -> np.ndarray:
    """Return the challenge's position of each row, int64 (rows,)."""
    if column is None and "pos" in table.columns:
        column = "pos"
        note("positions are taken from column pos")
    if column is None:
        return table.index.to_numpy(np.int64)
    values = pick(table, [column], where)[column].to_numpy()
    if values.dtype.kind not in "iu":
        raise TableError(f"{where}: column {column} holds no whole numbers; expected positions")
    return values.astype(np.int64)


def judge(y_true: np.ndarray, y_hat: np.ndarray) -> dict[str, float]:
    """Return the figures that suit the measurements: of ranking for 0/1, else of regression."""
    metrics = load("fastseq.learn.metrics")
    classes = set(np.unique(y_true)) <= {0.0, 1.0}
    names = ("auroc", "auprc") if classes else ("pearson", "spearman", "r2", "mse")
    return {name: getattr(metrics, name)(y_true, y_hat) for name in names}
