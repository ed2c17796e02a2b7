"""Networks answer what their published layers, written plainly, answer with the same weights.

Where a team published PyTorch code that runs, the network also equals that code on shared weights:
so verified for DREAM-CNN, -RNN and -Attn, LegNet of Prix Fixe, BHI, Camformers, NAD, BUGF, and
BPNet against bpnet-lite. The others were published in Keras, and were read line by line.
"""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from fastseq.models.registry import build
from tests.reference import challengers, enhancers, networks

# name: sizes that differ from the published ones, the twin
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
    "unlock_dna": (
        {"channels": 24, "layers": 2, "heads": 2, "head_width": 24},
        partial(challengers.unlock_dna, heads=2, layers=2),
    ),
    "nad": (
        {"length": 110, "widths": (8, 10, 12, 14, 16), "embedding": 8, "heads": 2,
         "head_width": 8},
        partial(challengers.nad, heads=2),
    ),
    "high_schoolers": (
        {"length": 110, "strands": 6, "widths": (8, 24), "heads": 2, "inner": 8, "features": 8},
        partial(challengers.high_schoolers, heads=2),
    ),
    "bionml": (
        {"motifs": 8, "kmers": (2, 3), "channels": 16, "layers": 2, "heads": 2, "features": 8},
        partial(challengers.bionml, heads=2, layers=2),
    ),
    "bugf": (
        {"channels": 32, "heads": 4, "inner": 16, "passes": 3},
        partial(challengers.bugf, heads=4, passes=3),
    ),
    "mt": ({"hidden": 8}, challengers.mt),
    "vaishnav": ({"channels": 8, "hidden": 16}, challengers.vaishnav),
    "tum_resnet": ({"channels": 8}, enhancers.tum_resnet),
    "tum_cnn": ({"channels": 8}, enhancers.tum_cnn),
    "tum_classifier": ({"channels": 8}, enhancers.tum_classifier),
    "motif_cnn": (
        {"length": 200, "channels": (6, 8, 10, 12), "hidden": 8}, enhancers.motif_cnn,
    ),
    "deepstarr": ({"length": 50, "channels": (16, 8, 8, 12), "features": 8}, enhancers.deepstarr),
    "deepromoter": ({"length": 45}, enhancers.deepromoter),
    "bpnet": ({"length": 60, "channels": 8, "layers": 4, "tasks": 2}, enhancers.bpnet_counts),
    "basenji": ({"length": 64, "channels": 8, "tasks": 2}, enhancers.basenji),
    "legnet_mpra": (
        {"length": 32, "stem": 8, "widths": (8, 12), "features": 8}, enhancers.legnet_mpra
    ),
}  # fmt: skip


def randomised(name, sizes):
    """A network in float64 whose norms, statistics and biases do something, and one-hot input."""
    torch.manual_seed(0)
    model = build(name, **{"length": 30, **sizes}).double().eval()
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point() and value.ndim <= 1:
                value.copy_(0.5 + torch.rand_like(value))
            elif value.ndim > 1:
                value.copy_(torch.randn_like(value) / value[0].numel() ** 0.5)
    spec = model.input_spec
    x = F.one_hot(torch.randint(0, 4, (3, spec.length)), 4).double().transpose(1, 2)
    flags = torch.randint(0, 2, (3, spec.channels - 4, 1)).expand(-1, -1, spec.length)
    return model, torch.cat((x, flags.double()), dim=1)


@pytest.mark.parametrize("name", TWINS)
def test_forward_is_the_twins(name):
    sizes, twin = TWINS[name]
    model, x = randomised(name, sizes)
    with torch.no_grad():
        wanted = twin(model.state_dict(), x)
        wanted = wanted[0] if isinstance(wanted, tuple) else wanted
        torch.testing.assert_close(model(x), wanted, rtol=1e-8, atol=1e-8)


def test_second_heads_are_the_twins():
    with torch.no_grad():
        model, x = randomised("bugf", TWINS["bugf"][0])
        _, mutated = TWINS["bugf"][1](model.state_dict(), x)
        torch.testing.assert_close(model.mutated(x), mutated, rtol=1e-8, atol=1e-8)
        model, x = randomised("unlock_dna", TWINS["unlock_dna"][0])
        _, letters = TWINS["unlock_dna"][1](model.state_dict(), x)
        _, found = model.reconstruct(x, torch.zeros(3, 30, dtype=torch.bool))
        torch.testing.assert_close(found, letters[:, 35:65, :4], rtol=1e-8, atol=1e-8)
        model, x = randomised("bpnet", {**TWINS["bpnet"][0], "head": "profile"})
        profile = enhancers.bpnet_profile(model.state_dict(), x)
        torch.testing.assert_close(model(x), profile, rtol=1e-8, atol=1e-8)
