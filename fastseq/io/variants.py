"""Variants from whatever holds them: VCF, BCF, tables, texts; and contig names brought together."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.errors import ContigError, FastseqWarning, OptionError, TableError
from fastseq.io.bed import Region
from fastseq.io.fasta import Genome, listed
from fastseq.io.files import chunks, first_bytes
from fastseq.io.tables import read_table
from fastseq.io.vcf import BCF, BLOCK, read_vcf
from fastseq.sequence.alleles import Variants

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = "str | PathLike | pd.DataFrame | Sequence[str]"
ContigMap: TypeAlias = "Mapping[str, str] | str | PathLike | None"

COLUMNS = ("chrom", "pos", "ref", "alt")
# contigs may hold colons (HLA*01:01), and so may breakends
TEXT = re.compile(r"^(.+):([\d,]+):([^:]+):(.+)$")
ROMAN = ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
# blocks held back while no contig is known: a file may begin with contigs that the FASTA lacks
PATIENCE = 16


def read_variants(source: Source, *, block: int = BLOCK) -> Iterator[Variants]:
    """Yield variants in blocks of ``block`` input records, one row per ALT allele, in input order.

    Parameters
    ----------
    source : path-like, DataFrame or list of str
        A VCF or BCF (``-``: VCF on standard input); a TSV, CSV or Parquet table or a DataFrame
        with columns chrom, pos, ref, alt and perhaps id, in any case; or texts
        ``chrom:pos:ref:alt``. ALT may hold several alleles with commas between.
    block : int

    Raises
    ------
    MissingFileError, UnreadableFileError, FormatError
        The file cannot be read, is empty or does not parse.
    TableError
        The table has no such columns, or a text is not of that form.
    """
    if isinstance(source, (str, PathLike)):
        if fspath(source) == "-" or _is_vcf(first_bytes(source)):
            yield from read_vcf(source, block=block)
            return
        names = first_bytes(source).partition(b"\n")[0].decode("utf-8", "replace")
        text = [name for name in re.split(r"[\t,;\r]", names) if _plain(name) != "pos"]
        yield from _from_table(read_table(source, text=text), fspath(source), block)
    elif hasattr(source, "columns"):
        yield from _from_table(source, "the table", block)
    else:
        yield from _from_texts(list(source), block)


def _is_vcf(head: bytes) -> bool:
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
    pos = position.where(position % 1 == 0).fillna(0).to_numpy(np.int64)

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
        rows.append((found[1], int(found[2].replace(",", "")), found[3], found[4]))
    for at in range(0, max(len(rows), 1), block):
        chrom, pos, ref, alt = zip(*rows[at : at + block]) if rows else ((), (), (), ())
        places = np.array(pos, np.int64)
        yield Variants.from_texts(chrom, places, ["."] * len(pos), ref, alt, at)


def within(blocks: Iterable[Variants], regions: Sequence[Region]) -> Iterator[Variants]:
    """Yield the blocks with only those rows whose POS lies in one of the regions."""
    for block in blocks:
        start = block.pos - 1
        keep = np.zeros(len(block), bool)
        for region in regions:
            if region.chrom in block.contigs:
                inside = block.chrom == block.contigs.index(region.chrom)
                inside &= start >= region.start
                keep |= inside if region.end is None else inside & (start < region.end)
        yield block[keep]


def contig_places(
    contigs: Sequence[str], genome: Genome, mapping: ContigMap = None
) -> NDArray[np.int32]:
    """Return the genome's contig for each name, -1 where it has none.

    Parameters
    ----------
    contigs : sequence of str
    genome : Genome
    mapping : mapping, path, "chr", "roman" or None
        None: equal names only. A mapping, or a file of two columns, from the names of the
        variants to those of the FASTA. "chr" drops or adds the prefix; "roman" also reads
        chromosome7, chr7 and 7 as chrVII.

    Raises
    ------
    OptionError
        A file of names without two columns.
    """
    place = {name: at for at, name in enumerate(genome.names)}
    if mapping is None:
        return np.array([place.get(name, -1) for name in contigs], np.int32)
    if mapping in ("chr", "roman"):
        core: Callable[[str], str] = _roman if mapping == "roman" else _bare
        cores = {core(name): at for name, at in reversed(place.items())} | place
        return np.array([cores.get(name, cores.get(core(name), -1)) for name in contigs], np.int32)
    names = mapping if isinstance(mapping, Mapping) else _read_map(mapping)
    return np.array([place.get(names.get(name, name), -1) for name in contigs], np.int32)


def _bare(name: str) -> str:
    core = re.sub(r"^(chromosome|chrom|chr)_?", "", name, flags=re.IGNORECASE)
    return "#M" if core.upper() in ("M", "MT", "MITO") else f"#{core.upper()}"


def _roman(name: str) -> str:
    core = _bare(name)
    if not core[1:].isdigit():
        return core
    number, text = int(core[1:]), ""
    for value, letters in (
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ):
        text += letters * (number // value)
        number %= value
    return f"#{text}"


def _read_map(path: str | PathLike) -> dict[str, str]:
    from_file = b"".join(chunks(path)).decode("utf-8", "replace").splitlines()
    names = {}
    for number, line in enumerate(from_file, 1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != 2:
            raise OptionError(
                f"{path}: line {number} is {line[:60]!r}; expected two columns, the variants' "
                "contig name and the FASTA's"
            )
        names[fields[0]] = fields[1]
    return names


def with_places(
    blocks: Iterable[Variants], genome: Genome, mapping: ContigMap = None
) -> Iterator[tuple[Variants, NDArray[np.int32]]]:
    """Yield each block with the genome's contig of each of its names.

    Blocks are held back until one names a contig that the genome has.

    Raises
    ------
    ContigError
        The variants and the genome have no name in common; the message shows both lists.

    Warns
    -----
    FastseqWarning
        Once, where some contigs are not in the genome; their records are marked.
    """
    held: list[Variants] = []
    warned = seen = False
    if mapping is not None and not isinstance(mapping, Mapping) and mapping not in ("chr", "roman"):
        mapping = _read_map(mapping)
    for block in blocks:
        places = contig_places(block.contigs, genome, mapping)
        if not seen and len(block) and (places < 0).all():
            held.append(block)
            if len(held) < PATIENCE:
                continue
        if held:
            if (places < 0).all():
                break
            for early in held:
                yield early, contig_places(early.contigs, genome, mapping)
            held = []
        seen = seen or bool(len(block))
        if not warned and (places < 0).any():
            warned = True
            unknown = [name for name, place in zip(block.contigs, places) if place < 0]
            warnings.warn(
                f"{genome.source} has no contig {listed(unknown, 4)}: such records get the "
                "status unknown_contig",
                FastseqWarning,
                stacklevel=2,
            )
        yield block, places
    if held:
        raise ContigError(
            f"the variants name contigs {listed(held[-1].contigs, 4)}; {genome.source} has "
            f"{listed(genome.names, 4)}: no name in common (--contig-map FILE with two columns, "
            "the variants' name and the FASTA's, or --contig-map chr or roman)"
        )
