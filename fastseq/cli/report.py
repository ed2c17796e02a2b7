"""One HTML page of what the other verbs wrote."""

from pathlib import Path

import click

from fastseq.cli.shared.options import output_option
from fastseq.cli.shared.verb import done, note, verb
from fastseq.show.pages import sections_of
from fastseq.show.report import report


@verb("report")
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
@output_option("report.html", "The page.", endings=[".html", ".htm"])
@click.option("--title", help="Its title; otherwise the names of the results.")
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=6,
    show_default=True,
    help="Sequences drawn of each map.",
)
@click.option(
    "--rows", type=click.IntRange(0), default=5000, show_default=True, help="Most rows of a table."
)
def command(
    results: tuple[str, ...], output: str, title: str | None, examples: int, rows: int
) -> None:
    """Show results on one page that opens anywhere: no network, no server.

    A RESULT is a checkpoint, an .npz of 'ism' or 'attribute', a table of 'predict', 'evaluate',
    'score' or 'kmers', a folder of 'score', the JSON of 'kld' or 'evaluate', the folder of a
    study of models, or a folder with any of these.

    \b
    Example:
      fastseq report model.safetensors ism.npz scores/ kld.json -o report.html
    """
    sections = sections_of(results, examples=examples)
    names = ", ".join(Path(result).name for result in results)
    report(output, title or names, sections, most_rows=rows)
    done(output=output, results=results, sections=[section.title for section in sections])
    note(f"{output}: {len(sections)} section{'s' * (len(sections) != 1)}")
