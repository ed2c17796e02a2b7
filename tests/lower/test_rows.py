"""A sequence has the same answer alone, among a few, and in a whole micro-batch."""

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.lower import rows
from fastseq.models.specs import InputSpec


class Attentive(nn.Module):
    """A convolution, PyTorch's attention, a gated layer over tokens, normalisation, a head."""

    def __init__(self):
        super().__init__()
        self.input_spec = InputSpec(31)
        self.stem = nn.Conv1d(4, 24, 5, padding=2)
        self.norm = nn.LayerNorm(24)
        self.attention = nn.MultiheadAttention(24, 3, batch_first=True)
        self.wide, self.narrow = nn.Linear(24, 96, bias=False), nn.Linear(48, 24)
        self.head = nn.Linear(24, 2)

    def forward(self, x):
        x = self.stem(x).relu().transpose(1, 2)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        out, gate = self.wide(self.norm(x)).chunk(2, dim=-1)
        x = x + 0.5 * self.narrow(out * nn.functional.silu(gate))
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    """A convolution and an LSTM, whose states begin as zeros of the batch's size."""

    def __init__(self):
        super().__init__()
        self.input_spec = InputSpec(23)
        self.stem = nn.Conv1d(4, 16, 3, padding=1)
        self.lstm = nn.LSTM(16, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16 * 23, 1)

    def forward(self, x):
        y, _ = self.lstm(self.stem(x).transpose(1, 2))
        return self.head(y.transpose(1, 2).flatten(1))


@pytest.mark.parametrize("make", [Attentive, Recurrent])
def test_few_sequences_answer_as_many_do(make):
    torch.manual_seed(0)
    model = make().eval()
    plan = fastseq.lower(model, device="cpu", batch_size=8)
    called = [node for node in plan.program("+").graph.nodes if node.op == "call_function"]
    assert all(map(rows.keeps, called)) is (make is Attentive)
    codes = np.random.default_rng(0).integers(0, 5, (11, plan.input_spec.length), np.uint8)
    whole = plan.predict(codes)
    with torch.no_grad():
        exact = model.double()(plan.input_spec.expand(codes).double()).numpy()
    scale = np.abs(exact).max()
    assert np.abs(whole - exact).max() <= 1e-5 * scale
    for first, last in ((0, 1), (2, 5), (8, 11), (4, 11)):
        assert np.abs(plan.predict(codes[first:last]) - whole[first:last]).max() <= 1e-6 * scale


def test_linear_layers_over_tokens_are_convolutions_of_one_position():
    text = fastseq.lower(Attentive().eval(), device="cpu").explain()
    assert "linear.default" not in text
    assert text.count("conv of 1") >= 5
    assert "conv of 1, silu, native, direct" in text
