"""What every single-base change of sequences does, as arrays or as a table."""

from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.options import (
    INTEGERS,
    ensemble,
    models_option,
    output_option,
    quiet,
    running_options,
    sequence_options,
    verb,
)
from fastseq.cli.sequences import read_checked
from fastseq.io.maps import Maps, write_maps
from fastseq.io.tables import write_table
from fastseq.show.logo import LETTERS


@verb("ism")
@models_option
@sequence_options
@output_option("-", ".npz with the maps, or a table of all substitutions (.tsv, .parquet).")
@click.option("--start", type=int, help="First position to mutate, 0-based; all otherwise.")
@click.option("--end", type=int, help="First position not to mutate.")
@click.option("--rows", type=click.IntRange(1), help="Only the first so many sequences.")
@running_options
@click.option("--shifts", type=INTEGERS, default="0", show_default=True,
              help="Average over the window moved by so many bp.")  # fmt: skip
@click.option("--scale", type=click.Choice(["output", "logit"]), default="output",
              show_default=True, help="'logit' takes effects before the activation.")  # fmt: skip
def command(
    models: tuple[str, ...],
    sequences: str,
    sequence_column: str | None,
    name_column: str | None,
    output: str,
    rows: int | None,
    **options: Any,
) -> None:
    """Mutate every base to every other one and write what that does to the answer.

    \b
    Example:
      fastseq ism --model model.safetensors promoters.fa -o ism.npz
      fastseq report ism.npz -o report.html
    """
    names, seqs = read_checked(sequences, sequence_column, name_column, rows)
    result = fastseq.saturation_mutagenesis(ensemble(models), seqs, progress=not quiet(), **options)
    maps = Maps(
        tuple(names), result.codes, result.effect, result.start, "ism", result.tasks, result.y_ref
    )
    if output.endswith(".npz"):
        write_maps(output, maps)
    else:
        write_table(load("pandas").DataFrame(substitutions(maps)), output)


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
