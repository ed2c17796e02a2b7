"""The synthetic task: truth agrees with the bases, draws repeat, impossible wishes are refused."""

import hashlib

import numpy as np
import pytest

from fastseq.errors import LengthError, OptionError
from fastseq.sequence.motifs import Motif, jaspar
from fastseq.sequence.simulate import CORE, simulate_motif_task

ONE_LETTER = Motif("t", "poly-T", [[0] * 6, [0] * 6, [0] * 6, [1] * 6])


def test_same_seed_same_bytes():
    first, again, other = (simulate_motif_task(n=400, seed=seed) for seed in (5, 5, 6))
    for name in ("codes", "labels", "spans", "information", "split"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.codes != other.codes).mean() > 0.7
    # pins the stream of draws itself
    assert hashlib.sha256(first.codes.tobytes()).hexdigest()[:16] == "51103bf4c617639d"


def test_shapes_split_and_balance():
    task = simulate_motif_task(n=1001, length=150)
    assert task.codes.shape == task.information.shape == (1001, 150)
    assert task.codes.dtype == np.uint8
    assert task.codes.max() == 3
    assert task.labels.sum() == 501
    assert [len(task.rows(split)) for split in ("train", "valid", "test")] == [701, 100, 200]
    assert set(task.rows("test", label=1)) <= set(task.rows("test"))


def test_spans_hold_the_bases_of_their_motif():
    task = simulate_motif_task(
        n=200, core=[ONE_LETTER], background=jaspar(["MA0058.3"]), negatives="document"
    )
    mine = task.spans[task.spans["motif"] == "poly-T"]
    assert set(task.labels[mine["row"]]) == {1}
    assert set(task.labels[task.spans["row"][task.spans["motif"] == "MAX"]]) == {0}
    for span in mine:
        letters = task.codes[span["row"], span["start"] : span["end"]]
        assert (letters == (3 if span["strand"] == "+" else 0)).all()


def test_information_covers_the_spans_and_nothing_else():
    task = simulate_motif_task(n=300, seed=4)
    inside = np.zeros(task.codes.shape, int)
    for span in task.spans:
        inside[span["row"], span["start"] : span["end"]] += 1
    assert inside.max() == 1, "motifs do not overlap"
    assert not task.motif_mask[inside == 0].any()
    np.testing.assert_array_equal(task.background_mask, inside == 0)
    per_row = np.bincount(task.spans["row"], minlength=300)
    assert set(per_row) <= {3, 4, 5, 6, 7}
    assert 0.3 < (per_row == 3).mean() < 0.7


def test_bases_follow_the_matrix():
    task = simulate_motif_task(n=6000, seed=3)
    motif = jaspar(["MA0466.2"])[0]
    spans = task.spans[(task.spans["motif"] == "CEBPB") & (task.spans["strand"] == "-")]
    letters = np.stack([task.codes[s["row"], s["start"] : s["end"]] for s in spans])
    found = np.stack([(letters == base).mean(0) for base in range(4)])
    np.testing.assert_allclose(found, motif.reverse_complement().probabilities(), atol=0.06)


def test_negatives_of_the_authors_contain_core_motifs_and_those_of_the_document_do_not():
    core = {motif.name for motif in jaspar(CORE)}
    for negatives, shared in (("authors", True), ("document", False)):
        task = simulate_motif_task(n=400, negatives=negatives)
        names = set(task.spans["motif"][task.labels[task.spans["row"]] == 0])
        assert bool(names & core) is shared


def test_empty_task():
    task = simulate_motif_task(n=0)
    assert task.codes.shape == (0, 200)
    assert len(task.spans) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": -1}, OptionError, "n=-1"),
        ({"length": 0}, OptionError, "length=0"),
        ({"negatives": "none"}, OptionError, "authors, document"),
        ({"motif_counts": {3: 0.4}}, OptionError, "sum of p"),
        ({"motif_counts": {0: 1.0}}, OptionError, "motif_counts=0"),
        ({"motif_counts": {2.5: 1.0}}, OptionError, "motif_counts=2.5"),
        ({"motif_counts": {3: 1.5, 4: -0.5}}, OptionError, "sum of p"),
        ({"motif_counts": {3: np.nan}}, OptionError, "sum of p"),
        ({"motif_counts": [3]}, OptionError, "sum of p"),
        ({"n": 2.5}, OptionError, "n=2.5"),
        ({"length": 99.5}, OptionError, "length=99.5"),
        ({"seed": -1}, OptionError, "seed=-1"),
        ({"seed": "x"}, OptionError, "seed='x'"),
        ({"core": ["MA0079.3"]}, OptionError, "'MA0079.3' is no Motif"),
        ({"background": [None]}, OptionError, "None is no Motif"),
        (
            {"background": jaspar()[:2], "core": jaspar()[:2], "negatives": "document"},
            OptionError,
            "both core and background",
        ),
        ({"core": []}, OptionError, "pool is empty"),
        ({"length": 20}, LengthError, "need more than 20 bp"),
        ({"length": 60}, LengthError, "do not fit into 60 bp"),
    ],
)
def test_impossible_wishes(arguments, error, message):
    with pytest.raises(error, match=message):
        simulate_motif_task(**{"n": 200, **arguments})


def test_core_motifs_of_ones_own_are_no_background():
    core = [motif for motif in jaspar() if motif.id not in CORE][:3]
    task = simulate_motif_task(400, core=core, negatives="document")
    planted = task.labels[task.spans["row"]] == 1
    names = {motif.name for motif in core}
    assert set(task.spans["motif"][planted]) == names
    assert names.isdisjoint(task.spans["motif"][~planted])


def test_unknown_split():
    with pytest.raises(OptionError, match="split='dev'"):
        simulate_motif_task(n=10).rows("dev")
