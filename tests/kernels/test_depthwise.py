"""Depthwise and small-group convolution against float64 PyTorch."""

import pytest
from fastseq_kernels import depthwise, reference

from tests.kernels.inputs import DTYPES, Case, check, floats, pairwise_cover, poisoned

pytestmark = pytest.mark.kernel

CASES = [
    Case(3, 37, 17, 17, 5, groups=17, activation="silu"),
    Case(2, 40, 24, 24, 7, groups=24, residual="after", pool=2),
    Case(2, 33, 20, 20, 3, groups=10, activation="gelu", residual="before"),
    Case(2, 29, 6, 18, 4, groups=6, stride=2, dilation=2, padding=(0, 5), activation="prelu"),
    Case(1, 31, 45, 30, 9, groups=3, activation="relu", pool=3),
    Case(2, 25, 64, 8, 3, groups=2, activation="relu"),
    Case(5, 1, 130, 130, 1, groups=130, padding=(0, 0), activation="elu"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference(case, dtype):
    compare(case, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_of_options(dtype):
    axes = {
        "kernel": (1, 4, 7, 17), "stride": (1, 2), "dilation": (1, 3),
        "groups": ((12, 12), (24, 12), (24, 8), (36, 4)), "residual": (None, "before", "after"),
        "pool": (1, 2, 3), "activation": (*reference.ACTIVATIONS,),
    }  # fmt: skip
    for options in pairwise_cover(axes):
        channels, options["groups"] = options["groups"]
        compare(Case(2, 61, channels, channels * 2, **options), dtype)


def compare(case: Case, dtype: str) -> None:
    x, weight, bias, slope, residual, _, options = case.tensors(dtype)
    truth = reference.conv1d(*floats(x, weight, bias, slope, residual), **options)
    out = poisoned(truth, dtype)
    depthwise.depthwise_conv1d(x, weight, bias, slope, residual, out=out, **options)
    check(out, truth, dtype)


def test_slices_of_wider_tensors():
    x, weight, bias, *_, options = Case(3, 21, 40, 40, 3, groups=40).tensors("float32")
    x, weight, bias = x[:, 2:19, 8:32], weight[:, :, 8:32], bias[8:32]
    options["groups"] = 24
    truth = reference.conv1d(*floats(x, weight, bias), **options)
    check(depthwise.depthwise_conv1d(x, weight, bias, **options), truth, "float32")


def test_empty_batch():
    x, weight, bias, *_, options = Case(1, 8, 16, 16, 3, groups=16).tensors("float32")
    assert depthwise.depthwise_conv1d(x[:0], weight, bias, **options).shape == (0, 8, 16)
