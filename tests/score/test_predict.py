import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError
from fastseq.models.specs import InputSpec


def linear(length=6, tasks=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * length, tasks))


def test_every_form_of_input_gives_the_same_answers():
    model, texts = linear(), ["ACGTNA", "TTTACG"]
    expected = fastseq.predict(model, fastseq.encode(texts))
    forms = [texts, [t.encode() for t in texts], np.array(texts), np.array(texts, "S"),
             np.array(texts, object), [t.lower() for t in texts]]  # fmt: skip
    for form in forms:
        assert (fastseq.predict(model, form) == expected).all()
    assert fastseq.predict(model, texts[0]).shape == (1,)
    assert fastseq.predict(linear(tasks=3), texts).shape == (2, 3)


@pytest.mark.parametrize("letter", "!Z1x* ")
def test_letters_outside_iupac_are_refused_and_gaps_are_unknown(letter):
    model = linear()
    for answer in (fastseq.predict, fastseq.saturation_mutagenesis, fastseq.attribute):
        with pytest.raises(SequenceError, match=r"row 1 has .* at position 3"):
            answer(model, ["ACGTNA", f"ACG{letter}NA"])
    unknown = fastseq.predict(model, ["ACGNNA"])
    for text in ("ACG-NA", "ACG.NA", "acgrna"):
        assert (fastseq.predict(model, [text]) == unknown).all()
    with pytest.raises(DTypeError, match="values up to 5; expected codes"):
        fastseq.predict(model, np.array([[0, 1, 2, 3, 4, 5]], np.uint8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "probability"}, "scale='probability'; expected 'output' or 'logit'"),
        ({"shifts": (0.5,)}, "whole numbers"),
        ({"shifts": (0, 6)}, "a shift by 6 bp leaves nothing of the 6 bp"),
    ],
)
def test_options_that_cannot_be(options, message):
    for answer in (fastseq.predict, fastseq.saturation_mutagenesis):
        with pytest.raises(OptionError, match=message):
            answer(linear(), ["ACGTNA"], **options)


def test_another_length_is_a_length_error_for_models_and_plans():
    model = linear(6)
    model.input_spec = InputSpec(6)
    for runnable in (model, fastseq.lower(model)):
        with pytest.raises(LengthError, match="the model takes 6 bp"):
            fastseq.predict(runnable, ["ACGTN"])


@pytest.mark.parametrize("nothing", [[], "", [""]])
def test_nothing_to_predict_is_said(nothing):
    with pytest.raises(LengthError, match="there are no bases"):
        fastseq.predict(linear(), nothing)


def test_shifts_draw_in_the_flanks_then_unknown_bases():
    model = linear(6)
    model.input_spec = InputSpec(6, left="G", right="TT")
    shifted = fastseq.predict(model, ["ACA"], shifts=(2,))
    # variable part ACA inside N G ACA TT N: two to the right is ATT
    assert (shifted == fastseq.predict(model, ["ATT"])).all()
    left = fastseq.predict(model, ["ACA"], shifts=(-2,))
    assert (left == fastseq.predict(model, ["NGA"])).all()


def test_full_constructs_and_variable_parts_agree():
    model = linear(6)
    model.input_spec = InputSpec(6, left="G", right="TT")
    both = fastseq.predict(model, ["GACATT"], shifts=(0, 1), strands="both")
    assert (both == fastseq.predict(model, ["ACA"], shifts=(0, 1), strands="both")).all()
    with pytest.raises(SequenceError, match="row 1 has 'C' at position 0"):
        fastseq.predict(model, ["GACATT", "CACATT"])


def test_ensembles_average_their_members():
    models = [linear(), nn.Sequential(nn.Flatten(), nn.Linear(24, 1))]
    each = [fastseq.predict(model, ["ACGTNA"]) for model in models]
    np.testing.assert_allclose(fastseq.predict(models, ["ACGTNA"]), np.mean(each, 0), rtol=1e-6)


def test_rows_of_other_lengths_are_named_not_padded():
    with pytest.raises(LengthError, match="row 2 is 5 bp long, row 0 is 6 bp"):
        fastseq.predict(linear(), ["ACGTNA", "ACGTNA", "ACGTN"])
    with pytest.raises(LengthError):
        fastseq.predict(linear(), np.array(["ACGTNA", "ACG"]))


def test_progress_goes_to_stderr(capsys):
    fastseq.predict(linear(), ["ACGTNA"] * 10, progress=True)
    shown = capsys.readouterr()
    assert "predict" in shown.err
    assert not shown.out


def test_more_rows_than_a_block():
    codes = np.random.default_rng(0).integers(0, 4, (5000, 6), dtype=np.uint8)
    whole = fastseq.predict(linear(), codes)
    assert (whole[4095:4100] == fastseq.predict(linear(), codes[4095:4100])).all()
