"""What every single-base change of sequences does, as arrays or as a table."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.options import (
    engine_option,
    ensemble,
    models_option,
    output_option,
    quiet,
    running_options,
    sequence_options,
    verb,
    view_options,
)
from fastseq.cli.sequences import read_checked
from fastseq.io.maps import Maps, write_maps
from fastseq.io.tables import write_table
from fastseq.show.logo import LETTERS


@verb("ism")
@models_option
@partial(sequence_options, required=False)
@output_option("-", ".npz with the maps, or a table of all substitutions (.tsv, .parquet).")
@click.option("--start", type=int, help="First position to mutate, 0-based; all otherwise.")
@click.option("--end", type=int, help="First position not to mutate.")
@click.option("--rows", type=click.IntRange(1), help="Only the first so many sequences.")
@click.option("--explain", is_flag=True, help="Only tell how the mutants would run, and why.")
@running_options
@engine_option
@view_options
def command(
    models: tuple[str, ...],
    sequences: str | None,
    sequence_column: str | None,
    name_column: str | None,
    output: str,
    rows: int | None,
    explain: bool,
    **options: Any,
) -> None:
    """Mutate every base to every other one and write what that does to the answer.

    \b
    Example:
      fastseq ism --model model.safetensors promoters.fa -o ism.npz
      fastseq report ism.npz -o report.html
      fastseq ism --model model.safetensors --explain
    """
    if explain:
        click.echo(_explanation(models, **options))
        return
    if sequences is None:
        raise click.UsageError("Missing argument 'SEQUENCES'.")
    names, seqs = read_checked(sequences, sequence_column, name_column, rows)
    result = fastseq.saturation_mutagenesis(ensemble(models), seqs, progress=not quiet(), **options)
    maps = Maps(
        tuple(names), result.codes, result.effect, result.start, "ism", result.tasks, result.y_ref
    )
    if output.endswith(".npz"):
        write_maps(output, maps)
    else:
        write_table(load("pandas").DataFrame(substitutions(maps)), output)


def _explanation(
    models: Sequence[str],
    *,
    start: int | None,
    end: int | None,
    device: str | None,
    precision: Any,
    batch_size: int | None,
    **_: Any,
) -> str:
    """Return how each model would make all substitutions of the span."""
    told = []
    for path in models:
        plan = fastseq.lower(path, device=device, precision=precision, batch_size=batch_size)
        first, last = start or 0, plan.input_spec.variable if end is None else end
        told += [f"{path}:"] if len(models) > 1 else []
        told.append(plan.explain_ism(3 * max(last - first, 0)))
    return "\n".join(told)


def substitutions(maps: Maps) -> dict[str, Any]:
    """Return one row per real substitution: name, pos (0-based), ref, alt, effect by task."""
    letters = np.array([*LETTERS, "N"])
    row, alt, at = np.nonzero(maps.span[:, None, :] != np.arange(4, dtype=np.uint8)[:, None])
    order = np.lexsort((alt, at, row))
    row, alt, at = row[order], alt[order], at[order]
    columns = {
        "name": np.array(maps.names, object)[row],
        "pos": at + maps.start,
        "ref": letters[maps.span[row, at]],
        "alt": letters[alt],
    }
    suffixes = [""] if len(maps.tasks) == 1 else [f"_{task}" for task in maps.tasks]
    for task, suffix in enumerate(suffixes):
        columns[f"effect{suffix}"] = maps.values[row, task, alt, at]
    return columns
