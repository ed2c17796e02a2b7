"""Squeeze-excite in two passes over NLC activations.

    squeeze:  gate[n, c] = sigmoid(act(mean_l x[n, l, c] @ reduce + b1) @ expand + b2)
    excite:   y[n, l, c] = act(x[n, l, c] * gate[n, c] + residual[n, l, c])

The first pass reads x once. Its two linear layers see one row a sequence; they are convolutions of
width one over all means, which loads a weight once for 64 sequences instead of once for each. With
no weights the answer is the means, for gates of another kind. The second pass is one read and one
write; where a convolution follows, its ``gate`` argument does the same while it reads, and there is
no second pass at all. Sums are float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import conv, reference
from fastseq_kernels.epilogue import INTERPRETED, finish, rounded
from fastseq_kernels.launch import architecture, choose, power_of_two
from fastseq_kernels.library import channels_last, on, register, vector
from fastseq_kernels.support import refuse

SQUEEZE = (
    "squeeze(Tensor x, Tensor? reduce=None, Tensor? reduce_bias=None, Tensor? expand=None, "
    "Tensor? expand_bias=None, *, str activation='silu') -> Tensor"
)
EXCITE = (
    "excite(Tensor x, Tensor gate, Tensor? residual=None, *, str activation='none', "
    "bool residual_first=False) -> Tensor"
)


@triton.jit(do_not_specialize=["steps"])
def mean_kernel(
    p_x, p_mean, length, steps, x_n, x_l,  # steps of BL positions
    C: tl.constexpr, STEPS: tl.constexpr, INTERPRETED: tl.constexpr,
    BL: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    o_n = tl.program_id(0).to(tl.int64)
    o_c = tl.program_id(1) * BC + tl.arange(0, BC)
    m_c = o_c < C
    b_sum = tl.zeros((BL, BC), dtype=tl.float32)
    for step in range(STEPS if INTERPRETED else steps):
        o_l = step * BL + tl.arange(0, BL)
        o_x = o_n * x_n + o_l.to(tl.int64)[:, None] * x_l + o_c[None, :]
        m_x = (o_l < length)[:, None] & m_c[None, :]
        b_sum += tl.load(p_x + o_x, mask=m_x, other=0.0).to(tl.float32)
    tl.store(p_mean + o_n * C + o_c, tl.sum(b_sum, axis=0) / length, mask=m_c)


@triton.jit(do_not_specialize=["n"])
def excite_kernel(
    p_x, p_gate, p_residual, p_y, n, length, x_n, x_l, r_n, r_l, y_n, y_l,
    C: tl.constexpr, ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr,
    INTERPRETED: tl.constexpr, BL: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0).to(tl.int64) * BL
    o_row = (first % length).to(tl.int32) + tl.arange(0, BL)
    o_n = first // length + o_row // length
    o_l = (o_row % length).to(tl.int64)
    o_c = tl.program_id(1) * BC + tl.arange(0, BC)
    m_c = o_c < C
    m_y = (o_n < n)[:, None] & m_c[None, :]
    b_x = tl.load(p_x + (o_n * x_n + o_l * x_l)[:, None] + o_c[None, :], mask=m_y, other=0.0)
    b_gate = tl.load(p_gate + (o_n * C)[:, None] + o_c[None, :], mask=m_y, other=0.0)
    o_residual = (o_n * r_n + o_l * r_l)[:, None] + o_c[None, :]
    b_y = finish(b_x.to(tl.float32) * b_gate, None, p_residual, o_residual, o_c, m_c, m_y,
                 ACTIVATION, RESIDUAL_FIRST)  # fmt: skip
    o_y = (o_n * y_n + o_l * y_l)[:, None] + o_c[None, :]
    tl.store(p_y + o_y, rounded(b_y, p_y.dtype.element_ty, INTERPRETED), mask=m_y)


def squeeze(
    x: Tensor,
    reduce: Tensor | None = None,
    reduce_bias: Tensor | None = None,
    expand: Tensor | None = None,
    expand_bias: Tensor | None = None,
    *,
    activation: str = "silu",
    out: Tensor | None = None,
    config: dict | None = None,
) -> Tensor:
    """Return what `reference.squeeze` returns, computed by one kernel or three.

    Parameters
    ----------
    x : float32, float16 or bfloat16, (n, length, channels)
        Any strides, as long as channels are contiguous.
    reduce : float32, (channels, reduced), optional
    expand : float32, (reduced, channels), optional
        Given with ``reduce``.
    out : float32, (n, channels), optional
        Where the means are written, in place.
    config : dict, optional
        Launch configuration of the means; the committed table's where not given.

    Raises
    ------
    ValueError
        With every reason why the kernel cannot take this.
    """
    refuse("squeeze", {"x": x.shape}, {"x": x.dtype}, x.device, activation=activation)
    n, length, channels = x.shape
    mean = x.new_empty(n, channels, dtype=torch.float32) if out is None else out
    if mean.numel() == 0:
        return mean
    config = dict(config or choose("squeeze", architecture(x.device), {}))
    config["BC"] = min(config["BC"], power_of_two(channels))
    steps = triton.cdiv(length, config["BL"])
    x = channels_last(x)
    with on(x):
        mean_kernel[n, triton.cdiv(channels, config["BC"])](
            x, mean, length, steps, *x.stride()[:2],
            C=channels, STEPS=steps, INTERPRETED=INTERPRETED, **config,
        )  # fmt: skip
    if reduce is None or expand is None:
        return mean
    hidden = conv.conv1d(mean[None], vector(reduce)[None], reduce_bias, activation=activation)
    return conv.conv1d(hidden, vector(expand)[None], expand_bias, activation="sigmoid")[0]


def excite(
    x: Tensor,
    gate: Tensor,
    residual: Tensor | None = None,
    *,
    activation: str = "none",
    residual_first: bool = False,
    out: Tensor | None = None,
    config: dict | None = None,
) -> Tensor:
    """Return what `reference.excite` returns, computed by one kernel.

    Parameters
    ----------
    x, residual : float32, float16 or bfloat16, (n, length, channels)
        Any strides, as long as channels are contiguous.
    gate : float32, (n, channels)
    out : (n, length, channels), optional
        Written in place.
    config : dict, optional
        Launch configuration; the committed table's where not given.

    Raises
    ------
    ValueError
        With every reason why the kernel cannot take this.
    """
    refuse("excite", {"x": x.shape}, {"x": x.dtype}, x.device, activation=activation)
    n, length, channels = x.shape
    y = x.new_empty(n, length, channels) if out is None else out
    if y.numel() == 0:
        return y
    facts = {"aligned": channels % 16 == 0}
    config = dict(config or choose("excite", architecture(x.device), facts))
    config["BC"] = min(config["BC"], power_of_two(channels))
    x, residual = channels_last(x), channels_last(residual)
    r_n, r_l = residual.stride()[:2] if residual is not None else (0, 0)
    grid = triton.cdiv(n * length, config["BL"]), triton.cdiv(channels, config["BC"])
    with on(x):
        excite_kernel[grid](
            x, vector(gate), residual, y, n, length,
            *x.stride()[:2], r_n, r_l, *y.stride()[:2],
            C=channels, ACTIVATION=activation, RESIDUAL_FIRST=residual_first,
            INTERPRETED=INTERPRETED, **config,
        )  # fmt: skip
    return y


def gate_shape(x, *_, **options) -> Tensor:
    """Return an empty gate."""
    return x.new_empty(x.shape[0], x.shape[2], dtype=torch.float32)


def same_shape(x, *_, **options) -> Tensor:
    """Return an empty answer as large as ``x``."""
    return x.new_empty(x.shape)


squeeze_op = register(SQUEEZE, cpu=reference.squeeze, cuda=squeeze, fake=gate_shape)
excite_op = register(EXCITE, cpu=reference.excite, cuda=excite, fake=same_shape)
