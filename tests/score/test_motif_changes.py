import pytest

from fastseq import encode, motif_changes
from fastseq.errors import OptionError
from fastseq.sequence.motifs import jaspar

MAX = jaspar(["MA0058.3"])[0]  # ACCACGTGCT
FLANK = "TTATTGATTAATTATA"
SITE = FLANK + MAX.consensus + FLANK


def change(text, at, ref, alt):
    assert text[at : at + len(ref)] == ref
    return encode(text), encode(text[:at] + alt + text[at + len(ref) :])


def test_a_broken_motif_is_lost_and_the_other_way_round_gained():
    ref, alt = change(SITE, 21, "G", "T")
    lost, gained = motif_changes(ref, alt, [MAX], at=21)
    assert lost
    assert not gained
    start, end, label = lost[0]
    assert (start, end) == (16, 26)
    assert label.startswith("MAX")
    again = motif_changes(alt, ref, [MAX], at=21)
    assert again == ([], lost)


def test_what_the_variant_leaves_alone_is_neither():
    ref, alt = change(SITE, 3, "T", "A")
    assert motif_changes(ref, alt, [MAX], at=3) == ([], [])


@pytest.mark.parametrize(
    ("at", "ref", "alt"), [(15, "A", "AGGG"), (12, "TATA", "T"), (26, "TT", "T")]
)
def test_a_motif_that_only_moves_is_kept(at, ref, alt):
    before, after = change(SITE, at, ref, alt)
    sizes = {"ref_length": len(ref), "alt_length": len(alt)}
    assert motif_changes(before, after, [MAX], at=at, **sizes) == ([], [])


def test_an_insertion_into_a_motif_loses_it():
    ref, alt = change(SITE, 21, "G", "GAAAA")
    lost, gained = motif_changes(ref, alt, [MAX], at=21, alt_length=5)
    assert [span[:2] for span in lost][:1] == [(16, 26)]
    assert not gained


def test_alleles_stay_inside_their_haplotypes():
    with pytest.raises(OptionError, match="leave a haplotype of 42 bp"):
        motif_changes(encode(SITE), encode(SITE), [MAX], at=42)
