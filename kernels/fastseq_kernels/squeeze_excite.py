"""Squeeze-excite in two passes over NLC activations; the second serves any pointwise chain.

    squeeze:    s[n, c] = mean or largest of x[n, :, c]
    excite:     gate[n, c] = sigmoid(z @ expand + b)            z = act(s @ reduce + b)
    pointwise:  y[n, l, c] = act(x[n, l, c] * gate[n, c] + residual[n, l, c])

A bilinear gate has z = act([m, p]) with m = act(s @ reduce + b) @ mix + b and
p = ((m @ left) * (m @ right)) @ combine + b.

The first pass reads x once. What excite makes of it is small, but five to ten layers long: one
program takes some sequences through all of them, their features in registers, and loads a weight
once for all its sequences. The second pass is one read and one write; where a convolution follows,
its ``gate`` argument does the same while it reads, and there is no second pass at all. Sums are
float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, activate, dot, finish, rounded
from fastseq_kernels.launch import multiply, power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides, vector


@triton.jit(do_not_specialize=["steps"])
def squeeze_kernel(
    p_x, p_y, length, steps, x_n, x_l,  # steps of BL positions
    C: tl.constexpr, LARGEST: tl.constexpr, STEPS: tl.constexpr, INTERPRETED: tl.constexpr,
    BL: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    o_n = tl.program_id(0).to(tl.int64)
    o_c = tl.program_id(1) * BC + tl.arange(0, BC)
    m_c = o_c < C
    START: tl.constexpr = float("-inf") if LARGEST else 0.0
    b_y = tl.full((BL, BC), START, dtype=tl.float32)
    for step in range(STEPS if INTERPRETED else steps):
        o_l = step * BL + tl.arange(0, BL)
        o_x = o_n * x_n + o_l.to(tl.int64)[:, None] * x_l + o_c[None, :]
        m_x = (o_l < length)[:, None] & m_c[None, :]
        b_x = tl.load(p_x + o_x, mask=m_x, other=START).to(tl.float32)
        if LARGEST:
            b_y = tl.maximum(b_y, b_x, propagate_nan=tl.PropagateNan.ALL)
        else:
            b_y += b_x
    if LARGEST:  # reductions pass over NaN, PyTorch's do not
        b_odd = tl.max((b_y != b_y).to(tl.int32), axis=0)
        b_y = tl.where(b_odd > 0, float("nan"), tl.max(b_y, axis=0))
    else:
        b_y = tl.sum(b_y, axis=0) / length
    tl.store(p_y + o_n * C + o_c, b_y, mask=m_c)


@triton.jit
def plus(b_x, p_bias, o_c, m_c):
    """Return sums with a bias, where there is one."""
    if p_bias is not None:
        b_x += tl.load(p_bias + o_c, mask=m_c, other=0.0)[None, :]
    return b_x


@triton.jit
def rectangle(p_weight, o_in, o_out, IN, OUT):
    """Return rows ``o_in`` and columns ``o_out`` of a weight (IN, OUT), zeros past its edges."""
    m_w = (o_in < IN)[:, None] & (o_out < OUT)[None, :]
    return tl.load(p_weight + o_in[:, None] * OUT + o_out[None, :], mask=m_w, other=0.0)


@triton.jit(do_not_specialize=["n", "channel_steps", "rank_steps"])
def excite_kernel(
    p_squeezed, p_reduce, p_reduce_bias, p_expand, p_expand_bias, p_mix, p_mix_bias, p_left,
    p_right, p_combine, p_combine_bias, p_gate,
    n, channel_steps, rank_steps,  # sequences; of BK channels; of BK products of the bilinear map
    C: tl.constexpr, REDUCED: tl.constexpr, PRODUCTS: tl.constexpr, RANK: tl.constexpr,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BM: tl.constexpr, BR: tl.constexpr, BP: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    o_n = tl.program_id(0).to(tl.int64) * BM + tl.arange(0, BM)
    m_n = (o_n < n)[:, None]
    o_r = tl.arange(0, BR)
    o_p = tl.arange(0, BP)
    b_z = tl.zeros((BM, BR), dtype=tl.float32)
    for step in range((C + BK - 1) // BK if INTERPRETED else channel_steps):
        o_c = step * BK + tl.arange(0, BK)
        p_s = p_squeezed + o_n[:, None] * C + o_c[None, :]
        b_s = tl.load(p_s, mask=m_n & (o_c < C)[None, :], other=0.0)
        b_z = dot(b_s, rectangle(p_reduce, o_c, o_r, C, REDUCED), b_z, PRECISION, INTERPRETED)
    # features past the last are act(0), and meet rows of zeros in all that follows
    b_z = activate(plus(b_z, p_reduce_bias, o_r, o_r < REDUCED), 0.0, ACTIVATION)

    if p_mix is not None:
        b_mix = rectangle(p_mix, o_r, o_r, REDUCED, REDUCED)
        b_z = dot(b_z, b_mix, tl.zeros((BM, BR), dtype=tl.float32), PRECISION, INTERPRETED)
        b_z = plus(b_z, p_mix_bias, o_r, o_r < REDUCED)
        b_p = tl.zeros((BM, BP), dtype=tl.float32)
        for step in range((RANK + BK - 1) // BK if INTERPRETED else rank_steps):
            o_k = step * BK + tl.arange(0, BK)
            b_none = tl.zeros((BM, BK), dtype=tl.float32)
            b_left = rectangle(p_left, o_r, o_k, REDUCED, RANK)
            b_right = rectangle(p_right, o_r, o_k, REDUCED, RANK)
            b_both = dot(b_z, b_left, b_none, PRECISION, INTERPRETED)
            b_both *= dot(b_z, b_right, b_none, PRECISION, INTERPRETED)
            b_combine = rectangle(p_combine, o_k, o_p, RANK, PRODUCTS)
            b_p = dot(b_both, b_combine, b_p, PRECISION, INTERPRETED)
        b_p = activate(plus(b_p, p_combine_bias, o_p, o_p < PRODUCTS), 0.0, ACTIVATION)
        b_z = activate(b_z, 0.0, ACTIVATION)

    for step in range((C + BK - 1) // BK if INTERPRETED else channel_steps):
        o_c = step * BK + tl.arange(0, BK)
        m_c = o_c < C
        b_expand = rectangle(p_expand, o_r, o_c, REDUCED, C)
        b_gate = tl.zeros((BM, BK), dtype=tl.float32)
        b_gate = dot(b_z, b_expand, b_gate, PRECISION, INTERPRETED)
        if p_mix is not None:
            b_more = rectangle(p_expand + REDUCED * C, o_p, o_c, PRODUCTS, C)
            b_gate = dot(b_p, b_more, b_gate, PRECISION, INTERPRETED)
        b_gate = activate(plus(b_gate, p_expand_bias, o_c, m_c), 0.0, "sigmoid")
        tl.store(p_gate + o_n[:, None] * C + o_c[None, :], b_gate, mask=m_n & m_c[None, :])


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


def squeeze_launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    x = channels_last(call.x)
    n, length, channels = x.shape
    config["BC"] = min(config["BC"], power_of_two(channels))
    steps = triton.cdiv(length, config["BL"])
    squeeze_kernel[n, triton.cdiv(channels, config["BC"])](
        x, y, length, steps, *strides(x), C=channels, LARGEST=call.largest, STEPS=steps,
        INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


def excite_launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    channels, reduced = call.reduce.shape
    rank, products = (1, 1) if call.combine is None else call.combine.shape
    tensors = (
        call.squeezed, call.reduce, call.reduce_bias, call.expand, call.expand_bias, call.mix,
        call.mix_bias, call.left, call.right, call.combine, call.combine_bias,
    )  # fmt: skip
    excite_kernel[(triton.cdiv(len(y), config["BM"]),)](
        *map(vector, tensors), y, len(y),
        triton.cdiv(channels, config["BK"]), triton.cdiv(rank, config["BK"]),
        C=channels, REDUCED=reduced, PRODUCTS=products, RANK=rank, ACTIVATION=call.activation,
        PRECISION=multiply(call.precision, arch), INTERPRETED=INTERPRETED,
        BR=max(16, power_of_two(reduced)), BP=max(16, power_of_two(products)), **config,
    )  # fmt: skip


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
    launch=squeeze_launch,
)
excite, excite_op = define(
    reference.excite,
    empty=lambda call: call.squeezed.new_empty(call.squeezed.shape, dtype=torch.float32),
    facts=lambda call: {"reduced": call.reduce.shape[1], "bilinear": call.mix is not None},
    launch=excite_launch,
)
pointwise, pointwise_op = define(
    reference.pointwise,
    empty=lambda call: call.x.new_empty(call.x.shape),
    facts=lambda call: {"aligned": call.x.shape[2] % 16 == 0},
    launch=pointwise_launch,
)
