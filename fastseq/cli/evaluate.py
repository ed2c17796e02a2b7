"""How well a model's predictions meet measurements."""

from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli import evaluate_each
from fastseq.cli.evaluate_challenge import as_lines, judge_subsets, subsets_of
from fastseq.cli.evaluate_profiles import judge_profiles
from fastseq.cli.shared.columns import choose_columns
from fastseq.cli.shared.files import TABLES, OutputName
from fastseq.cli.shared.genome import as_table, genome_options, rows_of_genome
from fastseq.cli.shared.options import (
    ensemble,
    models_option,
    running_options,
    seed_option,
    shifts_option,
)
from fastseq.cli.shared.verb import answer, note, quiet, verb
from fastseq.errors import TableError, TargetError
from fastseq.io.tables import pick, read_table, write_table

HELD_OUT = ("test", "val", "valid", "validation")


@verb("evaluate")
@models_option
@click.option("--data", metavar="FILE", help="Table (TSV, CSV, Parquet), or '-'.")
@genome_options
@seed_option
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
@click.option(
    "--threshold", type=float,
    help="Measurements from here on are a class of their own, and so are predictions.",
)  # fmt: skip
@click.option(
    "--each", is_flag=True,
    help="Also every model by itself, their ranks and the correlations between them.",
)  # fmt: skip
@click.option(
    "--fit-on", metavar="WORD",
    help="With --each: fold whose rows fit a linear regression over the models.",
)  # fmt: skip
@click.option(
    "--bad-rows", type=click.Choice(["refuse", "drop"]), default="refuse", show_default=True,
    help="Rows that cannot be read or have no finite measurement.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", type=OutputName(TABLES),
              help="Also write name, measured and predicted.")  # fmt: skip
@running_options
@shifts_option
def command(
    models: tuple[str, ...],
    data: str | None,
    sequence_column: str | None,
    target_column: str | None,
    fold_column: str | None,
    fold: str | None,
    subsets: str | None,
    position_column: str | None,
    bootstrap: int | None,
    threshold: float | None,
    each: bool,
    fit_on: str | None,
    bad_rows: str,
    output: str | None,
    seed: int,
    **options: Any,
) -> None:
    """Compare predictions with measurements: correlations and errors, or ranking of classes.

    \b
    Example:
      fastseq evaluate --model model.safetensors --data promoters.tsv.gz --fold val
      fastseq evaluate -m model.safetensors --data promoters.tsv.gz --threshold 0.5
      fastseq evaluate -m a.safetensors -m b.safetensors --data test.tsv --each --fit-on val
      fastseq evaluate -m model.safetensors --data test.tsv --subsets challenge/ --bootstrap 10000
      fastseq evaluate -m bpnet.safetensors --bed peaks.bed --fasta genome.fa --bigwig atac.bw \\
          --length 2114 --profile 1000 --valid-chroms chr9 --test-chroms chr8
    """
    if subsets is None and (bootstrap or position_column):
        raise click.UsageError("--bootstrap and --position-column need --subsets")
    if fit_on is not None and not each:
        raise click.UsageError("--fit-on needs --each")
    rows = rows_of_genome(data, options, seed)
    where = data or "the genome"
    if rows is not None and rows.targets.ndim == 3:
        if each or subsets is not None or threshold is not None:
            raise click.UsageError("--each, --subsets and --threshold are for one number a row")
        folds = {"fold": np.full(len(rows), "all") if rows.fold is None else rows.fold}
        named = "fold" if rows.fold is not None else None
        judged, _, _ = _folds(load("pandas").DataFrame(folds), named, fold, None, where)
        judge_profiles(models, rows, judged, output, options)
        return
    table: Any = read_table(where, text=[sequence_column or "seq"]) if rows is None else None
    table = as_table(rows) if table is None else table
    named = [target_column] if target_column else []
    columns = choose_columns(table, sequence_column, named, fold_column, where=where)
    for guess in columns.guesses:
        note(guess)
    (target,) = columns.targets
    judged, fit, fold = _folds(table, columns.fold, fold, fit_on, where)
    wanted = np.flatnonzero(judged | fit)
    good = _good_rows(table.iloc[wanted], columns.sequence, target, where, bad_rows)
    wanted = wanted[good]
    table, judged, fit = table.iloc[wanted], judged[wanted], fit[wanted]
    y_true = table[target].to_numpy(dtype=float)
    predictions = _predictions(models, table[columns.sequence].tolist(), each, options)
    weights = {}
    if fit_on is not None:
        predictions, weights = evaluate_each.combine(y_true, predictions, fit)
    y_true, table = y_true[judged], table[judged]
    predictions = {name: values[judged] for name, values in predictions.items()}
    y_hat = np.mean([predictions[name] for name in predictions if name in models], axis=0)
    if each and len(models) > 1:
        predictions[evaluate_each.MEAN] = y_hat
    scale = load("fastseq.models.checkpoints").describe(next(iter(models)))["target_spec"]["scale"]
    cut = 0.0 if scale == "logit" else 0.5
    figures = judge(y_true, y_hat, threshold, cut)
    told: dict[str, Any] = {"data": where, "target": target, "rows": len(y_true), **figures}
    parts = None
    if subsets is not None:
        parts = subsets_of(subsets, _positions(table, position_column, where), fold)
        told["challenge"] = judge_subsets(y_true, y_hat, parts, draws=bootstrap or 0)
    if each:
        own = {name: judge(y_true, y, threshold, cut) for name, y in predictions.items()}
        told["each"] = evaluate_each.judge_each(y_true, predictions, own, parts, bootstrap or 0)
        told["each"]["weights"] = weights
    if output is not None:
        apart = {f"y_hat_{name}": values for name, values in predictions.items()} if each else {}
        folds = {"fold": table[columns.fold]} if columns.fold else {}
        held = {"name": table.index, **folds, "y": y_true, "y_hat": y_hat, **apart}
        write_table(load("pandas").DataFrame(held), output)
    shown = {"rows": len(y_true), **figures}
    lines = [f"{name}\t{value:.6g}" for name, value in shown.items()]
    lines += as_lines(told["challenge"]) if "challenge" in told else []
    lines += evaluate_each.as_lines(told["each"]) if each else []
    answer("\n".join(lines), output=output, **told)


def _folds(
    table: Any, column: str | None, fold: str | None, fit_on: str | None, where: str
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Return which rows are judged, which fit a combination, and the word of those judged."""
    everything, none = np.ones(len(table), bool), np.zeros(len(table), bool)
    if column is None:
        if fit_on is not None:
            raise TableError(f"{where}: --fit-on needs a column of folds (--fold-column)")
        return everything, none, fold
    words = table[column].to_numpy(dtype=str)
    there = sorted(set(words.tolist()))
    if fold is None:
        held = [word for word in HELD_OUT if word in there and word != fit_on]
        fold = held[0] if held else "all"
    for word in {fold, fit_on} - {"all", None}:
        if word not in there:
            raise TableError(f"{where}: no row has {column} = {word}; there is {', '.join(there)}")
    if fold == fit_on:
        raise TableError(f"{where}: rows of {fold} cannot both fit the combination and judge it")
    # rows that fit the combination cannot judge it
    judged = words != fit_on if fold == "all" else words == fold
    if fold != "all":
        note(f"{judged.sum():,} of {len(words):,} rows have {column} = {fold}")
    return judged, none if fit_on is None else words == fit_on, fold


def _good_rows(table: Any, sequence: str, target: str, where: str, bad_rows: str) -> np.ndarray:
    """Return which rows can be judged; name the others, and refuse them unless told otherwise."""
    dataset, pandas = load("fastseq.learn.dataset"), load("pandas")
    numbers = pandas.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
    good = {
        "an unreadable sequence": dataset.readable(table[sequence].tolist()),
        f"no finite {target}": np.isfinite(numbers),
    }
    named = [dataset.name_rows(what, ok, table.index) for what, ok in good.items() if not ok.all()]
    if named and bad_rows == "refuse":
        raise TargetError(f"{where}: {'; '.join(named)} (--bad-rows drop leaves them out)")
    for text in named:
        note(f"left out: {text}")
    kept = np.logical_and.reduce(list(good.values()))
    if not kept.any():
        raise TableError(f"{where}: no row with a readable sequence and a finite {target} is left")
    return kept


def _predictions(
    models: tuple[str, ...], seqs: list[str], each: bool, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Return the predictions by model; of an ensemble that is not taken apart, under its first."""
    wanted = {model: model for model in models} if each else {models[0]: ensemble(models)}
    found = {
        name: fastseq.predict(model, seqs, progress=not quiet(), **options)
        for name, model in wanted.items()
    }
    for values in found.values():
        if values.ndim != 1:
            raise TargetError(f"the model gives {values.shape[1:]} answers; evaluate compares one")
    return found


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


def judge(
    y_true: np.ndarray, y_hat: np.ndarray, threshold: float | None = None, cut: float = 0.5
) -> dict[str, float]:
    """Return the figures that suit the measurements: of regression, of ranking for 0/1, or both.

    Parameters
    ----------
    y_true, y_hat : float, (n,)
    threshold : float, optional
        Measurements and predictions from here on are positive: a regressor as a classifier.
    cut : float
        Where predictions of classes become positive.
    """
    metrics = load("fastseq.learn.metrics")
    classes = set(np.unique(y_true)) <= {0.0, 1.0}
    names = () if classes else ("pearson", "spearman", "r2", "mse")
    found = {name: getattr(metrics, name)(y_true, y_hat) for name in names}
    if not classes and threshold is None:
        return found
    cut = cut if threshold is None else threshold
    labels = y_true if classes else y_true >= cut
    found |= {name: getattr(metrics, name)(labels, y_hat) for name in ("auroc", "auprc")}
    return {**found, "accuracy": metrics.accuracy(labels, y_hat, cut)}
