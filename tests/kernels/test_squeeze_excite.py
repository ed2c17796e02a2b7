"""Squeeze, excite and pointwise against float64 PyTorch."""

import pytest
import torch
from fastseq_kernels import conv, reference, squeeze_excite

from tests.kernels.inputs import DEVICE, DTYPES, check, floats, normal, poisoned

pytestmark = pytest.mark.kernel

SHAPES = [(3, 37, 17, 5), (2, 150, 64, 16), (70, 3, 24, 1), (1, 1, 130, 33)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_squeeze(shape, largest, dtype):
    n, length, channels, _ = shape
    x = normal(n, length, channels, dtype=dtype) + (-9 if largest else 1)
    truth = reference.squeeze(*floats(x), largest=largest)
    out = poisoned(truth, "float32")
    squeeze_excite.squeeze(x, largest=largest, out=out)
    check(out, truth, "float32")


@pytest.mark.parametrize("at", [0, 36])
def test_the_largest_is_nan_where_one_is(at):
    x = normal(2, 37, 17)
    x[1, at, 3] = float("nan")
    found = squeeze_excite.squeeze(x, largest=True)
    assert found.isnan().nonzero().tolist() == [[1, 3]]


def layers(channels: int, reduced: int, *, bilinear: bool = False, bias: bool = True) -> dict:
    """Return the tensors of a gate; an odd rank, and half as many products as features."""
    products = max(1, reduced // 2) if bilinear else 0
    sizes = {"reduce": (channels, reduced), "expand": (reduced + products, channels)}
    if bilinear:
        rank = 3 * reduced + 1
        sizes |= {"mix": (reduced, reduced), "left": (reduced, rank), "right": (reduced, rank),
                  "combine": (rank, products)}  # fmt: skip
    found = {name: normal(*size, seed=len(name)) / size[0] ** 0.5 for name, size in sizes.items()}
    if bias:
        names = ["reduce", "expand", *(["mix", "combine"] if bilinear else [])]
        found |= {f"{name}_bias": normal(sizes[name][1]) for name in names}
    return found


@pytest.mark.parametrize("activation", ["silu", "relu", "sigmoid"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bilinear", [True, False])
@pytest.mark.parametrize("shape", [(3, 17, 5), (70, 64, 16), (2, 24, 1), (33, 130, 33)], ids=str)
def test_excite(shape, bilinear, bias, activation):
    n, channels, reduced = shape
    given = layers(channels, reduced, bilinear=bilinear, bias=bias)
    given |= {"reduce_bias": given.get("reduce_bias"), "squeezed": normal(n, channels)}
    wide = dict(zip(given, floats(*given.values())))
    truth = reference.excite(**wide, activation=activation)
    out = poisoned(truth, "float32")
    squeeze_excite.excite(**given, activation=activation, out=out)
    check(out, truth, "float32")


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
    for largest in (False, True):
        truth = reference.squeeze(*floats(x), largest=largest)
        check(squeeze_excite.squeeze(x, largest=largest), truth, "float32")
    check(squeeze_excite.pointwise(x, gate), reference.pointwise(*floats(x, gate)), "float16")
