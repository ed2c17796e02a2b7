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
from fastseq_kernels.launch import architecture, choose, chunk, multiply, power_of_two
from fastseq_kernels.library import channels_last, on, per_channel, register, vector
from fastseq_kernels.support import refuse

SCHEMA = (
    "conv1d(Tensor x, Tensor weight, Tensor? bias=None, Tensor? slope=None, "
    "Tensor? residual=None, Tensor? gate=None, *, int stride=1, int dilation=1, int pad_left=0, "
    "int pad_right=0, int groups=1, str activation='none', bool residual_first=False, "
    "int pool=1, str precision='float32') -> Tensor"
)


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
    out: Tensor | None = None,
    config: dict | None = None,
) -> Tensor:
    """Return what `reference.conv1d` returns, computed by one kernel.

    Parameters
    ----------
    x, residual : float32, float16 or bfloat16, (n, length, channels)
        Any strides, as long as channels are contiguous.
    bias, slope, gate : float32
    precision : {"float32", "tf32"}
        How float32 operands are multiplied; tf32 keeps 11 bits of each.
    out : (n, positions // pool, channels_out), optional
        Written in place; may be a slice of channels of a wider tensor.
    config : dict, optional
        Launch configuration; the committed table's where not given.

    Raises
    ------
    ValueError
        With every reason why the kernel cannot take this.
    """
    shapes = {"x": x.shape, "weight": weight.shape}
    dtypes = {"x": x.dtype, "weight": weight.dtype}
    refuse("conv1d", shapes, dtypes, x.device, stride=stride, dilation=dilation, groups=groups,
           activation=activation, pool=pool, precision=precision,
           padding=pad_left + pad_right)  # fmt: skip
    n, length, _ = x.shape
    kernel, c_in, channels = weight.shape
    c_out = channels // groups
    positions = reference.length_out(length, kernel, stride, dilation, pad_left + pad_right)
    kept = positions // pool
    y = x.new_empty(n, kept, channels) if out is None else out
    if y.numel() == 0:
        return y
    arch = architecture(x.device)
    facts = {"bytes": x.element_size(), "channels_out": c_out, "gated": gate is not None,
             "aligned": c_in % 16 == 0}  # fmt: skip
    config = dict(config or choose("conv1d", arch, facts))
    config["BN"] = min(config["BN"], max(16, power_of_two(c_out)))
    config["BK"] = chunk(c_in, config["BK"])
    slots = power_of_two(pool)
    blocks = triton.cdiv(n * kept * slots, config["BM"]) * triton.cdiv(c_out, config["BN"])
    x, residual = channels_last(x), channels_last(residual)
    r_n, r_l = residual.stride()[:2] if residual is not None else (0, 0)
    steps = triton.cdiv(kernel * c_in, config["BK"])
    with on(x):
        conv1d_kernel[blocks, groups](
            x, weight.contiguous(), vector(bias), per_channel(slope, channels), residual,
            vector(gate), y, n, length, kept, steps,
            *x.stride()[:2], r_n, r_l, *y.stride()[:2],
            C_IN=c_in, C_OUT=c_out, GROUPS=groups, KERNEL=kernel, STRIDE=stride, DILATION=dilation,
            PAD=pad_left, POOL=pool, SLOTS=slots, ACTIVATION=activation,
            RESIDUAL_FIRST=residual_first, PRECISION=multiply(precision, arch),
            INTERPRETED=INTERPRETED, **config,
        )  # fmt: skip
    return y


def shape_only(
    x, weight, *_, stride=1, dilation=1, pad_left=0, pad_right=0, pool=1, **__
) -> Tensor:
    """Return an empty answer of the right shape."""
    padding = pad_left + pad_right
    positions = reference.length_out(x.shape[1], weight.shape[0], stride, dilation, padding)
    return x.new_empty(x.shape[0], positions // pool, weight.shape[2])


op = register(SCHEMA, cpu=reference.conv1d, cuda=conv1d, fake=shape_only)
