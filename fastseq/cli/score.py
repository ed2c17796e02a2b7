"""What variants do to a model's answer, as a table or a folder of parts."""

import json
from collections import Counter
from typing import Any

import click

import fastseq
from fastseq.cli.options import (
    INTEGERS,
    ensemble,
    json_option,
    models_option,
    note,
    output_option,
    quiet,
    running_options,
    verb,
)
from fastseq.io.tables import write_table

TABLES = (".tsv", ".csv", ".parquet", ".tsv.gz", ".csv.gz")


@verb("score")
@models_option
@click.option("--vcf", required=True, metavar="FILE", help="VCF, BCF or table of variants, or '-'.")
@click.option("--fasta", required=True, metavar="FILE", help="The genome, compressed or not.")
@output_option("-", "A table (.tsv, .csv, .parquet), or a folder for Parquet parts.")
@click.option(
    "--contig-map", metavar="chr|roman|FILE",
    help="How the VCF's contig names become the FASTA's: chr adds or drops it, a file names pairs.",
)  # fmt: skip
@click.option("--regions", metavar="REGION|BED", help="Only these: chr1:1000-2000 or a BED file.")
@click.option("--normalize/--no-normalize", default=True, show_default=True,
              help="Trim and left-align first.")  # fmt: skip
@click.option(
    "--on-ref-mismatch", type=click.Choice(["skip", "swap", "force", "error"]), default="skip",
    show_default=True, help="Where REF is not in the genome.",
)  # fmt: skip
@click.option("--length", type=click.IntRange(1), help="Window in bp; the model's otherwise.")
@click.option("--anchor", type=click.Choice(["L//2", "L//2-1"]), default="L//2",
              show_default=True, help="Where the first base of REF stands.")  # fmt: skip
@running_options
@click.option("--shifts", type=INTEGERS, default="0", show_default=True,
              help="Average over the window moved by so many bp.")  # fmt: skip
@click.option("--scale", type=click.Choice(["output", "logit"]), default="output",
              show_default=True, help="'logit' takes effects before the activation.")  # fmt: skip
@click.option("--pseudocount", default=1.0, show_default=True, help="Of the fold change.")
@click.option("--reduce", type=click.Choice(["sum", "mean"]), help="Of a profile's positions.")
@click.option("--resume", is_flag=True, help="Go on with the folder of an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace what the folder holds.")
@json_option
def command(
    models: tuple[str, ...],
    vcf: str,
    fasta: str,
    output: str,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score every ALT allele in its own haplotype; one row per allele, in input order.

    \b
    Example:
      fastseq score --model model.safetensors --vcf sites.vcf.gz --fasta genome.fa.gz -o scores/
      fastseq score -m model.safetensors --vcf sites.vcf --fasta genome.fa --regions chr2:1-50000
    """
    arguments = (ensemble(models), vcf, fasta)
    options["progress"] = not quiet()
    if output == "-" or output.endswith(TABLES):
        if resume or overwrite:
            raise click.UsageError("--resume and --overwrite need -o to name a folder")
        frame: Any = fastseq.score_variants(*arguments, **options)
        write_table(frame, output)
        rows, counts = len(frame), Counter(frame["status"])
    else:
        manifest = fastseq.score_variants(
            *arguments, output=output, resume=resume, overwrite=overwrite, **options
        )
        rows, counts = manifest["rows"], manifest["counts"]
    if as_json and output != "-":
        click.echo(json.dumps({"output": output, "rows": rows, "counts": dict(counts)}))
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    note(f"{rows:,} alleles: {told or 'none'}")
