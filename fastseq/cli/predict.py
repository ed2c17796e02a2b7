"""A model's answers for sequences, as a table."""

from typing import Any

import click

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.files import TABLES
from fastseq.cli.shared.options import (
    as_run,
    ensemble,
    models_option,
    output_option,
    running_options,
    sequence_options,
    view_options,
)
from fastseq.cli.shared.sequences import read_checked
from fastseq.cli.shared.verb import done, quiet, verb
from fastseq.io.tables import write_table


@verb("predict")
@models_option
@sequence_options
@output_option("-", "Table of name and y_hat (.tsv, .csv, .parquet).", endings=TABLES)
@click.option(
    "--quantiles", is_flag=True,
    help="Places among the answers to the training rows, 0 to 1 (train with --set quantiles=true).",
)  # fmt: skip
@running_options
@view_options
def command(
    models: tuple[str, ...],
    sequences: str,
    sequence_column: str | None,
    name_column: str | None,
    output: str,
    **options: Any,
) -> None:
    """Predict: one row per sequence of a FASTA, a table, or lines of bases ('-' reads them).

    \b
    Example:
      fastseq predict --model model.safetensors promoters.fa > predictions.tsv
      zcat promoters.tsv.gz | fastseq predict -m a.safetensors -m b.safetensors -
    """
    names, seqs = read_checked(sequences, sequence_column, name_column)
    y_hat = fastseq.predict(ensemble(models), seqs, progress=not quiet(), **options)
    columns: dict[str, Any] = {"name": names}
    if y_hat.ndim == 1:
        columns["y_hat"] = y_hat
    else:
        # a profile model answers a number per position: one column each
        flat = y_hat.reshape(len(y_hat), -1)
        columns |= {f"y_hat_{task}": flat[:, task] for task in range(flat.shape[1])}
    write_table(load("pandas").DataFrame(columns), output)
    done(output=output, rows=len(names), models=as_run(models, options))
