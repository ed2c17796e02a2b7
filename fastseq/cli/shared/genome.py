"""Options that cut training rows from a genome: regions, sequence, coverage, chromosomes."""

from collections.abc import Callable
from typing import Any

import click

from fastseq._lazy import load

STATISTICS = ["mean", "sum", "log_sum", "max"]
NAMES = (
    "bed", "fasta", "bigwig", "length", "statistic", "valid_chroms", "test_chroms", "drop_chroms",
    "background", "profile", "stretch",
)  # fmt: skip


def genome_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options, whose values `rows_of_genome` takes; without --bed there are no rows."""
    for option in (
        click.option("--background", type=click.FloatRange(0), default=1.0, show_default=True,
                     help="Windows without a region for each with one."),
        click.option("--drop-chroms", metavar="NAMES", help="Chromosomes to leave out: chrY,chrM."),
        click.option("--test-chroms", metavar="NAMES", help="Chromosomes to hold back: chr8."),
        click.option("--valid-chroms", metavar="NAMES", help="Chromosomes to validate on: chr9."),
        click.option("--stretch", type=click.IntRange(1), default=1, show_default=True,
                     help="Bases of a profile that are summed to one number."),
        click.option("--profile", type=click.IntRange(1), metavar="BP",
                     help="Coverage of so many middle bases, each by itself (bpnet, basenji)."),
        click.option("--statistic", type=click.Choice(STATISTICS), default="mean",
                     show_default=True, help="What of the coverage is the label."),
        click.option("--length", type=click.IntRange(1), default=1000, show_default=True,
                     help="Windows around the regions' middles, in bp."),
        click.option("--bigwig", multiple=True, metavar="FILE",
                     help="Coverage to predict, may be repeated; without it, region or none."),
        click.option("--fasta", metavar="FILE", help="The genome that --bed counts in."),
        click.option("--bed", metavar="FILE", help="Regions to cut windows around."),
    ):  # fmt: skip
        function = option(function)
    return function


def rows_of_genome(data: str | None, options: dict[str, Any], seed: int) -> Any:
    """Take the genome's options out of the others; return the rows they name, or None.

    Raises
    ------
    click.UsageError
        There is neither a table nor a genome, or both.
    """
    given = {name: options.pop(name) for name in NAMES}
    if (data is None) == (given["bed"] is None):
        raise click.UsageError("expected either --data, or --bed with --fasta")
    if given["bed"] is None:
        return None
    if given["fasta"] is None:
        raise click.UsageError("--bed needs --fasta, the genome it counts in")
    chroms = {
        use: [name for name in (given.pop(f"{use}_chroms") or "").split(",") if name]
        for use in ("valid", "test", "drop")
    }
    bed, fasta, profile = given.pop("bed"), given.pop("fasta"), given.pop("profile") or 0
    return load("fastseq.learn.genome").from_genome(
        bed, fasta, seed=seed, profile=profile, **given, **chroms
    )


def as_table(rows: Any) -> Any:
    """Return rows as a table: seq, a column a task, and fold where there are folds."""
    decode = load("fastseq.sequence.decode").decode
    columns = {"seq": decode(rows.codes), **dict(zip(rows.tasks, rows.targets.T))}
    if rows.fold is not None:
        columns["fold"] = rows.fold
    return load("pandas").DataFrame(columns)
