"""The fused convolution against float64 PyTorch, written to outputs poisoned with NaN."""

from itertools import cycle, product

import pytest
import torch
from fastseq_kernels import conv, reference

from tests.kernels.inputs import DEVICE, DTYPES, Case, check, floats, normal, poisoned

pytestmark = pytest.mark.kernel

# odd shapes first: (n, length, channels_in, channels_out, kernel), options
CASES = [
    Case(3, 37, 17, 23, 5, activation="relu"),
    Case(3, 37, 16, 32, 5, activation="silu", residual="after", pool=2),
    Case(2, 41, 20, 24, 7, stride=2, padding=(0, 3), activation="prelu", residual="before", pool=3),
    Case(2, 50, 16, 16, 3, dilation=4, activation="gelu", residual="before"),
    Case(2, 33, 32, 32, 3, groups=2, activation="sigmoid"),
    Case(1, 29, 12, 40, 4, dilation=2, padding=(3, 3), activation="softplus", pool=4, gate=True),
    Case(2, 9, 64, 7, 1, padding=(0, 0), activation="elu", residual="after", gate=True),
    Case(1, 5, 3, 1, 5, padding=(0, 0), activation="exp"),
    Case(7, 13, 80, 96, 2, padding=(0, 1), activation="none", pool=5),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference(case, dtype):
    compare(case, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_combination(dtype):
    """All geometries; the activations take turns."""
    activations = cycle(reference.ACTIVATIONS)
    grid = product(
        (1, 4, 7), (1, 3), (1, 2), (1, 2), (None, "before", "after"), (1, 2, 3), (False, True)
    )
    for kernel, stride, dilation, groups, residual, pool, gate in grid:
        span = dilation * (kernel - 1)
        for padding in {(0, 0), (span // 2, span - span // 2), (span, 0), (1, 5)}:
            compare(Case(2, 31, 32, 48, kernel, stride=stride, dilation=dilation, groups=groups,
                         padding=padding, activation=next(activations), residual=residual,
                         pool=pool, gate=gate), dtype)  # fmt: skip


def compare(case: Case, dtype: str) -> None:
    x, weight, bias, slope, residual, gate, options = case.tensors(dtype)
    truth = reference.conv1d(*floats(x, weight, bias, slope, residual, gate), **options)
    out = poisoned(truth, dtype)
    conv.conv1d(x, weight, bias, slope, residual, gate, out=out, **options)
    check(out, truth, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_input_and_output(dtype):
    """Slices of wider tensors are read and written where they lie."""
    case = Case(3, 21, 16, 16, 3, residual="after")
    x, weight, bias, _, residual, _, options = case.tensors(dtype)
    truth = reference.conv1d(*floats(x, weight, bias, None, residual), **options)
    wide = normal(3, 21, 48).to(x)
    wide[:, :, 8:24] = x
    wide[:, :, 32:] = residual
    out = torch.full((3, 25, 40), float("nan")).to(x)
    inside = out[:, 2:23, 16:32]
    conv.conv1d(wide[:, :, 8:24], weight, bias, None, wide[:, :, 32:], out=inside, **options)
    check(inside, truth, dtype)
    assert out.isnan().sum() == out.numel() - inside.numel()


def test_channels_that_are_not_contiguous_are_copied():
    x, weight, bias, *_, options = Case(2, 19, 16, 16, 3).tensors("float32")
    ncl = x.transpose(1, 2).contiguous()
    y = conv.conv1d(ncl.transpose(1, 2), weight, bias, **options)
    check(y, reference.conv1d(*floats(x, weight, bias), **options), "float32")


def test_addresses_past_32_bits():
    """The second sequence lies 2^31 elements further on; only touched pages are backed."""
    far = 2**31 + 24
    store = torch.empty(far + 16 * 16, dtype=torch.float16, device=DEVICE)
    x = store.as_strided((2, 16, 16), (far, 16, 1))
    x.copy_(normal(2, 16, 16))
    weight = normal(3, 16, 16, dtype="float16") / 7
    truth = reference.conv1d(*floats(x, weight), pad_left=1, pad_right=1)
    check(conv.conv1d(x, weight, pad_left=1, pad_right=1), truth, "float16")


def test_neighbours_do_not_matter():
    """A sequence's answer is the same bytes alone, in company, and in any place."""
    x, weight, bias, *_, options = Case(9, 23, 16, 16, 5, activation="gelu").tensors("float16")
    together = conv.conv1d(x, weight, bias, **options)
    for row in range(9):
        assert torch.equal(conv.conv1d(x[row : row + 1], weight, bias, **options)[0], together[row])
    assert torch.equal(conv.conv1d(x.flip(0), weight, bias, **options), together.flip(0))


def test_empty_batch():
    x, weight, bias, *_, options = Case(1, 8, 16, 16, 3).tensors("float32")
    assert conv.conv1d(x[:0], weight, bias, **options).shape == (0, 8, 16)


def test_nan_reaches_the_answer():
    x, weight, bias, *_, options = Case(2, 9, 16, 16, 1, activation="relu").tensors("float32")
    x[1, 4] = float("nan")
    found = conv.conv1d(x, weight, bias, **options).isnan()
    assert found[1, 4].all()
    assert found.sum() == 16
