"""Graphs mapped onto kernels against the graph itself; on the CPU an operator is its plain twin."""

import numpy as np
import pytest
import torch
from fastseq_kernels import support
from fastseq_kernels.reference import relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import fastseq
from fastseq.errors import LengthError, OptionError
from fastseq.lower import ops
from fastseq.lower.capture import capture
from fastseq.lower.kernels import obstacles, onto_kernels
from fastseq.models.legnet import BilinearSqueezeExcite
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.edits import Edits
from tests.lower.networks import Network, networks

# a whole network, each layer rounding once
TOLERANCE = {"float32": 1e-5, "tf32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}


def random_codes(n, length, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, length)).astype(np.uint8)


def compare(graph, spec, codes, strand="+", precision="float32"):
    """Check a mapped graph on codes; return how its nodes run."""
    program = onto_kernels(graph, spec, strand, codes.shape[1], precision)
    with torch.inference_mode():
        truth = graph(spec.expand(spec.place(codes), strand))
        found = program(torch.from_numpy(codes)).float()
    assert relative_error(found, truth) < TOLERANCE[precision]
    return program.meta["how"]


def captured(*layers, length=30, channels=4):
    torch.manual_seed(0)
    net = nn.Sequential(*layers).eval().requires_grad_(False)
    return capture(net, channels, length)


@settings(max_examples=40, deadline=None)
@given(networks(walls=True), st.sampled_from("+-"))
def test_random_networks(graph, strand):
    length = next(iter(graph.graph.nodes)).meta["shape"][1]
    compare(graph, InputSpec(length, unknown="uniform"), random_codes(3, length), strand)


SPEC = InputSpec(30, "ACGTA", "GGC", base_order="TACG", strand_channel=True,
                 flag_channels=("singleton",))  # fmt: skip


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("unknown", ["zero", "uniform"])
@pytest.mark.parametrize("padding", [0, 3, 9])
def test_flanks_strand_flags_and_unknown_bases_are_in_the_first_layer(
    padding, unknown, strand, precision
):
    spec = InputSpec(**SPEC.to_dict() | {"unknown": unknown})
    graph = captured(nn.Conv1d(6, 16, 7, stride=2, padding=padding), nn.ReLU(), nn.MaxPool1d(2),
                     nn.Conv1d(16, 8, 3, padding=1), channels=6)  # fmt: skip
    how = compare(graph, spec, random_codes(5, spec.variable), strand, precision)
    assert [*how.values()] == ["Triton first_conv1d + max_pool", "inside conv", "Triton conv1d"]
    compare(graph, spec, spec.place(random_codes(5, spec.variable)), strand, precision)


@pytest.mark.parametrize("strand", "+-")
def test_a_first_layer_in_groups_reads_the_whole_input(strand):
    graph = captured(nn.Conv1d(6, 6, 3, groups=2, padding=1), channels=6)
    how = compare(graph, SPEC, random_codes(3, SPEC.variable), strand)
    assert how == {"conv": "Triton depthwise_conv1d"}


class Gated(nn.Module):
    """A residual after the activation, a squeeze-excite, a pool over both."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 24, 5, padding=2)
        self.wide = nn.Conv1d(24, 24, 3, padding=4, dilation=4)
        self.gate = nn.Sequential(nn.Linear(24, 6), nn.SiLU(), nn.Linear(6, 24), nn.Sigmoid())
        self.narrow = nn.Conv1d(24, 8, 1)
        self.head = nn.Linear(8 * 15, 2)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + F.silu(self.wide(x))
        x = x * self.gate(x.mean(2)).unsqueeze(2)
        x = F.max_pool1d(F.gelu(self.narrow(x)), 2)
        return self.head(x.flatten(1))


@pytest.mark.parametrize("precision", TOLERANCE)
def test_what_follows_a_convolution_is_inside_it(precision):
    torch.manual_seed(0)
    graph = capture(Gated().eval().requires_grad_(False), 4, 30)
    how = compare(graph, InputSpec(30), random_codes(4, 30), precision=precision)
    said = list(how.values())
    assert said[:3] == ["Triton first_conv1d", "Triton conv1d + add", "inside conv_1"]
    assert "Triton conv1d + gate + max_pool" in said
    assert not [way for way in said if way.startswith("PyTorch")]


class Residual(nn.Module):
    """Two convolutions of 16 channels around a skip, with or without a pool behind them."""

    def __init__(self, *, pool=1, kernels=(5, 5), dilation=1, activations=None, channels=16,
                 bias=True):  # fmt: skip
        super().__init__()
        self.stem = nn.Conv1d(4, channels, 7, padding=3)
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, k, padding="same", dilation=dilation, bias=bias)
            for k in kernels
        )
        self.activations = nn.ModuleList(activations or (nn.SiLU(), nn.SiLU()))
        self.pool = pool

    def forward(self, x):
        kept = x = self.stem(x).relu()
        x = self.activations[0](self.convs[0](x))
        x = self.activations[1](self.convs[1](x) + kept)
        return (F.max_pool1d(x, self.pool) if self.pool > 1 else x).amax(2)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "residual_pair + conv"),
        ({"pool": 2, "bias": False}, "residual_pair + conv + max_pool"),
        ({"activations": (nn.PReLU(16), nn.PReLU())}, "residual_pair + conv"),
        ({"pool": 3}, "residual_pair + conv"),
        ({"kernels": (5, 3)}, "conv1d"),
        ({"kernels": (4, 4)}, "conv1d"),
        ({"dilation": 2}, "conv1d"),
        (
            {"channels": 24},
            "conv1d, one by one (24 channels; a tile in registers has 16, 32 or 64)",
        ),
        ({"activations": (nn.ReLU(), nn.SiLU())}, "conv1d"),
        ({"activations": (nn.ELU(), nn.ELU(0.5))}, "conv1d"),
        ({"activations": (nn.ELU(0.5), nn.ELU(0.5))}, ""),
    ],
)
def test_a_residual_block_is_one_kernel_where_it_fits(options, expected, precision):
    torch.manual_seed(0)
    graph = capture(Residual(**options).eval().requires_grad_(False), 4, 30)
    how = list(compare(graph, InputSpec(30), random_codes(3, 30), precision=precision).values())
    first = next(way for way in how[1:] if not way.startswith("inside"))
    assert first.removeprefix("Triton ") == expected or (not expected and "ELU" in first)


def test_a_block_too_long_for_registers_is_two_kernels():
    graph = capture(Residual().eval().requires_grad_(False), 4, 200)
    how = compare(graph, InputSpec(200), random_codes(2, 200))
    why = "one by one (200 positions; a tile in registers has up to 128)"
    assert list(how.values())[1:3] == [f"Triton conv1d, {why}", "Triton conv1d"]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_channels_that_fill_no_16_bytes_get_zeros_beside_them(precision):
    """Rows are padded in memory, and no reader sees the padding."""
    layers = [nn.Conv1d(4, 30, 5, padding=2), nn.Sigmoid(), nn.Conv1d(30, 27, 3, padding=1),
              nn.PReLU(27), nn.Conv1d(27, 13, 3, padding=1), nn.Softplus(), nn.Flatten(),
              nn.Linear(13 * 30, 3)]  # fmt: skip
    graph = captured(*layers)
    compare(graph, InputSpec(30), random_codes(3, 30), precision=precision)
    program = onto_kernels(graph, InputSpec(30), "+", 30, precision)
    unit = 16 // (2 if "16" in precision else 4)
    kernels = [n for n in program.graph.nodes if str(n.target).endswith("conv1d.default")]
    widths = [program.get_buffer(str(n.args[1].target)).shape[2] for n in kernels[:3]]
    assert widths == [-(-c // unit) * unit for c in (30, 27, 13)]


def test_what_no_kernel_takes_says_why():
    net = Network(30)
    x = net.conv(net.x, 8, 3, "elu", before=1, after=1)
    x.kwargs = x.kwargs | {"parameter": 0.5}
    x = net.call(ops.max_pool, x, 3, 2)
    x = net.call(torch.cumsum, x, 2)
    how = compare(net.finish(net.conv(x, 2, 1)), InputSpec(30), random_codes(2, 30))
    assert list(how.values()) == [
        "PyTorch, conv2d channels-last: the ELU's alpha is 0.5; the kernels have 1",
        "PyTorch: windows overlap, or stand apart from what a kernel ends",
        "PyTorch: no kernel computes it",
        "Triton conv1d",
    ]


def test_a_wide_pool_stays_beside_its_convolution():
    graph = captured(nn.Conv1d(4, 8, 3, padding=1), nn.MaxPool1d(20), length=60)
    how = compare(graph, InputSpec(60), random_codes(2, 60))
    assert list(how.values()) == [
        "Triton first_conv1d",
        "PyTorch: pool windows of 20 positions; one program holds up to 16",
    ]


class Bilinear(nn.Module):
    """A bilinear squeeze-excite between two convolutions."""

    def __init__(self, channels=24, reduced=9):
        super().__init__()
        self.stem = nn.Conv1d(4, channels, 5, padding=2)
        self.gate = BilinearSqueezeExcite(channels, reduced)
        self.last = nn.Conv1d(channels, 2, 1)
        for tensor in self.gate.parameters():
            nn.init.normal_(tensor, std=0.7)

    def forward(self, x):
        return self.last(self.gate(self.stem(x).relu())).mean(2)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_bilinear_gate_is_one_kernel(precision):
    torch.manual_seed(0)
    graph = capture(Bilinear().eval().requires_grad_(False), 4, 30)
    said = list(compare(graph, InputSpec(30), random_codes(3, 30), precision=precision).values())
    assert said[:3] == ["Triton first_conv1d", "Triton squeeze", "Triton excite"]
    assert said[-2:] == ["Triton conv1d + gate", "Triton squeeze"]
    assert not [way for way in said if way.startswith("PyTorch")]


def test_a_gate_too_wide_for_registers_is_several_kernels():
    graph = capture(Bilinear(150, 130).eval().requires_grad_(False), 4, 30)
    said = list(compare(graph, InputSpec(30), random_codes(2, 30)).values())
    why = "130 reduced features; one program holds up to 128"
    assert said[2:4] == [f"Triton conv1d of width 1, one by one ({why})",
                         "Triton conv1d of width 1"]  # fmt: skip
    assert "PyTorch: no kernel computes it" in said


def test_nothing_of_legnet_is_small_and_in_pytorch():
    """As the winner has it: bilinear gates, groups of two, blocks beside their input."""
    torch.manual_seed(0)
    sizes = {"length": 24, "stem": 16, "widths": (24, 16)}
    model = fastseq.models.build("legnet", **sizes).eval().requires_grad_(False)
    graph = capture(model, model.input_spec.channels, 24)
    how = compare(graph, model.input_spec, random_codes(3, 24))
    slow = {name: way for name, way in how.items() if way.startswith("PyTorch")}
    assert {*slow.values()} <= {"PyTorch: a copy, channels last"}
    program = onto_kernels(graph, model.input_spec, "+", 24, "bfloat16")
    assert program.meta["foreign"] == []
    called = {str(n.target) for n in program.graph.nodes if n.op == "call_function"}
    assert {name for name in called if not name.startswith("fastseq")} == {"aten.cat.default"}


class EveryRule(nn.Module):
    """One layer for each kernel: from codes, dense, in groups, gated, a sum, a block, heads."""

    def __init__(self):
        super().__init__()
        self.stem, self.groups = nn.Conv1d(4, 16, 5, padding=2), nn.Conv1d(16, 16, 3, padding=1,
                                                                           groups=8)  # fmt: skip
        self.gate = nn.Sequential(nn.Linear(16, 6), nn.SiLU(), nn.Linear(6, 16), nn.Sigmoid())
        self.block = Residual()
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + x * self.gate(self.groups(x).mean(2)).unsqueeze(2)
        kept = x = F.max_pool1d(torch.tanh(x), 2)
        x = F.silu(self.block.convs[0](x))
        x = F.silu(self.block.convs[1](x) + kept)
        return self.head(x.amax(2))


KERNELS = ["conv1d", "first_conv1d", "depthwise_conv1d", "squeeze", "excite", "pointwise",
           "residual_pair"]  # fmt: skip


@pytest.mark.parametrize("refused", [*([op] for op in KERNELS), KERNELS], ids=" ".join)
def test_every_rule_asks_and_tells_why_not(refused, monkeypatch):
    """Where a kernel refuses, a smaller one or PyTorch answers, and the plan says so."""
    torch.manual_seed(0)
    graph = capture(EveryRule().eval().requires_grad_(False), 4, 30)
    codes = random_codes(3, 30)
    used = {way.split()[1].rstrip(",") for way in compare(graph, InputSpec(30), codes).values()}
    assert used >= {*KERNELS} - {"conv1d"}
    taken = support.reasons

    def reasons(op, *call, **options):
        return [f"no {op} today"] if op in refused else taken(op, *call, **options)

    monkeypatch.setattr(support, "reasons", reasons)
    said = list(compare(graph, InputSpec(30), codes).values())
    for op in refused:
        assert not [way for way in said if way.split()[:2] == ["Triton", op]]
        assert op == "conv1d" or [way for way in said if f"no {op} today" in way], said
    if refused == KERNELS:
        assert not [way for way in said if way.startswith("Triton") and "gate" not in way]
        assert "PyTorch, conv2d channels-last: no conv1d today" in said


def test_recurrent_layers_may_run_in_float32():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.gru = nn.Conv1d(4, 8, 3, padding=1), nn.GRU(8, 6, batch_first=True)
            self.head = nn.Linear(6, 1)

        def forward(self, x):
            return self.head(self.gru(self.conv(x).relu().transpose(1, 2))[0][:, -1])

    torch.manual_seed(0)
    graph = capture(Net().eval().requires_grad_(False), 4, 20)
    spec, codes = InputSpec(20), random_codes(3, 20)
    program = onto_kernels(graph, spec, "+", 20, "bfloat16", rest=torch.float32)
    with torch.inference_mode():
        truth, found = graph(spec.expand(codes)), program(torch.from_numpy(codes))
    assert relative_error(found, truth) < TOLERANCE["bfloat16"]


# the interpreter runs them all, in tests/kernels/test_plans.py
ZOO = ["tum_resnet", "tum_classifier", "motif_cnn", "deepstarr"]


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name):
    torch.manual_seed(0)
    model = fastseq.models.build(name).eval().requires_grad_(False)
    spec = getattr(model, "input_spec", None) or InputSpec(110)
    graph = capture(model, spec.channels, spec.length)
    codes = random_codes(2, spec.variable)
    program = onto_kernels(graph, spec, "-", spec.variable, "float32")
    with torch.inference_mode():
        truth = model(spec.expand(spec.place(codes), "-"))
        assert relative_error(program(torch.from_numpy(codes)), truth) < 2e-5


def test_a_cpu_is_no_place_for_kernels(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert obstacles(torch.device("cpu"))


@pytest.fixture
def anywhere(monkeypatch):
    """As if kernels ran on this CPU, by their plain twins."""
    monkeypatch.setattr("fastseq.lower.forward.obstacles", lambda device: [])


def gated(**spec):
    torch.manual_seed(0)
    model = Gated().eval()
    model.input_spec = InputSpec(30, "ACG", "TT", **spec)
    model.target_spec = TargetSpec(("a", "b"), "softplus", slope=2.0, strand_exchange=(1, 0))
    return model


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("scale", ["output", "logit"])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_a_plan_on_kernels_is_the_plan(batch_size, scale, strand, anywhere, monkeypatch):
    ours = fastseq.lower(gated(), device="cpu", batch_size=batch_size)
    assert ours.on_kernels
    monkeypatch.undo()
    plain = fastseq.lower(gated(), device="cpu")
    assert not plain.on_kernels
    codes = random_codes(40, 25)
    for rows in (codes, ours.input_spec.place(codes), codes[:1], codes[:0]):
        found = ours.predict(rows, strand=strand, scale=scale)
        truth = plain.predict(rows, strand=strand, scale=scale)
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-6)
    edits = Edits.substitutions(codes[:3], 4, 9)
    options = {"strand": strand, "scale": scale}
    for found, truth in zip(ours.effects(codes[:3], edits, **options),
                            plain.effects(codes[:3], edits, **options)):  # fmt: skip
        np.testing.assert_allclose(found, truth, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_precisions_of_a_plan(precision, anywhere):
    plan = fastseq.lower(gated(), device="cpu", precision=precision)
    codes = random_codes(9, 25)
    found, truth = plan.predict(codes), plan.in_float32().predict(codes)
    assert relative_error(torch.from_numpy(found), torch.from_numpy(truth)) < TOLERANCE[precision]


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("strand", "+-")
def test_packed_rows_are_the_rows(strand, kernels, monkeypatch):
    monkeypatch.setattr("fastseq.lower.forward.obstacles", lambda device: [] if kernels else ["no"])
    plan = fastseq.lower(gated(), device="cpu")
    codes = random_codes(30, 25)
    codes[::3] %= 4
    for rows in (codes, codes % 4, codes[:1], plan.input_spec.place(codes)):
        found = plan.predict(fastseq.pack(rows), strand=strand)
        np.testing.assert_allclose(found, plan.predict(rows, strand=strand), rtol=1e-5)
    part = fastseq.pack(codes)[4:9]
    np.testing.assert_allclose(plan.predict(part), plan.predict(codes[4:9]), rtol=1e-5)
    with pytest.raises(LengthError, match="24 bp long"):
        plan.predict(fastseq.pack(codes[:, 1:]))


def test_a_plan_says_what_runs_in_kernels(anywhere):
    lines = fastseq.lower(gated(), device="cpu").explain().splitlines()
    assert lines[1] == "conv  24 x 30  conv of 5, relu  Triton first_conv1d"
    assert lines[-2].endswith("linear  Triton conv1d of width 1")


@pytest.mark.parametrize("precision", ["tf32", "float16"])
def test_precisions_of_gpus_are_refused_elsewhere(precision, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(OptionError, match="runs in the GPU kernels, which cannot run: .* on cpu"):
        fastseq.lower(gated(), device="cpu", precision=precision)


def test_rows_of_another_length_are_refused(anywhere):
    with pytest.raises(LengthError, match="11 bp long; the model takes 30"):
        fastseq.lower(gated(), device="cpu").predict(random_codes(2, 11))
