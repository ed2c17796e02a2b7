"""What is explained at a prompt: sequences of a file, or regions of a genome; and maps of them."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import click
import numpy as np

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.cli.shared.files import TABLES
from fastseq.cli.shared.options import output_option, sequence_options
from fastseq.cli.shared.sequences import read_checked
from fastseq.cli.shared.verb import done, quiet
from fastseq.errors import FormatError, OptionError
from fastseq.io.bed import read_bed
from fastseq.io.fasta import Genome
from fastseq.io.map_shards import SHARD, are_shards
from fastseq.io.maps import Maps, write_maps
from fastseq.io.tables import write_table

BED = (".bed", ".bed.gz", ".narrowPeak", ".narrowPeak.gz", ".broadPeak")


# what an interrupt says of outputs that are written at the end
OTHERWISE = "a folder or .zarr group (-o maps/) is written as it is made and can be resumed"


class Lowered:
    """The models of a verb, lowered when first asked for.

    Attributes
    ----------
    rest : dict
        The options that do not go into the lowering.
    """

    def __init__(self, models: tuple[str, ...], options: dict[str, Any]) -> None:
        into = ("device", "precision", "batch_size")
        self._models, self._options = models, {name: options[name] for name in into}
        self.rest = {name: value for name, value in options.items() if name not in into}
        self._plans: list[Any] = []

    def length(self) -> int:
        """Return the bases of the model's variable part."""
        return load("fastseq.models").load(self._models[0]).input_spec.variable

    def all(self, given: "Given") -> list[Any]:
        """Return the plans."""
        if not self._plans:
            lower = load("fastseq.lower.ensemble").lower_all
            small = None if self.rest.get("engine") == "incremental" else 3 * given.codes.size
            self._plans = lower(
                list(self._models), length=given.codes.shape[1], sequences=small, **self._options
            )
        return self._plans

    def ran(self) -> list[dict[str, str]]:
        """Return which models ran, and how."""
        return [
            {"model": model, "precision": plan.precision, "device": str(plan.device)}
            for model, plan in zip(self._models, self._plans)
        ]


explained_option = output_option(
    "-", ".npz with the maps, folder/ or .zarr of shards, or a table (.tsv, .parquet).",
    endings=[".npz", ".zarr", *TABLES], folders=True,
)  # fmt: skip


class Given(NamedTuple):
    """Names and sequences of one length."""

    names: tuple[str, ...]
    codes: Codes


def given_options(function: Callable[..., None], *, required: bool = True) -> Callable[..., None]:
    """Add the input: a FASTA, a table, lines of bases, or a BED file and its genome."""
    for option in (
        click.option("--shard", type=click.IntRange(1), default=SHARD, show_default=True,
                     help="Sequences in a shard, a multiple of 64; one is in memory at a time."),
        click.option("--resume", is_flag=True, help="Go on with a folder or Zarr group."),
        click.option("--rows", type=click.IntRange(1), help="Only the first so many sequences."),
        click.option("--fasta", metavar="FILE", help="The genome that a BED file counts in."),
    ):  # fmt: skip
        function = option(function)
    return partial(sequence_options, required=required)(function)


def read_given(
    path: str, column: str | None, name_column: str | None, rows: int | None, fasta: str | None,
    length: Callable[[], int],
) -> Given:  # fmt: skip
    """Return the sequences of a file, or the windows around the middles of a BED file's regions.

    Parameters
    ----------
    length : callable
        Gives the bases in a window; asked only for a BED file.

    Raises
    ------
    OptionError
        A BED file without a genome, or a genome without one.
    FormatError
        The BED file holds no region.
    """
    if not path.endswith(BED):
        if fasta is not None:
            raise OptionError(f"--fasta {fasta} goes with a BED file; found {path}")
        names, seqs = read_checked(path, column, name_column, rows)
        return Given(tuple(names), load("fastseq.score.predict").as_rows(seqs))
    if fasta is None:
        raise OptionError(f"{path} counts in a genome; name it by --fasta")
    regions, genome = read_bed(path)[:rows], Genome.open(fasta)
    if not regions:
        raise FormatError(f"{path}: holds no region")
    ends = [genome.contigs[r.chrom] if r.end is None else r.end for r in regions]
    middle = np.array([(region.start + end) // 2 for region, end in zip(regions, ends)])
    places, bases = np.array([genome.index(region.chrom) for region in regions]), length()
    names = tuple(f"{r.chrom}:{r.start + 1}-{end}" for r, end in zip(regions, ends))
    return Given(names, genome.windows(places, middle - bases // 2, bases))


def write_explained(
    output: str,
    given: Given,
    explain: Callable[..., Any],
    table: Callable[[Maps], dict[str, Any]],
    *,
    resume: bool,
    shard: int,
) -> None:
    """Write maps to where the output's name says: shards, one .npz file, or a table.

    Parameters
    ----------
    explain : callable
        Returns the result of all sequences, or with ``output`` the manifest of their shards.
    table : callable
        From maps to the columns of a table.

    Raises
    ------
    OptionError
        ``--resume`` for one file.
    """
    if are_shards(output):
        manifest = explain(
            output=output, names=given.names, resume=resume, shard=shard, progress=not quiet()
        )
        about = manifest["identity"]
        written: dict[str, Any] = {"method": about["method"], "tasks": about["tasks"]}
        written["shards"] = -(-about["rows"] // shard)
    else:
        if resume:
            raise OptionError(f"--resume goes on with a folder or a .zarr group; found {output}")
        maps = explain(progress=not quiet()).maps(given.names)
        written = {"method": maps.method, "tasks": maps.tasks}
        if output.endswith(".npz"):
            write_maps(output, maps)
        else:
            columns = table(maps)
            written["rows"] = len(columns["pos"])
            write_table(load("pandas").DataFrame(columns), output)
    done(output=output, sequences=len(given.codes), length=given.codes.shape[1], **written)
