"""The residual pair in registers against float64 PyTorch."""

from itertools import cycle, product

import pytest
import torch
from fastseq_kernels import block, reference

from tests.kernels.inputs import DTYPES, check, floats, normal, poisoned

pytestmark = pytest.mark.kernel

# n, length, channels, kernel, activation, pool
CASES = [
    (3, 37, 16, 5, "prelu", 2),
    (5, 13, 32, 3, "relu", 1),
    (2, 110, 16, 7, "silu", 1),
    (9, 1, 16, 1, "gelu", 1),
    (2, 64, 32, 5, "elu", 4),
    (1, 9, 16, 9, "none", 8),
    (4, 8, 16, 3, "exp", 8),
]


def tensors(case, dtype):
    n, length, channels, kernel, activation, pool = case
    weight = normal(2, kernel, channels, channels, dtype=dtype) / (2 * kernel * channels) ** 0.5
    slope = normal(2, channels, seed=1) if activation == "prelu" else None
    called = normal(n, length, channels, dtype=dtype), weight, normal(2, channels) / 4, slope
    return called, {"activation": activation, "pool": pool}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference(case, dtype):
    compare(case, dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_pair_of_the_residual_network(dtype):
    compare((3, 55, 64, 5, "prelu", 2), dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_combination(dtype):
    activations = cycle(["none", "relu", "prelu", "silu", "gelu"])
    for length, channels, kernel, pool in product((1, 27, 55, 128), (16, 32), (1, 3, 5), (1, 2, 8)):
        if length >= pool:
            compare((3, length, channels, kernel, next(activations), pool), dtype)


def compare(case, dtype):
    called, options = tensors(case, dtype)
    truth = reference.residual_pair(*floats(*called), **options)
    out = poisoned(truth, dtype)
    block.residual_pair(*called, **options, out=out)
    # the activation between the two convolutions is rounded as well, as two calls would
    error = reference.relative_error(out, truth)
    assert error <= 2 * reference.TOLERANCE[dtype], f"relative error {error:.2e}"


def test_slices_of_wider_tensors():
    (x, *rest), options = tensors(CASES[1], "float32")
    wide = normal(5, 20, 80)
    wide[:, 4:17, 8:40] = x
    truth = reference.residual_pair(*floats(x, *rest), **options)
    check(block.residual_pair(wide[:, 4:17, 8:40], *rest, **options), truth, "float32")


def test_neighbours_do_not_matter():
    (x, *rest), options = tensors(CASES[0], "float16")
    together = block.residual_pair(x, *rest, **options)
    for row in range(len(x)):
        alone = block.residual_pair(x[row : row + 1], *rest, **options)
        assert torch.equal(alone[0], together[row])


def test_empty_batch():
    (x, *rest), options = tensors(CASES[0], "float32")
    assert block.residual_pair(x[:0], *rest, **options).shape == (0, 18, 16)
