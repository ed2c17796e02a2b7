"""Scores written back into the VCF they came from."""

import click

from fastseq._lazy import load
from fastseq.cli.shared.files import OutputName
from fastseq.cli.shared.verb import done, note, verb
from fastseq.errors import OptionError

ENDINGS = (".vcf", ".vcf.gz")


@verb("annotate")
@click.argument("folder", metavar="FOLDER")
@click.argument("vcf", metavar="VCF")
@click.argument("output", metavar="OUT", type=OutputName(ENDINGS))
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
    count = load("fastseq.io.annotate").annotate_vcf(folder, vcf, output)
    done(folder=folder, vcf=vcf, output=output, records=count)
    note(f"{count:,} records are in {output}")
