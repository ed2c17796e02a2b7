"""Variants from whatever holds them: VCF, BCF, tables, texts, or every SNV of a region."""

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.errors import FastseqWarning, OptionError, TableError
from fastseq.io.bed import Region, read_regions
from fastseq.io.contigs import ContigMap, with_places
from fastseq.io.fasta import Genome
from fastseq.io.files import first_bytes, sha256
from fastseq.io.indexed import BCF, index_of
from fastseq.io.tables import read_table
from fastseq.io.vcf import BLOCK, BYTE_ORDER_MARK, read_vcf
from fastseq.sequence.alleles import Variants, every_snv

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = "str | PathLike[str] | pd.DataFrame | Sequence[str]"
Regions: TypeAlias = "str | PathLike[str] | Sequence[str] | None"

COLUMNS = ("chrom", "pos", "ref", "alt")
# contigs may hold colons (HLA*01:01), and so may breakends
TEXT = re.compile(r"^(.+):(\d[\d,]*):([^:]+):(.+)$", re.ASCII)
# beyond it no contig reaches, and 64 bits still hold it
FARTHEST = 10**18


def read_variants(
    source: Source, *, block: int = BLOCK, regions: Sequence[Region] | None = None
) -> Iterator[Variants]:
    """Yield variants in blocks of ``block`` input records, one row per ALT allele, in input order.

    Parameters
    ----------
    source : path-like, DataFrame or list of str
        A VCF or BCF (``-`` or a pipe: VCF only); a TSV, CSV or Parquet table or a DataFrame
        with columns chrom, pos, ref, alt and perhaps id, in any case; or texts
        ``chrom:pos:ref:alt``. ALT may hold several alleles with commas between.
    block : int
    regions : sequence of Region, optional
        Records elsewhere may be left out, and are where an index lies beside the file.

    Raises
    ------
    MissingFileError, UnreadableFileError, FormatError
        The file cannot be read, is empty or does not parse.
    TableError
        The table has no such columns, or a text is not of that form.
    """
    if isinstance(source, (str, PathLike)):
        if is_stream(source) or _is_vcf(first_bytes(source)):
            yield from read_vcf(source, block=block, regions=regions)
            return
        names = first_bytes(source).partition(b"\n")[0].decode("utf-8", "replace")
        text = [name for name in re.split(r"[\t,;\r]", names) if _plain(name) != "pos"]
        yield from _from_table(read_table(source, text=text), fspath(source), block)
    elif isinstance(source, Sequence):
        yield from _from_texts(list(source), block)
    else:
        yield from _from_table(source, "the table", block)


def is_stream(source: "Source | None") -> bool:
    """Say whether variants can be read only once: standard input, or a pipe by name."""
    if not isinstance(source, (str, PathLike)):
        return False
    return fspath(source) == "-" or Path(source).is_fifo()


def _is_vcf(head: bytes) -> bool:
    head = head.removeprefix(BYTE_ORDER_MARK).lstrip(b"\r\n")
    if head.startswith((b"##", b"#CHROM\tPOS\tID\tREF\tALT", BCF)) or not head.strip():
        return True
    fields = head.partition(b"\n")[0].split(b"\t")
    return len(fields) >= 5 and fields[1].isdigit()


def _plain(name: object) -> str:
    return str(name).lstrip("#").strip().lower()


def _from_table(frame: "pd.DataFrame", where: str, block: int) -> Iterator[Variants]:
    pandas = load("pandas")
    found = {_plain(name): name for name in reversed(frame.columns)}
    if missing := [name for name in COLUMNS if name not in found]:
        raise TableError(
            f"{where}: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
        )
    position = pandas.to_numeric(frame[found["pos"]], errors="coerce")
    known = (position % 1 == 0) & (position.abs() <= FARTHEST)
    pos = position.where(known).fillna(0).to_numpy(np.int64)

    def text(name: str) -> list[str]:
        return frame[found[name]].fillna("").astype(str).tolist()

    chrom, ref, alt = text("chrom"), text("ref"), text("alt")
    id = text("id") if "id" in found else ["."] * len(frame)
    for at in range(0, max(len(frame), 1), block):
        part = slice(at, at + block)
        yield Variants.from_texts(chrom[part], pos[part], id[part], ref[part], alt[part], at)


def _from_texts(texts: list[str], block: int) -> Iterator[Variants]:
    rows = []
    for number, text in enumerate(texts):
        found = TEXT.match(str(text))
        if found is None:
            raise TableError(f"variant {number} is {text!r}; expected chrom:pos:ref:alt")
        rows.append((found[1], min(int(found[2].replace(",", "")), FARTHEST), found[3], found[4]))
    for at in range(0, max(len(rows), 1), block):
        chrom, pos, ref, alt = zip(*rows[at : at + block]) if rows else ((), (), (), ())
        places = np.array(pos, np.int64)
        yield Variants.from_texts(chrom, places, ["."] * len(pos), ref, alt, at)


def within(blocks: Iterable[Variants], regions: Sequence[Region]) -> Iterator[Variants]:
    """Yield the blocks with only those rows whose POS lies in one of the regions.

    Warns
    -----
    FastseqWarning
        A region names a contig that no record is on, as a misspelt one does.
    """
    met: set[str] = set()
    for block in blocks:
        met.update(block.contigs)
        start = block.pos - 1
        keep = np.zeros(len(block), bool)
        for region in regions:
            if region.chrom in block.contigs:
                inside = block.chrom == block.contigs.index(region.chrom)
                inside &= start >= region.start
                keep |= inside if region.end is None else inside & (start < region.end)
        yield block[keep]
    absent = sorted({region.chrom for region in regions} - met)
    if absent:
        warnings.warn(
            f"no record is on {', '.join(absent)}, which the regions name; the records are on "
            f"{', '.join(sorted(met)) or 'no contig'}",
            FastseqWarning,
            stacklevel=2,
        )


@dataclass(frozen=True, eq=False)
class VariantInput:
    """Which alleles a run scores: the variants of a source, or every SNV of some regions.

    Parameters
    ----------
    source : path-like, DataFrame, list of str, or None
        As `read_variants`; None with ``saturate``.
    contig_map : mapping, path, "chr", "roman" or None
        From the variants' contig names to the FASTA's.
    regions : str, path, list of str or None
        Only records whose POS lies in them.
    saturate : str, path, list of str or None
        Regions of which every single-base substitution is an allele.
    block : int
        Input records (positions, with ``saturate``) in a block.

    Raises
    ------
    OptionError
        Both a source and ``saturate`` are given, or neither.
    """

    source: "Source | None" = None
    contig_map: ContigMap = None
    regions: Regions = None
    saturate: Regions = None
    block: int = BLOCK

    def __post_init__(self) -> None:
        if (self.source is None) == (self.saturate is None):
            raise OptionError("expected either variants or saturate=, the regions of all SNVs")
        if self.block < 1:
            raise OptionError(f"{self.block} records in a part; expected at least 1")

    def blocks(self, genome: Genome) -> Iterator[tuple[Variants, NDArray[np.int32]]]:
        """Yield blocks of variants, each with the genome's contig of each of its names."""
        if self.saturate is not None:
            # regions carry the FASTA's own names
            regions = read_regions(self.saturate)
            yield from with_places(_saturated(genome, regions, self.block), genome, self.contig_map)
            return
        assert self.source is not None
        regions = None if self.regions is None else read_regions(self.regions)
        blocks = read_variants(self.source, block=self.block, regions=regions)
        if regions is not None:
            blocks = within(blocks, regions)
        yield from with_places(blocks, genome, self.contig_map)

    def identity(self) -> dict:
        """Return what the input is, in JSON values, files by their checksums."""
        return {
            "variants": fingerprint(self.source),
            "contig_map": named(self.contig_map),
            "regions": named(self.regions),
            # blocks then count the records near the regions, not all of the file
            "indexed": self.regions is not None and _is_indexed(self.source),
            "saturate": named(self.saturate),
            "block": self.block,
        }


def _saturated(genome: Genome, regions: Sequence[Region], block: int) -> Iterator[Variants]:
    first = 0
    for region in regions:
        size = genome.contigs[genome.names[genome.index(region.chrom)]]
        end = size if region.end is None else min(region.end, size)
        for start in range(region.start, end, block):
            stop = min(start + block, end)
            codes = genome.codes(region.chrom, start, stop)
            yield every_snv(region.chrom, start, codes, first)
            first += stop - start
    if first == 0:
        raise OptionError("the regions hold no base of the genome")


def fingerprint(source: "Source | None") -> dict | None:
    """Return name and checksum of variants, in JSON values."""
    if source is None:
        return None
    if isinstance(source, (str, PathLike)):
        if is_stream(source):
            return {"name": "-"}
        return {"name": Path(source).name, "sha256": sha256(source)}
    text = "\n".join(source) if isinstance(source, Sequence) else source.to_csv(index=False)
    return {"name": "table", "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _is_indexed(source: "Source | None") -> bool:
    if is_stream(source) or not isinstance(source, (str, PathLike)):
        return False
    return index_of(source) is not None


def named(value: "ContigMap | Regions") -> object:
    """Return an option in JSON values; a file by name and checksum."""
    if isinstance(value, (str, PathLike)):
        path = Path(value)
        return {"name": path.name, "sha256": sha256(path)} if path.is_file() else fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value if value is None else list(value)
