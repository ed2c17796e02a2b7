"""Variants from VCF text, whole blocks at a time; BCF and indexed files come as such text.

Only the first five columns are read. Plain, gzip and bgzip files are read alike, without index or
header; what the records say counts, not what the header says.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain
from os import PathLike, fspath

import numpy as np

from fastseq._native import vcf as native
from fastseq.errors import FastseqWarning, FormatError
from fastseq.io.bed import Region
from fastseq.io.fasta import listed
from fastseq.io.files import chunks
from fastseq.io.indexed import BCF, IndexedVariants, bcf_lines, index_of
from fastseq.sequence.alleles import Variants

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CONTIG = re.compile(rb"^##contig=<(?:.*?,)?ID=([^,>]+)")
BLOCK = 65_536


def read_vcf(
    path: str | PathLike[str], *, block: int = BLOCK, regions: Sequence[Region] | None = None
) -> Iterator[Variants]:
    """Yield the variants of a VCF or BCF in blocks of ``block`` records, in the order of the file.

    Parameters
    ----------
    path : path-like
        ``-`` reads standard input (text only).
    block : int
        Input records in a block; the last one holds fewer. A record with several ALT alleles
        gives as many rows.
    regions : sequence of Region, optional
        Records elsewhere are not wanted: where an index lies beside the file, they are not read.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        It is empty or cut off, or a line has fewer than five columns.

    Warns
    -----
    FastseqWarning
        Once, where the header names contigs and the records name others; or where the index is
        older than the file, so that the whole file is read.
    """
    source = chunks(path)
    head = next(source, b"")
    if not head.strip():
        raise FormatError(f"{path}: empty; expected VCF")
    head = head.removeprefix(BYTE_ORDER_MARK)
    if b"\r" in head and b"\n" not in head:
        raise FormatError(f"{path}: its lines end in CR alone; expected LF or CR LF")
    sites = _Sites(fspath(path), block)
    bcf = head.startswith(BCF)
    index = None if regions is None else index_of(path)
    if index is not None:
        indexed = IndexedVariants(path, index, bcf=bcf)
        sites.declare(indexed.contigs, indexed.header)
        source, head = indexed.lines(regions or ()), b""
    elif bcf:
        source, head = bcf_lines(path), b""
    yield from sites.read(head, source)


class _Sites:
    """Cuts a stream of text into blocks of records."""

    def __init__(self, path: str, block: int) -> None:
        self.path = path
        self.block = block
        self.lines = 0
        self.records = 0
        self.names: list[bytes] = []
        self.index: dict[bytes, int] = {}
        self.contigs: list[str] = []
        self.header: list[tuple[bytes, bool]] = []
        self.in_header = True
        self.warned = False

    def read(self, head: bytes, source: Iterator[bytes]) -> Iterator[Variants]:
        text, parts, held = b"", [], 0
        broken = None
        try:
            for piece in _sites_only(chain([head], source)):
                # a text grows until it surely holds a block, so that each byte is scanned once
                parts.append(piece)
                held += len(piece)
                if len(text) + held >= 32 * self.block:
                    text = yield from self._blocks(b"".join([text, *parts]))
                    parts, held = [], 0
        except FormatError as error:
            broken = error
        whole = b"".join([text, *parts])
        if broken is not None:
            # what came before the damage is valid, save the line that it cut
            whole = whole[: whole.rfind(b"\n") + 1]
        yield from self._blocks(whole, last=True)
        if broken is not None:
            raise broken
        if not self.records:
            none = np.empty(0, np.int64)
            spans = np.empty((0, 2), np.int64)
            text = np.frombuffer(b"\n", np.uint8)
            yield Variants(
                text, self.contigs, none.astype(np.int32), none, spans, spans, spans, none
            )

    def declare(self, contigs: Sequence[str], header: bytes) -> None:
        """Number the contigs that the file holds before its records are read."""
        self.contigs = list(contigs)
        self.index = {name.encode(): at for at, name in enumerate(contigs)}
        self._read_header(header)
        for name in self.index:
            self._compare(name)

    def _blocks(self, text: bytes, *, last: bool = False) -> Iterator[Variants]:
        """Yield the whole blocks in a text; return what is left of it."""
        if self.in_header:
            self._read_header(text)
        start = 0
        while start < len(text):
            found = native.read_sites(text, start, last, self.block)
            used, lines, columns, record, run, pos, id, ref, alt, runs = found
            records = int(record[-1]) + 1 if len(record) else 0
            if records < self.block and not last and not columns:
                break
            self.lines += lines
            if records:
                chrom = self._chrom(text, runs)[run]
                record += self.records
                self.records += records
                view = np.frombuffer(text, np.uint8)
                yield Variants(view, self.contigs, chrom, pos, id, ref, alt, record)
            start += used
            if columns:
                raise FormatError(
                    f"{self.path}: line {self.lines} has {columns} columns; expected at least "
                    "CHROM, POS, ID, REF and ALT with tabs between"
                )
        return text[start:]

    def _chrom(self, text: bytes, runs: np.ndarray) -> np.ndarray:
        """Return the contig number of each run of equal names."""
        places = np.empty(len(runs), np.int32)
        for at, (begin, end) in enumerate(runs.tolist()):
            name = text[begin:end]
            place = self.index.get(name)
            if place is None:
                place = self.index[name] = len(self.index)
                # a new list: blocks handed out keep theirs
                self.contigs = [*self.contigs, name.decode("utf-8", "replace")]
                self._compare(name)
            places[at] = place
        return places

    def _read_header(self, text: bytes) -> None:
        for line in text.splitlines():
            if not line.startswith(b"#"):
                self.in_header = self.in_header and not line
                if line:
                    return
            elif found := CONTIG.match(line):
                self.header.append((found[1], b"length=" in line))

    def _compare(self, name: bytes) -> None:
        """Warn where records use a name that the header does not declare.

        Tools add bare entries for names they meet; where others carry a length, those are the
        assembly that the file was made with.
        """
        declared = [text for text, sized in self.header if sized] or [t for t, _ in self.header]
        if declared and not self.warned and name not in declared:
            self.warned = True
            named = [text.decode("utf-8", "replace") for text in dict.fromkeys(declared)]
            warnings.warn(
                f"{self.path}: the header declares contigs {listed(named, 3)}, the records name "
                f"{name.decode('utf-8', 'replace')}; the records are taken",
                FastseqWarning,
                stacklevel=2,
            )


def _sites_only(source: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a text piece by piece; where most of it lies behind the fifth column, without that."""
    state = native.FRESH
    for piece in source:
        short, state = native.cut_lines(piece, state)
        yield short
        # in the middle of a record, and there was little to cut
        if state >= 0 and len(short) > len(piece) // 4:
            yield from source
