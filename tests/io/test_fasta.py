"""Genomes: every way of writing the same FASTA reads as the same codes."""

import gzip
import zlib
from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastseq.io.fasta as fasta_module
from fastseq.errors import ContigError, FastseqWarning, FormatError, MissingFileError, OptionError
from fastseq.io.fasta import HAS_UNKNOWN, PADDED, Genome, write_fasta

# equal bytes at any time: they are in the names of tests, which every process has to agree on
compress = partial(gzip.compress, mtime=0)

TEXT = {"chr1": "ACGTNNacgtRYn", "chr2": "", "chr3": "TTTT"}
CODES = {"chr1": [0, 1, 2, 3, 4, 4, 0, 1, 2, 3, 4, 4, 4], "chr2": [], "chr3": [3, 3, 3, 3]}


def bgzip(data: bytes, size: int = 7) -> bytes:
    """Blocks of bgzip, made by hand: gzip members with a BC field, and the empty last one."""
    blocks = b""
    for at in [*range(0, len(data), size), len(data)]:
        text = data[at : at + size]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = packer.compress(text) + packer.flush()
        extra = b"BC\x02\x00" + (len(body) + 25).to_bytes(2, "little")
        blocks += b"\x1f\x8b\x08\x04" + bytes(6) + b"\x06\x00" + extra + body
        blocks += zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return blocks


def fasta(width: int, newline: str = "\n", last: bool = True) -> bytes:
    lines = []
    for name, text in TEXT.items():
        lines += [f">{name} and words", *(text[i : i + width] for i in range(0, len(text), width))]
    return (newline.join(lines) + (newline if last else "")).encode()


FORMS = {
    "plain": fasta(4),
    "one line": fasta(100),
    "crlf": fasta(4, "\r\n"),
    "no last newline": fasta(4, last=False),
    "gzip": compress(fasta(4)),
    "gzip in members": compress(fasta(4)[:20]) + compress(fasta(4)[20:]),
    "gzip with zero padding": compress(fasta(4)) + bytes(64),
    "bgzip": bgzip(fasta(4)),
    "bgzip, then gzip": bgzip(fasta(4)[:20]) + compress(fasta(4)[20:]),
    "blank lines": b"\n\n" + fasta(4).replace(b">chr3", b"\n>chr3"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_the_same(tmp_path, form):
    path = tmp_path / "genome"
    path.write_bytes(FORMS[form])
    genome = Genome.open(path)
    assert genome.contigs == {"chr1": 13, "chr2": 0, "chr3": 4}
    for name, codes in CODES.items():
        assert genome.codes(name, 0, len(codes)).tolist() == codes
    assert genome.ambiguous.tolist() == [10, 11]
    assert genome.members.tolist() == [5, 10]
    assert [path] == list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(step=st.integers(1, 7), cut=st.integers(0, 60))
def test_chunks_may_cut_anywhere(step, cut):
    data = fasta(4)
    parts = [data[:cut], *(data[at : at + step] for at in range(cut, len(data), step))]
    with mock.patch.object(fasta_module, "chunks", return_value=filter(None, parts)):
        genome = Genome.open("-")
    assert {name: genome.text(name, 0, size) for name, size in genome.contigs.items()} == {
        name: text.upper().replace("R", "N").replace("Y", "N") for name, text in TEXT.items()
    }


def test_any_number_of_ambiguous_letters_is_remembered(tmp_path):
    path = tmp_path / "r.fa"
    path.write_text(">r\n" + "ACRY\n" * 9000)
    genome = Genome.open(path)
    assert len(genome.ambiguous) == 18000
    assert (genome.data.reshape(-1, 4) == [0, 1, 4, 4]).all()
    assert genome.members.reshape(-1, 2).tolist() == [[5, 10]] * 9000


def test_windows_reach_beyond_the_ends_and_say_so():
    genome = Genome.from_sequences({"a": "ACGT", "b": "GGNGG"})
    contigs = np.array([0, 0, 0, 1, 1, 0])
    starts = np.array([-2, 0, 3, 0, 3, 99])
    found = genome.windows(contigs, starts, 3)
    expected = [[4, 4, 0], [0, 1, 2], [3, 4, 4], [2, 2, 4], [2, 2, 4], [4, 4, 4]]
    assert found.tolist() == expected
    expected = [PADDED, 0, PADDED, HAS_UNKNOWN, PADDED, PADDED]
    assert genome.marks(contigs, starts, 3).tolist() == expected
    assert genome.windows(0, np.array([-100]), 2).tolist() == [[4, 4]]
    assert genome.windows(0, np.array([], int), 2).shape == (0, 2)


@settings(max_examples=40, deadline=None)
@given(st.text("ACGTN", max_size=40), st.integers(-50, 50), st.integers(0, 30))
def test_windows_are_slices(text, start, length):
    genome = Genome.from_sequences({"left": "ACGT", "x": text, "right": "ACGT"})
    padded = "N" * 100 + text + "N" * 100
    assert genome.text("x", start, start + length) == padded[100 + start : 100 + start + length]


def test_a_saved_genome_is_mapped(tmp_path):
    path = tmp_path / "g.fa"
    path.write_bytes(fasta(4))
    genome = Genome.open(path)
    genome.save(tmp_path / "g.codes")
    again = Genome.open(tmp_path / "g.codes")
    assert again.digest() == genome.digest()
    assert again.contigs == genome.contigs
    assert again.text("chr1", -1, 14) == genome.text("chr1", -1, 14)
    assert again.members.tolist() == genome.members.tolist()
    data = (tmp_path / "g.codes").read_bytes()
    (tmp_path / "g.codes").write_bytes(data[:-1])
    with pytest.raises(FormatError, match="cut off; save the genome again"):
        Genome.open(tmp_path / "g.codes")


def test_written_fasta_reads_back_and_has_an_index(tmp_path):
    path = tmp_path / "g.fa"
    write_fasta(path, {"chr1": "ACGT" * 20, "e": "", "c": np.array([0, 4, 3], np.uint8)}, width=7)
    genome = Genome.open(path)
    assert genome.text("chr1", 0, 80) == "ACGT" * 20
    assert genome.text("c", 0, 3) == "ANT"
    rows = [line.split("\t") for line in (tmp_path / "g.fa.fai").read_text().splitlines()]
    data = path.read_bytes()
    for name, size, offset, width, line in rows:
        assert (int(size), int(width), int(line)) == (genome.contigs[name], 7, 8)
        assert data[: int(offset)].endswith(b"\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.fa", "g.fa.fai"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"ACGT\n", "begins with b'ACGT"),
        (b"@read\nACGT\n+\n!!!!\n", "begins with b'@read"),
        (b">\nACGT\n", "header 1 has no name"),
        (b">a\nAC\n>a\nGT\n", "contig a stands there twice"),
        (b">a\nACGT\nACEF\n", "contig a has 'E' at position 7"),
        (compress(fasta(4))[:-12], "gzip data end too early"),
        (bgzip(fasta(4))[:-40], "gzip data end too early"),
        (bgzip(fasta(4))[:-9].replace(b"\x00\x00\xff", b"\x00\x01\xff"), "gzip data"),
        (compress(fasta(4))[:30] + b"garbage" + compress(fasta(4))[37:], "damaged gzip"),
    ],
)
def test_hostile_files_are_named(tmp_path, data, message):
    path = tmp_path / "genome.fa"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        Genome.open(path)


def test_a_bgzip_without_its_closing_block_warns(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_bytes(bgzip(fasta(4))[:-28])
    with pytest.warns(FastseqWarning, match="closing block is missing"):
        Genome.open(path)


def test_missing_files_and_contigs_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere.fa: no such file"):
        Genome.open(tmp_path / "nowhere.fa")
    genome = Genome.from_sequences({f"chr{n}": "A" for n in range(20)})
    with pytest.raises(ContigError, match=r"no contig '1'; it has chr0, .* \(20 in all\)"):
        genome.codes("1", 0, 1)
    with pytest.raises(OptionError, match="ends before it starts"):
        genome.codes("chr1", 1, 0)
    with pytest.raises(FormatError, match="expected one word"):
        write_fasta(tmp_path / "x.fa", {"two words": "A"})
    assert not list(tmp_path.iterdir())
