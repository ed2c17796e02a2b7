"""What every single-base change of sequences does, as arrays or as a table."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import click
import numpy as np

import fastseq
from fastseq.cli.ism_edits import write_edited
from fastseq.cli.shared.given import (
    OTHERWISE,
    Lowered,
    explained_option,
    given_options,
    read_given,
    write_explained,
)
from fastseq.cli.shared.options import (
    engine_option,
    models_option,
    running_options,
    view_options,
)
from fastseq.cli.shared.verb import answer, done, verb
from fastseq.errors import OptionError
from fastseq.io.map_shards import are_shards
from fastseq.io.maps import Maps
from fastseq.show.logo import LETTERS


@verb("ism", resumes=are_shards, otherwise=OTHERWISE)
@models_option
@partial(given_options, required=False)
@explained_option
@click.option("--start", type=int, help="First position to mutate, 0-based; all otherwise.")
@click.option("--end", type=int, help="First position not to mutate.")
@click.option(
    "--edits",
    metavar="WHAT|FILE",
    help="Other edits, as a table: deletions:BP, insertions:WORD,.., motifs:WORD,.., "
    "ablations:BP, shuffles:BPxN, pairs or pairs:BP; or those of a table with columns name, "
    "pos (0-based), ref and alt.",
)
@click.option("--reduce", type=click.Choice(["sum", "mean"]),
              help="How the positions of a profile become one number.")  # fmt: skip
@click.option("--task", metavar="NAME", help="The only answer to keep, where there are several.")
@click.option("--explain", is_flag=True, help="Only tell how mutants would run, why, and how fast.")
@running_options
@engine_option
@view_options
def command(
    models: tuple[str, ...],
    sequences: str | None,
    sequence_column: str | None,
    name_column: str | None,
    fasta: str | None,
    rows: int | None,
    resume: bool,
    shard: int,
    output: str,
    edits: str | None,
    explain: bool,
    **options: Any,
) -> None:
    """Mutate every base to every other one and write what that does to the answer.

    \b
    Example:
      fastseq ism --model model.safetensors promoters.fa -o ism.npz
      fastseq report ism.npz -o report.html
      fastseq ism --model model.safetensors promoters.fa --edits deletions:3 -o deletions.tsv
      fastseq ism --model model.safetensors promoters.fa --edits my-edits.tsv -o edits/ --resume
      fastseq ism --model model.safetensors promoters.fa -o maps/ --resume
      fastseq ism --model model.safetensors --explain
    """
    if explain:
        if edits is not None:
            raise OptionError("--explain tells of substitutions; leave out --edits")
        told = _explanation(models, **options)
        texts = [f"{path}:\n{text}" if len(told) > 1 else text for path, text in told]
        facts = [{"model": path, "explanation": text.splitlines()} for path, text in told]
        answer("\n".join(texts), models=facts)
        return
    if sequences is None:
        raise click.UsageError("Missing argument 'SEQUENCES'.")
    plans = Lowered(models, options)
    given = read_given(sequences, sequence_column, name_column, rows, fasta, plans.length)
    if edits is None:
        run = partial(fastseq.saturation_mutagenesis, plans.all(given), given.codes, **plans.rest)
        write_explained(output, given, run, substitutions, resume=resume, shard=shard)
    else:
        models_of = plans.all(given)
        write_edited(output, given, models_of, edits, resume=resume, shard=shard, **plans.rest)
    done(models=plans.ran())


def _explanation(
    models: Sequence[str],
    *,
    start: int | None,
    end: int | None,
    device: str | None,
    precision: Any,
    batch_size: int | None,
    **_: Any,
) -> list[tuple[str, str]]:
    """Return how each model would make all substitutions of the span."""
    told = []
    for path in models:
        plan = fastseq.lower(path, device=device, precision=precision, batch_size=batch_size)
        most = plan.input_spec.variable
        first, last = start or 0, most if end is None else end
        if not 0 <= first < last <= plan.input_spec.length:
            raise OptionError(f"--start {first} --end {last}; the model takes {most} bp")
        edits = 3 * (last - first)
        told.append((path, plan.explain_ism(edits)))
    return told


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
