"""Depthwise convolution and convolution in small groups, over NLC activations.

    y[n, l, c] = pool(act(bias[c] + sum_t sum_j weight[t, j, c] * x[n, l * stride + t * dilation
                 - pad, group(c) * channels_in + j] + residual))

With fewer than 16 channels a group a matrix unit would multiply zeros; these layers are bound by
memory, and plain float32 multiply-adds keep up with it. A program holds some positions and some
channels; its taps re-read the same rows from L1.
"""

import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import conv, reference
from fastseq_kernels.epilogue import INTERPRETED, finish, rows, store
from fastseq_kernels.launch import power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides, vector


@triton.jit
def add_tap(
    b_acc, step, p_x, p_weight, o_n, o_start, o_in, o_c, m_row, m_c, length, x_n, x_l,
    C_IN: tl.constexpr, CHANNELS: tl.constexpr, DILATION: tl.constexpr,
):  # fmt: skip
    """Return ``b_acc`` with one tap of one input channel of every group added."""
    o_at = o_start + step // C_IN * DILATION
    m_x = (m_row & (o_at >= 0) & (o_at < length))[:, None] & m_c[None, :]
    o_x = (o_n * x_n + o_at.to(tl.int64) * x_l)[:, None] + (o_in + step % C_IN)[None, :]
    b_x = tl.load(p_x + o_x, mask=m_x, other=0.0).to(tl.float32)
    b_w = tl.load(p_weight + step * CHANNELS + o_c, mask=m_c, other=0.0).to(tl.float32)
    return b_acc + b_x * b_w[None, :]


@triton.jit(do_not_specialize=["n", "steps"])
def depthwise_conv1d_kernel(
    p_x, p_weight, p_bias, p_slope, p_residual, p_y,
    n, length, kept, steps,  # sequences; positions of x; of y, after the pool; multiply-adds
    x_n, x_l, r_n, r_l, y_n, y_l,  # strides in elements; channels are contiguous
    C_IN: tl.constexpr, C_OUT: tl.constexpr, CHANNELS: tl.constexpr,  # of a group; of y
    STEPS: tl.constexpr, STRIDE: tl.constexpr, DILATION: tl.constexpr, PAD: tl.constexpr,
    POOL: tl.constexpr, SLOTS: tl.constexpr,
    ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr, INTERPRETED: tl.constexpr,
    BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    COLUMN_BLOCKS: tl.constexpr = (CHANNELS + BC - 1) // BC
    block = tl.program_id(0) // COLUMN_BLOCKS
    o_c = (tl.program_id(0) % COLUMN_BLOCKS) * BC + tl.arange(0, BC)
    m_c = o_c < CHANNELS
    o_in = o_c // C_OUT * C_IN

    o_n, o_l, m_row = rows(block, kept, POOL, SLOTS, BM)
    m_row = m_row & (o_n < n)
    o_start = o_l * STRIDE - PAD

    b_acc = tl.zeros((BM, BC), dtype=tl.float32)
    # unrolled, all loads fly at once; the scattered ones of wider groups would fill the registers
    if C_IN == 1 and STEPS <= 16:
        for step in tl.static_range(STEPS):
            b_acc = add_tap(b_acc, step, p_x, p_weight, o_n, o_start, o_in, o_c, m_row, m_c,
                            length, x_n, x_l, C_IN, CHANNELS, DILATION)  # fmt: skip
    else:
        for step in range(STEPS if INTERPRETED else steps):
            b_acc = add_tap(b_acc, step, p_x, p_weight, o_n, o_start, o_in, o_c, m_row, m_c,
                            length, x_n, x_l, C_IN, CHANNELS, DILATION)  # fmt: skip

    if p_bias is not None:
        b_acc += tl.load(p_bias + o_c, mask=m_c, other=0.0)[None, :]
    o_residual = (o_n * r_n + o_l.to(tl.int64) * r_l)[:, None] + o_c[None, :]
    b_y = finish(b_acc, p_slope, p_residual, o_residual, o_c, m_c, m_row[:, None] & m_c[None, :],
                 ACTIVATION, RESIDUAL_FIRST)  # fmt: skip
    store(b_y, p_y, o_n, o_l, m_row, block, n, kept, y_n, y_l, o_c, m_c, SLOTS, INTERPRETED)


def facts(call: Call) -> dict[str, object]:
    """Return what chooses the launch configuration."""
    _, c_in, channels = call.weight.shape
    return {"aligned": channels % 16 == 0, "grouped": c_in > 1}


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    kernel, c_in, channels = call.weight.shape
    steps, slots = kernel * c_in, power_of_two(call.pool)
    config["BC"] = min(config["BC"], power_of_two(channels))
    rows_out = y.shape[0] * y.shape[1] * slots
    blocks = triton.cdiv(rows_out, config["BM"]) * triton.cdiv(channels, config["BC"])
    x, residual = channels_last(call.x), channels_last(call.residual)
    depthwise_conv1d_kernel[(blocks,)](
        x, call.weight.contiguous(), vector(call.bias), per_channel(call.slope, channels),
        residual, y, *x.shape[:2], y.shape[1], steps, *strides(x, residual, y),
        C_IN=c_in, C_OUT=channels // call.groups, CHANNELS=channels, STEPS=steps,
        STRIDE=call.stride, DILATION=call.dilation, PAD=call.pad_left, POOL=call.pool,
        SLOTS=slots, ACTIVATION=call.activation, RESIDUAL_FIRST=call.residual_first,
        INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


depthwise_conv1d, op = define(
    reference.conv1d, name="depthwise_conv1d", empty=conv.empty, facts=facts, launch=launch
)
