"""Scores written back into the VCF they came from, as INFO fields with one value per ALT."""

import math
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from os import PathLike, fspath
from typing import IO, TYPE_CHECKING

from fastseq._lazy import load
from fastseq.errors import FastseqWarning, FormatError
from fastseq.io.files import chunks, first_bytes, replacing
from fastseq.io.indexed import BCF, bcf_lines
from fastseq.io.results import tables
from fastseq.io.vcf import BYTE_ORDER_MARK

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("chrom", "pos", "id", "ref", "alt")
# what stands in a value of its own, or is no score
LEFT_OUT = (*KEYS, "norm_pos", "norm_ref", "norm_alt")


def annotate_vcf(
    scores: "str | PathLike[str] | Iterable[pa.Table]",
    vcf: str | PathLike[str],
    output: str | PathLike[str],
) -> int:
    """Write the scored VCF again with fields ``FS_<COLUMN>``; return how many records it holds.

    Parameters
    ----------
    scores : path of a finished result folder, or tables
        Scores of all alleles of this very VCF, in its order.
    vcf : path-like
        VCF text, plain, gzip or bgzip, whose lines stay as they are, but for INFO; or BCF.
    output : path-like
        ``.gz``: bgzip, with a .tbi index beside it where the records are sorted.

    Raises
    ------
    FormatError
        The scores are not those of this VCF; the first record that differs is named. Or a line
        has fewer than five columns.
    UnreadableFileError
        The folder does not take files.

    Warns
    -----
    FastseqWarning
        The records are not sorted, so that there is no index.
    """
    parts = tables(scores) if isinstance(scores, (str, PathLike)) else scores
    name = fspath(output)
    with replacing(output) as temporary:
        if name.endswith(".gz"):
            with load("pysam").BGZFile(str(temporary), "wb") as out:
                count = _write(_lines(vcf), _rows(parts), out, vcf)
        else:
            with temporary.open("wb") as out:
                count = _write(_lines(vcf), _rows(parts), out, vcf)
    if name.endswith(".gz"):
        _index(name)
    return count


def _index(name: str) -> None:
    pysam = load("pysam")
    try:
        pysam.tabix_index(name, preset="vcf", force=True)
    except (OSError, ValueError):
        warnings.warn(
            f"{name}: its records are not sorted, so it has no index", FastseqWarning, stacklevel=3
        )


def _lines(path: str | PathLike[str]) -> Iterator[bytes]:
    if fspath(path) != "-" and first_bytes(path).startswith(BCF):
        yield from bcf_lines(path, whole=True)
        return
    rest = b""
    for chunk in chunks(path):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _rows(parts: "Iterable[pa.Table]") -> Iterator[dict]:
    for part in parts:
        for batch in part.to_batches(4096):
            yield from batch.to_pylist()


def _write(lines: Iterator[bytes], rows: Iterator[dict], out: IO[bytes], where: object) -> int:
    first = next(rows, None)
    names = [] if first is None else [name for name in first if name not in LEFT_OUT]
    # those of an earlier run give way
    ours = {f"FS_{name.upper()}".encode() for name in names}
    rows = _again(first, rows)
    records, told = 0, False
    for number, line in enumerate(lines, 1):
        line = line.removesuffix(b"\r")
        line = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        if not told and not line.startswith(b"##") and line:
            if number == 1:
                out.write(b"##fileformat=VCFv4.2\n")
            out.write("".join(map(_declared, names)).encode())
            told = True
        if not line:
            continue
        if line.startswith(b"#"):
            if line.removeprefix(b"##INFO=<ID=").partition(b",")[0] not in ours:
                out.write(line + b"\n")
            continue
        records += 1
        fields = line.split(b"\t")
        if len(fields) < 5:
            raise FormatError(f"{where}: line {number} has {len(fields)} columns; expected VCF")
        alts = fields[4].split(b",")
        scored = list(islice(rows, len(alts)))
        chrom, pos = (field.decode("utf-8", "replace") for field in fields[:2])
        # a POS that is no such number is 0 in the table
        place = int(pos) if pos.isdecimal() and len(pos) < 19 else None
        found = [_key(row, place) for row in scored]
        if found != [(chrom, place, fields[3], alt) for alt in alts]:
            raise FormatError(
                f"{where}: line {number} is {chrom}:{pos}, the scores are of "
                f"{scored[0]['chrom'] if scored else 'no more records'}; score this file, "
                "whole and in its order"
            )
        fields += [b"."] * (8 - len(fields))
        added = ";".join(f"FS_{name.upper()}={_values(scored, name)}" for name in names)
        items = fields[7].split(b";")
        info = b";".join(item for item in items if item.partition(b"=")[0] not in ours)
        fields[7] = added.encode() if info in (b".", b"") else info + f";{added}".encode()
        out.write(b"\t".join(fields) + b"\n")
    if next(rows, None) is not None:
        raise FormatError(f"{where}: holds fewer alleles than the scores; score this file")
    return records


def _again(first: dict | None, rows: Iterator[dict]) -> Iterator[dict]:
    if first is not None:
        yield first
        yield from rows


def _key(row: dict, place: int | None) -> tuple[str, int | None, bytes, bytes]:
    pos = None if place is None else row["pos"]
    return row["chrom"], pos, row["ref"].encode(), row["alt"].encode()


def _declared(name: str) -> str:
    kind = "String" if name in ("status", "flags") else "Float"
    return (
        f"##INFO=<ID=FS_{name.upper()},Number=A,Type={kind},"
        f'Description="fastseq score of each ALT allele: {name}">\n'
    )


def _values(scored: list[dict], name: str) -> str:
    return ",".join(_value(row[name]) for row in scored)


def _value(value: object) -> str:
    if isinstance(value, float):
        return "." if math.isnan(value) else f"{value:.7g}"
    return str(value or "").replace(",", "|") or "."
