"""The small ResNet as the report has it, and its quicker relatives."""

import numpy as np
import pytest
import torch

from fastseq.errors import OptionError
from fastseq.lower import lower
from fastseq.models.blocks import MaxAndMean
from fastseq.models.registry import build

QUICK = {"act": "relu", "padded": False, "stem_pool": True, "pool": "both"}


@pytest.mark.parametrize("sizes", [{}, QUICK, {"act": "silu", "padded": False}])
def test_every_relative_is_lowered(sizes):
    torch.manual_seed(0)
    model = build("tum_resnet", length=60, channels=8, activation="none", **sizes).eval()
    codes = np.random.default_rng(0).integers(0, 4, (3, 60), dtype=np.uint8)
    with torch.no_grad():
        wanted = model(model.input_spec.expand(codes)).numpy()
    np.testing.assert_allclose(lower(model, length=60).predict(codes), wanted, atol=1e-5)


def test_an_unpadded_first_layer_sees_whole_windows_only():
    model = build("tum_resnet", length=60, channels=8, padded=False)
    assert model.stem(torch.zeros(1, 4, 60)).shape == (1, 8, 40)
    assert build("tum_resnet", channels=8).stem(torch.zeros(1, 4, 60)).shape == (1, 8, 60)


def test_the_head_may_see_maximum_and_mean():
    x = torch.arange(6.0).view(1, 2, 3)
    assert MaxAndMean()(x).tolist() == [[2, 5, 1, 4]]
    sizes = {"channels": 8}
    assert build("tum_resnet", **sizes, pool="both").head[1].in_features == 16


@pytest.mark.parametrize("choice", [{"act": "tanh"}, {"pool": "sum"}])
def test_other_choices_are_refused(choice):
    with pytest.raises(OptionError, match="expected one of"):
        build("tum_resnet", **choice)
