import numpy as np
import pytest

from fastseq import encode, show
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
    lost, gained = show.motif_changes(ref, alt, [MAX], at=21)
    assert lost
    assert not gained
    start, end, label = lost[0]
    assert (start, end) == (16, 26)
    assert label.startswith("MAX")
    again = show.motif_changes(alt, ref, [MAX], at=21)
    assert again == ([], lost)


def test_what_the_variant_leaves_alone_is_neither():
    ref, alt = change(SITE, 3, "T", "A")
    assert show.motif_changes(ref, alt, [MAX], at=3) == ([], [])


@pytest.mark.parametrize(
    ("at", "ref", "alt"), [(15, "A", "AGGG"), (12, "TATA", "T"), (26, "TT", "T")]
)
def test_a_motif_that_only_moves_is_kept(at, ref, alt):
    before, after = change(SITE, at, ref, alt)
    sizes = {"ref_length": len(ref), "alt_length": len(alt)}
    assert show.motif_changes(before, after, [MAX], at=at, **sizes) == ([], [])


def test_an_insertion_into_a_motif_loses_it():
    ref, alt = change(SITE, 21, "G", "GAAAA")
    lost, gained = show.motif_changes(ref, alt, [MAX], at=21, alt_length=5)
    assert [span[:2] for span in lost][:1] == [(16, 26)]
    assert not gained


def test_alleles_stay_inside_their_haplotypes():
    with pytest.raises(OptionError, match="leave a haplotype of 42 bp"):
        show.motif_changes(encode(SITE), encode(SITE), [MAX], at=42)


def test_right_flanks_stand_aligned_past_a_gap():
    ref, alt = change(SITE, 21, "G", "GAAAA")
    scores = np.ones(len(ref)), np.ones(len(alt))
    figure = show.allele_logos(
        ref, alt, *scores, at=21, alt_length=5, lost=[(16, 26, "MAX+ 4.0")], start=100
    )
    above, below = figure.axes
    assert above.get_xlim() == below.get_xlim() == (99.5, 100 + len(alt) - 0.5)
    # the bracket spans the gap
    assert [above.lines[1].get_xdata()[at] for at in (0, -1)] == [115.5, 129.5]
    assert [above.get_ylabel(), below.get_ylabel()] == ["REF\nlost", "ALT"]


def test_labels_that_would_overlap_are_stacked():
    spans = [(0, 10, "AAAA"), (5, 15, "BBBB"), (20, 30, "CCCC")]
    codes, scores = encode("ACGT" * 10), np.ones(40)
    figure = show.allele_logos(codes, codes, scores, scores, at=8, lost=spans)
    heights = [line.get_ydata()[1] for line in figure.axes[0].lines[1:]]
    assert heights[0] == heights[2] < heights[1]
