"""Records of BCF and of indexed files as lines of VCF text, through pysam."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from operator import attrgetter
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import Any

from fastseq._lazy import load
from fastseq.errors import FastseqWarning, UnreadableFileError
from fastseq.io.bed import Region
from fastseq.io.files import is_bgzip, opened

BCF = b"BCF\x02"
# lines handed on at once
LINES = 65_536
# regions closer than this are fetched as one: the finest bins of an index hold so many bases
GAP = 1 << 14


def index_of(path: str | PathLike[str]) -> Path | None:
    """Return the index beside a bgzipped file, .csi or .tbi; None where there is none to trust.

    Warns
    -----
    FastseqWarning
        The index is older than the file, and not taken.
    """
    name = fspath(path)
    beside = [Path(name + ending) for ending in (".csi", ".tbi")]
    newest = max(filter(Path.is_file, beside), key=_written, default=None)
    if name == "-" or newest is None:
        return None
    with opened(path) as stream:
        if not is_bgzip(stream.read(18)):
            return None
    if _written(newest) < _written(Path(name)):
        warnings.warn(
            f"{newest} is older than its file and not taken: the whole file is read",
            FastseqWarning,
            stacklevel=2,
        )
        return None
    return newest


def _written(path: Path) -> float:
    return path.stat().st_mtime


def bcf_lines(path: str | PathLike[str], *, whole: bool = False) -> Iterator[bytes]:
    """Yield the records of a BCF as lines of text, many at once.

    Parameters
    ----------
    path : path-like
    whole : bool
        Header and all columns, one line at a time without its newline; otherwise five columns.

    Raises
    ------
    UnreadableFileError
        pysam cannot read it.
    """
    with _told_by(path), _quiet().VariantFile(fspath(path)) as records:
        if whole:
            yield from str(records.header).rstrip("\n").encode().split(b"\n")
            yield from (str(record).rstrip("\n").encode() for record in records)
        else:
            yield from _joined(map(_site, records), "utf-8")


class IndexedVariants:
    """A bgzipped VCF or a BCF with an index beside it, open for the records near regions.

    Parameters
    ----------
    path : path-like
    index : Path
    bcf : bool

    Attributes
    ----------
    contigs : list of str
        As the index names them, with records or not.
    header : bytes

    Raises
    ------
    UnreadableFileError
        pysam cannot read the file or its index.
    """

    def __init__(self, path: str | PathLike[str], index: Path, *, bcf: bool) -> None:
        pysam, name = _quiet(), fspath(path)
        self.path, self.bcf = path, bcf
        # any byte is a letter of latin-1, so that none is lost
        self.encoding = "utf-8" if bcf else "latin-1"
        self.file: Any
        with _told_by(path):
            if bcf:
                self.file = pysam.VariantFile(name, index_filename=str(index))
                self.header, self.contigs = b"", list(self.file.index)
            else:
                self.file = pysam.TabixFile(name, index=str(index), encoding=self.encoding)
                lines = "".join(f"{line}\n" for line in self.file.header)
                self.header, self.contigs = lines.encode(self.encoding), self.file.contigs

    def lines(self, regions: Sequence[Region]) -> Iterator[bytes]:
        """Yield the records near regions, each once, in the order of the file."""
        with _told_by(self.path), closing(self.file):
            yield from _joined(self._near(regions), self.encoding)

    def _near(self, regions: Sequence[Region]) -> Iterator[str]:
        named = {region.chrom for region in regions}
        contigs = [name for name in self.contigs if name in named]
        if self.bcf:  # its index has the order of the header
            contigs.sort(key=self._first)
        for span in merged(regions, contigs):
            for record in self.file.fetch(span.chrom, span.start, span.end):
                # one that begins before belongs to an earlier span, or to none
                if self.bcf:
                    if record.pos > span.start:
                        yield _site(record)
                    continue
                pos = record.split("\t", 2)[1]
                if pos.isdigit() and int(pos) > span.start:
                    yield f"{record}\n"

    def _first(self, chrom: str) -> int:
        """Return where in the file a contig's records begin."""
        next(self.file.fetch(chrom), None)
        return self.file.tell()


def merged(regions: Sequence[Region], contigs: Sequence[str]) -> Iterator[Region]:
    """Yield stretches that hold all regions, none near another, in the order of the contigs."""
    for chrom in contigs:
        mine = sorted((r for r in regions if r.chrom == chrom), key=attrgetter("start"))
        at = 0
        while at < len(mine):
            start, end = mine[at].start, mine[at].end
            at += 1
            while at < len(mine) and (end is None or mine[at].start <= end + GAP):
                end = None if end is None or (last := mine[at].end) is None else max(end, last)
                at += 1
            yield Region(chrom, start, end)


def _site(record: Any) -> str:
    alts = ",".join(record.alts) if record.alts else "."
    return f"{record.chrom}\t{record.pos}\t{record.id or '.'}\t{record.ref}\t{alts}\n"


def _joined(lines: Iterator[str], encoding: str) -> Iterator[bytes]:
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == LINES:
            yield "".join(held).encode(encoding)
            held = []
    yield "".join(held).encode(encoding)


def _quiet() -> ModuleType:
    """Return pysam, its library's own remarks on standard error turned off."""
    pysam = load("pysam")
    pysam.set_verbosity(0)
    return pysam


@contextmanager
def _told_by(path: str | PathLike[str]) -> Iterator[None]:
    """Name the file in what pysam raises."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"{path}: pysam cannot read it: {error}") from error
