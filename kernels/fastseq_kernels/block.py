"""A residual pair of convolutions in one kernel, the activations between them never stored.

    h = act(conv(x, weight[0]) + bias[0])
    y = pool(act(conv(h, weight[1]) + bias[1] + x))

A program holds whole sequences of up to 128 positions and all their channels in registers. A tap is
the same tile, shifted along its positions by a gather that the compiler turns into warp shuffles;
rows past the sequence are zeros, which is what same padding reads. Device memory sees x once and y
once, where two calls of conv1d move four times that, and L2 sees no tap at all. Sums are float32.
"""

import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, activate, dot, put, rounded
from fastseq_kernels.launch import multiply, power_of_two
from fastseq_kernels.library import Call, channels_last, define, strides, vector


@triton.jit
def shifted(b_x, o_l, by, S: tl.constexpr, BL: tl.constexpr, C: tl.constexpr):
    """Return ``b_x`` (S, BL, C) read ``by`` positions further on, zeros past both ends."""
    o_at = o_l + by
    o_from = tl.broadcast_to(tl.minimum(tl.maximum(o_at, 0), BL - 1), (S, BL, C))
    b_moved = tl.gather(b_x, o_from, 1)
    return tl.where((o_at >= 0) & (o_at < BL), b_moved, 0.0).to(b_x.dtype)


@triton.jit
def convolved(
    b_x, p_weight, taps, o_l, o_c, KERNEL: tl.constexpr, S: tl.constexpr, BL: tl.constexpr,
    C: tl.constexpr, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Return the same-padded convolution of ``b_x`` (S, BL, C) as float32 (S * BL, C)."""
    b_acc = tl.zeros((S * BL, C), dtype=tl.float32)
    # counted at run time: unrolled, all taps' tiles would be alive at once, and spill
    for tap in range(KERNEL if INTERPRETED else taps):
        b_tap = tl.reshape(shifted(b_x, o_l, tap - KERNEL // 2, S, BL, C), (S * BL, C))
        b_w = tl.load(p_weight + (tap * C + o_c)[:, None] * C + o_c[None, :])
        b_acc = dot(b_tap, b_w, b_acc, PRECISION, INTERPRETED)
    return b_acc


@triton.jit(do_not_specialize=["n", "taps"])
def residual_pair_kernel(
    p_x, p_weight, p_bias, p_slope, p_y, n, length, kept, taps, x_n, x_l, y_n, y_l,
    C: tl.constexpr, KERNEL: tl.constexpr, POOL: tl.constexpr, ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr, INTERPRETED: tl.constexpr, S: tl.constexpr, BL: tl.constexpr,
):  # fmt: skip
    o_c = tl.arange(0, C)
    o_s = tl.program_id(0).to(tl.int64) * S + tl.arange(0, S)[:, None, None]
    o_l = tl.arange(0, BL)[None, :, None]
    m_x = (o_s < n) & (o_l < length)
    o_x = o_s * x_n + o_l * x_l + o_c[None, None, :]
    b_x = tl.load(p_x + o_x, mask=m_x, other=0.0)
    b_slope = 0.0
    if p_slope is not None:
        b_slope = tl.load(p_slope + o_c)[None, :]

    b_h = convolved(b_x, p_weight, taps, o_l, o_c, KERNEL, S, BL, C, PRECISION, INTERPRETED)
    b_h = activate(b_h + tl.load(p_bias + o_c)[None, :], b_slope, ACTIVATION)
    # what stands past the sequence must read as padding in the second convolution
    b_h = tl.where(m_x, tl.reshape(b_h, (S, BL, C)), 0.0)
    b_h = rounded(b_h, p_x.dtype.element_ty, INTERPRETED)

    p_weight += KERNEL * C * C
    b_y = convolved(b_h, p_weight, taps, o_l, o_c, KERNEL, S, BL, C, PRECISION, INTERPRETED)
    b_y += tl.load(p_bias + C + o_c)[None, :] + tl.reshape(b_x, (S * BL, C)).to(tl.float32)
    if p_slope is not None:
        b_slope = tl.load(p_slope + C + o_c)[None, :]
    b_y = activate(b_y, b_slope, ACTIVATION)
    if POOL > 1:
        b_y = tl.max(tl.reshape(b_y, (S * BL // POOL, POOL, C)), axis=1)
    o_row = tl.arange(0, S * BL // POOL)
    o_n = tl.program_id(0).to(tl.int64) * S + o_row // (BL // POOL)
    o_q = o_row % (BL // POOL)
    put(b_y, p_y, o_n, o_q, (o_n < n) & (o_q < kept), y_n, y_l, o_c, o_c < C, INTERPRETED)


def empty(call: Call) -> Tensor:
    """Return an answer of the right shape, unwritten."""
    n, length, channels = call.x.shape
    return call.x.new_empty(n, length // call.pool, channels)


def facts(call: Call) -> dict[str, object]:
    """Return what chooses the launch configuration."""
    return {"bytes": call.x.element_size(), "channels_out": call.x.shape[2]}


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    n, length, channels = call.x.shape
    kernel = call.weight.shape[1]
    block = max(power_of_two(length), 8, call.pool)
    each = max(1, config.pop("ROWS") // block)
    x = channels_last(call.x)
    slope = None if call.slope is None else vector(call.slope.expand(2, channels))
    residual_pair_kernel[(triton.cdiv(n, each),)](
        x, call.weight.contiguous(), vector(call.bias), slope, y,
        n, length, y.shape[1], kernel, *strides(x, y),
        C=channels, KERNEL=kernel, POOL=call.pool, ACTIVATION=call.activation,
        PRECISION=multiply(call.precision, arch), INTERPRETED=INTERPRETED,
        S=each, BL=block, **config,
    )  # fmt: skip


residual_pair, op = define(reference.residual_pair, empty=empty, facts=facts, launch=launch)
