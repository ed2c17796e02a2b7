import numpy as np
import pytest
from torch import nn

import fastseq
from fastseq.errors import DTypeError, OptionError
from fastseq.score.explained import Attributions
from fastseq.sequence.motifs import Motif

pytest.importorskip("tangermeme")


# numba compiles the caller for most of a minute
@pytest.mark.long
def test_spans_that_stand_out_are_found_on_both_sides():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (6, 80), dtype=np.uint8)
    raw = rng.normal(0, 0.01, (6, 4, 80)).astype(np.float32)
    for row, start, size in ((1, 30, 2.0), (4, 50, -2.0)):
        raw[row, codes[row, start : start + 8], np.arange(start, start + 8)] += size
    found = fastseq.seqlets(Attributions(codes, raw, "saliency", "y"))
    best = found.loc[found["p_value"] < 1e-6]
    assert best["row"].tolist() == [1, 4]
    assert (np.sign(best["attribution"]) == [1, -1]).all()
    assert (np.abs(best["start"] - [30, 50]) < 6).all()
    for _, one in best.iterrows():
        assert one["sequence"] == fastseq.decode(codes[one["row"]])[one["start"] : one["end"]]
    with pytest.raises(OptionError, match="shortest=90"):
        fastseq.seqlets(Attributions(codes, raw, "saliency", "y"), shortest=90)


def test_another_result_is_refused():
    codes = np.zeros((2, 30), np.uint8)
    effects = fastseq.saturation_mutagenesis(nn.Sequential(nn.Flatten(), nn.Linear(120, 1)), codes)
    with pytest.raises(DTypeError, match=r"is a ISMResult; expected what fastseq.attribute"):
        fastseq.seqlets(effects)


def test_motifs_are_found_on_both_strands():
    counts = np.eye(4)[:, [0, 1, 1, 2, 3, 0, 0, 2, 3, 3]] * 97 + 1
    word = "ACCGTAAGTT"
    seqs = ["T" * 20 + word + "C" * 10, "G" * 5 + fastseq.reverse_complement(word) + "A" * 25]
    found = fastseq.motif_hits(seqs, [Motif("M1", "one", counts)], threshold=1e-5)
    assert found[["row", "start", "end", "motif", "strand"]].to_numpy().tolist() == [
        [0, 20, 30, "M1", "+"],
        [1, 5, 15, "M1", "-"],
    ]
