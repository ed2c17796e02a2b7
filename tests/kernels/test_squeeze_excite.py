"""Both passes of squeeze-excite against float64 PyTorch."""

import pytest
import torch
from fastseq_kernels import conv, reference, squeeze_excite

from tests.kernels.inputs import DEVICE, DTYPES, check, floats, normal, poisoned

pytestmark = pytest.mark.kernel

SHAPES = [(3, 37, 17, 5), (2, 150, 64, 16), (70, 3, 24, 1), (1, 1, 130, 33)]


def layers(channels: int, reduced: int) -> tuple[torch.Tensor, ...]:
    return (
        normal(channels, reduced) / channels**0.5,
        normal(reduced),
        normal(reduced, channels) / reduced**0.5,
        normal(channels),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_means(shape, dtype):
    n, length, channels, _ = shape
    x = normal(n, length, channels, dtype=dtype) + 1
    truth = reference.squeeze(*floats(x))
    out = poisoned(truth, "float32")
    squeeze_excite.squeeze(x, out=out)
    check(out, truth, "float32")


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gate(shape, bias, activation):
    n, length, channels, reduced = shape
    x = normal(n, length, channels, dtype="bfloat16")
    reduce, first, expand, second = layers(channels, reduced)
    weights = (reduce, first, expand, second) if bias else (reduce, None, expand, None)
    truth = reference.squeeze(*floats(x, *weights), activation=activation)
    check(squeeze_excite.squeeze(x, *weights, activation=activation), truth, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(("residual", "first"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_pointwise(shape, residual, first, gated, dtype):
    n, length, channels, _ = shape
    x = normal(n, length, channels, dtype=dtype)
    gate = normal(n, channels).sigmoid() if gated else None
    skip = normal(n, length, channels, dtype=dtype, seed=1) if residual else None
    activation = "prelu" if residual else "tanh"
    slope = normal(channels, seed=2).abs() if residual else None
    options = {"activation": activation, "residual_first": first}
    truth = reference.pointwise(*floats(x, gate, slope, skip), **options)
    out = poisoned(truth, dtype)
    squeeze_excite.pointwise(x, gate, slope, skip, out=out, **options)
    check(out, truth, dtype)


def test_a_gated_convolution_is_pointwise_then_convolution():
    x, gate = normal(2, 31, 32, dtype="float16"), normal(2, 32).sigmoid()
    weight = normal(1, 32, 48, dtype="float16") / 6
    apart = conv.conv1d(squeeze_excite.pointwise(x, gate), weight)
    assert torch.equal(conv.conv1d(x, weight, gate=gate), apart)


def test_addresses_past_32_bits():
    far = 2**31 + 24
    store = torch.empty(far + 256, dtype=torch.float16, device=DEVICE)
    x = store.as_strided((2, 8, 16), (far, 16, 1))
    x.copy_(normal(2, 8, 16))
    gate = normal(2, 16)
    check(squeeze_excite.squeeze(x), reference.squeeze(*floats(x)), "float32")
    check(squeeze_excite.pointwise(x, gate), reference.pointwise(*floats(x, gate)), "float16")
