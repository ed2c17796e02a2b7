"""FASTA and FASTQ streams, however they are cut into chunks."""

import gzip
import io
import sys
from functools import partial

import numpy as np
import pytest

from fastseq.errors import FormatError, MissingFileError, OptionError
from fastseq.io import fastx
from fastseq.sequence.kmers import count_kmers

# equal bytes at any time: they are in the names of tests, which every process has to agree on
compress = partial(gzip.compress, mtime=0)

rng = np.random.default_rng(0)
RECORDS = [
    (f"r{i}", "".join(rng.choice(list("ACGTNacgt"), length)))
    for i, length in enumerate([0, 5, 61, 200, 0, 900, 1, 60, 7])
]


def fasta(width, line_end):
    return "".join(
        f">{name} some words{line_end}"
        + "".join(text[i : i + width] + line_end for i in range(0, len(text), width))
        for name, text in RECORDS
    ).encode()


@pytest.fixture(params=["plain", "gzip", "bgzip"])
def write(request, tmp_path):
    """Return a function that writes bytes and gives the path."""

    def to(data: bytes):
        if request.param == "gzip":
            data = compress(data)
        if request.param == "bgzip":
            # members one after the other, as bgzip makes them
            data = b"".join(compress(data[i : i + 500]) for i in range(0, len(data), 500))
        path = tmp_path / "x"
        path.write_bytes(data)
        return path

    return to


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [7, 60, 10_000])
def test_fasta_in_chunks_of_any_size(write, monkeypatch, width, line_end, chunk):
    monkeypatch.setattr(fastx, "_CHUNK", chunk)
    for data in (
        fasta(width, line_end),
        fasta(width, line_end).rstrip(),
        b"\n\n" + fasta(width, line_end),
    ):
        records = list(fastx.read_records(write(data)))
        assert [(r.name, r.sequence.decode()) for r in records] == RECORDS
        assert {r.description for r in records} == {"some words"}


@pytest.mark.parametrize("bases", [20, 100, 1 << 20])
def test_counts_of_a_file_are_those_of_its_records(write, bases):
    path, texts = write(fasta(60, "\n")), [text for _, text in RECORDS]
    for options in ({}, {"canonical": True}, {"pattern": "110011"}):
        expected = count_kmers(texts, 4, **options)
        assert np.array_equal(fastx.count_kmers_in(path, 4, bases=bases, **options), expected)
    found = fastx.count_kmers_in(path, 13, bases=bases, output="pairs", canonical=True)
    expected = count_kmers(texts, 13, output="pairs", canonical=True)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected))
    with pytest.raises(OptionError, match="per_sequence"):
        fastx.count_kmers_in(path, 4, per_sequence=True)
    with pytest.raises(OptionError, match="csr"):
        fastx.count_kmers_in(path, 4, output="csr")


def test_blocks_hold_whole_records(write):
    path = write(fasta(60, "\n"))
    for bases in (1, 100, 10_000):
        blocks = list(fastx.read_blocks(path, bases=bases))
        names = [name for block in blocks for name in block.names]
        rows = [row.tobytes().decode() for block in blocks for row in block.rows]
        assert list(zip(names, rows)) == RECORDS
        assert all(len(b.rows.data) <= bases or len(b.names) <= 2 for b in blocks)
    with pytest.raises(OptionError):
        next(fastx.read_blocks(path, bases=0))
    with pytest.raises(OptionError):
        next(fastx.read_pieces(path, bases=5, overlap=5))


def test_fastq(write):
    data = "".join(f"@{name} x\n{text}\n+\n{'I' * len(text)}\n" for name, text in RECORDS).encode()
    records = list(fastx.read_records(write(data)))
    assert [(r.name, r.sequence.decode()) for r in records] == RECORDS
    assert all(len(r.quality) == len(r.sequence) for r in records)
    found = fastx.count_kmers_in(write(data), 3, bases=50)
    assert np.array_equal(found, count_kmers([text for _, text in RECORDS], 3))


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_empty_files_have_no_records(write, data):
    assert list(fastx.read_records(write(data))) == []
    assert fastx.count_kmers_in(write(data), 3).sum() == 0


def test_standard_input(monkeypatch):
    for data in (fasta(60, "\n"), compress(fasta(60, "\n"))):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [(r.name, r.sequence.decode()) for r in fastx.read_records("-")] == RECORDS
        assert not stdin.buffer.closed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ACGT\n", "begins with b'ACGT"),
        (b"@r\nACGT\n+\nII\n", "record 1 .* 4 letters and 2 qualities"),
        (b"@r\nA\n+\nI\n@s\nACGT\n", "record 2"),
        (b"@r\nA\n+\nI\n>s\nA\n+\nI\n", "record 2"),
        (compress(fasta(60, "\n"))[:-300], "cut off"),
        (b"\x1f\x8bnonsense", "damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path, data, message):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        list(fastx.read_records(path))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere"):
        list(fastx.read_records(tmp_path / "nowhere"))
