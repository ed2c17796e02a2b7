import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fastseq
from fastseq.errors import OptionError
from fastseq.models.specs import InputSpec


def network(tasks=2, length=14, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(4, 6, 4, padding=2), nn.ELU(), nn.MaxPool1d(2), nn.Flatten(),
        nn.Linear(6 * ((length + 1) // 2), tasks),
    )  # fmt: skip


def naive(model, codes, start, end, **options):
    """One forward per mutant, differences of outputs."""
    effect = np.zeros((len(codes), 2, 4, end - start))
    ref = fastseq.predict(model, codes, **options)
    for row in range(len(codes)):
        for position in range(start, end):
            for letter in range(4):
                mutant = codes[row : row + 1].copy()
                mutant[0, position] = letter
                effect[row, :, letter, position - start] = (
                    fastseq.predict(model, mutant, **options)[0] - ref[row]
                )
    return effect


def test_one_task_of_several_is_kept(tmp_path):
    codes = np.random.default_rng(2).integers(0, 5, (5, 14)).astype(np.uint8)
    whole = fastseq.saturation_mutagenesis(network(), codes)
    for task in (1, "task1"):
        one = fastseq.saturation_mutagenesis(network(), codes, task=task)
        assert one.tasks == ("task1",)
        np.testing.assert_array_equal(one.effect, whole.effect[:, 1:])
        np.testing.assert_array_equal(one.y_ref, whole.y_ref[:, 1:])
    edits = fastseq.perturb(network(), codes, "deletions:3", task=0)
    assert edits.tasks == ("task0",)
    told = fastseq.saturation_mutagenesis(network(), codes, task=1, output=tmp_path / "m")
    assert told["identity"]["tasks"] == ["task1"]
    for task in ("z", 2, -1, 0.5):
        with pytest.raises(OptionError, match=r"the model answers task0, task1: choose one"):
            fastseq.saturation_mutagenesis(network(), codes, task=task)
    with pytest.raises(OptionError, match="reduce='counts'; expected 'sum', 'mean' or a function"):
        fastseq.saturation_mutagenesis(network(), codes, reduce="counts")


@settings(max_examples=8)
@given(
    st.integers(1, 3), st.integers(0, 13), st.integers(1, 14), st.sampled_from(["forward", "both"])
)
def test_effects_are_naive_mutagenesis(n, start, width, strands):
    codes = np.random.default_rng(n).integers(0, 5, (n, 14)).astype(np.uint8)
    end, model = min(start + width, 14), network()
    found = fastseq.saturation_mutagenesis(model, codes, start=start, end=end, strands=strands)
    expected = naive(model, codes, start, end, strands=strands)
    np.testing.assert_allclose(found.effect, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.y_ref, fastseq.predict(model, codes, strands=strands))


def test_derived_maps():
    codes = np.random.default_rng(5).integers(0, 5, (20, 14)).astype(np.uint8)
    codes[0, 0] = 4
    found = fastseq.saturation_mutagenesis(network(), codes)
    np.testing.assert_allclose(found.hypothetical.mean(2), 0, atol=1e-6)
    known = ~found.unknown
    alternatives = found.effect.sum(2) / 3
    for task in range(2):
        np.testing.assert_allclose(
            found.attributions[:, task][known], -0.75 * alternatives[:, task][known], atol=1e-6
        )
        assert (found.attributions[:, task][found.unknown] == 0).all()
    assert found.unknown[0, 0]
    assert (found.effect[:, 0][found.observed] == 0).all()
    y_ref, y_alt = found.to_tangermeme()
    assert y_alt.shape == (20, 4, 14, 2)
    np.testing.assert_array_equal(y_alt[3, 2, 7, 1], found.y_alt[3, 1, 2, 7])
    assert y_ref is found.y_ref


def test_constructs_mutate_their_variable_part_unless_told_otherwise():
    model = network()
    model.input_spec = InputSpec(14, left="ACG", right="TT")
    inner = ["ACGTACGTA"]
    full = ["ACG" + inner[0] + "TT"]
    short = fastseq.saturation_mutagenesis(model, inner, shifts=(-1, 0))
    long = fastseq.saturation_mutagenesis(model, full, shifts=(-1, 0))
    assert (short.start, short.end, long.start, long.end) == (0, 9, 3, 12)
    np.testing.assert_array_equal(short.effect, long.effect)
    told = fastseq.saturation_mutagenesis(model, full, start=1, end=13)
    assert told.effect.shape[3] == 12
    np.testing.assert_allclose(
        told.effect[..., 2:11], fastseq.saturation_mutagenesis(model, inner).effect, atol=1e-6
    )
    assert np.abs(told.effect[..., :2]).max() > 0
    with pytest.raises(OptionError, match="do not shift"):
        fastseq.saturation_mutagenesis(model, full, start=1, shifts=(1,))


def test_profiles_need_a_reducer():
    torch.manual_seed(0)
    model = nn.Conv1d(4, 2, 3, padding=1)
    codes = np.random.default_rng(0).integers(0, 4, (3, 8), dtype=np.uint8)
    with pytest.raises(OptionError, match="profiles of 8 positions and reduce=None"):
        fastseq.saturation_mutagenesis(model, codes)
    total = fastseq.saturation_mutagenesis(model, codes, reduce="sum")
    mean = fastseq.saturation_mutagenesis(model, codes, reduce="mean")
    mine = fastseq.saturation_mutagenesis(model, codes, reduce=lambda profile: profile[..., 0])
    np.testing.assert_allclose(total.effect, 8 * mean.effect, rtol=1e-5)
    assert (mine.effect[..., 3:] == 0).all()
    np.testing.assert_allclose(total.y_ref, fastseq.predict(model, codes).sum(-1), rtol=1e-6)


@pytest.mark.parametrize("options", [{"start": 1.5}, {"shifts": 3}, {"batch_size": 1.5}])
def test_fractions_and_single_shifts_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(OptionError, match=f"{name}={value}"):
        fastseq.saturation_mutagenesis(network(), "A" * 14, **options)


@pytest.mark.parametrize("span", [(-1, 3), (3, 3), (0, 15), (9, 2)])
def test_spans_outside_the_sequence_are_refused(span):
    with pytest.raises(OptionError, match="expected 0 <= start < end <= 14"):
        fastseq.saturation_mutagenesis(network(), "A" * 14, start=span[0], end=span[1])


def test_unknown_engines_are_named():
    with pytest.raises(OptionError, match="engine='magic'"):
        fastseq.saturation_mutagenesis(network(), "A" * 14, engine="magic")
