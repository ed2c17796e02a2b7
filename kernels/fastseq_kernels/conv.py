"""Fused 1-D convolution over NLC activations.

    y = pool(act(conv(x * gate, weight) + bias + residual))      residual before or after act

An implicit matrix product: rows are output positions of all sequences, end to end; columns are
output channels; the summed axis runs over taps and input channels, where a packed weight
``(kernel, channels_in, channels_out)`` is already the right-hand matrix. Nothing is unrolled in
memory: a tap is the same rows of ``x`` read some positions further on. Sums are float32.

Two kernels, of which the committed table chooses by architecture and by facts of the call. One
computes addresses and masks, and takes every shape. The other leaves both to Hopper's copy engine:
tensor descriptors read a block of sequences x positions x channels that may begin before a
sequence, fill what lies outside with zeros, which is what padding reads, and drop what is written
past the end. That is under half the instructions, fewer registers and less shared memory on sm_90
(`benchmarks/results/kernels.aot.json` holds both), for strides of one and 16-byte rows.
"""

import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, activate, dot, finish, rounded, rows, store
from fastseq_kernels.launch import chunk, multiply, power_of_two, tile
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


@triton.jit(do_not_specialize=["n", "tiles", "steps"])
def described_conv1d_kernel(
    d_x, d_weight, p_bias, p_slope, d_residual, p_gate, d_y,  # d: (n, positions, channels)
    n, tiles, steps,  # sequences; blocks of BL positions in one; of BK along the summed axis
    C_IN: tl.constexpr, C_OUT: tl.constexpr, GROUPS: tl.constexpr, KERNEL: tl.constexpr,
    DILATION: tl.constexpr, PAD: tl.constexpr, POOL: tl.constexpr,
    ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr,
    PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BS: tl.constexpr, BL: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    COLUMN_BLOCKS: tl.constexpr = (C_OUT + BN - 1) // BN
    block = tl.program_id(0) // COLUMN_BLOCKS
    group = tl.program_id(1)
    column = tl.program_id(0) % COLUMN_BLOCKS * BN
    first_n, first_l = block // tiles * BS, block % tiles * BL
    first_c = group * C_OUT + column

    CHUNKS: tl.constexpr = (C_IN + BK - 1) // BK
    b_acc = tl.zeros((BS * BL, BN), dtype=tl.float32)
    for step in range(KERNEL * CHUNKS if INTERPRETED else steps):
        tap, chunk_in = step // CHUNKS, step % CHUNKS * BK
        o_at = first_l + tap * DILATION - PAD
        o_in = group * C_IN + chunk_in
        b_x = d_x.load([first_n, o_at, o_in])
        if p_gate is not None:
            o_n = first_n + tl.arange(0, BS).to(tl.int64)
            p_g = p_gate + o_n[:, None] * (GROUPS * C_IN) + (o_in + tl.arange(0, BK))[None, :]
            b_gate = tl.load(p_g, mask=(o_n < n)[:, None], other=0.0)
            b_x = rounded(b_x.to(tl.float32) * b_gate[:, None, :], d_x.dtype, INTERPRETED)
        # rows past the last channel are of the next tap, and meet the zeros that fill b_x
        b_w = d_weight.load([tap * C_IN + chunk_in, first_c])
        b_acc = dot(tl.reshape(b_x, (BS * BL, BK)), b_w, b_acc, PRECISION, INTERPRETED)

    o_c = column + tl.arange(0, BN)
    m_c = o_c < C_OUT
    o_c += group * C_OUT
    if p_bias is not None:
        b_acc += tl.load(p_bias + o_c, mask=m_c, other=0.0)[None, :]
    b_slope = 0.0
    if p_slope is not None:
        b_slope = tl.load(p_slope + o_c, mask=m_c, other=0.0)[None, :]
    if d_residual is not None and RESIDUAL_FIRST:
        b_skip = d_residual.load([first_n, first_l, first_c])
        b_acc += tl.reshape(b_skip, (BS * BL, BN)).to(tl.float32)
    b_y = activate(b_acc, b_slope, ACTIVATION)
    if d_residual is not None and not RESIDUAL_FIRST:
        b_skip = d_residual.load([first_n, first_l, first_c])
        b_y += tl.reshape(b_skip, (BS * BL, BN)).to(tl.float32)
    if POOL > 1:
        b_y = tl.max(tl.reshape(b_y, (BS * BL // POOL, POOL, BN)), axis=1)
    b_y = tl.reshape(rounded(b_y, d_y.dtype, INTERPRETED), (BS, BL // POOL, BN))
    d_y.store([first_n, first_l // POOL, first_c], b_y)


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
        "gated": call.gate is not None, "aligned": c_in % 16 == 0, "describable": describable(call),
    }  # fmt: skip


def describable(call: Call) -> bool:
    """Whether tensor descriptors can read and write a call's tensors."""
    _, c_in, channels = call.weight.shape
    size = call.x.element_size()
    tensors = [
        x for x in (call.x, call.weight.contiguous(), call.residual, call.y) if x is not None
    ]
    return (
        call.stride == 1
        and power_of_two(call.pool) == call.pool
        and (call.groups == 1 or c_in % 16 == channels // call.groups % 16 == 0)
        and all(x.stride(2) == 1 for x in tensors)
        and not any(at * size % 16 for x in tensors for at in (x.storage_offset(), *x.stride()[:2]))
    )


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run one of the two kernels."""
    kernel, c_in, channels = call.weight.shape
    c_out = channels // call.groups
    described = config.pop("described", False)
    config["BN"] = min(config["BN"], max(16, power_of_two(c_out)))
    shared = {
        "C_IN": c_in, "C_OUT": c_out, "GROUPS": call.groups, "KERNEL": kernel,
        "DILATION": call.dilation, "PAD": call.pad_left, "POOL": call.pool,
        "ACTIVATION": call.activation, "RESIDUAL_FIRST": call.residual_first,
        "PRECISION": multiply(call.precision, arch), "INTERPRETED": INTERPRETED,
    }  # fmt: skip
    tensors = (vector(call.bias), per_channel(call.slope, channels))
    if described:
        _launch_described(call, y, *tensors, shared, config)
        return
    config["BK"] = chunk(c_in, config["BK"])
    slots = power_of_two(call.pool)
    blocks = triton.cdiv(y.shape[0] * y.shape[1] * slots, config["BM"])
    x, residual = channels_last(call.x), channels_last(call.residual)
    conv1d_kernel[blocks * triton.cdiv(c_out, config["BN"]), call.groups](
        x, call.weight.contiguous(), *tensors, residual, vector(call.gate), y,
        *x.shape[:2], y.shape[1], triton.cdiv(kernel * c_in, config["BK"]),
        *strides(x, residual, y), STRIDE=call.stride, SLOTS=slots, **shared, **config,
    )  # fmt: skip


def _launch_described(call: Call, y: Tensor, bias, slope, shared: dict, config: dict) -> None:
    kernel, c_in, channels = call.weight.shape
    n, kept, _ = y.shape
    positions, rows_in = kept * call.pool, config.pop("BM")
    each = tile(positions, rows_in, max(8, call.pool))
    if call.groups > 1:  # no block may reach into the next group
        config["BN"] = chunk(shared["C_OUT"], config["BN"])
        config["BK"] = chunk(c_in, config["BK"])
    else:
        config["BK"] = tile(c_in, config["BK"], 16)
    several, columns, summed = rows_in // each, config["BN"], config["BK"]

    def described(x: Tensor | None, *block: int) -> TensorDescriptor | None:
        return None if x is None else TensorDescriptor.from_tensor(x, list(block))

    tiles = triton.cdiv(positions, each)
    blocks = triton.cdiv(n, several) * tiles * triton.cdiv(shared["C_OUT"], columns)
    described_conv1d_kernel[blocks, call.groups](
        described(call.x, several, each, summed),
        described(call.weight.contiguous().view(kernel * c_in, channels), summed, columns),
        bias, slope, described(call.residual, several, each, columns), vector(call.gate),
        described(y, several, each // call.pool, columns),
        n, tiles, kernel * triton.cdiv(c_in, summed), BS=several, BL=each, **shared, **config,
    )  # fmt: skip


conv1d, op = define(reference.conv1d, empty=empty, facts=facts, launch=launch)
