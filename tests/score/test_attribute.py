import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import OptionError
from fastseq.models.specs import InputSpec, TargetSpec


def linear(length=7, tasks=1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * length, tasks))


CODES = np.random.default_rng(2).integers(0, 5, (6, 7)).astype(np.uint8)


def test_saliency_of_a_linear_model_is_its_weights():
    model = linear(tasks=2)
    found = fastseq.attribute(model, CODES, task=1)
    weights = model[1].weight[1].detach().numpy().reshape(4, 7)
    np.testing.assert_allclose(found.raw, np.broadcast_to(weights, (6, 4, 7)), rtol=1e-6)
    np.testing.assert_allclose(found.hypothetical.mean(1), 0, atol=1e-7)
    assert (found.observed[CODES == 4] == 0).all()
    assert found.task == "task1"
    np.testing.assert_array_equal(found.attributions, found.observed)


def test_ism_of_a_linear_model_is_its_corrected_saliency():
    codes = np.minimum(CODES, 3)
    gradient = fastseq.attribute(linear(), codes)
    mutants = fastseq.attribute(linear(), codes, "ism")
    np.testing.assert_allclose(mutants.hypothetical, gradient.hypothetical, atol=1e-6)


def test_both_strands_average_the_turned_map():
    model = nn.Sequential(nn.Conv1d(4, 3, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(21, 1))
    both = fastseq.attribute(model, CODES, strands="both").raw
    forward = fastseq.attribute(model, CODES).raw
    turned = fastseq.attribute(model, fastseq.reverse_complement(CODES)).raw[:, ::-1, ::-1]
    np.testing.assert_allclose(both, (forward + turned) / 2, rtol=1e-5, atol=1e-7)


def test_maps_cover_what_was_given():
    model = linear(10)
    model.input_spec = InputSpec(10, left="AC", right="G")
    inner = fastseq.attribute(model, CODES)
    full = fastseq.attribute(model, model.input_spec.place(CODES))
    assert inner.raw.shape == (6, 4, 7)
    np.testing.assert_array_equal(inner.raw, full.raw[:, :, 2:9])
    np.testing.assert_allclose(
        fastseq.attribute(model, model.input_spec.place(CODES), "ism").raw[:, :, [0, 1, 9]], 0
    )


def test_ism_is_taken_before_a_saturating_head():
    model = linear()
    nn.init.constant_(model[1].bias, 300.0)
    model.target_spec = TargetSpec(activation="sigmoid")
    assert np.abs(fastseq.attribute(model, CODES, "ism").raw).max() > 0


def test_choices_are_named():
    with pytest.raises(OptionError, match="task=None; the model answers task0, task1: choose"):
        fastseq.attribute(linear(tasks=2), CODES)
    with pytest.raises(OptionError, match="task='z'"):
        fastseq.attribute(linear(tasks=2), CODES, task="z")
    with pytest.raises(OptionError, match="method='magic'; expected 'saliency' or 'ism'"):
        fastseq.attribute(linear(), CODES, "magic")
