import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fastseq.lower import ops
from fastseq.lower.capture import NotCaptured, capture


def calibrated(net, channels, length, seed=0):
    """The net in eval mode after batches that moved its statistics and with uneven affines."""
    torch.manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.affine:
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
    net.train()
    net(torch.randn(16, channels, length))
    return net.eval()


def words(graph):
    calls = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    return [call for call in calls if call is not torch.ops.aten.sym_size.int]


def agrees(net, channels, length):
    """Capture a net and hold it against its own float64 forward; return the graph."""
    graph = capture(net, channels, length)
    for n in (1, 3):
        x = torch.randn(n, channels, length)
        with torch.no_grad():
            found, truth = graph(x.clone()), net.double()(x.double())
            net.float()
        assert found.shape == truth.shape
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=2e-5 * float(truth.abs().max()))
    return graph


CASES = {
    "same": nn.Conv1d(4, 6, 5, padding="same"),
    "same, even": nn.Conv1d(4, 6, 4, padding="same"),
    "valid, dilated": nn.Conv1d(4, 6, 3, dilation=4),
    "strided, padded": nn.Conv1d(4, 6, 5, stride=3, padding=4),
    "grouped": nn.Conv1d(4, 8, 3, groups=2, bias=False),
    "depthwise": nn.Conv1d(4, 4, 3, groups=4, padding=1),
    "asymmetric": nn.Sequential(nn.ConstantPad1d((3, 1), 0.0), nn.Conv1d(4, 5, 4)),
    "folded": nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.ReLU()),
    "not folded": nn.Sequential(nn.Conv1d(4, 6, 3), nn.ELU(), nn.BatchNorm1d(6)),
    "norm without affine": nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6, affine=False)),
    "prelu": nn.Sequential(nn.Conv1d(4, 6, 3), nn.PReLU(6)),
    "leaky": nn.Sequential(nn.Conv1d(4, 6, 3), nn.LeakyReLU(0.2)),
    "silu": nn.Sequential(nn.Conv1d(4, 6, 3), nn.SiLU()),
    "gelu": nn.Sequential(nn.Conv1d(4, 6, 3), nn.GELU()),
    "softplus": nn.Sequential(nn.Conv1d(4, 6, 3), nn.Softplus()),
    "sigmoid": nn.Sequential(nn.Conv1d(4, 6, 3), nn.Sigmoid()),
    "tanh": nn.Sequential(nn.Conv1d(4, 6, 3), nn.Tanh()),
    "max pool": nn.MaxPool1d(3),
    "max pool, overlapping": nn.MaxPool1d(3, 2, padding=1),
    "max pool, ceil": nn.MaxPool1d(4, 3, ceil_mode=True),
    "max pool, ceil and dropped": nn.MaxPool1d(2, 5, padding=1, ceil_mode=True),
    "mean pool": nn.AvgPool1d(3, 2, padding=1),
    "mean pool, uncounted": nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
    "mean pool, ceil": nn.AvgPool1d(4, 3, padding=2, ceil_mode=True),
    "flat": nn.Sequential(nn.Conv1d(4, 6, 3), nn.Flatten(), nn.Linear(6 * 21, 3), nn.ReLU()),
    "flat norm": nn.Sequential(nn.Flatten(), nn.Linear(92, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)),
    "adaptive": nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)),
    "adaptive max": nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 2)),
    "dropout": nn.Sequential(nn.Dropout(), nn.Conv1d(4, 6, 3), nn.Dropout1d()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", CASES)
def test_every_layer_of_the_vocabulary(name):
    graph = agrees(calibrated(CASES[name], 4, 23), 4, 23)
    left = [node.meta["why"] for node in graph.graph.nodes if "why" in node.meta]
    assert not left


def test_neighbours_merge():
    found = capture(calibrated(CASES["folded"], 4, 23), 4, 23)
    assert words(found) == [ops.conv]
    flat = capture(calibrated(CASES["flat"], 4, 23), 4, 23)
    assert words(flat) == [ops.conv, ops.flat_linear]
    norm = capture(calibrated(CASES["flat norm"], 4, 23), 4, 23)
    assert words(norm) == [ops.flat_linear, ops.linear]
    pooled = capture(calibrated(CASES["adaptive"], 4, 23), 4, 23)
    assert words(pooled) == [ops.global_mean, ops.linear]


class Residual(nn.Module):
    """Sums before and after the activation, a concatenation, a value used twice."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(4, 6, 3, padding=1)
        self.b = nn.Conv1d(6, 6, 3, padding=1)
        self.c = nn.Conv1d(12, 6, 1)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        x = self.a(x)
        y = F.relu(self.norm(self.b(x)) + x)
        y = y + F.relu(self.b(y))
        return self.c(torch.cat([x, y], 1)) + x + x


def test_residuals_and_concatenations():
    graph = agrees(calibrated(Residual(), 4, 15), 4, 15)
    assert not [node for node in graph.graph.nodes if "why" in node.meta]
    assert words(graph).count(ops.concat) == 1


class Excited(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv1d(4, 6, 3, padding=1), nn.Linear(6, 6)

    def forward(self, x):
        x = self.conv(x)
        return (x * self.gate(x.mean(2)).sigmoid()[:, :, None]).amax(2)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3, padding=1)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.lstm(self.conv(x).transpose(1, 2))[0].mean(1)


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 3, padding=1)
        self.norm, self.heads = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.norm(self.conv(x).transpose(1, 2))
        return (x + self.heads(x, x, x, need_weights=False)[0]).flatten(1).softmax(1)


def test_gates_of_channels_have_a_rule():
    graph = agrees(calibrated(Excited(), 4, 12), 4, 12)
    assert torch.ops.aten.mul.Tensor in words(graph)
    assert not [node.meta["why"] for node in graph.graph.nodes if "why" in node.meta]


@pytest.mark.parametrize("net", [Recurrent, Attentive])
def test_walls_stay_with_pytorch_and_say_why(net):
    graph = agrees(calibrated(net(), 4, 12), 4, 12)
    assert words(graph)[0] is ops.conv
    assert [node.meta["why"] for node in graph.graph.nodes if "why" in node.meta]


def test_what_cannot_be_captured_says_so():
    class Branching(nn.Module):
        def forward(self, x):
            return x.sum((1, 2)) if x.sum() > 0 else x.amax((1, 2))

    with pytest.raises(NotCaptured):
        capture(Branching(), 4, 8)


@st.composite
def stacks(draw):
    """A random stack of layers that fits a random length."""
    length = draw(st.integers(20, 40))
    channels, layers, left = 4, [], length
    for _ in range(draw(st.integers(1, 4))):
        kernel, spread = draw(st.integers(1, 5)), draw(st.integers(1, 2))
        pad = draw(st.integers(0, 3))
        grown = draw(st.sampled_from([3, 4, 8]))
        layers.append(nn.Conv1d(channels, grown, kernel, padding=pad, dilation=spread,
                                bias=draw(st.booleans())))  # fmt: skip
        channels, left = grown, left + 2 * pad - spread * (kernel - 1)
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(channels))
        layers.append(draw(st.sampled_from([nn.ReLU(), nn.PReLU(), nn.SiLU(), nn.Identity()])))
        if left >= 8 and draw(st.booleans()):
            layers.append(nn.MaxPool1d(draw(st.integers(2, 3)), 2))
            left = (left - layers[-1].kernel_size) // 2 + 1
        if left < 6:
            break
    if draw(st.booleans()):
        layers += [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(channels, 2)]
    else:
        layers += [nn.Flatten(), nn.Linear(channels * left, 2)]
    return nn.Sequential(*layers), length


@settings(max_examples=10)
@given(stacks())
def test_random_stacks(case):
    net, length = case
    graph = agrees(calibrated(net, 4, length), 4, length)
    assert not [node for node in graph.graph.nodes if "why" in node.meta]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 64, 3, padding=16, dilation=16),
        nn.Conv1d(4, 64, 3, padding=5),
        nn.Conv1d(4, 64, 1, padding=3),
    ],
)
def test_results_that_lie_wholly_in_the_padding(layer):
    agrees(nn.Sequential(layer, nn.ReLU(), nn.Conv1d(64, 64, 3, padding=20, dilation=20)), 4, 12)
