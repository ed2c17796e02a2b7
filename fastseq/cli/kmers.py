"""The k-mers of a file of sequences, counted in bounded memory."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastseq
from fastseq.cli.shared.options import output_option
from fastseq.cli.shared.verb import done, note, verb
from fastseq.errors import FormatError
from fastseq.io.fastx import count_kmers_in, read_blocks
from fastseq.io.files import replacing

# a table of k-mers as text takes about 16 bytes a row: this many rows at a time
ROWS = 1 << 20
SHOWN_K = 12
ENDINGS = (".tsv", ".txt", ".tsv.gz", ".txt.gz")


@verb("kmers")
@click.argument("sequences", metavar="SEQUENCES")
@output_option("-", "Tab-separated: kmer, count (.tsv, .txt, either with .gz).", endings=ENDINGS)
@click.option("-k", default=6, show_default=True, type=click.IntRange(1, 32), help="Length.")
@click.option("--canonical", is_flag=True, help="A k-mer and its reverse complement are one.")
@click.option("--pattern", metavar="1101", help="Spaced k-mers: the letters at the ones.")
@click.option("--per-sequence", is_flag=True, help="Count within each record: name, kmer, count.")
@click.option("--threads", type=click.IntRange(1), help="All cores otherwise.")
def command(
    sequences: str,
    output: str,
    k: int,
    canonical: bool,
    pattern: str | None,
    per_sequence: bool,
    threads: int | None,
) -> None:
    """Count the k-mers of a FASTA or FASTQ file, compressed or not ('-' reads it).

    Only k-mers that occur are written, in order of the alphabet; none bridges an unknown base.

    \b
    Example:
      fastseq kmers genome.fa.gz -k 8 --canonical -o kmers.tsv
      fastseq kmers reads.fq.gz -k 21 --canonical | sort -k2,2nr | head
    """
    if pattern is not None:
        k = pattern.count("1")
    options = {"canonical": canonical, "pattern": pattern, "threads": threads}
    if Path(sequences).is_file() and not Path(sequences).stat().st_size:
        raise FormatError(f"{sequences}: empty; expected FASTA or FASTQ")
    if per_sequence:
        lines = _of_each(sequences, k, options)
    else:
        lines = _of_all(sequences, k, options)
    rows = 0
    with ExitStack() as stack:
        sink: Any = sys.stdout.buffer
        if output != "-":
            opens = gzip.open if output.endswith(".gz") else open
            sink = stack.enter_context(opens(stack.enter_context(replacing(output)), "wb"))
        for number, text in lines:
            sink.write(text)
            rows += number
        sink.flush()
    done(sequences=sequences, output=output, k=k, canonical=canonical, rows=rows)
    note(f"{rows:,} {'rows' if per_sequence else 'different k-mers'}")


def _of_all(path: str, k: int, options: dict) -> Iterator[tuple[int, bytes]]:
    """Yield the header, then lines of all k-mers of a file, with their number."""
    if k <= SHOWN_K and not options["canonical"]:
        counts: Any = count_kmers_in(path, k, **options)
        kmers: Any = np.flatnonzero(counts)
        counts = counts[kmers]
    else:
        found: Any = count_kmers_in(path, k, output="pairs", **options)
        kmers, counts = found
    yield 0, b"kmer\tcount\n"
    for first in range(0, len(kmers), ROWS):
        part = slice(first, first + ROWS)
        words = spelled(kmers[part], k)
        lines = [f"{word}\t{count}\n" for word, count in zip(words, counts[part].tolist())]
        yield len(lines), "".join(lines).encode()


def _of_each(path: str, k: int, options: dict) -> Iterator[tuple[int, bytes]]:
    """Yield the header, then lines of the k-mers of each record, with their number."""
    for number, block in enumerate(read_blocks(path)):
        if not number:
            yield 0, b"name\tkmer\tcount\n"
        found: Any = fastseq.count_kmers(
            block.rows, k, per_sequence=True, output="pairs", **options
        )
        offsets, kmers, counts = found
        names = np.repeat(np.array(block.names, object), np.diff(offsets))
        words = spelled(kmers, k)
        lines = [f"{n}\t{w}\t{c}\n" for n, w, c in zip(names, words, counts.tolist())]
        yield len(lines), "".join(lines).encode()


def spelled(kmers: np.ndarray, k: int) -> list[str]:
    """Return the letters of k-mers given as numbers, the first base the most significant."""
    shifts = np.arange(2 * (k - 1), -1, -2, dtype=np.uint64)
    codes = kmers.astype(np.uint64)[:, None] >> shifts & np.uint64(3)
    return list(fastseq.decode(codes.astype(np.uint8))) if len(kmers) else []
