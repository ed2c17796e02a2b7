"""Windows of differences through the kernels' plain twins, against full passes in float64."""

import copy

import numpy as np
import pytest
import torch
from fastseq_kernels import reference
from hypothesis import given, settings
from hypothesis import strategies as st

import fastseq
from fastseq.errors import OptionError
from fastseq.lower import ops
from fastseq.lower.capture import capture
from fastseq.lower.delta_gpu import WindowEngine
from fastseq.models.specs import InputSpec
from fastseq.sequence.edits import Edits
from tests.lower.networks import ACTIVATIONS, TABLE, Network

CPU = torch.device("cpu")
KERNELS = {*reference.ACTIVATIONS, "leaky_relu"}
SIZES = {
    "tum_resnet": {"length": 47, "channels": 12, "activation": "none"},
    "motif_cnn": {"length": 60, "channels": (6, 8, 8, 8), "hidden": 10},
    "deepstarr": {"length": 52, "channels": (16, 6, 6, 10), "features": 12},
    "bpnet": {"length": 80, "channels": 8, "layers": 3, "head": "profile"},
}


def model(name):
    torch.manual_seed(0)
    net = fastseq.models.build(name, **SIZES[name])
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(8, 4, SIZES[name]["length"]))
    return net.eval().requires_grad_(False)


def random_edits(length, n=4, each=9, seed=0):
    """Edits of one to four bases anywhere in a few sequences, some of which change nothing."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 5, (n, length)).astype(np.uint8)
    lengths = random.integers(0, 5, n * each)
    start = random.integers(0, length - lengths + 1)
    offsets = np.r_[0, np.cumsum(lengths)]
    inserted = random.integers(0, 5, offsets[-1]).astype(np.uint8)
    row = np.repeat(np.arange(n), each)
    return codes, row, start, inserted, offsets


def mutants(codes, row, start, inserted, offsets):
    changed = codes[row]
    for number, first in enumerate(start):
        word = inserted[offsets[number] : offsets[number + 1]]
        changed[number, first : first + len(word)] = word
    return changed


def compare(engine, graph, table, edits, tolerance=1e-4):
    wide = copy.deepcopy(graph).double()

    def run(codes):
        return wide(table.double()[torch.from_numpy(codes).long()].mT).numpy()

    answers, deltas = engine.effects(*edits)
    with torch.inference_mode():
        ref, alt = run(edits[0]), run(mutants(*edits))
    truth = alt - ref[edits[1]]
    np.testing.assert_allclose(answers, ref, rtol=1e-4, atol=1e-4 * np.abs(ref).max())
    np.testing.assert_allclose(deltas, truth, atol=tolerance * np.abs(truth).max() + 1e-6, rtol=0)


@pytest.mark.parametrize("name", SIZES)
def test_networks_of_the_zoo(name):
    graph = capture(model(name), 4, SIZES[name]["length"])
    engine = WindowEngine(graph, TABLE, "float32", CPU)
    assert engine.reasons == []
    compare(engine, graph, TABLE, random_edits(SIZES[name]["length"]))


@st.composite
def windowed(draw):
    """A random graph of what windows pass: convolutions, sums before or behind, pools, heads."""
    net = Network(draw(st.integers(12, 50)), seed=draw(st.integers(0, 9999)))
    x = net.x
    for _ in range(draw(st.integers(1, 4))):
        channels, length = x.meta["shape"]
        kind, kernel = draw(st.sampled_from(["conv", "before", "behind"])), draw(st.integers(1, 6))
        dilation = draw(st.sampled_from([1, 1, 2, 5])) if length > 5 else 1
        halo = (kernel - 1) * dilation
        before = draw(st.integers(0, halo))
        sizes = {"before": before, "after": halo - before, "dilation": dilation}
        activation = draw(st.sampled_from([a for a in ACTIVATIONS if a in KERNELS]))
        if kind == "conv":
            x = net.conv(x, 8, kernel, activation, **sizes)
        elif kind == "before":
            x = net.conv(x, channels, kernel, activation, skip=x, **sizes)
        else:
            x = net.call(ops.add, x, net.conv(x, channels, kernel, activation, **sizes))
        width = draw(st.integers(1, 3))
        if width > 1 and x.meta["shape"][1] > 6:
            x = net.call(ops.max_pool, x, width, width, 0, -(x.meta["shape"][1] % width))
    head = draw(st.sampled_from(["max", "mean", "flat", "profile"]))
    if head == "profile":
        return net.finish(net.conv(x, 2, 1))
    pooled = ops.global_max if head == "max" else ops.global_mean
    x = net.flat_linear(x, 6, "silu") if head == "flat" else net.call(pooled, x)
    return net.finish(net.linear(x, 2))


@settings(max_examples=40, deadline=None)
@given(windowed())
def test_random_networks(graph):
    engine = WindowEngine(graph, TABLE, "float32", CPU)
    assert engine.reasons == []
    length = next(iter(graph.graph.nodes)).meta["shape"][1]
    compare(engine, graph, TABLE, random_edits(length, 2, 6), tolerance=1e-3)


def test_bfloat16_keeps_the_leading_digits_of_differences():
    graph = capture(model("tum_resnet"), 4, 47)
    compare(WindowEngine(graph, TABLE, "bfloat16", CPU), graph, TABLE, random_edits(47), 3e-2)


def test_any_number_of_rows_and_mutants_at_once(monkeypatch):
    graph = capture(model("tum_resnet"), 4, 47)
    engine = WindowEngine(graph, TABLE, "float32", CPU)
    _, whole = engine.effects(*random_edits(47))
    monkeypatch.setattr("fastseq.lower.delta_gpu.ROWS", 3)
    monkeypatch.setattr("fastseq.lower.delta_gpu.MUTANTS", 2)
    _, parts = engine.effects(*random_edits(47))
    np.testing.assert_allclose(parts, whole, atol=1e-6 * np.abs(whole).max())


def test_what_windows_do_not_pass_is_said():
    net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3, stride=2), torch.nn.AvgPool1d(2))
    engine = WindowEngine(capture(net.eval(), 4, 30), TABLE, "float32", CPU)
    assert len(engine.reasons) == 2
    assert "conv has a stride or groups" in engine.reasons[1]
    assert "mean_pool is no part of a convolution" in engine.reasons[0]


@pytest.mark.parametrize("strand", "+-")
def test_plans_on_kernels_mutate_by_windows(strand, monkeypatch):
    monkeypatch.setattr("fastseq.lower.forward.obstacles", lambda device: [])
    net = model("motif_cnn")
    net.input_spec = InputSpec(60, "ACGT", "GG")
    plan = fastseq.lower(net, device="cpu")
    assert "windows of differences in Triton, 4 launches" in plan.explain_ism(measure=False)
    rows = np.random.default_rng(0).integers(0, 5, (3, 54)).astype(np.uint8)
    edits = Edits.substitutions(rows)
    y_full, full = plan.effects(rows, edits, strand=strand)
    y_ref, deltas = plan.effects(rows, edits, strand=strand, engine="incremental")
    np.testing.assert_allclose(y_ref, y_full, rtol=1e-4)
    np.testing.assert_allclose(deltas, full, atol=1e-4 * np.abs(full).max())


def test_plans_say_what_windows_do_not_pass(monkeypatch):
    monkeypatch.setattr("fastseq.lower.forward.obstacles", lambda device: [])
    net = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3, stride=2), torch.nn.ReLU(),
                              torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten())  # fmt: skip
    plan = fastseq.lower(net, device="cpu", length=30)
    rows = np.zeros((1, 30), np.uint8)
    with pytest.raises(OptionError, match="has a stride or groups"):
        plan.effects(rows, Edits.substitutions(rows), engine="incremental")
