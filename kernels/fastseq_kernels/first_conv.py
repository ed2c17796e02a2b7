"""The first layer, straight from codes.

    y[n, l] = pool(act(base[l] + sum_t weight[t, codes[n, first + l * stride + t * dilation]]))

A one-hot row picks one row of the weight a tap, so the layer is a sum of table rows. Matrix units
add faster than gathers do: a program loads codes, compares them with 0 1 2 3 in registers and
multiplies; no one-hot ever exists in memory, and a sequence costs its length in bytes. Whatever is
the same for every sequence (flanks, strand and flag channels, the padding they reach into) is
folded into ``base`` by `fold`. Sums are float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

from fastseq_kernels import reference
from fastseq_kernels.epilogue import INTERPRETED, dot, finish, rounded, rows, store
from fastseq_kernels.launch import multiply, power_of_two
from fastseq_kernels.library import Call, channels_last, define, per_channel, strides, vector


@triton.jit(do_not_specialize=["n", "first", "steps"])
def first_conv1d_kernel(
    p_codes, p_weight, p_base, p_slope, p_y,
    n, length, kept, first,  # sequences; bases; positions of y, after the pool; where tap 0 looks
    steps,  # of BK along the summed axis
    x_n, base_l, y_n, y_l,  # strides in elements; bases and channels are contiguous
    C_OUT: tl.constexpr, KERNEL: tl.constexpr, STRIDE: tl.constexpr, DILATION: tl.constexpr,
    UNKNOWN: tl.constexpr, POOL: tl.constexpr, SLOTS: tl.constexpr, ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr, INTERPRETED: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    COLUMN_BLOCKS: tl.constexpr = (C_OUT + BN - 1) // BN
    TAPS: tl.constexpr = BK // 4
    block = tl.program_id(0) // COLUMN_BLOCKS
    o_c = (tl.program_id(0) % COLUMN_BLOCKS) * BN + tl.arange(0, BN)
    m_c = o_c < C_OUT

    o_n, o_l, m_row = rows(block, kept, POOL, SLOTS, BM)
    m_row = m_row & (o_n < n)
    o_start = first + o_l * STRIDE

    b_acc = tl.zeros((BM, BN), dtype=tl.float32)
    for step in range((KERNEL * 4 + BK - 1) // BK if INTERPRETED else steps):
        o_tap = step * TAPS + tl.arange(0, TAPS)
        o_at = o_start[:, None] + (o_tap * DILATION)[None, :]
        m_x = m_row[:, None] & (o_at >= 0) & (o_at < length)
        if KERNEL % TAPS != 0:
            m_x = m_x & (o_tap < KERNEL)[None, :]
        # 5 stands outside the sequence and matches no base
        b_code = tl.load(p_codes + o_n[:, None] * x_n + o_at, mask=m_x, other=5).to(tl.int32)
        b_hot = (b_code[:, :, None] == tl.arange(0, 4)[None, None, :]).to(tl.float32)
        if UNKNOWN != 0.0:
            b_hot = tl.where((b_code == 4)[:, :, None], UNKNOWN, b_hot)
        b_x = tl.reshape(rounded(b_hot, p_weight.dtype.element_ty, INTERPRETED), (BM, BK))
        o_k = step * BK + tl.arange(0, BK)
        m_w = m_c[None, :] & (o_k < KERNEL * 4)[:, None]
        b_w = tl.load(p_weight + o_k[:, None] * C_OUT + o_c[None, :], mask=m_w, other=0.0)
        if PRECISION == "tf32x3" and p_weight.dtype.element_ty == tl.float32:
            # 0, 1 and a quarter are exact in tf32, so two passes over the weight's halves suffice
            b_high = (b_w.to(tl.uint32, bitcast=True) & 0xFFFFE000).to(tl.float32, bitcast=True)
            b_acc = dot(b_x, b_w - b_high, b_acc, "tf32", INTERPRETED)
            b_acc = dot(b_x, b_high, b_acc, "tf32", INTERPRETED)
        else:
            b_acc = dot(b_x, b_w, b_acc, PRECISION, INTERPRETED)

    if p_base is not None:
        o_base = o_l.to(tl.int64)[:, None] * base_l + o_c[None, :]
        b_acc += tl.load(p_base + o_base, mask=m_row[:, None] & m_c[None, :], other=0.0)
    b_y = finish(b_acc, p_slope, None, 0, o_c, m_c, m_c, ACTIVATION, False)
    store(b_y, p_y, o_n, o_l, m_row, block, n, kept, y_n, y_l, o_c, m_c, SLOTS, INTERPRETED)


def empty(call: Call) -> Tensor:
    """Return an answer of the right shape, unwritten."""
    kept = call.positions // call.pool
    return call.weight.new_empty(call.codes.shape[0], kept, call.weight.shape[2])


def facts(call: Call) -> dict[str, object]:
    """Return what chooses the launch configuration."""
    return {"bytes": call.weight.element_size(), "channels_out": call.weight.shape[2]}


def launch(call: Call, y: Tensor, arch: str, config: dict) -> None:
    """Run the kernel."""
    kernel, _, c_out = call.weight.shape
    slots = power_of_two(call.pool)
    config["BN"] = min(config["BN"], max(16, power_of_two(c_out)))
    config["BK"] = min(config["BK"], max(16, power_of_two(kernel * 4)))
    rows_out = y.shape[0] * y.shape[1] * slots
    blocks = triton.cdiv(rows_out, config["BM"]) * triton.cdiv(c_out, config["BN"])
    codes, base = channels_last(call.codes), vector(call.base)
    base_l = c_out if base is not None and base.ndim == 2 else 0  # 0: one bias for all
    first_conv1d_kernel[(blocks,)](
        codes, call.weight.contiguous(), base, per_channel(call.slope, c_out), y,
        *codes.shape, y.shape[1], call.first, triton.cdiv(kernel * 4, config["BK"]),
        codes.stride(0), base_l, *strides(y),
        C_OUT=c_out, KERNEL=kernel, STRIDE=call.stride, DILATION=call.dilation,
        UNKNOWN=call.unknown, POOL=call.pool, SLOTS=slots, ACTIVATION=call.activation,
        PRECISION=multiply(call.precision, arch), INTERPRETED=INTERPRETED, **config,
    )  # fmt: skip


first_conv1d, op = define(reference.first_conv1d, empty=empty, facts=facts, launch=launch)


def fold(
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    length: int,
    left: Tensor | None = None,
    right: Tensor | None = None,
    constants: Tensor | None = None,
    unknown: float = 0.0,
    stride: int = 1,
    dilation: int = 1,
    pad_left: int = 0,
    pad_right: int = 0,
) -> tuple[Tensor, Tensor, int]:
    """Return the first layer as ``weight``, ``base`` and ``first`` over the variable bases alone.

    What every sequence shares is convolved once, in float64, padding included: constant flanks,
    and constant channels over the whole input. It enters ``base`` position by position, because a
    constant plane is no constant bias within reach of the ends.

    Parameters
    ----------
    weight : (channels_out, 4 + constants, kernel)
        As in PyTorch.
    bias : (channels_out,), optional
    length : int
        Variable bases, between the flanks.
    left, right : uint8, (flank,), optional
        Codes of the constant flanks.
    constants : (constants,), optional
        Values of the channels after the four bases, as of strand and flags.
    unknown : float
        What an unknown base is in each of its four channels.

    Returns
    -------
    weight : (kernel, 4, channels_out), dtype of ``weight``
    base : float32, (positions, channels_out); (channels_out,) where all positions agree
    first : int
        The argument of `first_conv1d`.
    """
    nothing = torch.empty(0, dtype=torch.uint8)
    flanks = [nothing if codes is None else codes.cpu() for codes in (left, right)]
    before, after = map(len, flanks)
    channels = weight.shape[1]
    shared = torch.zeros(1, channels, before + length + after, dtype=torch.float64)
    table = torch.cat([torch.eye(4), torch.full((1, 4), unknown)]).double()
    for codes, at in zip(flanks, (0, before + length)):
        shared[0, :4, at : at + len(codes)] = table[codes.long().clamp(max=4)].T
    if constants is not None:
        shared[0, 4:] = constants.double()[:, None]
    padded = F.pad(shared, (pad_left, pad_right))
    wide = weight.detach().cpu().double()
    base = F.conv1d(padded, wide, stride=stride, dilation=dilation)[0].T
    if bias is not None:
        base = base + bias.detach().cpu().double()
    if bool((base == base[:1]).all()):
        base = base[0]
    packed = reference.pack(weight.detach()[:, :4])
    return packed, base.float().to(weight.device).contiguous(), -(pad_left + before)
