"""A model's answers for sequences, as a table or a folder of parts."""

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

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
from fastseq.cli.shared.verb import done, note, quiet, verb
from fastseq.errors import OptionError
from fastseq.io.tables import write_table

# sequences in a part of a folder
PART = 1 << 15


def _is_folder(output: str) -> bool:
    return output.endswith("/")


@verb(
    "predict",
    resumes=_is_folder,
    otherwise="a folder (-o predictions/) is written as it is made and can be resumed",
)
@models_option
@sequence_options
@output_option(
    "-", "Table of name and y_hat (.tsv, .csv, .parquet), or folder/ of Parquet parts.",
    endings=TABLES, folders=True,
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the folder of an interrupted run.")
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
    resume: bool,
    **options: Any,
) -> None:
    """Predict: one row per sequence of a FASTA, a table, or lines of bases ('-' reads them).

    \b
    Example:
      fastseq predict --model model.safetensors promoters.fa > predictions.tsv
      zcat promoters.tsv.gz | fastseq predict -m a.safetensors -m b.safetensors -
      fastseq predict --model model.safetensors promoters.fa -o predictions/ --resume
      fastseq export predictions/ predictions.tsv.gz
    """
    if resume and not _is_folder(output):
        raise OptionError(f"--resume goes on with a folder; found {output} (-o predictions/)")
    names, seqs = read_checked(sequences, sequence_column, name_column)
    if _is_folder(output):
        write_parts(output, names, seqs, models, resume=resume, **options)
    else:
        y_hat = fastseq.predict(ensemble(models), seqs, progress=not quiet(), **options)
        write_table(load("pandas").DataFrame(columns(names, y_hat)), output)
    done(output=output, rows=len(names), models=as_run(models, options))


def columns(names: Sequence[str], y_hat: np.ndarray) -> dict[str, Any]:
    """Return name and y_hat; of a profile model, which answers by position, a column each."""
    if y_hat.ndim == 1:
        return {"name": names, "y_hat": y_hat}
    flat = y_hat.reshape(len(y_hat), -1)
    return {"name": names} | {f"y_hat_{task}": flat[:, task] for task in range(flat.shape[1])}


def write_parts(
    output: str,
    names: list[str],
    seqs: list[str],
    models: Sequence[str],
    *,
    resume: bool,
    device: str | None,
    precision: str,
    batch_size: int | None,
    **views: Any,
) -> None:
    """Predict what a folder lacks, part by part.

    Raises
    ------
    ResumeError
        The folder holds another run, or this one and ``resume`` is false.
    """
    codes = load("fastseq.score.predict").as_rows(seqs)
    plans = load("fastseq.lower.ensemble").lower_all(
        list(models), length=codes.shape[1], device=device, precision=precision,
        batch_size=batch_size, sequences=len(codes),
    )  # fmt: skip
    manifest = load("fastseq.score.sharded").shard_tables(
        output, codes, plans,
        lambda rows, named: columns(named, fastseq.predict(plans, codes[rows], **views)),
        {"kind": "predictions", **views},
        names=names, shard=PART, resume=resume, progress=not quiet(), label="predict",
    )  # fmt: skip
    note(f"{len(codes):,} rows in {len(manifest['parts'])} parts are in {output}")
