"""Fused 1-D convolution over NLC activations.

    y = pool(act(conv(x * gate, weight) + bias + residual))      residual before or after act

An implicit matrix product: rows are output positions of all sequences, end to end; columns are
output channels; the summed axis runs over taps and input channels, where a packed weight
``(kernel, channels_in, channels_out)`` is already the right-hand matrix. Nothing is unrolled in
memory: a tap is the same rows of ``x`` read some positions further on. Sums are float32.
"""

import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, dot, finish, rounded, rows, store
from fastseq_kernels.launch import chunk, multiply, power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides, vector


@triton.jit(do_not_specialize=["n", "steps"])
def conv1d_kernel(
    p_x, p_weight, p_bias, p_slope, p_residual, p_gate, p_y,
    n, length, kept,  # sequences; positions of x; positions of y, after the pool
    steps,  # of BK along the summed axis; a constant would be unrolled, at twice the registers
    x_n, x_l, r_n, r_l, y_n, y_l,  # strides in elements; channels are contiguous
    C_IN: tl.constexpr, C_OUT: tl.constexpr, GROUPS: tl.constexpr,  # channels of one group
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, DILATION: tl.constexpr, PAD: tl.constexpr,
    POOL: tl.constexpr, SLOTS: tl.constexpr,  # SLOTS: POOL rounded up to a power of two
    ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr,
    PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    # programs of the same rows follow each other, so that x comes from L2 for all but the first
    COLUMN_BLOCKS: tl.constexpr = (C_OUT + BN - 1) // BN
    block = tl.program_id(0) // COLUMN_BLOCKS
    group = tl.program_id(1)
    o_c = (tl.program_id(0) % COLUMN_BLOCKS) * BN + tl.arange(0, BN)
    m_c = o_c < C_OUT

    o_n, o_l, m_row = rows(block, kept, POOL, SLOTS, BM)
    m_row = m_row & (o_n < n)
    o_start = o_l * STRIDE - PAD

    SUMMED: tl.constexpr = KERNEL * C_IN
    p_rows = p_x + o_n * x_n + group * C_IN
    p_columns = p_weight + group * C_OUT + o_c
    b_acc = tl.zeros((BM, BN), dtype=tl.float32)
    # the interpreter of triton 3.6 cannot count to a run-time number
    for step in range((SUMMED + BK - 1) // BK if INTERPRETED else steps):
        o_k = step * BK + tl.arange(0, BK)
        if C_IN % BK == 0:
            tap = step // (C_IN // BK)  # one tap a step: the mask stays a column
            o_in = step % (C_IN // BK) * BK + tl.arange(0, BK)
        else:
            tap = (o_k // C_IN)[None, :]
            o_in = o_k % C_IN
        o_at = o_start[:, None] + tap * DILATION
        m_x = m_row[:, None] & (o_at >= 0) & (o_at < length)
        if SUMMED % BK != 0:
            m_x = m_x & (o_k < SUMMED)[None, :]
        b_x = tl.load(
            p_rows[:, None] + o_at.to(tl.int64) * x_l + o_in[None, :], mask=m_x, other=0.0
        )
        if p_gate is not None:
            p_g = p_gate + o_n[:, None] * (GROUPS * C_IN) + group * C_IN + o_in[None, :]
            b_gate = tl.load(p_g, mask=m_x, other=0.0)
            b_x = rounded(b_x.to(tl.float32) * b_gate, p_x.dtype.element_ty, INTERPRETED)
        m_w = m_c[None, :] if SUMMED % BK == 0 else m_c[None, :] & (o_k < SUMMED)[:, None]
        b_w = tl.load(p_columns[None, :] + o_k[:, None] * (GROUPS * C_OUT), mask=m_w, other=0.0)
        b_acc = dot(b_x, b_w, b_acc, PRECISION, INTERPRETED)

    o_c = group * C_OUT + o_c
    if p_bias is not None:
        b_acc += tl.load(p_bias + o_c, mask=m_c, other=0.0)[None, :]
    o_residual = (o_n * r_n + o_l.to(tl.int64) * r_l)[:, None] + o_c[None, :]
    b_y = finish(b_acc, p_slope, p_residual, o_residual, o_c, m_c, m_row[:, None] & m_c[None, :],
                 ACTIVATION, RESIDUAL_FIRST)  # fmt: skip
    store(b_y, p_y, o_n, o_l, m_row, block, n, kept, y_n, y_l, o_c, m_c, SLOTS, INTERPRETED)


def empty(call: Call) -> Tensor:
    """Return an answer of the right shape, unwritten."""
    kernel, _, channels = call.weight.shape
    positions = reference.length_out(
        call.x.shape[1], kernel, call.stride, call.dilation, call.pad_left + call.pad_right
    )
    return call.x.new_empty(call.x.shape[0], positions // call.pool, channels)


def facts(call: Call) -> dict[str, object]:
    """Return what chooses the launch configuration."""
    _, c_in, channels = call.weight.shape
    return {
        "bytes": call.x.element_size(), "channels_out": channels // call.groups,
        "gated": call.gate is not None, "aligned": c_in % 16 == 0,
    }  # fmt: skip


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    kernel, c_in, channels = call.weight.shape
    c_out, slots = channels // call.groups, power_of_two(call.pool)
    config["BN"] = min(config["BN"], max(16, power_of_two(c_out)))
    config["BK"] = chunk(c_in, config["BK"])
    rows_out = y.shape[0] * y.shape[1] * slots
    blocks = triton.cdiv(rows_out, config["BM"]) * triton.cdiv(c_out, config["BN"])
    x, residual = channels_last(call.x), channels_last(call.residual)
    conv1d_kernel[blocks, call.groups](
        x, call.weight.contiguous(), vector(call.bias), per_channel(call.slope, channels),
        residual, vector(call.gate), y, *x.shape[:2], y.shape[1],
        triton.cdiv(kernel * c_in, config["BK"]), *strides(x, residual, y),
        C_IN=c_in, C_OUT=c_out, GROUPS=call.groups, KERNEL=kernel, STRIDE=call.stride,
        DILATION=call.dilation, PAD=call.pad_left, POOL=call.pool, SLOTS=slots,
        ACTIVATION=call.activation, RESIDUAL_FIRST=call.residual_first,
        PRECISION=multiply(call.precision, arch), INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


conv1d, op = define(reference.conv1d, empty=empty, facts=facts, launch=launch)
