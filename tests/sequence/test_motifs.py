"""Motifs: round trips through each text format, the other strand, and broken files."""

import gzip

import numpy as np
import pytest

from fastseq.errors import FormatError, MissingFileError, OptionError
from fastseq.sequence.motifs import (
    Motif,
    format_motifs,
    jaspar,
    parse_motifs,
    read_motifs,
)

FORMATS = ("meme", "jaspar", "transfac")


def test_the_typed_in_matrices_are_whole():
    motifs = jaspar()
    assert len(motifs) == 55
    assert len({motif.name for motif in motifs}) == 55
    assert [motif.consensus for motif in jaspar(["MA0062.2", "MA0004.1"])] == [
        "CCGGAAGTGGC",
        "CACGTG",
    ]
    for motif in motifs:
        np.testing.assert_array_equal(motif.counts, np.round(motif.counts))


@pytest.mark.parametrize("format", FORMATS)
def test_text_round_trip(tmp_path, format):
    motifs = jaspar()
    (tmp_path / "motifs.txt").write_text(format_motifs(motifs, format=format))
    back = read_motifs(tmp_path / "motifs.txt")
    assert [(m.id, m.name) for m in back] == [(m.id, m.name) for m in motifs]
    for ours, theirs in zip(motifs, back):
        np.testing.assert_allclose(theirs.probabilities(), ours.probabilities(), atol=1e-14)
        if format != "meme":
            np.testing.assert_array_equal(theirs.counts, ours.counts)


def test_gzip_is_told_by_its_bytes(tmp_path):
    (tmp_path / "motifs").write_bytes(gzip.compress(format_motifs(jaspar()).encode()))
    assert len(read_motifs(tmp_path / "motifs")) == 55


def test_reverse_complement_twice_is_the_motif():
    motif = jaspar(["MA0466.2"])[0]
    np.testing.assert_array_equal(
        motif.reverse_complement().reverse_complement().counts, motif.counts
    )
    np.testing.assert_allclose(
        motif.reverse_complement().information(), motif.information()[::-1], rtol=1e-12
    )


def test_information_is_2_bits_for_one_letter_and_0_for_four():
    motif = Motif("x", "x", [[10, 1], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(motif.information(), [2, 0], atol=1e-8)


def test_foreign_dialects_are_read():
    bare = ">MA1 first one\n1 2\n3 4\n5 6\n7 8\n"
    assert parse_motifs(bare)[0].name == "first one"
    meme = (
        "MEME version 5\nALPHABET= ACGU\nMOTIF lone\n"
        "letter-probability matrix: alength= 4 w= 1\n 0.1 0.2 0.3 0.4 \n"
    )
    (motif,) = parse_motifs(meme)
    assert (motif.id, motif.name) == ("lone", "lone")
    np.testing.assert_allclose(motif.counts[:, 0], [0.1, 0.2, 0.3, 0.4])
    transfac = "ID  a\nPO A C G T\n1 1 0 0 0 A\n2 0 1 0 0 C\nXX\n//\nID b\nP0 A C G T\n1 1 1 1 1\n"
    assert [m.consensus for m in parse_motifs(transfac)] == ["AC", "A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither MEME, JASPAR nor TRANSFAC"),
        ("hello", "neither"),
        (">a\n1 2\n1 2\n1 2\n", "expected 4 rows"),
        (">a\n1 2\n1 2\n1 2\n1 x\n", "line 5: expected numbers"),
        (">a\n0 2\n0 2\n0 2\n0 2\n", "column 0"),
        (">a\n-1 2\n1 2\n1 2\n1 2\n", "column 0"),
        ("MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\n", "alphabet"),
        ("MEME version 4\nMOTIF a\nletter-probability matrix: w= 2\n.25 .25 .25 .25\n", "1 rows"),
        ("MEME version 4\n", "no motif"),
        ("PO T G C A\n1 1 1 1 1\n", "expected A C G T"),
        ("PO A C G T\n1 1 1 1\n//\n", "expected 4 counts"),
    ],
)
def test_broken_text_is_named(text, message):
    with pytest.raises(FormatError, match=message):
        parse_motifs(text)


def test_broken_files_and_wrong_choices(tmp_path):
    with pytest.raises(MissingFileError):
        read_motifs(tmp_path / "absent.meme")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b">a\n1\n1\n1\n1\n" * 99)[:-9])
    with pytest.raises(FormatError, match="cut.gz"):
        read_motifs(tmp_path / "cut.gz")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="expected motif text"):
        read_motifs(tmp_path / "binary")
    with pytest.raises(OptionError, match="MA9999"):
        jaspar(["MA9999.1"])
    with pytest.raises(OptionError, match="format='homer'"):
        format_motifs([], format="homer")


@pytest.mark.parametrize("options", ["w= x", "w= 1 nsites= many", "w= 2"])
def test_numbers_of_meme_text_that_are_none(options):
    text = f"MEME version 4\nMOTIF a\nletter-probability matrix: {options}\n.2 .3 .3 .2\n"
    with pytest.raises(FormatError, match="line|rows of 4"):
        parse_motifs(text)


def test_motifs_that_are_none():
    with pytest.raises(FormatError, match="no numbers"):
        Motif("a", "b", "ACGT")
    with pytest.raises(OptionError, match="pseudocount"):
        jaspar()[0].probabilities(-1)


def test_places_that_are_no_files(tmp_path):
    with pytest.raises(MissingFileError):
        read_motifs(tmp_path)
