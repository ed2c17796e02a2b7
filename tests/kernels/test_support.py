"""Every reason is a sentence that names what was found; no reason, and the kernel runs."""

import subprocess
import sys

import pytest
import torch
from fastseq_kernels.support import machine, reasons

SHAPES = {
    "x": (8, 100, 64),
    "weight": (5, 64, 64),
    "delta": (8, 3, 64),
    "pre": (1, 100, 64),
}
PAIR = {"weight": (2, 5, 64, 64)}
GATE = {"squeezed": (8, 64), "reduce": (64, 8), "expand": (8, 64)}
DTYPES = {"x": torch.float32, "weight": torch.float32}


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """As if kernels ran anywhere, so that only what the call itself lacks is told."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    machine.cache_clear()
    yield
    machine.cache_clear()


def test_nothing_to_say():
    assert reasons("conv1d", SHAPES, DTYPES, "cpu") == []


@pytest.mark.parametrize(
    ("op", "shapes", "dtypes", "options", "said"),
    [
        ("conv1d", {}, {}, {"activation": "mish"}, "activation 'mish' is not one of none, relu"),
        ("conv1d", {}, {}, {"pool": 17}, "pool windows of 17 positions"),
        ("conv1d", {}, {}, {"precision": "int8"}, "precision 'int8' is neither"),
        ("conv1d", {}, {}, {"groups": 2}, "x has 64 channels; the weight takes 2 x 64"),
        ("conv1d", {"weight": (5, 4, 64)}, {}, {"groups": 16}, "depthwise_conv1d takes them"),
        ("conv1d", {"x": (8, 3, 64)}, {}, {"pad_left": 1}, "3 + 1 positions are fewer than the 5"),
        ("conv1d", {}, {"x": torch.float64}, {}, "x is float64; expected float32"),
        ("conv1d", {}, {"x": torch.float16}, {}, "types differ: x float16, weight float32"),
        ("depthwise_conv1d", {"weight": (5, 32, 64)}, {}, {"groups": 2}, "conv1d takes them"),
        ("depthwise_conv1d", {"weight": (5, 1, 65)}, {}, {"groups": 64}, "do not split"),
        (
            "window_conv1d",
            {"delta": (8, 3, 9)},
            {},
            {},
            "delta has 9 channels",
        ),
        ("window_conv1d", {"pre": (1, 100, 9)}, {}, {}, "pre has 9 channels"),
        ("window_conv1d", {"skip": (8, 3, 64)}, {}, {"pool": 2}, "needs skip_reference"),
        ("conv1d", {"x": (8, 3, 64)}, {}, {"pad_right": 4, "pool": 4}, "3 positions fill no pool"),
        ("residual_pair", {"weight": (3, 5, 64, 64)}, {}, {}, "weights of 3 layers 64-64"),
        ("residual_pair", PAIR, {}, {}, "64 channels of float32 do not fit"),
        ("residual_pair", PAIR | {"x": (8, 129, 64)}, {}, {}, "129 positions; a tile"),
        ("residual_pair", PAIR | {"x": (8, 100, 60)}, {}, {}, "60 channels; a tile"),
        ("residual_pair", {"weight": (2, 4, 64, 64)}, {}, {}, "a kernel of 4"),
        ("residual_pair", PAIR, {}, {"pool": 3}, "pool windows of 3 positions; a tile splits"),
        ("depthwise_conv1d", {"gate": (8, 64)}, {}, {}, "small groups take no gate"),
        ("squeeze", {}, {"x": torch.int64}, {}, "x is int64"),
        ("squeeze", {"x": (8, 0, 64)}, {}, {}, "no position"),
        ("excite", GATE | {"mix": (8, 8)}, {}, {}, "it lacks left, right, combine"),
        ("excite", GATE | {"reduce": (64, 129)}, {}, {}, "129 reduced features; one program holds"),
        ("excite", GATE | {"reduce": (63, 8)}, {}, {}, "reduce is (63, 8); expected (64, 8)"),
        ("excite", GATE | {"expand_bias": (8,)}, {}, {}, "expand_bias is (8,); expected (64,)"),
        ("excite", GATE, {"squeezed": torch.int64}, {}, "squeezed is int64"),
        ("excite", GATE, {}, {"activation": "prelu"}, "activation 'prelu' has no slopes"),
        (
            "excite",
            GATE | {"mix": (8, 8), "left": (8, 5), "right": (8, 6), "combine": (5, 4)},
            {},
            {},
            "right is (8, 6); expected (8, 5)",
        ),
        ("pointwise", {"gate": (8, 63)}, {}, {}, "gate is (8, 63); expected (8, 64)"),
        ("pointwise", {"residual": (8, 99, 64)}, {}, {}, "residual is (8, 99, 64)"),
        ("pointwise", {}, {}, {"activation": "prelu"}, "activation 'prelu' has no slopes"),
        ("conv1d", {"residual": (8, 100, 64)}, {}, {}, "expected (8, 96, 64)"),
        ("conv1d", {"gate": (8, 32)}, {}, {}, "gate is (8, 32)"),
        ("conv1d", {"bias": (63,)}, {}, {}, "bias is (63,); expected (64,)"),
        ("conv1d", {"slope": (3,)}, {}, {"activation": "prelu"}, "slope is (3,)"),
        ("window_conv1d", {"skip": (8, 3, 9)}, {}, {}, "skip has 9 channels"),
        ("pointwise", {}, {"x": torch.int64}, {}, "x is int64"),
    ],
)
def test_what_is_wrong_with_a_call(op, shapes, dtypes, options, said):
    found = reasons(op, SHAPES | shapes, DTYPES | dtypes, "cpu", **options)
    assert any(said in reason for reason in found), found


def test_codes():
    shapes = {"codes": (8, 100), "weight": (5, 5, 64)}
    dtypes = {"codes": torch.int64, "weight": torch.float32}
    assert reasons("first_conv1d", shapes, dtypes, "cpu") == [
        "codes are int64; expected uint8",
        "the weight has 5 input channels; codes have 4",
    ]


def test_first_layers_fill_their_pool_and_have_their_bias():
    shapes = {"codes": (8, 100), "weight": (5, 4, 64), "base": (90, 64)}
    dtypes = {"codes": torch.uint8, "weight": torch.float32}
    assert reasons("first_conv1d", shapes, dtypes, "cpu", positions=3, pool=4) == [
        "base is (90, 64); expected (3, 64)", "3 positions fill no pool window of 4"
    ]  # fmt: skip
    assert not reasons("first_conv1d", shapes | {"base": (64,)}, dtypes, "cpu", positions=4)


def test_all_reasons_at_once():
    found = reasons("conv1d", SHAPES, DTYPES, "cpu", pool=99, activation="mish")
    assert len(found) == 3


def test_a_cpu_is_no_place_for_a_kernel(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET")
    assert "the tensors are on cpu; the kernels run on CUDA and ROCm GPUs" in reasons(
        "conv1d", SHAPES, DTYPES, "cpu"
    )


def test_other_releases_of_triton_are_named(monkeypatch):
    monkeypatch.setattr("fastseq_kernels.support.version", lambda name: "3.8.0")
    assert reasons("conv1d", SHAPES, DTYPES, "cpu") == [
        "triton 3.8.0 is installed; the kernels are written for 3.6 and 3.7"
    ]


def test_unknown_ops_are_our_own_mistake():
    with pytest.raises(ValueError, match="op='conv2d'; expected one of conv1d"):
        reasons("conv2d", SHAPES, DTYPES, "cpu")


def test_asking_imports_no_triton():
    code = "import sys; import fastseq_kernels.support, fastseq_kernels.reference; "
    code += "assert 'triton' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_itself_is_light():
    code = "import sys, fastseq_kernels; assert not {'torch', 'triton', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
