"""Scores written back into the VCF they came from."""

from pathlib import Path

import click

from fastseq._lazy import load
from fastseq.cli.shared.options import note, verb
from fastseq.errors import OptionError

ENDINGS = (".vcf", ".vcf.gz")


@verb("annotate")
@click.argument("folder", metavar="FOLDER")
@click.argument("vcf", metavar="VCF")
@click.argument("output", metavar="OUT")
def command(folder: str, vcf: str, output: str) -> None:
    """Write the scored VCF or BCF again as VCF, each score an INFO field FS_..., one value per ALT.

    OUT.vcf.gz is bgzip, with an index beside it where the records are sorted. FOLDER holds the
    scores of all alleles of this very VCF.

    \b
    Example:
      fastseq annotate scores/ sites.vcf.gz sites.scored.vcf.gz
    """
    if not output.endswith(ENDINGS):
        raise OptionError(f"{output}: expected a name ending in {' or '.join(ENDINGS)}")
    if Path(output).resolve() == Path(vcf).resolve():
        raise OptionError(f"{output}: would replace the VCF it is made from; name another file")
    count = load("fastseq.io.annotate").annotate_vcf(folder, vcf, output)
    note(f"{count:,} records are in {output}")
