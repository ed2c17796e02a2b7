"""Alleles against plain strings: outcomes, normal forms, haplotypes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastseq.errors import OptionError, ReferenceMismatchError
from fastseq.io.fasta import Genome
from fastseq.sequence.alleles import FLAGS, STATUS, Variants, edits, every_snv, gather, resolve
from fastseq.sequence.edits import apply
from tests.reference import alleles as slow

CONTIG = "GGGCACACACAGGGRNTTTT"


def block(*rows: tuple, chrom: str = "c") -> Variants:
    pos, ref, alt = zip(*rows)
    return Variants.from_texts([chrom] * len(rows), np.array(pos), ["."] * len(rows), ref, alt)


def outcome(rows: list[tuple], contig: str = CONTIG, **options: object) -> list[tuple]:
    """Status, flags and normal form of each row, as text."""
    found = resolve(block(*rows), Genome.from_sequences({"c": contig}), **options)
    ends = found.text_offsets.tolist()
    texts = [found.texts[a:b].tobytes().decode() for a, b in pairwise(ends)]
    named = [
        ",".join(name for bit, name in enumerate(FLAGS) if value >> bit & 1)
        for value in found.flags.tolist()
    ]
    anchors = (found.anchor + 1).tolist()
    return [
        (STATUS[status], flags, *((pos, ref, alt) if status == 0 else ()))
        for status, flags, pos, ref, alt in zip(
            found.status.tolist(), named, anchors, texts[::2], texts[1::2]
        )
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((1, "G", "T"), ("ok", "", 1, "G", "T")),
        ((1, "g", "t"), ("ok", "", 1, "G", "T")),
        ((8, "CAC", "C"), ("ok", "left_shifted", 3, "GCA", "G")),
        ((4, "CAC", "C"), ("ok", "", 3, "GCA", "G")),
        ((4, "C", "-"), ("ok", "", 3, "GC", "G")),
        ((1, "GG", "G"), ("ok", "", 1, "GG", "G")),
        ((3, "G", "GG"), ("ok", "left_shifted", 1, "G", "GG")),
        ((4, "CACA", "TACT"), ("ok", "", 4, "CACA", "TACT")),
        ((4, "CACAC", "CTCAC"), ("ok", "", 5, "A", "T")),
        ((15, "A", "T"), ("ok", "", 15, "A", "T")),
        ((15, "C", "T"), ("ref_mismatch", "")),
        ((16, "C", "T"), ("ok", "", 16, "C", "T")),
        ((4, "A", "C"), ("ref_mismatch", "")),
        ((20, "T", "<DEL>"), ("symbolic", "")),
        ((20, "T", "<*>"), ("symbolic", "")),
        ((20, "T", "*"), ("spanning_deletion", "")),
        ((20, "T", "."), ("no_alt", "")),
        ((20, "T", ""), ("no_alt", "")),
        ((20, "T", "G]c:1]"), ("breakend", "")),
        ((20, "T", "[<x>:1[T"), ("breakend", "")),
        ((20, "T", ".A"), ("breakend", "")),
        ((20, "T", "A."), ("breakend", "")),
        ((20, "TT", "T"), ("out_of_bounds", "")),
        ((21, "T", "A"), ("out_of_bounds", "")),
        ((0, "T", "A"), ("out_of_bounds", "")),
        ((-5, "T", "A"), ("out_of_bounds", "")),
        ((4, "C", "c"), ("ref_equals_alt", "")),
        ((4, "CA", "CA"), ("ref_equals_alt", "")),
        ((4, "N", "C"), ("non_ACGT", "")),
        ((4, "C", "R"), ("non_ACGT", "")),
        ((4, "", "C"), ("non_ACGT", "")),
        ((4, "-", "C"), ("non_ACGT", "")),
        ((4, "N", "<DEL>"), ("symbolic", "")),
    ],
)
def test_every_allele_has_one_outcome(row, expected):
    assert outcome([row]) == [expected]


def test_unknown_contigs_are_marked():
    found = resolve(block((1, "A", "C"), chrom="other"), Genome.from_sequences({"c": CONTIG}))
    assert STATUS[found.status[0]] == "unknown_contig"


def test_mismatch_policies():
    rows = [(4, "A", "C"), (4, "A", "G")]
    assert outcome(rows, on_ref_mismatch="swap") == [
        ("ok", "swapped", 4, "A", "C"),
        ("ref_mismatch", ""),
    ]
    assert outcome(rows, on_ref_mismatch="force") == [
        ("ok", "forced", 4, "A", "C"),
        ("ok", "forced", 4, "A", "G"),
    ]
    message = "record 1, c:4: REF is A, the genome holds C"
    with pytest.raises(ReferenceMismatchError, match=message):
        outcome(rows, on_ref_mismatch="error")
    with pytest.raises(OptionError, match="expected one of skip, swap, force, error"):
        outcome(rows, on_ref_mismatch="flip")


def test_alt_alleles_become_rows():
    variants = block((1, "G", "A,<X>,GG"), (2, "G", "T"))
    assert variants.record.tolist() == [0, 0, 0, 1]
    texts, ends = gather(variants.text, variants.alt)
    assert [texts[a:b].tobytes() for a, b in pairwise(ends)] == [b"A", b"<X>", b"GG", b"T"]


contigs = st.text("AC", min_size=1, max_size=30) | st.text("ACGTN", min_size=1, max_size=30)


@st.composite
def alleles_of(draw) -> tuple[str, int, str, str]:
    contig = draw(contigs)
    start = draw(st.integers(0, len(contig) - 1))
    ref = contig[start : start + draw(st.integers(1, 8))].partition("N")[0]
    assume(ref)
    alt = draw(st.text("ACGT", min_size=1, max_size=8).filter(lambda text: text != ref))
    return contig, start + 1, ref, alt


@given(alleles_of())
def test_normal_form_is_that_of_the_plain_algorithm(case):
    contig, pos, ref, alt = case
    ((status, *_, norm_pos, norm_ref, norm_alt),) = (
        outcome([(pos, ref, alt)], contig) if set(ref) <= set("ACGT") else [("ok", pos, ref, alt)]
    )
    if set(ref) <= set("ACGT"):
        assert status == "ok"
        assert (norm_pos, norm_ref, norm_alt) == slow.normalize(contig, pos, ref, alt)
        assert slow.haplotype(contig, norm_pos, norm_ref, norm_alt) == slow.haplotype(
            contig, pos, ref, alt
        )


@given(alleles_of(), st.integers(1, 24), st.integers(0, 12), st.booleans())
def test_edits_build_the_true_haplotype(case, length, margin, normalize):
    contig, pos, ref, alt = case
    genome = Genome.from_sequences({"c": contig})
    variants = block((pos, ref, alt))
    found = resolve(variants, genome, normalize=normalize)
    before = length // 2
    origin = found.anchor - before
    codes = genome.windows(0, origin, length + margin)
    table = edits(
        found, np.array([0]), genome, row=np.array([0]), origin=origin,
        row_length=length + margin, margin=margin,
    )  # fmt: skip
    seen = apply(codes, table, left=0, length=length)[0]
    true = slow.haplotype(contig, pos, ref, alt)
    expected = slow.window(true, int(found.anchor[0]), length, before)
    assert "".join("ACGTN"[code] for code in seen) == expected


def test_every_snv_of_a_stretch():
    snvs = every_snv("c", 4, np.array([1, 4, 3], np.uint8), first_record=7)
    assert snvs.pos.tolist() == [5, 5, 5, 7, 7, 7]
    assert snvs.record.tolist() == [7, 7, 7, 9, 9, 9]
    assert gather(snvs.text, snvs.ref)[0].tobytes() == b"CCCTTT"
    assert gather(snvs.text, snvs.alt)[0].tobytes() == b"AGTACG"
    assert gather(snvs.text, snvs.id)[0].tobytes() == b"......"
