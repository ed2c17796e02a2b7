"""Squeeze-excite in two passes over NLC activations; the second serves any pointwise chain.

    squeeze:    gate[n, c] = sigmoid(act(mean_l x[n, l, c] @ reduce + b1) @ expand + b2)
    pointwise:  y[n, l, c] = act(x[n, l, c] * gate[n, c] + residual[n, l, c])

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

from fastseq_kernels import reference
from fastseq_kernels.conv import conv1d
from fastseq_kernels.epilogue import INTERPRETED, finish, rounded
from fastseq_kernels.launch import power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides, vector


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
def pointwise_kernel(
    p_x, p_gate, p_slope, p_residual, p_y, n, length, x_n, x_l, r_n, r_l, y_n, y_l,
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
    b_x = b_x.to(tl.float32)
    if p_gate is not None:
        b_x *= tl.load(p_gate + (o_n * C)[:, None] + o_c[None, :], mask=m_y, other=0.0)
    o_residual = (o_n * r_n + o_l * r_l)[:, None] + o_c[None, :]
    b_y = finish(b_x, p_slope, p_residual, o_residual, o_c, m_c, m_y,
                 ACTIVATION, RESIDUAL_FIRST)  # fmt: skip
    o_y = (o_n * y_n + o_l * y_l)[:, None] + o_c[None, :]
    tl.store(p_y + o_y, rounded(b_y, p_y.dtype.element_ty, INTERPRETED), mask=m_y)


def mean_launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel of the means, then the gate's two layers where there are any."""
    x = channels_last(call.x)
    n, length, channels = x.shape
    gated = call.reduce is not None and call.expand is not None
    mean = torch.empty_like(y) if gated else y
    config["BC"] = min(config["BC"], power_of_two(channels))
    steps = triton.cdiv(length, config["BL"])
    mean_kernel[n, triton.cdiv(channels, config["BC"])](
        x, mean, length, steps, *strides(x), C=channels, STEPS=steps, INTERPRETED=INTERPRETED,
        **config,
    )  # fmt: skip
    if gated:
        reduce, expand = vector(call.reduce)[None], vector(call.expand)[None]
        hidden = conv1d(mean[None], reduce, call.reduce_bias, activation=call.activation)
        conv1d(hidden, expand, call.expand_bias, activation="sigmoid", out=y[None])


def pointwise_launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    n, length, channels = call.x.shape
    config["BC"] = min(config["BC"], power_of_two(channels))
    x, residual = channels_last(call.x), channels_last(call.residual)
    grid = triton.cdiv(n * length, config["BL"]), triton.cdiv(channels, config["BC"])
    pointwise_kernel[grid](
        x, vector(call.gate), per_channel(call.slope, channels), residual, y, n, length,
        *strides(x, residual, y), C=channels, ACTIVATION=call.activation,
        RESIDUAL_FIRST=call.residual_first, INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


squeeze, squeeze_op = define(
    reference.squeeze,
    empty=lambda call: call.x.new_empty(call.x.shape[::2], dtype=torch.float32),
    facts=lambda call: {},
    launch=mean_launch,
)
pointwise, pointwise_op = define(
    reference.pointwise,
    empty=lambda call: call.x.new_empty(call.x.shape),
    facts=lambda call: {"aligned": call.x.shape[2] % 16 == 0},
    launch=pointwise_launch,
)
