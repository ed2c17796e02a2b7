"""A folder of scores as one table for other tools."""

import click

from fastseq._lazy import load
from fastseq.cli.shared.files import OutputName
from fastseq.cli.shared.verb import done, note, verb
from fastseq.errors import OptionError
from fastseq.io.results import SINGLE


@verb("export")
@click.argument("folder", metavar="FOLDER")
@click.argument("file", metavar="FILE", type=OutputName(SINGLE))
def command(folder: str, file: str) -> None:
    """Write a finished folder of scores to one table, part by part; '-' is standard output.

    The ending says how: .tsv, .csv, either with .gz, or .parquet.

    \b
    Example:
      fastseq export scores/ scores.tsv.gz
      fastseq export scores/ - | cut -f 1-5,13
    """
    if file != "-" and not file.endswith(SINGLE):
        raise OptionError(f"{file}: expected - or a name ending in {', '.join(SINGLE)}")
    found = load("fastseq.io.results").export(folder, file)
    done(folder=folder, output=file, rows=found["rows"], counts=found["counts"])
    note(f"{found['rows']:,} rows" + (f" are in {file}" if file != "-" else ""))
