"""Which bases matter to a model's answer, as arrays or as a table."""

from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.options import (
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


@verb("attribute")
@models_option
@sequence_options
@output_option("-", ".npz with the maps, or a table of all positions (.tsv, .parquet).")
@click.option(
    "--method", type=click.Choice(["saliency", "ism"]), default="saliency", show_default=True,
    help="Gradient of the score, or effects of mutations.",
)  # fmt: skip
@click.option("--task", metavar="NAME", help="Which answer, where the model gives several.")
@click.option("--rows", type=click.IntRange(1), help="Only the first so many sequences.")
@running_options
def command(
    models: tuple[str, ...],
    sequences: str,
    sequence_column: str | None,
    name_column: str | None,
    output: str,
    rows: int | None,
    **options: Any,
) -> None:
    """Attribute the answer to the bases; maps are gradient-corrected when they are read.

    \b
    Example:
      fastseq attribute --model model.safetensors promoters.fa -o saliency.npz
      fastseq kld saliency.npz
    """
    names, seqs = read_checked(sequences, sequence_column, name_column, rows)
    result = fastseq.attribute(ensemble(models), seqs, progress=not quiet(), **options)
    maps = Maps(tuple(names), result.codes, result.raw[:, None], 0, result.method, (result.task,))
    if output.endswith(".npz"):
        write_maps(output, maps)
    else:
        write_table(load("pandas").DataFrame(positions(maps)), output)


def positions(maps: Maps) -> dict[str, Any]:
    """Return one row per position: name, pos (0-based), base, attribution, hypotheticals."""
    n, span = maps.span.shape
    hypothetical = maps.hypothetical[:, 0].transpose(0, 2, 1).reshape(-1, 4)
    return {
        "name": np.repeat(np.array(maps.names, object), span),
        "pos": np.tile(np.arange(span) + maps.start, n),
        "base": np.array([*LETTERS, "N"])[np.minimum(maps.span, 4).ravel()],
        "attribution": maps.observed[:, 0].ravel(),
        **{f"hypothetical_{letter}": hypothetical[:, at] for at, letter in enumerate(LETTERS)},
    }
