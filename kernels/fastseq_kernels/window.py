"""Convolution of what an edit changed: windows of differences against a cached reference.

    d[m, l] = act(pre[row[m], l] + conv(delta[m])[l] + skip[m, l]) - act(pre[row[m], l])

An edit changes a few positions; a layer can spread that by its reach and no further, so a mutant is
a window of differences and everything outside is the reference's. Convolution is linear: it acts on
the differences alone, and the activation is taken twice, at the reference and beside it. What is
stored is small and exact to its own size, which half precision of whole activations is not. With a
pool, d is the difference of the two maxima. The matrix product is that of conv1d; sums are float32.

The first layer is the same op: one position, four channels, one-hot of ALT minus one-hot of REF.
"""

import triton
import triton.language as tl
from torch import Tensor

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, activate, dot, pooled_rows, put, rows
from fastseq_kernels.launch import chunk, multiply, power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides
from fastseq_kernels.reference import window_start, window_width


@triton.jit
def skipped(p_skip, p_skip_start, o_n, o_l, m_row, o_c, m_c, s_n, s_l, skip_width):
    """Return the differences of a skip connection at positions ``o_l``, 0 outside its windows."""
    o_in = o_l - tl.load(p_skip_start + o_n, mask=m_row, other=0)
    m_in = m_row & (o_in >= 0) & (o_in < skip_width)
    o_skip = (o_n * s_n + o_in.to(tl.int64) * s_l)[:, None] + o_c[None, :]
    return tl.load(p_skip + o_skip, mask=m_in[:, None] & m_c[None, :], other=0.0).to(tl.float32)


@triton.jit
def changed(b_pre, b_d, b_slope, ACTIVATION: tl.constexpr):
    """Return act(pre + d) - act(pre); where act is made of lines, without rounding d away."""
    if ACTIVATION == "none":
        return b_d
    elif ACTIVATION == "relu" or ACTIVATION == "prelu":
        b_up = tl.maximum(b_d, -b_pre) - tl.maximum(-b_pre, 0.0)
        if ACTIVATION == "relu":
            return b_up
        return b_up + b_slope * (tl.minimum(b_d, -b_pre) - tl.minimum(-b_pre, 0.0))
    else:
        return activate(b_pre + b_d, b_slope, ACTIVATION) - activate(b_pre, b_slope, ACTIVATION)


@triton.jit
def pooled_change(b_y, b_d, m_row, SLOTS: tl.constexpr):
    """Return max(y + d) - max(y) over every ``SLOTS`` rows, exact where the winner stays."""
    BM: tl.constexpr = b_y.shape[0]
    BN: tl.constexpr = b_y.shape[1]
    # finite, so that a window with no row at all gives 0 and not NaN
    b_y = tl.reshape(tl.where(m_row[:, None], b_y, -1e30), (BM // SLOTS, SLOTS, BN))
    b_d = tl.reshape(tl.where(m_row[:, None], b_d, 0.0), (BM // SLOTS, SLOTS, BN))
    b_behind = b_y - tl.max(b_y, axis=1, keep_dims=True)
    return tl.max(b_d + b_behind, axis=1)


@triton.jit(do_not_specialize=["n", "width", "kept", "skip_width", "steps"])
def window_conv1d_kernel(
    p_delta, p_start, p_start_out, p_row, p_pre, p_weight, p_slope,
    p_skip, p_skip_start, p_skip_reference, p_y,
    n, width, kept, skip_width,  # mutants; positions of a window; of a window of y; of a skip's
    length, total,  # of the layer: positions in; out, after the pool
    steps,  # of BK along the summed axis
    d_n, d_l, p_n, p_l, s_n, s_l, f_n, f_l, y_n, y_l,  # strides; channels are contiguous
    C_IN: tl.constexpr, C_OUT: tl.constexpr, KERNEL: tl.constexpr, DILATION: tl.constexpr,
    PAD: tl.constexpr, POOL: tl.constexpr, SLOTS: tl.constexpr,
    ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr,
    PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    COLUMN_BLOCKS: tl.constexpr = (C_OUT + BN - 1) // BN
    SUMMED: tl.constexpr = KERNEL * C_IN
    block = tl.program_id(0) // COLUMN_BLOCKS
    o_c = (tl.program_id(0) % COLUMN_BLOCKS) * BN + tl.arange(0, BN)
    m_c = o_c < C_OUT
    o_n, o_w, m_row = rows(block, kept, POOL, SLOTS, BM)
    m_n = o_n < n
    # o_w counts along the window, o_l along the layer, over whose ends a window may hang
    o_l = o_w + tl.load(p_start_out + o_n, mask=m_n, other=0) * POOL
    m_row = m_row & m_n & (o_l >= 0) & (o_l < total * POOL)
    start = tl.load(p_start + o_n, mask=m_row, other=0)

    b_acc = tl.zeros((BM, BN), dtype=tl.float32)
    for step in range((SUMMED + BK - 1) // BK if INTERPRETED else steps):
        o_k = step * BK + tl.arange(0, BK)
        if C_IN % BK == 0:
            tap = step // (C_IN // BK)
            o_in = step % (C_IN // BK) * BK + tl.arange(0, BK)
        else:
            tap = (o_k // C_IN)[None, :]
            o_in = o_k % C_IN
        o_at = (o_l - PAD)[:, None] + tap * DILATION
        m_x = m_row[:, None] & (o_at >= 0) & (o_at < length)
        o_at -= start[:, None]
        m_x = m_x & (o_at >= 0) & (o_at < width)
        if SUMMED % BK != 0:
            m_x = m_x & (o_k < SUMMED)[None, :]
        o_x = (o_n * d_n)[:, None] + o_at.to(tl.int64) * d_l + o_in[None, :]
        b_x = tl.load(p_delta + o_x, mask=m_x, other=0.0)
        m_w = m_c[None, :] if SUMMED % BK == 0 else m_c[None, :] & (o_k < SUMMED)[:, None]
        b_w = tl.load(p_weight + o_k[:, None] * C_OUT + o_c[None, :], mask=m_w, other=0.0)
        b_acc = dot(b_x, b_w, b_acc, PRECISION, INTERPRETED)

    m_y = m_row[:, None] & m_c[None, :]
    row = tl.load(p_row + o_n, mask=m_row, other=0).to(tl.int64)
    o_far = o_l.to(tl.int64)
    b_pre = tl.load(p_pre + (row * p_n + o_far * p_l)[:, None] + o_c[None, :], mask=m_y, other=0.0)
    b_pre = b_pre.to(tl.float32)
    b_slope = 0.0
    if p_slope is not None:
        b_slope = tl.load(p_slope + o_c, mask=m_c, other=0.0)[None, :]
    if p_skip is not None and RESIDUAL_FIRST:
        b_acc += skipped(p_skip, p_skip_start, o_n, o_l, m_row, o_c, m_c, s_n, s_l, skip_width)
    b_d = changed(b_pre, b_acc, b_slope, ACTIVATION)
    if p_skip is not None and not RESIDUAL_FIRST:
        b_d += skipped(p_skip, p_skip_start, o_n, o_l, m_row, o_c, m_c, s_n, s_l, skip_width)
    if SLOTS > 1:
        b_y = activate(b_pre, b_slope, ACTIVATION)
        if p_skip_reference is not None:
            o_f = (row * f_n + o_far * f_l)[:, None] + o_c[None, :]
            b_y += tl.load(p_skip_reference + o_f, mask=m_y, other=0.0).to(tl.float32)
        b_d = pooled_change(b_y, b_d, m_row, SLOTS)
        o_n, o_w = pooled_rows(block, kept, SLOTS, BM)
        m_n = o_n < n
    else:
        b_d = tl.where(m_y, b_d, 0.0)
    put(b_d, p_y, o_n, o_w, m_n, y_n, y_l, o_c, m_c, INTERPRETED)


def empty(call: Call) -> Tensor:
    """Return an answer of the right shape, unwritten."""
    m, width, _ = call.delta.shape
    kernel, _, c_out = call.weight.shape
    return call.delta.new_empty(m, window_width(width, kernel, call.dilation, call.pool), c_out)


def facts(call: Call) -> dict[str, object]:
    """Return what chooses the launch configuration."""
    return {"bytes": call.delta.element_size(), "aligned": call.weight.shape[1] % 16 == 0}


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    kernel, c_in, c_out = call.weight.shape
    slots = power_of_two(call.pool)
    config["BN"] = min(config["BN"], max(16, power_of_two(c_out)))
    config["BK"] = chunk(c_in, config["BK"])
    rows_out = y.shape[0] * y.shape[1] * slots
    blocks = triton.cdiv(rows_out, config["BM"]) * triton.cdiv(c_out, config["BN"])
    delta, pre, skip, skip_reference = tensors = [
        channels_last(v) for v in (call.delta, call.pre, call.skip, call.skip_reference)
    ]
    start, row = call.start.int().contiguous(), call.row.int().contiguous()
    window_conv1d_kernel[(blocks,)](
        delta, start, window_start(start, kernel, call.dilation, call.pad_left, call.pool), row,
        pre, call.weight.contiguous(), per_channel(call.slope, c_out),
        skip, None if skip is None else call.skip_start.int().contiguous(), skip_reference, y,
        *delta.shape[:2], y.shape[1], 0 if skip is None else skip.shape[1],
        call.length, pre.shape[1] // call.pool, triton.cdiv(kernel * c_in, config["BK"]),
        *strides(*tensors, y),
        C_IN=c_in, C_OUT=c_out, KERNEL=kernel, DILATION=call.dilation, PAD=call.pad_left,
        POOL=call.pool, SLOTS=slots, ACTIVATION=call.activation,
        RESIDUAL_FIRST=call.residual_first, PRECISION=multiply(call.precision, arch),
        INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


window_conv1d, op = define(reference.window_conv1d, empty=empty, facts=facts, launch=launch)
