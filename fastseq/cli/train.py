"""A trained model from a table of sequences and labels, or from a genome and its tracks."""

import json
import os
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastseq
from fastseq.cli.shared.columns import choose_columns
from fastseq.cli.shared.genome import genome_options, rows_of_genome
from fastseq.cli.shared.options import device_option, output_option, seed_option
from fastseq.cli.shared.verb import JSON, QUIET, answer, note, quiet, verb
from fastseq.errors import LengthError, OptionError
from fastseq.io.tables import read_table

UNTOLD = ("epoch", "lr", "seconds")


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of ``name=value``; the value is read as JSON where it is JSON."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise OptionError(f"{text!r}; expected name=value, such as channels=64")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@verb("train", resumes=bool)
@click.option("--data", metavar="FILE", help="Table (TSV, CSV, Parquet), or '-'.")
@genome_options
@click.option("--model", required=True, metavar="NAME", help="See 'fastseq models list'.")
@output_option("model.safetensors", "Checkpoint; the best epoch so far is always there.")
@click.option("--sequence-column", metavar="NAME", help="Column with the sequences.")
@click.option(
    "--target-column", "target_columns", multiple=True, metavar="NAME",
    help="Column to predict; may be repeated.",
)  # fmt: skip
@click.option("--fold-column", metavar="NAME", help="Column that says train or val.")
@click.option(
    "--validation", "--split", metavar="SHARE|FILE",
    help="A share such as 0.1, drawn by --seed; random:.7/.3; or another table.",
)  # fmt: skip
@click.option("--recipe", default="default", show_default=True, help="How the training goes.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data, in all.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--batch-size", type=click.IntRange(1), help="Sequences in a step.")
@click.option(
    "--size", "sizes", multiple=True, metavar="NAME=VALUE", help="A size of the model: channels=64."
)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE",
    help="Another field of the recipe: strands=forward, patience=5.",
)  # fmt: skip
@click.option(
    "--bad-rows", type=click.Choice(["refuse", "drop"]), default="refuse", show_default=True,
    help="Rows that cannot be read or have no finite target.",
)  # fmt: skip
@click.option("--pad", is_flag=True, help="Let shorter sequences end in N; refused otherwise.")
@seed_option
@device_option
@click.option("--resume", is_flag=True, help="Go on where an interrupted training stopped.")
def command(
    data: str | None,
    model: str,
    output: str,
    sequence_column: str | None,
    target_columns: tuple[str, ...],
    fold_column: str | None,
    validation: str | None,
    recipe: str,
    epochs: int | None,
    lr: float | None,
    batch_size: int | None,
    sizes: tuple[str, ...],
    settings: tuple[str, ...],
    bad_rows: Any,
    pad: bool,
    seed: int,
    device: str | None,
    resume: bool,
    **genome: Any,
) -> None:
    """Train a model on sequences with labels and keep its best epoch.

    Columns that are not named are guessed where there is one candidate, and the guess is told.
    Labels that are all 0 or 1 make a classifier. Bases that all rows share at their ends become
    the construct's flanks. Ctrl-C leaves the best epoch so far, and --resume goes on.
    Processes of "torchrun --nproc-per-node 4 --no-python fastseq train ..." share every batch.

    \b
    Example:
      fastseq train --data promoters.tsv.gz --model tum_resnet --sequence-column seq \\
          --target-column expression --fold-column fold -o model.safetensors
      fastseq train --bed peaks.bed --fasta genome.fa --bigwig atac.bw --length 2048 \\
          --valid-chroms chr9 --test-chroms chr8 --drop-chroms chrY --model basenji
      fastseq train --bed peaks.bed --fasta genome.fa --bigwig atac.bw --length 2114 \\
          --profile 1000 --valid-chroms chr9 --test-chroms chr8 --model bpnet --recipe bpnet \\
          -o bpnet.safetensors
    """
    # of the processes that torchrun starts, the first one speaks
    speaks = os.environ.get("RANK", "0") == "0"
    if not speaks:
        click.get_current_context().meta.update({QUIET: True, JSON: False})
    rows = rows_of_genome(data, genome, seed)
    reading: dict[str, Any] = {}
    if rows is None:
        rows, reading = _of_table(str(data), sequence_column, target_columns, fold_column, pad)
    changes = dict(map(setting, settings)) | {
        name: value
        for name, value in [("epochs", epochs), ("lr", lr), ("batch_size", batch_size)]
        if value is not None
    }
    result = fastseq.train(
        model,
        rows,
        recipe=recipe,
        validation=_share(validation),
        sizes=dict(map(setting, sizes)),
        bad_rows=bad_rows,
        pad=pad,
        seed=seed,
        path=output,
        resume=resume,
        device=device,
        progress=not quiet(),
        **reading,
        **changes,
    )
    if not speaks:
        return
    note(f"trained on {result.device}")
    if result.dropped:
        note(f"left out: {result.dropped}")
    spec: Any = result.model.input_spec
    if spec.left or spec.right:
        note(
            f"all rows share {len(spec.left)} + {len(spec.right)} bp at their ends: kept as the "
            f"construct's flanks around {spec.variable} variable bp"
        )
    shown = {name: value for name, value in result.best.items() if name not in UNTOLD}
    figures = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
    answer(
        f"{output}: best epoch {result.best['epoch']} of {len(result.history)}: {figures}",
        output=output, rows=len(rows), best=result.best, history=result.history,
        device=result.device, dropped=result.dropped or None,
    )  # fmt: skip


def _of_table(
    data: str,
    sequence: str | None,
    targets: tuple[str, ...],
    fold: str | None,
    pad: bool,
) -> tuple[Any, dict[str, Any]]:
    """Return a table and which of its columns hold what."""
    table = read_table(data, text=[sequence or "seq"])
    columns = choose_columns(table, sequence, targets, fold, where=data)
    for guess in columns.guesses:
        note(guess)
    if not pad:
        _same_length(table[columns.sequence].astype(str).str.len().to_numpy(), data)
    return table, {
        "sequence": columns.sequence,
        "target": list(columns.targets),
        "fold": columns.fold or "fold",
    }


def _same_length(lengths: np.ndarray, where: str) -> None:
    odd = np.flatnonzero(lengths != lengths[:1])
    if odd.size:
        raise LengthError(
            f"{where}: row {odd[0]} has {lengths[odd[0]]} bp, row 0 has {lengths[0]} bp "
            f"({lengths.min()} to {lengths.max()} in all); pass --pad to let the shorter end in N"
        )


def _share(text: str | None) -> Any:
    """Return a share as a number, a file's name as it is."""
    if text is None or text.startswith("random:") or Path(text).exists():
        return text
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"--validation {text!r} is no file; expected a share such as 0.1, or a table"
        ) from None
