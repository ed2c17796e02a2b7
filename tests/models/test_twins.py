"""Networks answer what their published layers, written plainly, answer with the same weights."""

from functools import partial

import pytest
import torch

from fastseq.models.registry import build
from tests.reference import networks

SMALL = {"length": 30}
TWINS = {
    "legnet": ({"stem": 16, "widths": (16, 8)}, partial(networks.legnet, widths=(16, 8))),
    "dream_cnn": ({}, networks.dream_cnn),
    "dream_rnn": ({}, networks.dream_rnn),
    "dream_attn": ({}, networks.dream_attn),
    "bhi": ({}, networks.bhi),
    "camformers": ({"channels": 16, "features": 8}, networks.camformers),
    "wztr": (
        {"stem": 16, "channels": 16, "blocks": 2, "repeats": 2},
        partial(networks.wztr, blocks=2, repeats=2),
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_forward_is_the_twins(name):
    sizes, twin = TWINS[name]
    torch.manual_seed(0)
    model = build(name, **SMALL, **sizes).double().eval()
    with torch.no_grad():
        # weights of norms and statistics that do something
        for value in model.state_dict().values():
            if value.is_floating_point() and value.ndim <= 1:
                value.copy_(0.5 + torch.rand_like(value))
            elif value.ndim > 1:
                value.copy_(torch.randn_like(value) / value[0].numel() ** 0.5)
        x = torch.randn(3, model.input_spec.channels, 30, dtype=torch.float64)
        torch.testing.assert_close(model(x), twin(model.state_dict(), x), rtol=1e-8, atol=1e-8)
