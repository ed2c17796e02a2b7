import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import LengthError, OptionError, SequenceError
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.encode import encode


def test_expand_is_one_hot_in_the_models_own_order():
    spec = InputSpec(5, base_order="AGCT", unknown="uniform")
    x = spec.expand(encode(["ACGTN"]))
    assert x.shape == (1, 4, 5)
    assert x.dtype == torch.float32
    assert x[0, :, :4].argmax(0).tolist() == [0, 2, 1, 3]
    assert x[0, :, 4].tolist() == [0.25] * 4


def test_minus_strand_is_the_reverse_complement_of_the_whole_construct():
    spec = InputSpec(9, left="AAC", right="GG", strand_channel=True, flag_channels=("singleton",))
    codes = spec.place(encode(["TTCA"]))
    back = spec.expand(codes, "-", flags=np.ones((1, 1)))
    assert back[:, :4].equal(InputSpec(9).expand(encode(["CCTGAAGTT"])))
    assert back[0, 4].tolist() == [1] * 9
    assert back[0, 5].tolist() == [1] * 9
    assert spec.expand(codes)[0, 4:].abs().sum() == 0


def test_bases_undo_expand_for_both_strands():
    spec = InputSpec(6, base_order="TGCA", strand_channel=True)
    codes = encode(["ACGGTN"])
    forward = InputSpec(6).expand(codes)
    for strand in "+-":
        assert spec.bases(spec.expand(codes, strand), strand).equal(forward)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 9), st.integers(0, 12))
def test_margins_are_flanks_then_unknown(left, right, variable, by):
    text = "ACGTTGCAACGT"
    spec = InputSpec(
        left + variable + right, left=text[:left], right=text[-right:] if right else ""
    )
    inner = np.full((2, variable), 3, np.uint8)
    row = "".join("ACGTN"[c] for c in spec.with_margins(inner, by)[0])
    full = "N" * by + spec.left + "T" * variable + spec.right + "N" * by
    middle = by + left
    assert row == full[middle - by : middle + variable + by]


def test_variable_part_of_a_full_row_is_a_checked_view():
    spec = InputSpec(9, left="AAC", right="GG")
    full = spec.place(encode(["TTCA", "ACGT"]))
    assert (spec.variable_part(full) == encode(["TTCA", "ACGT"])).all()
    assert spec.place(full) is full
    full[1, 7] = 1
    with pytest.raises(SequenceError, match="row 1 has 'C' at position 7, .* flank has 'G'"):
        spec.variable_part(full)


def test_other_lengths_are_told_what_would_do():
    spec = InputSpec(110, left="A" * 17, right="C" * 13)
    with pytest.raises(LengthError, match="81 bp long; the model takes 110 bp, or 80 bp to be"):
        spec.variable_part(np.zeros((1, 81), np.uint8))
    with pytest.raises(LengthError, match="7 bp long; the model takes 8 bp$"):
        InputSpec(8).place(np.zeros((1, 7), np.uint8))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"base_order": "ACGU"}, "expected an order of ACGT"),
        ({"unknown": "quarter"}, "'zero' or 'uniform'"),
        ({"left": "ACGTA", "right": "CGT"}, "leave nothing of 8"),
    ],
)
def test_impossible_input_specs_are_refused(fields, words):
    with pytest.raises(OptionError, match=words):
        InputSpec(8, **fields)


def test_specs_survive_json():
    spec = InputSpec(8, left="AC", flag_channels=("singleton",))
    assert InputSpec.from_dict(spec.to_dict()) == spec
    target = TargetSpec(("a", "b"), "softplus", "log2", 2.0, -1.0, strand_exchange=(1, 0))
    assert TargetSpec.from_dict(target.to_dict()) == target
    with pytest.raises(OptionError, match="no field colour"):
        TargetSpec.from_dict({"colour": 1})


def test_heads():
    raw = torch.tensor([[-2.0, 0.0, 3.0]])
    assert TargetSpec(activation="softplus").activate(raw).equal(torch.nn.functional.softplus(raw))
    assert TargetSpec(activation="sigmoid").activate(raw).equal(raw.sigmoid())
    assert TargetSpec(activation="exp").activate(raw).equal(raw.exp())
    assert TargetSpec().activate(raw) is raw
    bins = TargetSpec(activation="expected_bin", bins=(10, 20, 30))
    expected = (raw.softmax(1) * torch.tensor([10.0, 20, 30])).sum(1, keepdim=True)
    torch.testing.assert_close(bins.score(raw), expected)
    assert TargetSpec().score(torch.zeros(5)).shape == (5, 1)


def test_affine_map_is_inverted():
    spec = TargetSpec(slope=0.259, offset=-2.87)
    y = np.array([-1.4, 0.0, 1.66])
    np.testing.assert_allclose(spec.slope * spec.invert(y) + spec.offset, y)
    with pytest.raises(OptionError, match="invertible"):
        TargetSpec(slope=0.0)


def test_stranded_tasks_trade_places_and_profiles_turn():
    spec = TargetSpec(("plus", "minus"), strand_exchange=(1, 0))
    answer = torch.arange(12.0).view(1, 2, 6)
    assert spec.same_strand(answer).equal(answer[:, [1, 0]].flip(2))
    with pytest.raises(OptionError, match="order of the 2 tasks"):
        TargetSpec(("a", "b"), strand_exchange=(0, 0))
    with pytest.raises(OptionError, match="activation='relu'"):
        TargetSpec(activation="relu")
