"""Regions of a genome: from BED files and from texts such as chr1:1,001-2,000."""

import re
from collections.abc import Sequence
from os import PathLike, fspath
from typing import NamedTuple

from fastseq.errors import FormatError, OptionError
from fastseq.io.files import chunks

REGION = re.compile(r"^(?P<chrom>.+?)(:(?P<first>[\d,]+)(-(?P<last>[\d,]+)?)?)?$")


class Region(NamedTuple):
    """A stretch of a contig, 0-based and half-open; ``end`` None: to the contig's end."""

    chrom: str
    start: int
    end: int | None


def parse_region(text: str) -> Region:
    """Return a region from the samtools form ``chrom``, ``chrom:first`` or ``chrom:first-last``.

    First and last count from 1 and are both inside; commas are skipped.

    Raises
    ------
    OptionError
        It is not of that form, or ends before it starts.

    Examples
    --------
    >>> parse_region("chr1:1,001-2,000")
    Region(chrom='chr1', start=1000, end=2000)
    """
    match = REGION.match(text.strip())
    if match is None:
        raise OptionError(f"region {text!r}; expected chrom:first-last, such as chr1:1001-2000")
    first, last = match["first"], match["last"]
    start = int(first.replace(",", "")) - 1 if first else 0
    end = int(last.replace(",", "")) if last else None
    if start < 0 or (end is not None and end <= start):
        raise OptionError(f"region {text!r} holds no base; expected 1 <= first <= last")
    return Region(match["chrom"], start, end)


def read_bed(path: str | PathLike[str]) -> list[Region]:
    """Return the regions of a BED file (plain, gzip or bgzip; ``-`` is standard input).

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        A line has fewer than three columns, or start and end are no numbers in order.
    """
    regions = []
    lines = b"".join(chunks(path)).decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split("\t") if "\t" in line else line.split()
        try:
            start, end = int(fields[1]), int(fields[2])
        except (IndexError, ValueError) as error:
            raise FormatError(
                f"{path}: line {number} is {line[:60]!r}; expected chrom, start and end"
            ) from error
        if not 0 <= start <= end:
            raise FormatError(f"{path}: line {number}: expected 0 <= start <= end")
        regions.append(Region(fields[0], start, end))
    return regions


def read_regions(regions: str | PathLike[str] | Sequence[str]) -> list[Region]:
    """Return regions from a BED file, one text or a list of texts.

    A text that ends in .bed or .bed.gz is a file.
    """
    if isinstance(regions, (str, PathLike)):
        if fspath(regions).removesuffix(".gz").endswith(".bed"):
            return read_bed(regions)
        regions = [fspath(regions)]
    return [parse_region(text) for text in regions]
