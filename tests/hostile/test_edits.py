"""Edits and explanations at every door: what cannot be asked is named, what is odd is answered."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError, ShapeError
from fastseq.sequence.edits import Edits
from tests.reference import mutants
from tests.score.test_ism import network

TEXTS = ["ACGTTGCANNACGT", "TTGATTACAGGGCC"]
DOORS = {
    "saturation_mutagenesis": lambda model, seqs: fastseq.saturation_mutagenesis(model, seqs),
    "perturb": lambda model, seqs: fastseq.perturb(model, seqs, "deletions"),
    "ablate": lambda model, seqs: fastseq.ablate(model, seqs, 1, n=2),
    "marginalize": lambda model, seqs: fastseq.marginalize(model, seqs, "A"),
    "epistasis": lambda model, seqs: fastseq.epistasis(model, seqs, max_distance=2),
    "saliency": lambda model, seqs: fastseq.attribute(model, seqs, task=0),
    "smooth_grad": lambda model, seqs: fastseq.attribute(model, seqs, "smooth_grad", task=0, n=2),
    "integrated_gradients": lambda model, seqs: fastseq.attribute(
        model, seqs, "integrated_gradients", task=0, baselines="shuffle", n=2, steps=2
    ),
    "ism": lambda model, seqs: fastseq.attribute(model, seqs, "ism", task=0),
}


@pytest.fixture(params=DOORS)
def door(request):
    return DOORS[request.param]


def numbers(found):
    return found.effect if hasattr(found, "effect") else found.raw


def profiles():
    torch.manual_seed(0)
    return nn.Conv1d(4, 2, 3, padding=1)


@pytest.mark.parametrize(
    ("seqs", "error", "said"),
    [
        ("", LengthError, "there are no bases"),
        ([], LengthError, "there are no bases"),
        (["", ""], LengthError, "there are no bases"),
        (["A" * 14, "A" * 13], LengthError, "row 1 is 13 bp long, row 0 is 14 bp"),
        (["A" * 14, "ACGZ" + "A" * 10], SequenceError, "row 1 has 'Z' at position 3"),
        (None, DTypeError, "sequences are NoneType"),
        (np.zeros((2, 14)), DTypeError, "float64; expected text or uint8"),
        (np.zeros((2, 4, 14), np.uint8), ShapeError, "shape (2, 4, 14)"),
    ],
)
def test_what_are_no_sequences_of_one_length_is_named(door, seqs, error, said):
    with pytest.raises(error, match=re.escape(said)):
        door(network(), seqs)


def test_no_rows_are_no_numbers(door):
    assert len(numbers(door(network(), np.zeros((0, 14), np.uint8)))) == 0


def test_one_base_is_a_sequence(door):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    assert np.isfinite(numbers(door(model, ["A", "n", "r"]))).all()


def test_lower_case_and_ambiguity_are_read_alike(door):
    given = numbers(door(network(), ["acgttgcaRYacgt", "ttgattacagggcc"]))
    np.testing.assert_array_equal(given, numbers(door(network(), TEXTS)))


def test_unknown_sequences_are_answered(door):
    assert np.isfinite(numbers(door(network(), ["N" * 14]))).all()


def test_duplicate_and_overlapping_edits_do_not_meet():
    rows = [(0, 3, 2, "CC"), (0, 4, 4, "A"), (1, 3, 2, "TT"), (0, 3, 2, "CC"), (0, 3, 2, "GCG")]
    plan = fastseq.lower(network(), length=14)
    found = fastseq.perturb(plan, TEXTS, Edits.of_words(*zip(*rows)))
    expected = mutants.effects(network(), TEXTS, found.edits)
    np.testing.assert_allclose(found.effect, expected, rtol=2e-4, atol=2e-6)
    np.testing.assert_allclose(found.effect[0], found.effect[3], rtol=2e-6)
    for at, row in enumerate(rows):
        alone = fastseq.perturb(plan, TEXTS, Edits.of_words(*([part] for part in row)))
        np.testing.assert_allclose(alone.effect[0], found.effect[at], rtol=2e-6)


@pytest.mark.parametrize("engine", ["auto", "full", "incremental"])
def test_edits_to_the_same_bases_change_nothing_at_all(engine):
    rows = [(0, 3, 2, "TT"), (1, 0, 14, TEXTS[1]), (0, 8, 2, "NN"), (1, 1, 1, ""), (0, 5, 0, "G")]
    rows += [(0, at, 1, TEXTS[0][at]) for at in range(14)]
    for model in (network(), fastseq.lower(network(), length=14)):
        found = fastseq.perturb(model, TEXTS, Edits.of_words(*zip(*rows)), engine=engine)
        same = np.array([text == TEXTS[row] for text, (row, *_) in zip(made(rows), rows)])
        assert same.sum() == len(rows) - 2
        assert (found.effect[same] == 0).all()
        assert (found.effect[~same] != 0).any()


def made(rows):
    return [
        (TEXTS[row][:start] + word + TEXTS[row][start + gone :] + "N" * gone)[:14]
        for row, start, gone, word in rows
    ]


def test_insertions_at_and_beyond_both_ends():
    edits = Edits.of_words(
        [0, 0, 1, 1], [14, 0, 0, 7], [0, 0, 14, 0], ["A", "ACG" * 9, "", "A" * 99]
    )
    found = fastseq.perturb(network(), TEXTS, edits)
    np.testing.assert_allclose(
        found.effect, mutants.effects(network(), TEXTS, edits), rtol=2e-4, atol=2e-6
    )
    behind = fastseq.perturb(network(), TEXTS, edits[:1])
    assert (behind.effect == 0).all()


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Edits.of_words([0], [1.5], [1], ["A"]), OptionError, "start holds float64"),
        (lambda: Edits.of_words([0], [10**30], [1], ["A"]), OptionError, "start holds object"),
        (lambda: Edits.of_words([True], [1], [1], ["A"]), OptionError, "row holds bool"),
        (lambda: Edits.of_words([0], [1, 2], [1], ["A"]), ShapeError, "start has shape (2,)"),
        (lambda: Edits.of_words([0], [1], [1], ["GAZ"]), SequenceError, "'Z' at position 2"),
        (lambda: Edits.of_words([0], [15], [0], ["A"]), OptionError, "0 bases at position 15"),
        (lambda: Edits.of_words([0], [2**62], [2**62], [""]), OptionError, "at position 4611686"),
        (lambda: Edits.of_words([0], [-1], [1], [""]), OptionError, "at position -1"),
        (lambda: Edits.of_words([0], [1], [-1], [""]), OptionError, "removes -1 bases"),
        (lambda: Edits.of_words([-1], [1], [1], [""]), OptionError, "edit 0 names row -1 of 2"),
        (lambda: Edits.point([0], [1], [200]), OptionError, "edit 0 inserts 200; expected codes"),
        (lambda: Edits(*np.zeros((3, 2), np.int64), np.zeros(4, np.uint8), np.array([0, 5, 4])),
         ShapeError, "offsets decrease at edit 1"),
        (lambda: None, OptionError, "edits is a NoneType; expected a word or Edits"),
        (lambda: [("deletions", 3)], OptionError, "edits is a list"),
        (lambda: "deletions:" + "9" * 30, OptionError, "do not fit into positions 0 to 14"),
        (lambda: "deletions:²", OptionError, "'²' is no number above 0"),
        (lambda: "deletions:-1", OptionError, "'-1' is no number above 0"),
        (lambda: "insertions:GAR", SequenceError, "word 'GAR'; expected letters"),
        (lambda: "motifs:" + "A" * 15, OptionError, "15 bp do not fit"),
        (lambda: "shuffles:5x0", OptionError, "'0' is no number above 0"),
    ],
)  # fmt: skip
def test_edits_that_cannot_be_made_are_named(make, error, said):
    with pytest.raises(error, match=re.escape(said)):
        fastseq.perturb(network(), TEXTS, make())


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("saturation_mutagenesis", {"end": 10**12}, "start=0, end=1000000000000"),
        ("saturation_mutagenesis", {"resume": True}, "need output="),
        ("saturation_mutagenesis", {"names": ["a", "b"]}, "need output="),
        ("epistasis", {"max_distance": 1.5}, "max_distance=1.5; expected a whole number"),
        ("epistasis", {"max_distance": 0}, "max_distance=0"),
        ("attribute", {"task": -1}, "task=-1; the model answers task0, task1"),
        ("attribute", {"task": True}, "task=True"),
        ("attribute", {"task": 0, "n": 1.5}, "n=1.5; expected a whole number of at least 1"),
        ("attribute", {"task": 0, "steps": 0}, "steps=0; expected a whole number of at least 1"),
        ("attribute", {"task": 0, "seed": -1}, "seed=-1; expected a whole number of at least 0"),
        ("attribute", {"task": 0, "row_offset": -1}, "row_offset=-1"),
        ("attribute", {"task": 0, "noise": np.inf}, "noise=inf; expected a finite number"),
        ("attribute", {"task": 0, "resume": True}, "need output="),
    ],
)
def test_options_that_cannot_be_are_named(verb, options, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        getattr(fastseq, verb)(network(), TEXTS, **options)


def test_spans_wider_than_the_sequence_are_all_of_it():
    near = fastseq.epistasis(network(), TEXTS, max_distance=10**9)
    np.testing.assert_array_equal(near.interaction, fastseq.epistasis(network(), TEXTS).interaction)
    assert fastseq.epistasis(network(), TEXTS, start=3, end=4).interaction.shape[2:] == (1, 4, 1, 4)
    assert fastseq.ablate(network(), TEXTS, 5, n=1, step=10**9).start.tolist() == [0]
    assert fastseq.ablate(network(), np.zeros((0, 14), np.uint8), 5).effect.shape == (0, 2, 2, 20)
    assert fastseq.attribute(network(), TEXTS, task=np.int64(1)).task == "task1"


@pytest.mark.parametrize("reduce", [np.sum, lambda profile: profile, lambda profile: 0.0])
def test_reducers_give_a_number_for_each_profile(reduce):
    with pytest.raises(OptionError, match=r"reduce gave \(.*\) for profiles \(2, 2, 14\)"):
        fastseq.saturation_mutagenesis(profiles(), TEXTS, reduce=reduce)


def test_reducers_of_whole_numbers_are_answered():
    found = fastseq.saturation_mutagenesis(
        profiles(), TEXTS, reduce=lambda profile: profile.argmax(-1)
    )
    assert found.effect.dtype == np.float32
