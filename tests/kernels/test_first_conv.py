"""The first layer from codes against a float64 one-hot, with flanks and constant channels."""

import pytest
import torch
from fastseq_kernels import first_conv, reference
from torch.nn import functional as F

from tests.kernels.inputs import (
    DEVICE,
    DTYPES,
    check,
    floats,
    normal,
    pairwise_cover,
    poisoned,
    random_codes,
)

pytestmark = pytest.mark.kernel

# kernel, channels, stride, dilation, pads, unknown, activation, pool
CASES = [
    (21, 64, 1, 1, (10, 10), 0.0, "prelu", 1),
    (7, 30, 1, 1, (3, 3), 0.25, "silu", 2),
    (5, 17, 1, 1, (0, 0), 0.0, "exp", 3),
    (4, 40, 2, 3, (9, 0), 0.25, "relu", 1),
    (1, 1, 1, 1, (0, 0), 0.25, "none", 4),
    (19, 70, 1, 1, (18, 0), 0.0, "gelu", 1),
]


def one_hot(codes: torch.Tensor, unknown: float) -> torch.Tensor:
    """Return float64 (n, 4, length)."""
    table = torch.cat([torch.eye(4), torch.full((1, 4), unknown)]).double()
    return table[codes.long()].transpose(1, 2)


def settings(kernel, channels, stride, dilation, pads, unknown, activation, pool, length):
    positions = reference.length_out(length, kernel, stride, dilation, sum(pads))
    return {"positions": positions, "first": -pads[0], "stride": stride, "dilation": dilation,
            "unknown": unknown, "activation": activation, "pool": pool}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_convolution_of_a_one_hot(case, dtype):
    kernel, channels, stride, dilation, pads, unknown, activation, pool = case
    codes = random_codes(3, 45)
    weight = normal(kernel, 4, channels, dtype=dtype) / kernel**0.5
    bias = normal(channels)
    slope = normal(channels, seed=1) if activation == "prelu" else None
    options = settings(*case, 45)
    truth = reference.conv1d(
        one_hot(codes.cpu(), unknown).transpose(1, 2), *floats(weight, bias, slope),
        pad_left=pads[0], pad_right=pads[1], stride=stride, dilation=dilation,
        activation=activation, pool=pool,
    )  # fmt: skip
    assert reference.relative_error(
        reference.first_conv1d(codes.cpu(), *floats(weight, bias, slope), **options), truth
    ) < 1e-12  # fmt: skip
    out = poisoned(truth, dtype)
    check(first_conv.first_conv1d(codes, weight, bias, slope, out=out, **options), truth, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_of_options(dtype):
    axes = {
        "kernel": (1, 3, 6, 21), "channels": (1, 24, 80), "stride": (1, 2), "dilation": (1, 3),
        "pads": ((0, 0), (3, 3), (2, 5)), "unknown": (0.0, 0.25),
        "activation": (*reference.ACTIVATIONS,), "pool": (1, 2, 3),
    }  # fmt: skip
    for chosen in pairwise_cover(axes):
        kernel, channels = chosen["kernel"], chosen["channels"]
        codes = random_codes(2, 71)
        weight = normal(kernel, 4, channels, dtype=dtype) / kernel**0.5
        base, slope = normal(channels), normal(channels, seed=1)
        options = settings(*chosen.values(), 71)
        truth = reference.first_conv1d(codes.cpu(), *floats(weight, base, slope), **options)
        out = poisoned(truth, dtype)
        first_conv.first_conv1d(codes, weight, base, slope, out=out, **options)
        check(out, truth, dtype)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (17, 13), (1, 9)])
@pytest.mark.parametrize(("stride", "pads"), [(1, (10, 10)), (1, (0, 0)), (3, (4, 1))])
def test_flanks_and_constant_channels_fold_into_the_base(left, right, stride, pads):
    """Near the ends a constant plane meets the padding; each position has its own base."""
    flanks, codes = random_codes(1, left + right)[0], random_codes(4, 40)
    weight, bias = normal(24, 6, 21) / 9, normal(24)
    constants = torch.tensor([1.0, 0.5])
    full = torch.cat([flanks[:left].expand(4, -1), codes, flanks[left:].expand(4, -1)], 1).cpu()
    planes = constants.double()[None, :, None].expand(4, 2, full.shape[1])
    x = F.pad(torch.cat([one_hot(full, 0.25), planes], 1), pads)
    truth = F.conv1d(x, *floats(weight, bias), stride=stride).transpose(1, 2)
    packed, base, first = first_conv.fold(
        weight, bias, length=40, left=flanks[:left], right=flanks[left:], constants=constants,
        unknown=0.25, stride=stride, pad_left=pads[0], pad_right=pads[1],
    )  # fmt: skip
    y = first_conv.first_conv1d(codes, packed, base, positions=truth.shape[1], first=first,
                                stride=stride, unknown=0.25)  # fmt: skip
    check(y, truth, "float32")


def test_a_bare_bias_stays_a_vector():
    base = first_conv.fold(normal(8, 4, 5), normal(8), length=30, pad_left=2, pad_right=2)[1]
    assert base.shape == (8,)


def test_sliced_codes():
    codes = random_codes(5, 60)
    weight = normal(9, 4, 16)
    options = {"positions": 20, "first": -3}
    truth = reference.first_conv1d(codes[:, 30:50].cpu(), weight.cpu().double(), **options)
    check(first_conv.first_conv1d(codes[:, 30:50], weight, **options), truth, "float32")


def test_addresses_past_32_bits():
    far = 2**31 + 40
    codes = torch.empty(far + 64, dtype=torch.uint8, device=DEVICE).as_strided((2, 30), (far, 1))
    codes.copy_(random_codes(2, 30))
    weight = normal(5, 4, 16)
    truth = reference.first_conv1d(codes.cpu(), weight.cpu().double(), positions=26)
    check(first_conv.first_conv1d(codes, weight, positions=26), truth, "float32")


def test_empty_batch():
    weight = normal(5, 4, 16)
    assert first_conv.first_conv1d(random_codes(0, 9), weight, positions=5).shape == (0, 5, 16)
