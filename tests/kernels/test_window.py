"""Windows of differences: the twin, the kernel, and a whole chain against edited sequences."""

import pytest
import torch
from fastseq_kernels import conv, reference, window

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

# width, length, channels in and out, kernel, dilation, pads, activation, skip, pool
CASES = [
    (1, 30, 4, 24, 21, 1, (10, 10), "prelu", None, 1),
    (5, 30, 16, 16, 5, 1, (2, 2), "relu", "before", 2),
    (4, 27, 17, 20, 3, 2, (2, 2), "silu", "after", 3),
    (7, 40, 32, 16, 4, 3, (9, 0), "gelu", None, 2),
    (3, 25, 16, 40, 5, 1, (0, 0), "none", "after", 1),
    (9, 12, 16, 8, 7, 2, (6, 6), "elu", "before", 4),
]
ROWS = 3


def tensors(case, dtype):
    """Return the arguments of a call: windows in every place, also over both ends."""
    width, length, c_in, c_out, kernel, dilation, pads, activation, skip, pool = case
    positions = reference.length_out(length, kernel, 1, dilation, sum(pads))
    start = torch.tensor([-3, 0, 1, 7, length // 2, length - width, length - 2])
    m = len(start)
    called = {
        "delta": normal(m, width, c_in, dtype=dtype),
        "start": start.int(),
        "row": (torch.arange(m) % ROWS).int(),
        "pre": normal(ROWS, positions, c_out, dtype=dtype),
        "weight": normal(kernel, c_in, c_out, dtype=dtype) / (kernel * c_in) ** 0.5,
        "slope": normal(c_out, seed=1) if activation == "prelu" else None,
    }
    if skip:
        called["skip"] = normal(m, width + 2, c_out, dtype=dtype, seed=2)
        called["skip_start"] = (start - 1).int()
    if skip == "after" and pool > 1:
        called["skip_reference"] = normal(ROWS, positions, c_out, dtype=dtype, seed=3)
    called = {name: v if v is None else v.to(DEVICE) for name, v in called.items()}
    options = {"length": length, "dilation": dilation, "pad_left": pads[0],
               "activation": activation, "residual_first": skip == "before",
               "pool": pool}  # fmt: skip
    return called, options


def double(called):
    names, values = zip(*called.items())
    return {name: old if old is not None and not old.is_floating_point() else new
            for name, old, new in zip(names, values, floats(*values))}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_reference(case, dtype):
    called, options = tensors(case, dtype)
    truth = reference.window_conv1d(**double(called), **options)
    out = poisoned(truth, dtype)
    window.window_conv1d(**called, **options, out=out)
    check(out, truth, dtype)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pair_of_options(dtype):
    axes = {
        "width": (1, 6), "channels": (16, 20), "kernel": (1, 4, 9), "dilation": (1, 3),
        "skip": (None, "before", "after"), "pool": (1, 2, 3), "left": (False, True),
        "activation": (*reference.ACTIVATIONS,),
    }  # fmt: skip
    for chosen in pairwise_cover(axes):
        span = chosen["dilation"] * (chosen["kernel"] - 1)
        pads = (span, 0) if chosen["left"] else (span // 2, span - span // 2)
        case = (chosen["width"], 29, chosen["channels"], 24, chosen["kernel"], chosen["dilation"],
                pads, chosen["activation"], chosen["skip"], chosen["pool"])  # fmt: skip
        called, options = tensors(case, dtype)
        truth = reference.window_conv1d(**double(called), **options)
        out = poisoned(truth, dtype)
        window.window_conv1d(**called, **options, out=out)
        check(out, truth, dtype)


@pytest.mark.parametrize("case", [case for case in CASES if case[8] is None], ids=str)
def test_the_twin_is_the_layer_on_the_edited_input(case):
    """Windows of differences are the full layer with the edit minus the full layer without."""
    width, length, c_in, _, kernel, dilation, pads, activation, _, pool = case
    called, options = tensors(case, "float32")
    called = double(called)
    x = normal(ROWS, length, c_in).double()
    layer = {"dilation": dilation, "pad_left": pads[0], "pad_right": pads[1]}
    called["pre"] = reference.conv1d(x, called["weight"], **layer)
    found = reference.window_conv1d(**called, **options)
    layer |= {"activation": activation, "pool": pool}
    before = reference.conv1d(x, called["weight"], None, called["slope"], **layer)
    first = reference.window_start(called["start"], kernel, dilation, pads[0], pool)
    for i, (start, row) in enumerate(zip(called["start"].tolist(), called["row"].tolist())):
        edited = x[row : row + 1].clone()
        low, high = max(start, 0), min(start + width, length)
        if low < high:
            edited[0, low:high] += called["delta"][i, low - start : high - start]
        change = reference.conv1d(edited, called["weight"], None, called["slope"], **layer)
        change = (change - before[row])[0]
        at = int(first[i]) + torch.arange(found.shape[1])
        inside = (at >= 0) & (at < len(change))
        torch.testing.assert_close(found[i][inside], change[at[inside]])
        assert not found[i][~inside].any()
        change[at[inside]] = 0
        assert change.abs().max() < 1e-12, "a position outside the window changed"


def test_a_chain_of_windows_scores_every_substitution():
    """A residual network, every substitution of two sequences, against full float64 runs."""
    length, channels, kernel = 24, 16, 5
    codes = random_codes(2, length).clamp(max=3).cpu()
    one_hot = torch.eye(4)
    stem = normal(7, 4, channels).cpu() / 3
    body = [normal(kernel, channels, channels, seed=i).cpu() / 9 for i in (1, 2)]
    biases = [normal(channels, seed=i).cpu() for i in (1, 2, 3)]
    row, at, alt = (v.flatten() for v in torch.meshgrid(
        torch.arange(2), torch.arange(length), torch.arange(4), indexing="ij"))  # fmt: skip

    def full(x):
        """Return the float64 answer of one-hot input."""
        x, b = x.double(), floats(*biases)
        x = reference.conv1d(x, stem.double(), b[0], pad_left=3, pad_right=3, activation="gelu")
        h = reference.conv1d(x, body[0].double(), b[1], pad_left=2, pad_right=2, activation="relu")
        return reference.conv1d(h, body[1].double(), b[2], None, x, pad_left=2, pad_right=2,
                                activation="relu", residual_first=True, pool=2)  # fmt: skip

    edited = codes[row].clone()
    edited[torch.arange(len(row)), at] = alt.to(torch.uint8)
    truth = full(one_hot[edited.long()]) - full(one_hot[codes.long()])[row]

    there = [v.to(DEVICE) for v in (one_hot[codes.long()], stem, *body, *biases)]
    x0, stem, first, second, b0, b1, b2 = there
    pads = {"pad_left": 3, "pad_right": 3}
    pre0 = conv.conv1d(x0, stem, b0, **pads)
    x1 = conv.conv1d(x0, stem, b0, activation="gelu", **pads)
    pads = {"pad_left": 2, "pad_right": 2}
    pre1 = conv.conv1d(x1, first, b1, **pads)
    x2 = conv.conv1d(x1, first, b1, activation="relu", **pads)
    pre2 = conv.conv1d(x2, second, b2, None, x1, residual_first=True, **pads)

    delta = (one_hot[alt] - one_hot[codes[row, at].long()])[:, None].to(DEVICE)
    row, start = row.int().to(DEVICE), at.int().to(DEVICE)
    d1 = window.window_conv1d(delta, start, row, pre0, stem, length=length, pad_left=3,
                              activation="gelu")  # fmt: skip
    start1 = reference.window_start(start, 7, 1, 3)
    d2 = window.window_conv1d(d1, start1, row, pre1, first, length=length, pad_left=2,
                              activation="relu")  # fmt: skip
    start2 = reference.window_start(start1, kernel, 1, 2)
    d3 = window.window_conv1d(d2, start2, row, pre2, second, None, d1, start1, length=length,
                              pad_left=2, activation="relu", residual_first=True,
                              pool=2)  # fmt: skip
    found = torch.zeros_like(truth)
    start3 = reference.window_start(start2, kernel, 1, 2, 2).cpu()
    for i, first_ in enumerate(start3.tolist()):
        low, high = max(first_, 0), min(first_ + d3.shape[1], found.shape[1])
        found[i, low:high] = d3[i, low - first_ : high - first_].cpu()
    check(found, truth, "float32")
    same = alt == codes[row.cpu(), at]
    assert not found[same].any(), "a base replaced by itself changes nothing, exactly"


def test_empty_batch():
    called, options = tensors(CASES[1], "float32")
    called |= {k: called[k][:0] for k in ("delta", "start", "row", "skip", "skip_start")}
    assert window.window_conv1d(**called, **options).shape[0] == 0
