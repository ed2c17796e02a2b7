"""Sequences with planted motifs, as a table that `train` reads."""

import click

import fastseq
from fastseq._lazy import load
from fastseq.cli.options import note, output_option, verb
from fastseq.io.files import write_bytes
from fastseq.io.tables import write_table


@verb("simulate")
@output_option("-", "Table with name, seq, label and fold (.tsv, .csv, .parquet, .gz of these).")
@click.option("-n", "--rows", default=20_000, show_default=True, help="Sequences; half positive.")
@click.option("--length", default=200, show_default=True, help="bp of each.")
@click.option("--seed", default=22, show_default=True, help="Names the draw.")
@click.option(
    "--negatives", type=click.Choice(["authors", "document"]), default="authors",
    show_default=True, help="Whether negatives may carry core motifs, as the published data do.",
)  # fmt: skip
@click.option("--spans", metavar="FILE", help="Also write where every motif lies, as BED.")
def command(
    output: str, rows: int, length: int, seed: int, negatives: str, spans: str | None
) -> None:
    """Make the synthetic motif task: positives carry core motifs, negatives others.

    \b
    Example:
      fastseq simulate -o task.tsv.gz --spans motifs.bed
      fastseq train --data task.tsv.gz --model tum_resnet -o model.safetensors
    """
    pandas = load("pandas")
    task = fastseq.simulate_motif_task(rows, length, seed, negatives=negatives)
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
    note(f"{rows:,} sequences of {length} bp with {len(task.spans):,} planted motifs")
