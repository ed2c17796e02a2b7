"""What people write between layers, against the same network in float64."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastseq
from fastseq.sequence.edits import Edits, apply

LENGTH = 40
POSITIONS = torch.linspace(-1, 1, 12 * LENGTH).view(12, LENGTH)
CHANNELS = torch.linspace(0.5, 1.5, 12)


class Written(nn.Module):
    """Two convolutions with something written between them, and a mean."""

    def __init__(self, between, before=None, after=None):
        super().__init__()
        self.one, self.two = nn.Conv1d(4, 12, 5, padding=2), nn.Conv1d(12, 12, 3, padding=1)
        self.head = nn.Linear(12, 2)
        self.between, self.before, self.after = between, before, after

    def forward(self, x):
        x = self.one(x if self.before is None else self.before(x))
        x = torch.relu(self.two(self.between(x)))
        return self.head(x.mean(-1)) if self.after is None else self.after(self.head, x)


def between(function):
    return lambda: Written(function)


def after(function):
    return lambda: Written(torch.relu, after=function)


WRITTEN = {
    "a number times": between(lambda x: 0.5 * torch.relu(x)),
    "over a number": between(lambda x: torch.relu(x) / 2),
    "minus": between(lambda x: torch.tanh(x) - torch.relu(x)),
    "from a number": between(lambda x: 1 - torch.sigmoid(x)),
    "negative": between(lambda x: torch.relu(-x)),
    "with a factor": between(lambda x: torch.add(x, torch.relu(x), alpha=2)),
    "standardised": lambda: Written(torch.relu, before=lambda x: (x - 0.25) / 0.43),
    "scale of layers": between(lambda x: torch.relu(x * CHANNELS.to(x.dtype)[:, None])),
    "scale of tokens": between(lambda x: (x.mT * CHANNELS.to(x.dtype)).mT),
    "positions": between(lambda x: torch.relu(x + POSITIONS.to(x.dtype))),
    "positions of tokens": between(lambda x: torch.relu(x.mT + POSITIONS.mT.to(x.dtype)).mT),
    "clamp at 0": between(lambda x: x.clamp(min=0)),
    "clamp": between(lambda x: x.clamp(-0.2, 0.3)),
    "clamp from above": between(lambda x: x.clamp(max=0.1)),
    "relu6": between(F.relu6),
    "hardtanh": between(nn.Hardtanh(-0.2, 0.2)),
    "hardsigmoid": between(F.hardsigmoid),
    "hardswish": between(F.hardswish),
    "mish": between(F.mish),
    "gelu by tanh": between(nn.GELU(approximate="tanh")),
    "selu": between(F.selu),
    "celu": between(lambda x: F.celu(x, 0.4)),
    "softplus": between(lambda x: F.softplus(x, 2.0)),
    "maximum": after(lambda head, x: head(x.max(-1).values)),
    "maximum by torch": after(lambda head, x: head(torch.max(x, -1)[0])),
    "sum": after(lambda head, x: head(x.sum(-1))),
    "whole maximum": after(lambda head, x: head(F.max_pool1d(x, LENGTH).squeeze(-1))),
    "whole mean": after(lambda head, x: head(F.avg_pool1d(x, LENGTH).view(x.size(0), -1))),
    "plane": after(lambda head, x: head(x.unsqueeze(2).mean((2, 3)))),
    "wide vector": after(lambda head, x: (x.repeat(1, 5, 1).flatten(1) * 0.5)[:, :3]),
    "one score": after(lambda head, x: head(x.mean(-1))[:, :1].reshape(x.shape[0], -1)),
}


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, (4, 5), padding=(0, 2)), nn.Conv2d(8, 8, (1, 3))
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8 * 19, 2)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.norm(self.one(x[:, None]))), (1, 2))
        x = F.pad(torch.relu(self.two(x)), (0, 1))
        return self.head(x.view(x.size(0), -1))


def judged(model, plan):
    """Hold answers and effects of both strands to the model in float64."""
    codes = np.random.default_rng(0).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    codes[0, 7] = 4
    edits = Edits.substitutions(codes)
    edits = edits.take(np.arange(0, len(edits), 7))
    everything = np.concatenate([codes, apply(codes, edits)])
    for strand in "+-":
        x = plan.input_spec.expand(everything, strand)
        with torch.no_grad():
            true, own = (
                copy.deepcopy(model).to(dtype)(x.to(dtype)).double().numpy()
                for dtype in (torch.float64, torch.float32)
            )
        found = plan.predict(everything, strand=strand)
        assert np.abs(found - true).max() <= 1e-5 * np.abs(true).max()
        effects, others = (y[3:] - y[edits.row] for y in (true, own))
        allowed = max(1e-4 * np.median(np.abs(effects)), 2 * np.abs(others - effects).max())
        for engine in ("full", "incremental"):
            _, deltas = plan.effects(codes, edits, strand=strand, engine=engine)
            assert np.abs(deltas - effects).max() <= allowed


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_between_layers_is_lowered(name):
    torch.manual_seed(1)
    model = WRITTEN[name]().eval()
    plan = fastseq.lower(model, length=LENGTH, device="cpu")
    judged(model, plan)
    if name not in ("one score", "wide vector"):
        assert not plan.delta_engine("+").walls


def test_images_are_maps():
    torch.manual_seed(1)
    model = Image().eval()
    plan = fastseq.lower(model, length=LENGTH, device="cpu")
    engine = plan.delta_engine("+")
    assert not engine.walls
    assert not plan.not_incremental
    judged(model, plan)


def test_halves_of_a_layer_gate_each_other():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv1d(4, 16, 5), nn.GLU(1), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 1)
    ).eval()
    plan = fastseq.lower(model, length=LENGTH, device="cpu")
    assert "glu" not in plan.explain()
    judged(model, plan)


def test_whole_numbers_are_left_as_they_are():
    class Places(nn.Module):
        def forward(self, x):
            return ((x.argmax(1) + 1) * 2).sum(1, keepdim=True).float()

    model = Places().eval()
    plan = fastseq.lower(model, length=LENGTH, device="cpu")
    codes = np.random.default_rng(0).integers(0, 4, (3, LENGTH), dtype=np.uint8)
    np.testing.assert_array_equal(plan.predict(codes)[:, 0], 2 * (codes + 1.0).sum(1))
