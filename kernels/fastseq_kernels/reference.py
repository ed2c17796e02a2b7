"""Each op in plain PyTorch: what the kernels must compute, and how close they must come.

Activations lie position by position (NLC): ``(n, length, channels)``. Convolution weights are
packed ``(kernel, channels_in / groups, channels_out)``, as `pack` makes them. Half-precision input
is computed in float32 and rounded once, at the end; float64 input stays float64 and is the truth
that tests compare with.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS = {
    "none": lambda v, slope: v,
    "relu": lambda v, slope: v.relu(),
    "prelu": lambda v, slope: torch.where(v >= 0, v, v * slope),
    "elu": lambda v, slope: F.elu(v),
    "silu": lambda v, slope: F.silu(v),
    "gelu": lambda v, slope: F.gelu(v),
    "sigmoid": lambda v, slope: v.sigmoid(),
    "softplus": lambda v, slope: F.softplus(v),
    "exp": lambda v, slope: v.exp(),
}

# relative L2 error allowed against float64 on operands already rounded to the type: sums are
# float32, so what is left is one rounding of each output (2^-12 and 2^-9 for the half types) with
# room for what exp and GELU amplify; tf32 also rounds both operands to 11 bits
TOLERANCE = {
    "float32": 5e-6,
    "tf32": 1e-3,
    "float16": 5e-4,
    "bfloat16": 4e-3,
}


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Return ||found - truth|| / ||truth|| in float64; NaN where an element was never written."""
    if found.shape != truth.shape:
        raise ValueError(f"shape {tuple(found.shape)}; expected {tuple(truth.shape)}")
    found, truth = found.detach().cpu().double(), truth.detach().cpu().double()
    return float((found - truth).norm() / truth.norm().clamp_min(1e-30))


def pack(weight: Tensor) -> Tensor:
    """Return a PyTorch weight ``(out, in / groups, kernel)`` as ``(kernel, in / groups, out)``."""
    return weight.permute(2, 1, 0).contiguous()


def length_out(length: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Return how many positions a convolution gives; ``padding`` is both sides together."""
    return (length + padding - dilation * (kernel - 1) - 1) // stride + 1


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    slope: Tensor | None = None,
    residual: Tensor | None = None,
    gate: Tensor | None = None,
    *,
    stride: int = 1,
    dilation: int = 1,
    pad_left: int = 0,
    pad_right: int = 0,
    groups: int = 1,
    activation: str = "none",
    residual_first: bool = False,
    pool: int = 1,
    precision: str = "float32",
) -> Tensor:
    """Return convolution, bias, residual, activation and max-pool of ``x``.

    Parameters
    ----------
    x : (n, length, channels_in)
    weight : (kernel, channels_in / groups, channels_out)
    bias : (channels_out,), optional
    slope : (channels_out,) or (1,), optional
        Slopes of activation "prelu".
    residual : (n, positions, channels_out), optional
        Added at the convolution's resolution, before the pool: after the activation, or before it
        with ``residual_first``.
    gate : (n, channels_in), optional
        Multiplies ``x`` channel by channel, as the second pass of a squeeze-excite does.
    pool : int
        Maximum over windows of so many positions, side by side; an incomplete last one is dropped.
    precision : str
        How a kernel multiplies float32; of no effect here.

    Returns
    -------
    (n, positions // pool, channels_out), dtype of ``x``
    """
    wide = _wide(x)
    if gate is not None:
        # the kernels round the gated input to its own type before they multiply
        wide = (wide * gate.to(wide.dtype)[:, None, :]).to(x.dtype).to(wide.dtype)
    padded = F.pad(wide.transpose(1, 2), (pad_left, pad_right))
    ncl = weight.to(wide.dtype).permute(2, 1, 0)
    y = F.conv1d(padded, ncl, stride=stride, dilation=dilation, groups=groups).transpose(1, 2)
    return _finish(y, bias, slope, residual, activation, residual_first, pool, x.dtype)


def first_conv1d(
    codes: Tensor,
    weight: Tensor,
    base: Tensor | None = None,
    slope: Tensor | None = None,
    *,
    positions: int,
    first: int = 0,
    stride: int = 1,
    dilation: int = 1,
    unknown: float = 0.0,
    activation: str = "none",
    pool: int = 1,
    precision: str = "float32",
) -> Tensor:
    """Return the first layer's output, straight from codes.

    ``y[n, l] = pool(act(base[l] + sum_t weight[t, codes[n, first + l * stride + t * dilation]]))``;
    positions outside the codes add nothing, code 4 adds ``unknown`` times the sum of its four rows.

    Parameters
    ----------
    codes : uint8, (n, length)
    weight : (kernel, 4, channels_out)
        Its dtype is that of the answer.
    base : (channels_out,) or (positions, channels_out), optional
        Bias, with what flanks and constant channels add at each position folded in.
    positions : int
        Output positions before the pool.
    first : int
        Where in the codes the first tap of output 0 looks; minus the padding and the left flank.
    unknown : float
        0 where an unknown base is four zeros, .25 where it is four quarters.

    Returns
    -------
    (n, positions // pool, channels_out), dtype of ``weight``
    """
    wide = _wide(weight)
    n, length = codes.shape
    kernel = len(wide)
    rows = torch.cat([wide, unknown * wide.sum(1, keepdim=True), torch.zeros_like(wide[:, :1])], 1)
    y = wide.new_zeros(n, positions, wide.shape[2])
    for tap in range(kernel):
        at = first + torch.arange(positions, device=codes.device) * stride + tap * dilation
        seen = codes[:, at.clamp(0, length - 1)].long().clamp(max=4)
        outside = (at < 0) | (at >= length)
        y += rows[tap][torch.where(outside, 5, seen)]
    return _finish(y, base, slope, None, activation, False, pool, weight.dtype)


def squeeze(
    x: Tensor,
    reduce: Tensor | None = None,
    reduce_bias: Tensor | None = None,
    expand: Tensor | None = None,
    expand_bias: Tensor | None = None,
    *,
    activation: str = "silu",
) -> Tensor:
    """Return the mean over positions, or the squeeze-excite gate that two linear layers make of it.

    ``gate = sigmoid(act(mean @ reduce + reduce_bias) @ expand + expand_bias)``

    Parameters
    ----------
    x : (n, length, channels)
    reduce : (channels, reduced), optional
    expand : (reduced, channels), optional

    Returns
    -------
    float32, (n, channels)
        float64 for float64 input.
    """
    wide = _wide(x)
    mean = wide.mean(1)
    if reduce is None:
        return mean
    hidden = mean @ reduce.to(wide.dtype)
    if reduce_bias is not None:
        hidden = hidden + reduce_bias.to(wide.dtype)
    gate = ACTIVATIONS[activation](hidden, None) @ expand.to(wide.dtype)
    if expand_bias is not None:
        gate = gate + expand_bias.to(wide.dtype)
    return gate.sigmoid()


def excite(
    x: Tensor,
    gate: Tensor,
    residual: Tensor | None = None,
    *,
    activation: str = "none",
    residual_first: bool = False,
) -> Tensor:
    """Return ``x`` scaled channel by channel by its gate, then residual and activation.

    Parameters
    ----------
    x, residual : (n, length, channels)
    gate : (n, channels)

    Returns
    -------
    (n, length, channels), dtype of ``x``
    """
    y = _wide(x) * gate.to(_wide(x).dtype)[:, None, :]
    return _finish(y, None, None, residual, activation, residual_first, 1, x.dtype)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _finish(y, bias, slope, residual, activation, residual_first, pool, dtype) -> Tensor:
    """Return what every op ends with: bias, residual, activation, pool, one rounding."""
    if bias is not None:
        y = y + bias.to(y.dtype)
    if residual is not None and residual_first:
        y = y + residual.to(y.dtype)
    y = ACTIVATIONS[activation](y, None if slope is None else slope.to(y.dtype))
    if residual is not None and not residual_first:
        y = y + residual.to(y.dtype)
    if pool > 1:
        y = F.max_pool1d(y.transpose(1, 2), pool).transpose(1, 2)
    return y.to(dtype).contiguous()
