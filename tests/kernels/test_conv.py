"""The fused convolution against float64 PyTorch, written to outputs poisoned with NaN."""

from types import SimpleNamespace

import pytest
import torch
from fastseq_kernels import conv, reference
from torch.nn import functional as F

from tests.kernels.inputs import (
    DEVICE,
    DTYPES,
    Case,
    check,
    floats,
    normal,
    pairwise_cover,
    poisoned,
)

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
# what tensor descriptors take: strides of one, rows of 16 bytes; channels need not fill a block
DESCRIBED = [
    Case(3, 37, 20, 32, 5, activation="silu", residual="after", pool=2),
    Case(2, 50, 16, 48, 3, dilation=4, activation="gelu", residual="before"),
    Case(2, 33, 32, 96, 3, groups=2, activation="sigmoid", gate=True),
    Case(1, 29, 60, 40, 4, dilation=2, padding=(3, 3), activation="softplus", pool=4, gate=True),
    Case(5, 9, 80, 96, 1, padding=(0, 0), activation="prelu", residual="after", gate=True),
    Case(1, 200, 72, 8, 3, padding=(5, 0), activation="exp", pool=16),
]
BY_DESCRIPTORS = {"described": True, "BM": 64, "BN": 64, "BK": 64, "num_warps": 4, "num_stages": 1}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference(case, dtype):
    compare(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", DESCRIBED, ids=str)
def test_by_descriptors(case, dtype):
    compare(case, dtype, BY_DESCRIPTORS)


def test_what_descriptors_do_not_take_is_told_apart():
    def takes(x, weight, residual=None, **options):
        y = torch.empty(2, options.pop("kept", 21), weight.shape[2], dtype=x.dtype)
        given = {"groups": 1, "stride": 1, "pool": 1} | options
        return conv.describable(
            SimpleNamespace(x=x, weight=weight, residual=residual, y=y, **given)
        )

    x, weight = normal(2, 21, 32, dtype="float16"), normal(3, 32, 24, dtype="float16")
    assert takes(x, weight)
    assert takes(x[:, :, :27], weight[:, :27])
    assert takes(normal(2, 21, 48, dtype="float16")[:, :, 8:40], weight)
    assert not takes(normal(2, 21, 48, dtype="float16")[:, :, 4:36], weight)
    assert not takes(normal(2, 21, 27, dtype="float16"), weight[:, :27].contiguous())
    assert not takes(x, normal(3, 32, 20, dtype="float16"))
    assert not takes(x, weight, stride=2)
    assert not takes(x, weight, pool=3)
    assert not takes(x, normal(3, 16, 24, dtype="float16"), groups=2)
    assert not takes(x.mT.contiguous().mT, weight)
    assert not takes(x, weight, normal(2, 21, 25, dtype="float16")[:, :, 1:])


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_of_options(dtype):
    for case in geometries(stride=(1, 3), pool=(1, 2, 3)):
        compare(case, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_of_options_by_descriptors(dtype):
    for case in geometries(stride=(1,), pool=(1, 2, 4)):
        compare(case, dtype, BY_DESCRIPTORS)


def geometries(*, stride, pool):
    """Return cases in which any two values of two options meet; all of them would take hours."""
    axes = {
        "kernel": (1, 4, 7), "stride": stride, "dilation": (1, 3), "groups": (1, 2),
        "padding": ("none", "same", "left", "odd"), "residual": (None, "before", "after"),
        "pool": pool, "gate": (False, True), "activation": (*reference.ACTIVATIONS,),
        "length": (31, 40), "c_in": (32, 96), "c_out": (48, 96),
    }  # fmt: skip
    for options in pairwise_cover(axes):
        span = options["dilation"] * (options["kernel"] - 1)
        sides = {"none": (0, 0), "same": (span // 2, span - span // 2), "left": (span, 0),
                 "odd": (1, 5)}  # fmt: skip
        groups = options["groups"]
        options |= {"padding": sides[options["padding"]],
                    **{c: options[c] * groups // 2 for c in ("c_in", "c_out")}}  # fmt: skip
        yield Case(2, **options)


def compare(case: Case, dtype: str, config: dict | None = None) -> None:
    x, weight, bias, slope, residual, gate, options = case.tensors(dtype)
    if config and case.c_in % 8:  # descriptors want rows of 16 bytes
        x = F.pad(x, (0, 8 - case.c_in % 8))[:, :, : case.c_in]
    truth = reference.conv1d(*floats(x, weight, bias, slope, residual, gate), **options)
    out = poisoned(truth, dtype)
    conv.conv1d(x, weight, bias, slope, residual, gate, out=out, config=config, **options)
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
