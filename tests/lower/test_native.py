from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import fastseq
from fastseq._native import conv, cpu
from fastseq.lower import native, ops, winograd
from fastseq.lower.native import Conv, Grouped, Stem
from fastseq.models.specs import InputSpec

TABLE = torch.cat([torch.eye(4), torch.full((1, 4), 0.25)])
# of the largest answer: float32 sums of Winograd's products, bfloat16 inputs and answers
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """What native code allocates holds NaN until it is written."""
    empty = torch.empty

    def poison(*shape, **options):
        made = empty(*shape, **options)
        if made.device.type != "cpu":
            return made
        return made.fill_(float("nan") if made.is_floating_point() else 1 << 30)

    monkeypatch.setattr(native.torch, "empty", poison)


@pytest.fixture(params=cpu.supported())
def path(request):
    before = cpu.use(request.param)
    yield request.param
    cpu.use(before)


def truth(
    x, weight, bias, skip, stride, before, length, dilation, groups, activation, slope, pool,
    late=False,
):  # fmt: skip
    """The same in float64 by PyTorch; zeros wherever the padding asks for them."""
    need = (length - 1) * stride + dilation * (weight.shape[2] - 1) + 1
    x = F.pad(x.double(), (before, need - before - x.shape[2]))
    y = F.conv1d(x, weight.double(), bias.double(), stride, 0, dilation, groups)
    y = y if skip is None or late else y + skip.double()
    slope = slope.double() if torch.is_tensor(slope) else slope
    y = ops.activate(y, activation, slope)
    y = y + skip.double() if late else y
    return F.max_pool1d(y, pool) if pool > 1 else y


def close(found, expected, dtype):
    assert found.shape == expected.shape
    assert found.dtype is dtype
    error = (found.double() - expected).abs().max() / (expected.abs().max() + 1e-9)
    assert error < TOLERANCE[dtype], f"{error:.1e}"


def draws(seed, *shapes):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=random) for shape in shapes]


@st.composite
def layers(draw):
    """Sizes of a layer and its input; odd ones first."""
    kernel, dilation = draw(st.integers(1, 12)), draw(st.sampled_from([1, 1, 1, 2, 5]))
    stride, pool = draw(st.sampled_from([1, 1, 1, 2, 3])), draw(st.integers(1, 4))
    length_in = draw(st.integers(1, 70))
    before = draw(st.integers(0, kernel + 2))
    halo = dilation * (kernel - 1)
    after = draw(
        st.integers(max(0, halo + (pool - 1) * stride + 1 - length_in - before), halo + 30)
    )
    length = (length_in + before + after - halo - 1) // stride + 1
    return {
        "kernel": kernel, "dilation": dilation, "stride": stride, "pool": pool,
        "length_in": length_in, "before": before, "length": length,
        "activation": draw(st.sampled_from(ops.ACTIVATIONS)), "seed": draw(st.integers(0, 999)),
    }  # fmt: skip


def slope_of(activation, channels):
    match activation:
        case "prelu":
            return torch.linspace(-0.5, 0.9, channels)
        case "leaky_relu":
            return 0.1
        case "elu":
            return 1.0
    return None


def options(case, channels, dtype):
    """A layer's keyword arguments; pools are taken in behind native activations only."""
    own = case["activation"] in native.ACTIVATIONS
    return {
        "stride": case["stride"], "before": case["before"], "activation": case["activation"],
        "parameter": slope_of(case["activation"], channels), "pool": case["pool"] if own else 1,
        "dtype": dtype,
    }  # fmt: skip


def dtypes():
    return [torch.float32, *([torch.bfloat16] if conv.has_bfloat16() else [])]


def values(channels, case):
    inputs = draws(case["seed"], (3, channels, case["length_in"]))[0]
    return inputs.transpose(1, 2).contiguous().transpose(1, 2)


@settings(max_examples=60)
@given(
    layers(), st.sampled_from([1, 3, 16, 18, 50]), st.sampled_from([1, 16, 40, 70]), st.booleans()
)
def test_convolutions(case, channels_in, channels, has_skip):
    for dtype in dtypes():
        inputs = channels_in + channels_in % 2 if dtype is torch.bfloat16 else channels_in
        shapes = (channels, inputs, case["kernel"]), (channels,), (3, channels, case["length"])
        weight, bias, skip = draws(case["seed"] + 1, *shapes)
        weight /= (inputs * case["kernel"]) ** 0.5
        skip = skip.to(dtype).float() if has_skip else None
        x, chosen = values(inputs, case).to(dtype), options(case, channels, dtype)
        layer = Conv(weight, bias, case["length_in"], case["length"], dilation=case["dilation"],
                     **chosen)  # fmt: skip
        expected = truth(
            x, weight, bias, skip, case["stride"], case["before"], case["length"],
            case["dilation"], 1, case["activation"], chosen["parameter"], chosen["pool"],
        )  # fmt: skip
        close(layer(x, skip), expected, dtype)


@pytest.mark.parametrize("kernel", range(1, 12))
def test_every_scheme_on_every_path(kernel, path, monkeypatch):
    weight, bias = draws(kernel, (35, 34, kernel), (35,))
    weight /= (34 * kernel) ** 0.5
    (x,) = draws(9, (2, 34, 41))
    x = x.bfloat16().float()
    expected = truth(x, weight, bias, None, 1, 2, 40, 1, 1, "silu", None, 2)
    for scheme, dtype in product(winograd.schemes(kernel), dtypes()):
        if dtype is torch.bfloat16 and scheme.points > 1 and scheme.pieces > 1:
            continue  # sums of integers have one scale
        monkeypatch.setattr(native, "chosen", lambda *_, scheme=scheme: scheme)
        for bytes_of_block in (1 << 19, 1 << 10):
            monkeypatch.setattr(native, "BLOCK_BYTES", bytes_of_block)
            layer = Conv(weight, bias, 41, 40, stride=1, before=2, dilation=1, activation="silu",
                         parameter=None, pool=2, dtype=dtype)  # fmt: skip
            close(layer(x), expected, dtype)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("dilation", [2, 3, 4, 7, 8, 16, 32, 64, 128, 256, 512])
def test_dilated_rows_lie_apart(dilation, late, path):
    """Odd lengths, padding that differs at both ends, phases with a row less and with none."""
    for kernel, length_in, before, length in (
        (3, 2 * dilation + 5, dilation, 2 * dilation + 5), (3, 61, dilation + 3, 67),
        (5, 61, 4 * dilation, 59), (2, dilation + 1, 0, 1), (3, 1, dilation, 1),
    ):  # fmt: skip
        weight, bias, skip = draws(dilation, (35, 34, kernel), (35,), (2, 35, length))
        weight /= (34 * kernel) ** 0.5
        for dtype in dtypes():
            (x,) = draws(kernel, (2, 34, length_in))
            layer = Conv(weight, bias, length_in, length, stride=1, before=before,
                         dilation=dilation, activation="silu", parameter=None, pool=1,
                         dtype=dtype, late=late)  # fmt: skip
            skip = skip.to(dtype).float()
            expected = truth(x.to(dtype), weight, bias, skip, 1, before, length, dilation, 1,
                             "silu", None, 1, late)  # fmt: skip
            close(layer(x, skip), expected, dtype)


def test_dilations_take_fewer_products_where_rows_are_many():
    def scheme(dilation, length, pool=1):
        return winograd.chosen(3, 1, dilation, 64, 64, length, pool, torch.float32)

    assert scheme(1, 2114).points == scheme(128, 2114).points == 8
    assert scheme(512, 1000).points == scheme(4, 2114, pool=2).points == 1


bfloat16 = pytest.mark.skipif(not conv.has_bfloat16(), reason="no bfloat16 in the processor")


def wide(channels, kernel, x, weight, direct):
    layer = Conv(weight, None, x.shape[2], x.shape[2], stride=1, before=kernel // 2, dilation=1,
                 activation="none", parameter=None, pool=1, dtype=torch.bfloat16,
                 direct=direct)  # fmt: skip
    assert direct or layer.scheme.points > 1
    return layer(x)


@bfloat16
@pytest.mark.parametrize(("spread", "most"), [(0, 1), (1, 1.4), (2, 1.8)])
@pytest.mark.parametrize("channels", [64, 128])
@pytest.mark.parametrize("kernel", [3, 5])
def test_integers_keep_the_digits_of_bfloat16(kernel, channels, spread, most):
    """Their errors are below those of the direct sum, or near where channels differ in size."""
    x, weight, size = draws(
        spread, (4, channels, 80), (channels, channels, kernel), (channels,)
    )  # fmt: skip
    x = (x.relu() * (spread * size).exp()[:, None]).bfloat16()
    weight /= (channels * kernel) ** 0.5
    expected = truth(x, weight, torch.zeros(channels), None, 1, kernel // 2, 80, 1, 1, "none",
                     None, 1)  # fmt: skip
    errors = [
        (wide(channels, kernel, x, weight, direct).double() - expected).square().mean().sqrt()
        for direct in (False, True)
    ]
    assert errors[0] < most * errors[1]


@bfloat16
def test_sums_of_integers_do_not_overflow():
    for signs in (1.0, (-1.0) ** torch.arange(128)[:, None]):
        x = (torch.full((1, 128, 20), 3e38) * signs).bfloat16()
        weight = torch.full((128, 128, 5), 1e-5) * signs
        found = wide(128, 5, x, weight, direct=False).double()
        expected = F.conv1d(x.double(), weight.double(), padding=2)
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=0)


@bfloat16
def test_integers_of_zeros_and_of_no_numbers():
    (weight,) = draws(0, (64, 64, 5))
    assert not wide(64, 5, torch.zeros(1, 64, 20), weight, direct=False).any()
    for value in (float("nan"), float("inf"), -float("inf")):
        x = torch.zeros(1, 64, 40)
        x[0, 63, 20] = value
        found = wide(64, 5, x, weight, direct=False)[0]
        assert found[:, 18:23].isnan().all()
        assert not found[:, :14].any()
        assert not found[:, 27:].any()


@settings(max_examples=40)
@given(layers(), st.sampled_from([1, 7, 64, 130, 300]))
def test_first_layers_read_codes(case, channels):
    codes = np.random.default_rng(case["seed"]).integers(0, 5, (3, case["length_in"]), np.uint8)
    weight, bias = draws(case["seed"], (channels, 6, case["kernel"]), (channels,))
    # two constant planes: in the padding they are zero, as everything is
    table = torch.cat([TABLE, torch.tensor([[1.0, -0.5]]).expand(5, 2)], 1)
    x = table[torch.from_numpy(codes).long()].transpose(1, 2)
    for dtype in dtypes():
        chosen = options(case, channels, dtype)
        layer = Stem(weight, bias, table, case["length_in"], case["length"], **chosen)
        expected = truth(
            x, weight, bias, None, case["stride"], case["before"], case["length"], 1, 1,
            case["activation"], chosen["parameter"], chosen["pool"],
        )  # fmt: skip
        close(layer(torch.from_numpy(codes)), expected, dtype)


@settings(max_examples=40)
@given(layers(), st.sampled_from([1, 2, 4]), st.sampled_from([1, 5, 20]))
def test_grouped_convolutions(case, group, groups):
    channels = group * groups
    weight, bias = draws(case["seed"], (channels, group, case["kernel"]), (channels,))
    for dtype in dtypes():
        x, chosen = values(channels, case).to(dtype), options(case, channels, dtype)
        layer = Grouped(weight, bias, case["length_in"], case["length"], dilation=case["dilation"],
                        **chosen)  # fmt: skip
        expected = truth(
            x, weight, bias, None, case["stride"], case["before"], case["length"],
            case["dilation"], groups, case["activation"], chosen["parameter"], chosen["pool"],
        )  # fmt: skip
        close(layer(x), expected, dtype)


def test_stems_and_groups_on_every_path(path):
    codes = np.random.default_rng(0).integers(0, 5, (4, 37), np.uint8)
    weight, bias = draws(0, (70, 4, 9), (70,))
    x = TABLE[torch.from_numpy(codes).long()].transpose(1, 2)
    sizes = {"stride": 1, "before": 4, "activation": "sigmoid", "parameter": None, "pool": 3,
             "dtype": torch.float32}  # fmt: skip
    layer = Stem(weight, bias, TABLE, 37, 37, **sizes)
    expected = truth(x, weight, bias, None, 1, 4, 37, 1, 1, "sigmoid", None, 3)
    close(layer(torch.from_numpy(codes)), expected, torch.float32)
    (y,) = draws(3, (4, 22, 37))
    for group in (1, 2):
        weight, bias = draws(group, (22, group, 9), (22,))
        layer = Grouped(weight, bias, 37, 37, dilation=1, **sizes)
        expected = truth(y, weight, bias, None, 1, 4, 37, 1, 22 // group, "sigmoid", None, 3)
        close(layer(y), expected, torch.float32)


def test_what_is_no_number_stays_so():
    (x,) = draws(0, (1, 16, 20))
    x[0, 3, 7] = float("nan")
    for activation in ("none", "relu", "leaky_relu", "silu", "sigmoid"):
        layer = Conv(torch.ones(16, 16, 3), None, 20, 20, stride=1, before=1, dilation=1,
                     activation=activation, parameter=0.1, pool=1, dtype=torch.float32)  # fmt: skip
        assert layer(x)[0, :, 6:9].isnan().all()


def test_threads_do_not_change_an_answer(monkeypatch):
    monkeypatch.setattr(native, "PRODUCTS_OF_A_THREAD", 1)
    weight, bias = draws(0, (64, 32, 5), (64,))
    (x,) = draws(1, (33, 32, 50))
    layer = Conv(weight, bias, 50, 50, stride=1, before=2, dilation=1, activation="relu",
                 parameter=None, pool=2, dtype=torch.float32)  # fmt: skip
    before = torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            answers.append(layer(x))
    finally:
        torch.set_num_threads(before)
    assert (answers[0] == answers[1]).all()


class Many(nn.Module):
    """A layer for each way in which a convolution runs on the CPU."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.wide = nn.Conv1d(16, 16, 3, padding=1)
        self.spread = nn.Conv1d(16, 16, 3, padding=2, dilation=2)
        self.late = nn.Conv1d(16, 16, 3, padding=3, dilation=3)
        self.few = nn.Conv1d(16, 16, 5, padding=2, groups=8)
        self.many = nn.Conv1d(16, 16, 3, padding=1, groups=2)
        self.first = nn.Conv1d(4, 16, 3, padding=2, dilation=2)
        self.gate = nn.Linear(16, 16)

    def forward(self, x):
        y = torch.relu(self.stem(x))
        y = y + torch.nn.functional.gelu(self.wide(y))
        y = torch.nn.functional.silu(self.spread(y) + y)
        y = y + self.late(y).sigmoid()
        y = self.many(torch.nn.functional.max_pool1d(torch.relu(self.few(y)), 2))
        y = y * self.gate(y.mean(2)).sigmoid()[:, :, None]
        return torch.cat([y.amax(2), self.first(x).amax(2)], 1)


def test_plans_say_which_code_runs_each_layer():
    model = Many().eval()
    plan = fastseq.lower(model, length=31)
    lines = {line.split()[0]: line for line in plan.explain().splitlines()}
    text = plan.explain()
    for words in (
        "conv of 7, relu, native, from codes by tables of 3 bases",
        "conv of 3, gelu, native, 6 products for 4 results",
        "conv of 3, dilation 2 + skip, silu, native, 6 products for 4 results",
        "conv of 3, dilation 3, sigmoid + skip, native, 8 products for 6 results",
        "conv of 3, dilation 2, native, direct",
        "conv of 5, 8 groups, relu and max pool of 2, native",
        "conv of 3, 2 groups  runs in PyTorch: 2 groups of 8 channels in and 8 out run in oneDNN",
        "one look-up per base, channels last in memory",
        "in place",
    ):
        assert words in text, (words, lines)
    codes = np.random.default_rng(0).integers(0, 5, (9, 31), np.uint8)
    with torch.no_grad():
        expected = model.double()(plan.input_spec.expand(codes).double())
    np.testing.assert_allclose(plan.predict(codes), expected, rtol=1e-5, atol=1e-5)


def test_plans_without_native_code_say_so():
    before = cpu.use("portable")
    try:
        text = fastseq.lower(Many(), length=31).explain()
    finally:
        cpu.use(before)
    assert "the processor has no AVX2: convolutions run in oneDNN" in text
    assert "native" not in text


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("unknown", ["zero", "uniform"])
def test_flanks_flags_and_unknown_bases_at_both_ends(unknown, strand):
    """Constant planes and quarters are not the padding, within half a kernel of each end."""
    model = nn.Sequential(nn.Conv1d(6, 24, 9, padding=4), nn.ReLU(), nn.Conv1d(24, 3, 5, padding=2))
    model.input_spec = InputSpec(
        30, left="ACN", right="NT", base_order="TGCA", unknown=unknown, strand_channel=True,
        flag_channels=("singleton",),
    )  # fmt: skip
    plan = fastseq.lower(model)
    codes = np.random.default_rng(1).integers(0, 5, (11, 25), np.uint8)
    codes[0] = 4
    x = plan.input_spec.expand(plan.input_spec.place(codes), strand).double()
    with torch.no_grad():
        expected = model.double()(x).numpy()
    found = plan.predict(codes, strand=strand)
    expected = expected[:, :, ::-1] if strand == "-" else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_layers_refuse_other_tables():
    with pytest.raises(ValueError, match="the numbers of conv.h"):
        conv.run(np.zeros(3, np.int64), 0, 0, 0, 0, 0, False)
