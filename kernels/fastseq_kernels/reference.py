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
    "tanh": lambda v, slope: v.tanh(),
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


def squeeze(x: Tensor, *, largest: bool = False) -> Tensor:
    """Return the mean over positions, or the largest value.

    Parameters
    ----------
    x : (n, length, channels)

    Returns
    -------
    float32, (n, channels)
        float64 for float64 input.
    """
    wide = _wide(x)
    return wide.amax(1) if largest else wide.mean(1)


def excite(
    squeezed: Tensor,
    reduce: Tensor,
    reduce_bias: Tensor | None,
    expand: Tensor,
    expand_bias: Tensor | None = None,
    mix: Tensor | None = None,
    mix_bias: Tensor | None = None,
    left: Tensor | None = None,
    right: Tensor | None = None,
    combine: Tensor | None = None,
    combine_bias: Tensor | None = None,
    *,
    activation: str = "silu",
    precision: str = "float32",
) -> Tensor:
    """Return the gate that squeeze-excite makes of means; with ``mix``, the bilinear one.

    ``z = act(squeezed @ reduce + reduce_bias)``, ``gate = sigmoid(z @ expand + expand_bias)``. The
    bilinear gate sees ``m = z @ mix + mix_bias`` and products of its features instead:
    ``z = act([m, ((m @ left) * (m @ right)) @ combine + combine_bias])``.

    Parameters
    ----------
    squeezed : (n, channels)
    reduce : (channels, reduced)
    expand : (reduced, channels), or (reduced + products, channels)
    mix : (reduced, reduced), optional
        The next five come with it.
    left, right : (reduced, rank)
    combine : (rank, products)
    precision : str
        As in `conv1d`.

    Returns
    -------
    float32, (n, channels)
        float64 for float64 input.
    """
    wide = _wide(squeezed)

    def linear(v: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
        y = v @ weight.to(v.dtype)
        return y if bias is None else y + bias.to(v.dtype)

    act = ACTIVATIONS[activation]
    z = act(linear(wide, reduce, reduce_bias), None)
    if mix is not None:
        m = linear(z, mix, mix_bias)
        products = linear(linear(m, left) * linear(m, right), combine, combine_bias)
        z = act(torch.cat([m, products], 1), None)
    return linear(z, expand, expand_bias).sigmoid()


def pointwise(
    x: Tensor,
    gate: Tensor | None = None,
    slope: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    activation: str = "none",
    residual_first: bool = False,
) -> Tensor:
    """Return ``x`` scaled channel by channel by its gate, then residual and activation.

    Parameters
    ----------
    x, residual : (n, length, channels)
    gate : (n, channels), optional
    slope : (channels,) or (1,), optional
        Slopes of activation "prelu".

    Returns
    -------
    (n, length, channels), dtype of ``x``
    """
    y = _wide(x)
    if gate is not None:
        y = y * gate.to(y.dtype)[:, None, :]
    return _finish(y, None, slope, residual, activation, residual_first, 1, x.dtype)


def residual_pair(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: Tensor | None = None,
    *,
    activation: str = "none",
    pool: int = 1,
    precision: str = "float32",
) -> Tensor:
    """Return two same-padded convolutions with ``x`` added before the second activation.

    Parameters
    ----------
    x : (n, length, channels)
    weight : (2, kernel, channels, channels)
        An odd kernel.
    bias : (2, channels)
    slope : (2, channels) or (2, 1), optional
    pool : int
        As in `conv1d`.

    Returns
    -------
    (n, length // pool, channels), dtype of ``x``
    """
    pad = weight.shape[1] // 2
    options = {"pad_left": pad, "pad_right": pad, "activation": activation}
    slopes = (None, None) if slope is None else slope
    h = conv1d(x, weight[0], bias[0], slopes[0], **options)
    return conv1d(h, weight[1], bias[1], slopes[1], x, residual_first=True, pool=pool, **options)


def window_width(width: int, kernel: int, dilation: int = 1, pool: int = 1) -> int:
    """Return how many positions a window of changed input can change, wherever it stands."""
    return (width + dilation * (kernel - 1) + pool - 2) // pool + 1


def window_start(
    start: Tensor, kernel: int, dilation: int = 1, pad_left: int = 0, pool: int = 1
) -> Tensor:
    """Return the first position that windows of changed input can change; below 0 at the left."""
    first = start + pad_left - dilation * (kernel - 1)
    return torch.div(first, pool, rounding_mode="floor")


def window_conv1d(
    delta: Tensor,
    start: Tensor,
    row: Tensor,
    pre: Tensor,
    weight: Tensor,
    slope: Tensor | None = None,
    skip: Tensor | None = None,
    skip_start: Tensor | None = None,
    skip_reference: Tensor | None = None,
    *,
    length: int,
    dilation: int = 1,
    pad_left: int = 0,
    activation: str = "none",
    residual_first: bool = False,
    pool: int = 1,
    precision: str = "float32",
) -> Tensor:
    """Return what a layer's output changes by, where its input changes by ``delta``.

    Parameters
    ----------
    delta : (m, width, channels_in)
        Changed minus reference input of mutant m at positions ``start[m]`` and on; what hangs
        over the ends of the layer does not count.
    start, row : int, (m,)
        First position of a window; which reference row it belongs to.
    pre : (n, positions, channels_out)
        The reference before its activation, bias and a first residual included.
    weight : (kernel, channels_in, channels_out)
    skip : (m, skip_width, channels_out), optional
        Differences of a residual connection, from ``skip_start[m]`` on.
    skip_reference : (n, positions, channels_out), optional
        What the connection adds to the reference; needed where a pool follows a last residual.
    length : int
        Input positions of the layer.

    Returns
    -------
    (m, window_width, channels_out), dtype of ``delta``
        From position `window_start` on, counted after the pool; 0 outside the layer.
    """
    wide = _wide(delta)
    kernel, positions = len(weight), pre.shape[1]
    full = F.pad(_placed(wide, start, length).transpose(1, 2),
                 (pad_left, positions + dilation * (kernel - 1) - length - pad_left))  # fmt: skip
    ncl = weight.to(wide.dtype).permute(2, 1, 0)
    change = F.conv1d(full, ncl, dilation=dilation).transpose(1, 2)
    rows = row.long()
    before = pre.to(wide.dtype)[rows]
    extra = torch.zeros_like(before)
    if skip is not None:
        extra = _placed(skip.to(wide.dtype), skip_start, positions)
    after = before + change + extra if residual_first else before + change
    slope = None if slope is None else slope.to(wide.dtype)
    after, before = (ACTIVATIONS[activation](v, slope) for v in (after, before))
    if skip_reference is not None:
        before = before + skip_reference.to(wide.dtype)[rows]
        after = after + skip_reference.to(wide.dtype)[rows]
    if not residual_first:
        after = after + extra
    if pool > 1:
        after, before = (
            F.max_pool1d(v.transpose(1, 2), pool).transpose(1, 2) for v in (after, before)
        )
    first = window_start(start.long(), kernel, dilation, pad_left, pool)
    at = first[:, None] + torch.arange(window_width(delta.shape[1], kernel, dilation, pool),
                                       device=first.device)  # fmt: skip
    outside = (at < 0) | (at >= after.shape[1])
    index = at.clamp(0, after.shape[1] - 1)[:, :, None].expand(-1, -1, after.shape[2])
    return (after - before).gather(1, index).masked_fill(outside[:, :, None], 0).to(delta.dtype)


def _placed(windows: Tensor, start: Tensor, length: int) -> Tensor:
    """Return zeros (m, length, channels) with each window added where it starts."""
    full = windows.new_zeros(len(windows), length, windows.shape[2])
    for i, first in enumerate(start.tolist()):
        low, high = max(first, 0), min(first + windows.shape[1], length)
        if low < high:
            full[i, low:high] = windows[i, low - first : high - first]
    return full


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
