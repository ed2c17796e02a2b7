"""What variants do to a model's answer, as a table or a folder of parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

import fastseq
from fastseq.cli.shared.options import (
    as_run,
    engine_option,
    ensemble,
    models_option,
    output_option,
    running_options,
    view_options,
)
from fastseq.cli.shared.verb import answer, done, note, quiet, verb
from fastseq.io.results import is_single

FOLDER_ONLY = {
    "resume": False, "overwrite": False, "workers": 1, "devices": None, "cluster": None,
}  # fmt: skip


def _devices(
    ctx: click.Context, param: click.Parameter, text: str | None
) -> int | str | list[str] | None:
    if text is None or text == "all":
        return text
    return int(text) if text.isdigit() else text.split(",")


@verb("score", resumes=lambda output: not is_single(output),
      otherwise="a folder (-o scores/) is written as it is made and can be resumed")  # fmt: skip
@models_option
@click.option("--vcf", metavar="FILE", help="VCF, BCF or table of variants, or '-'.")
@click.option("--variant", "texts", multiple=True, metavar="CHROM:POS:REF:ALT",
              help="Instead of --vcf: this variant; several may be given.")  # fmt: skip
@click.option(
    "--saturate", multiple=True, metavar="REGION|BED",
    help="Instead of --vcf: every substitution in chr1:1000-2000 or a BED file.",
)  # fmt: skip
@click.option(
    "--tile", type=click.IntRange(1), default=1, show_default=True,
    help="With --saturate: so many neighbouring bases share a window, not centred on each.",
)  # fmt: skip
@click.option("--fasta", required=True, metavar="FILE", help="The genome, compressed or not.")
@output_option("-", "A table (.tsv, .csv, either .gz, .parquet), or a folder for Parquet parts.")
@click.option(
    "--contig-map", metavar="chr|roman|FILE",
    help="How the VCF's contig names become the FASTA's: chr adds or drops it, a file names pairs.",
)  # fmt: skip
@click.option("--regions", multiple=True, metavar="REGION|BED",
              help="Only these of --vcf: chr1:1000-2000 or a BED file.")  # fmt: skip
@click.option("--normalize/--no-normalize", default=True, show_default=True,
              help="Trim and left-align first.")  # fmt: skip
@click.option(
    "--on-ref-mismatch", type=click.Choice(["skip", "swap", "force", "error"]), default="skip",
    show_default=True, help="Where REF is not in the genome.",
)  # fmt: skip
@click.option("--length", type=click.IntRange(1), help="Window in bp; the model's otherwise.")
@click.option("--anchor", type=click.Choice(["L//2", "L//2-1"]), default="L//2",
              show_default=True, help="Where the first base of REF stands.")  # fmt: skip
@click.option(
    "--indel", type=click.Choice(["left", "compensate"]), default="left", show_default=True,
    help="'left' keeps the left flank; 'compensate' averages that with the right one kept.",
)  # fmt: skip
@running_options
@engine_option
@view_options
@click.option(
    "--pseudocount",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Of the fold change.",
)
@click.option("--reduce", type=click.Choice(["sum", "mean"]), help="Of a profile's positions.")
@click.option("--null", type=click.IntRange(0), default=0, show_default=True,
              help="Alleles in shuffled windows behind a p_value.")  # fmt: skip
@click.option("--null-seed", type=click.IntRange(0), default=0, show_default=True,
              help="Names their draw.")  # fmt: skip
@click.option("--null-vcf", "null_variants", metavar="FILE",
              help="Matched background variants behind a p_value, instead.")  # fmt: skip
@click.option("--active", multiple=True, metavar="REGION|BED",
              help="Such as peaks: adds active_quantile, the active allele's rank.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only count, and estimate time and memory.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Processes that share the folder's parts.")  # fmt: skip
@click.option(
    "--devices", metavar="N|all|NAMES", callback=_devices,
    help="GPUs that the workers take in turns: so many, or such as cuda:0,cuda:2.",
)  # fmt: skip
@click.option("--cluster", metavar="ADDRESS", help="Workers on a Ray cluster: auto, local, host.")
@click.option("--shard", type=click.IntRange(1), help="Input records in a part; 32,768 otherwise.")
@click.option("--resume", is_flag=True, help="Go on with the folder of an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace what the folder holds.")
def command(
    models: tuple[str, ...],
    vcf: str | None,
    texts: tuple[str, ...],
    saturate: tuple[str, ...],
    regions: tuple[str, ...],
    active: tuple[str, ...],
    fasta: str,
    output: str,
    dry_run: bool,
    shard: int | None,
    **options: Any,
) -> None:
    """Score every ALT allele in its own haplotype; one row per allele, in input order.

    \b
    Example:
      fastseq score --model model.safetensors --vcf sites.vcf.gz --fasta genome.fa.gz -o scores/
      bcftools view sites.bcf | fastseq score -m model.safetensors --vcf - --fasta genome.fa | less
      fastseq score -m model.safetensors --variant chr2:1,204:G:A,T --fasta genome.fa
      fastseq score -m model.safetensors --saturate chr2:1-5000 --fasta genome.fa -o all.tsv.gz
    """
    if (vcf is not None) + bool(texts) + bool(saturate) != 1:
        raise click.UsageError("expected one of --vcf, --variant and --saturate")
    if regions and vcf is None:
        raise click.UsageError("--regions chooses among the records of --vcf")
    if options["tile"] != 1 and not saturate:
        raise click.UsageError("--tile shares windows among the alleles of --saturate")
    given = [name for name, plain in FOLDER_ONLY.items() if options[name] != plain]
    if given and not dry_run and is_single(output):
        raise click.UsageError(f"--{' and --'.join(given)}: -o is to name a folder")
    if shard is not None:
        options["shard"] = shard
    if dry_run:
        options["null"] = 0  # its alleles would be scored
    found: Any = fastseq.score_variants(
        ensemble(models), list(texts) or vcf, fasta,
        regions=_one_or_more(regions), saturate=_one_or_more(saturate),
        active=_one_or_more(active),
        output=None if dry_run else output, dry_run=dry_run, progress=not quiet(), **options,
    )  # fmt: skip
    if dry_run:
        _tell(found)
        return
    if "rows" not in found:
        note(f"the parts of this rank are in {output}; others have yet to finish theirs")
        return
    rows, counts = found["rows"], found["counts"]
    done(output=output, rows=rows, counts=counts, models=as_run(models, options))
    told = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
    note(f"{rows:,} alleles: {told or 'none'}")


def _one_or_more(texts: Sequence[str]) -> "str | list[str] | None":
    """Return what the library reads as one file or region, as several regions, or as none."""
    return texts[0] if len(texts) == 1 else list(texts) or None


def _tell(estimate: Mapping[str, Any]) -> None:
    counts = {f"rows {status}": count for status, count in estimate["counts"].items()}
    told = {**estimate, **counts}.items()
    lines = [f"{k}\t{value}" for k, value in told if k != "counts" and value is not None]
    answer("\n".join(lines), **estimate)
