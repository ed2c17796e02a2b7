import numpy as np

from fastseq import encode, show

REF = encode("TTATTGATTAATTATA" + "ACCACGTGCT" + "TTATTGATTAATTATA")
ALT = np.insert(REF, 22, [0, 0, 0, 0])


def test_right_flanks_stand_aligned_past_a_gap():
    scores = np.ones(len(REF)), np.ones(len(ALT))
    figure = show.allele_logos(
        REF, ALT, *scores, at=21, alt_length=5, lost=[(16, 26, "MAX+ 4.0")], start=100
    )
    above, below = figure.axes
    assert above.get_xlim() == below.get_xlim() == (99.5, 100 + len(ALT) - 0.5)
    # the bracket spans the gap
    assert [above.lines[1].get_xdata()[at] for at in (0, -1)] == [115.5, 129.5]
    assert [above.get_ylabel(), below.get_ylabel()] == ["REF\nlost", "ALT"]


def test_labels_that_would_overlap_are_stacked():
    spans = [(0, 10, "AAAA"), (5, 15, "BBBB"), (20, 30, "CCCC")]
    codes, scores = encode("ACGT" * 10), np.ones(40)
    figure = show.allele_logos(codes, codes, scores, scores, at=8, lost=spans)
    heights = [line.get_ydata()[1] for line in figure.axes[0].lines[1:]]
    assert heights[0] == heights[2] < heights[1]
