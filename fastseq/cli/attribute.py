"""Which bases matter to a model's answer, as arrays or as a table."""

from pathlib import Path
from typing import Any

import click
import numpy as np

import fastseq
from fastseq.cli.shared.files import TABLES, OutputName
from fastseq.cli.shared.given import (
    OTHERWISE,
    Lowered,
    explained_option,
    given_options,
    read_given,
    write_explained,
)
from fastseq.cli.shared.options import (
    models_option,
    running_options,
    seed_option,
)
from fastseq.cli.shared.verb import done, verb
from fastseq.errors import OptionError
from fastseq.io.map_shards import are_shards, each_shard
from fastseq.io.maps import Maps, write_modisco
from fastseq.io.tables import write_table
from fastseq.show.logo import LETTERS

METHODS = ["saliency", "smooth_grad", "integrated_gradients", "ism", "deeplift_shap"]


@verb("attribute", resumes=are_shards, otherwise=OTHERWISE)
@models_option
@given_options
@explained_option
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="saliency",
    show_default=True,
    help="Gradients, effects of mutations, or contributions beyond baselines.",
)
@click.option("--task", metavar="NAME", help="Which answer, where the model gives several.")
@click.option(
    "--baselines",
    type=click.Choice(["zeros", "uniform", "shuffle"]),
    multiple=True,
    help="What contributions are counted from; given several times, the mean.",
)
@click.option(
    "--n",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Shuffles of a sequence, or draws of noise.",
)
@click.option(
    "--modisco", metavar="FOLDER", type=OutputName(folders=True),
    help="Also write ohe.npz and shap.npz there.",
)  # fmt: skip
@click.option("--seqlets", metavar="FILE", type=OutputName(TABLES),
              help="Also write the spans that stand out, as a table.")  # fmt: skip
@seed_option
@running_options
def command(
    models: tuple[str, ...],
    sequences: str,
    sequence_column: str | None,
    name_column: str | None,
    fasta: str | None,
    rows: int | None,
    resume: bool,
    shard: int,
    output: str,
    modisco: str | None,
    seqlets: str | None,
    **options: Any,
) -> None:
    """Attribute the answer to the bases; maps are gradient-corrected when they are read.

    \b
    Example:
      fastseq attribute --model model.safetensors promoters.fa -o saliency.npz
      fastseq attribute --model model.safetensors promoters.fa --method integrated_gradients
      fastseq kld saliency.npz
    """
    plans = Lowered(models, options)
    given = read_given(sequences, sequence_column, name_column, rows, fasta, plans.length)
    if seqlets and are_shards(output):
        raise OptionError("--seqlets wants all maps at once; give -o one file")

    def explain(**more: Any) -> Any:
        found: Any = fastseq.attribute(plans.all(given), given.codes, **plans.rest, **more)
        if modisco:
            shards = each_shard(output) if are_shards(output) else [found.maps()]
            Path(modisco).mkdir(parents=True, exist_ok=True)
            write_modisco(modisco, shards, len(given.codes))
        if seqlets:
            spans = fastseq.seqlets(found)
            names = np.array(given.names, object)[spans.pop("row")]
            spans.insert(0, "name", names)
            write_table(spans, seqlets)
        return found

    write_explained(output, given, explain, positions, resume=resume, shard=shard)
    also = {"modisco": modisco, "seqlets": seqlets}
    done(models=plans.ran(), **{name: path for name, path in also.items() if path})


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
