"""Sequences with planted motifs, as a table that `train` reads."""

import click

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.files import TABLES, OutputName
from fastseq.cli.shared.options import output_option
from fastseq.cli.shared.verb import done, note, verb
from fastseq.io.files import write_bytes
from fastseq.io.tables import write_table
from fastseq.sequence.motifs import format_motifs, jaspar, read_motifs
from fastseq.sequence.simulate import CORE


@verb("simulate")
@output_option(
    "-",
    "Table with name, seq, label and fold (.tsv, .csv, .parquet, .gz of these).",
    endings=TABLES,
)
@click.option("-n", "--rows", type=click.IntRange(1), default=20_000, show_default=True,
              help="Sequences; half positive.")  # fmt: skip
@click.option("--length", type=click.IntRange(1), default=200, show_default=True,
              help="bp of each.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=22, show_default=True,
              help="Names the draw.")  # fmt: skip
@click.option(
    "--negatives", type=click.Choice(["authors", "document"]), default="authors",
    show_default=True, help="Whether negatives may carry core motifs, as the published data do.",
)  # fmt: skip
@click.option(
    "--core",
    metavar="FILE",
    help="Motifs of positives (MEME, JASPAR or TRANSFAC text) instead of the usual five.",
)
@click.option("--background", metavar="FILE", help="Motifs of negatives instead of the usual pool.")
@click.option("--spans", metavar="FILE", type=OutputName(),
              help="Also write where every motif lies, as BED.")  # fmt: skip
@click.option("--motifs", metavar="FILE", type=OutputName(),
              help="Also write the core motifs, as MEME text.")  # fmt: skip
def command(
    output: str,
    rows: int,
    length: int,
    seed: int,
    negatives: str,
    core: str | None,
    background: str | None,
    spans: str | None,
    motifs: str | None,
) -> None:
    """Make the synthetic motif task: positives carry core motifs, negatives others.

    \b
    Example:
      fastseq simulate -o task.tsv.gz --spans motifs.bed --motifs core.meme
      fastseq train --data task.tsv.gz --model tum_resnet -o model.safetensors
    """
    pandas = load("pandas")
    carried = jaspar(CORE) if core is None else read_motifs(core)
    pool = None if background is None else read_motifs(background)
    task = fastseq.simulate_motif_task(
        rows, length, seed, core=carried, background=pool, negatives=negatives
    )
    names = [f"seq{row}" for row in range(len(task.codes))]
    folds = {"train": "train", "valid": "val", "test": "test"}
    table = pandas.DataFrame(
        {
            "name": names,
            "seq": fastseq.decode(task.codes),
            "label": task.labels,
            "fold": [folds[part] for part in task.split],
        }
    )
    write_table(table, output)
    if spans is not None:
        found = pandas.DataFrame(task.spans)
        chrom = [names[row] for row in task.spans["row"]]
        bed = found.assign(chrom=chrom, score=0)[
            ["chrom", "start", "end", "motif", "score", "strand"]
        ]
        write_bytes(spans, bed.to_csv(sep="\t", header=False, index=False).encode())
    if motifs is not None:
        write_bytes(motifs, format_motifs(carried).encode())
    done(output=output, rows=rows, length=length, planted=len(task.spans), seed=seed)
    note(f"{rows:,} sequences of {length} bp with {len(task.spans):,} planted motifs")
