"""Two tables of variant scores joined row by row, and where and how they disagree."""

import click

from fastseq._lazy import load
from fastseq.cli.shared.files import TABLES, OutputName
from fastseq.cli.shared.verb import answer, note, verb
from fastseq.errors import TableError
from fastseq.io.tables import write_table


@verb("compare")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--column-a", metavar="NAME", help="Score of A; diff, log2fc, score or effect else.")
@click.option("--column-b", metavar="NAME", help="Score of B; likewise.")
@click.option("-o", "--output", metavar="FILE", type=OutputName(TABLES),
              help="Also write the joined rows as a table.")  # fmt: skip
def command(a: str, b: str, column_a: str | None, column_b: str | None, output: str | None) -> None:
    """Join two tables or folders of scores on chrom, pos, ref, alt and tell how they differ.

    Prints what is likely to be behind the differences, then the agreement by class of variant.

    \b
    Example:
      fastseq compare scores/ theirs.tsv --column-b delta -o joined.tsv
    """
    found = load("fastseq.score.compare").compare(a, b, column_a=column_a, column_b=column_b)
    lines = found.explain().splitlines()
    if not len(found.joined):
        raise TableError(f"{a} and {b}: {lines[0]}")
    if output is not None:
        write_table(found.joined, output)
        note(f"{len(found.joined):,} joined rows are in {output}")
    told = {
        "joined": len(found.joined), "only_a": found.only_a, "only_b": found.only_b,
        "how": found.joined["how"].value_counts().to_dict(), "explanation": lines,
        "classes": found.classes.astype(float).to_dict("index"),
    }  # fmt: skip
    table = found.classes.rename_axis("class").to_csv(
        sep="\t", float_format="%.6g", lineterminator="\n"
    )
    answer("\n".join([*lines, "", table.rstrip("\n")]), output=output, **told)
