"""FASTA and FASTQ, plain, gzip or bgzip, as a stream of records in bounded memory."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastseq.errors import FormatError, MissingFileError, OptionError, UnreadableFileError
from fastseq.sequence.kmers import count_kmers
from fastseq.sequence.rows import Ragged

_CHUNK = 1 << 20
_SPACE = b"\r\n\t "


class Record(NamedTuple):
    """One sequence of a file; ``name`` is the header's first word, ``quality`` is FASTQ's."""

    name: str
    sequence: bytes
    quality: bytes | None = None
    description: str = ""


class Block(NamedTuple):
    """Some sequences of a file: their names, and their letters one after the other."""

    names: list[str]
    rows: Ragged


def read_records(path) -> Iterator[Record]:
    """Yield the records of a FASTA or FASTQ file; one record is in memory at a time.

    Parameters
    ----------
    path : path or "-"
        Plain, gzip or bgzip, told by the content and not by the name; ``"-"`` is standard input.

    Raises
    ------
    MissingFileError, UnreadableFileError
        The file is not there or cannot be read.
    FormatError
        It is neither FASTA nor FASTQ, or ends within a record; the message names the record.
    """
    with _stream(path) as stream:
        first = _first_letter(stream, path)
        if first == b"@":
            yield from _fastq(stream, path)
            return
        name, parts = None, []
        for header, part in _fasta_parts(stream):
            if header is not None:
                if name is not None:
                    yield _record(name, parts)
                name, parts = header, []
            parts.append(part)
        if name is not None:
            yield _record(name, parts)


def read_blocks(path, *, bases: int = 1 << 24) -> Iterator[Block]:
    """Yield whole records in blocks of about ``bases`` letters; one longer record is one block.

    Raises
    ------
    OptionError
        ``bases`` is below 1.
    MissingFileError, UnreadableFileError, FormatError
        As for `read_records`.
    """
    if bases < 1:
        raise OptionError(f"bases is {bases}; expected at least 1")
    names, texts, size = [], [], 0
    for record in read_records(path):
        if texts and size + len(record.sequence) > bases:
            yield _block(names, texts)
            names, texts, size = [], [], 0
        names.append(record.name)
        texts.append(record.sequence)
        size += len(record.sequence)
    if texts:
        yield _block(names, texts)


def read_pieces(path, *, bases: int = 1 << 24, overlap: int = 0) -> Iterator[Block]:
    """Yield blocks of about ``bases`` letters whatever the records' sizes: memory is bounded.

    A longer record goes in pieces under one name; each begins with the last ``overlap`` letters of
    the piece before, so that words of ``overlap + 1`` letters are seen once each.

    Raises
    ------
    OptionError
        ``bases`` is not above ``overlap``.
    MissingFileError, UnreadableFileError, FormatError
        As for `read_records`.
    """
    if not 0 <= overlap < bases:
        raise OptionError(f"bases is {bases}, overlap {overlap}; expected bases > overlap >= 0")
    names, texts, size = [], [], 0
    with _stream(path) as stream:
        if _first_letter(stream, path) == b"@":
            parts = ((record.name, record.sequence) for record in _fastq(stream, path))
        else:
            parts = _fasta_parts(stream)
        for header, part in parts:
            if header is not None:
                names.append(header.split(None, 1)[0] if header.strip() else "")
                texts.append([])
            texts[-1].append(part)
            size += len(part)
            if size < bases:
                continue
            joined = [b"".join(text) for text in texts]
            yield _block(names, joined)
            # the record may go on: it keeps its name and its last letters
            tail = joined[-1][len(joined[-1]) - min(overlap, len(joined[-1])) :]
            names, texts, size = names[-1:], [[tail]], len(tail)
    if texts:
        yield _block(names, [b"".join(text) for text in texts])


def count_kmers_in(path, k: int, *, output: str = "dense", bases: int = 1 << 24, **options):
    """Return the k-mer counts of all records of a file, as `count_kmers` over all sequences.

    Parameters
    ----------
    path : path or "-"
        As for `read_records`.
    k : int
        1 to 32; up to 12 for dense counts.
    output : {"dense", "pairs"}
        int64 (columns,), or (kmers uint64, counts int64) ascending.
    bases : int
        Letters in memory at a time.
    **options
        ``canonical``, ``pattern`` and ``threads`` of `count_kmers`.

    Raises
    ------
    OptionError
        Another output, or an option that needs whole records.
    MissingFileError, UnreadableFileError, FormatError
        As for `read_records`.
    """
    if output not in ("dense", "pairs"):
        raise OptionError(f"output is {output!r}; expected dense or pairs")
    if set(options) - {"canonical", "pattern", "threads"}:
        raise OptionError(f"a file takes canonical, pattern and threads, not {', '.join(options)}")
    overlap = len(options.get("pattern") or "1" * k) - 1
    total = count_kmers("", k, output=output, **options)
    waiting = []
    for block in read_pieces(path, bases=max(bases, 2 * k), overlap=overlap):
        counts = count_kmers(block.rows, k, output=output, **options)
        if output == "dense":
            total += counts
            continue
        waiting.append(counts)
        if sum(len(kmers) for kmers, _ in waiting) > max(4 * bases, len(total[0])):
            total, waiting = _merged([total, *waiting]), []
    return total if output == "dense" else _merged([total, *waiting])


def _merged(pairs: list) -> tuple[np.ndarray, np.ndarray]:
    """Return sorted (kmers, counts) of several, equal k-mers added up."""
    kmers = np.concatenate([kmers for kmers, _ in pairs])
    counts = np.concatenate([counts for _, counts in pairs])
    order = np.argsort(kmers, kind="stable")
    kmers = kmers[order]
    starts = np.flatnonzero(np.r_[True, kmers[1:] != kmers[:-1]]) if len(kmers) else []
    if not len(starts):
        return kmers, counts
    return kmers[starts], np.add.reduceat(counts[order], starts)


def _block(names: list[str], texts: list[bytes]) -> Block:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return Block(names, Ragged(np.frombuffer(b"".join(texts), np.uint8), offsets))


def _record(header: str, parts: list[bytes]) -> Record:
    name, _, description = header.partition(" ")
    return Record(name, b"".join(parts), None, description.strip())


@contextmanager
def _stream(path) -> Iterator[Any]:
    """Open a file or standard input, through gzip where its first bytes say so."""
    try:
        # closed below, together with what reads through it
        raw: Any = sys.stdin.buffer if str(path) == "-" else Path(path).open("rb")  # noqa: SIM115
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}") from None
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        source = raw if hasattr(raw, "peek") else io.BufferedReader(raw)
        if source.peek(2)[:2] == b"\x1f\x8b":
            source = io.BufferedReader(gzip.GzipFile(fileobj=source), _CHUNK)
        yield source
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path} is damaged or cut off: {error}") from error
    finally:
        if str(path) != "-":
            raw.close()


def _first_letter(stream, path) -> bytes:
    """Return ">" or "@", or nothing of an empty file; blank lines before it are skipped."""
    while True:
        ahead = stream.peek(1)
        if not ahead:
            return b""
        if ahead[:1] not in (b"\n", b"\r"):
            break
        stream.read(1)
    if ahead[:1] not in (b">", b"@"):
        raise FormatError(f"{path} begins with {ahead[:20]!r}; expected FASTA (>) or FASTQ (@)")
    return ahead[:1]


def _fasta_parts(stream) -> Iterator[tuple[str | None, bytes]]:
    """Yield (header, letters) at the start of a record, (None, letters) where it goes on."""
    carry, header = b"\n", None
    in_header = False
    while chunk := stream.read(_CHUNK):
        data, at = carry + chunk, 0
        while True:
            if in_header:
                end = data.find(b"\n", at)
                if end < 0:
                    carry = data[at:]
                    break
                header = data[at:end].decode("utf-8", "replace").strip()
                at, in_header = end, False
            end = data.find(b"\n>", at)
            if end < 0:
                # a line break at the very end may belong to the next header
                keep = data.endswith(b"\n")
                part = data[at : len(data) - keep].translate(None, _SPACE)
                carry = b"\n" if keep else b""
                if part or header is not None:
                    yield header, part
                header = None
                break
            if end > at or header is not None:
                yield header, data[at:end].translate(None, _SPACE)
            header, at, in_header = None, end + 2, True
    if in_header:
        yield carry.decode("utf-8", "replace").strip(), b""


def _fastq(stream, path) -> Iterator[Record]:
    """Yield records of four lines."""
    number = 0
    while True:
        header = stream.readline()
        if not header.strip():
            if not header:
                return
            continue
        number += 1
        sequence, plus, quality = (stream.readline().strip() for _ in range(3))
        if header[:1] != b"@" or plus[:1] != b"+":
            raise FormatError(f"record {number} of {path} is not four lines of FASTQ")
        if len(quality) != len(sequence):
            raise FormatError(
                f"record {number} of {path} has {len(sequence)} letters and {len(quality)} "
                "qualities; is the file cut off?"
            )
        record = _record(header[1:].decode("utf-8", "replace").strip(), [sequence])
        yield record._replace(quality=quality)
