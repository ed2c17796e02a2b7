"""What the kernels share: which rows a program has, how it multiplies, how sums are stored.

The convolutions view their output as one matrix. Its rows are positions of all sequences, end to
end: (sequence, pool window, slot in the window), with ``SLOTS`` slots, the pool's size rounded up
to a power of two; slots past the pool's size are idle.
"""

import triton
import triton.language as tl

# The interpreter multiplies bfloat16 by its bit patterns and truncates where hardware rounds to
# nearest even (triton issue 11584). Kernels take this flag as a compile-time constant and then
# multiply in float32, where products of two bfloat16 are exact, and round by hand.
INTERPRETED: bool = triton.knobs.runtime.interpret


@triton.jit
def dot(b_a, b_b, b_acc, PRECISION: tl.constexpr, INTERPRETED: tl.constexpr):
    """Return ``b_acc + b_a @ b_b``, summed in float32."""
    if INTERPRETED:
        b_a = b_a.to(tl.float32)
        b_b = b_b.to(tl.float32)
    return tl.dot(b_a, b_b, b_acc, input_precision=PRECISION)


@triton.jit
def rounded(b_v, dtype: tl.constexpr, INTERPRETED: tl.constexpr):
    """Return float32 ``b_v`` in its storage type, rounded to nearest even."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = b_v.to(tl.uint32, bitcast=True)
        bits = bits + 0x7FFF + ((bits >> 16) & 1)
        return (bits >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    else:
        return b_v.to(dtype)


@triton.jit
def activate(b_v, b_slope, ACTIVATION: tl.constexpr):
    """Return the activation of float32 ``b_v``."""
    if ACTIVATION == "relu":
        b_v = tl.maximum(b_v, 0.0, propagate_nan=tl.PropagateNan.ALL)
    elif ACTIVATION == "prelu":
        b_v = tl.where(b_v >= 0.0, b_v, b_v * b_slope)
    elif ACTIVATION == "elu":
        b_v = tl.where(b_v > 0.0, b_v, tl.exp(tl.minimum(b_v, 0.0)) - 1.0)
    elif ACTIVATION == "silu":
        b_v = b_v / (1.0 + tl.exp(-b_v))
    elif ACTIVATION == "gelu":
        b_v = 0.5 * b_v * (1.0 + tl.erf(b_v * 0.7071067811865476))
    elif ACTIVATION == "sigmoid":
        b_v = 1.0 / (1.0 + tl.exp(-b_v))
    elif ACTIVATION == "tanh":
        b_v = 2.0 / (1.0 + tl.exp(-2.0 * b_v)) - 1.0
    elif ACTIVATION == "softplus":
        b_v = tl.maximum(b_v, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(b_v)))
    elif ACTIVATION == "exp":
        b_v = tl.exp(b_v)
    return b_v


@triton.jit
def finish(b_acc, p_slope, p_residual, o_residual, o_c, m_c, m_y,
           ACTIVATION: tl.constexpr, RESIDUAL_FIRST: tl.constexpr):  # fmt: skip
    """Return sums with their residual and activation; an absent pointer is absent code."""
    if p_residual is not None and RESIDUAL_FIRST:
        b_acc += tl.load(p_residual + o_residual, mask=m_y, other=0.0).to(tl.float32)
    b_slope = 0.0
    if p_slope is not None:
        b_slope = tl.load(p_slope + o_c, mask=m_c, other=0.0)[None, :]
    b_acc = activate(b_acc, b_slope, ACTIVATION)
    if p_residual is not None and not RESIDUAL_FIRST:
        b_acc += tl.load(p_residual + o_residual, mask=m_y, other=0.0).to(tl.float32)
    return b_acc


@triton.jit
def rows(block, kept, POOL: tl.constexpr, SLOTS: tl.constexpr, BM: tl.constexpr):
    """Return sequence and position of each row of a block, and which rows are no idle slots.

    Sequences are 64-bit; the only 64-bit division is one a program, for its first row.
    """
    each = kept * SLOTS
    first = block.to(tl.int64) * BM
    first_n = first // each
    o_row = (first - first_n * each).to(tl.int32) + tl.arange(0, BM)
    o_slot = o_row % SLOTS
    return first_n + o_row // each, (o_row % each) // SLOTS * POOL + o_slot, o_slot < POOL


@triton.jit
def pooled_rows(block, kept, SLOTS: tl.constexpr, BM: tl.constexpr):
    """Return sequence and position of each row of a block once its windows are pooled."""
    first = block.to(tl.int64) * (BM // SLOTS)
    first_n = first // kept
    o_row = (first - first_n * kept).to(tl.int32) + tl.arange(0, BM // SLOTS)
    return first_n + o_row // kept, o_row % kept


@triton.jit
def pooled(b_v, m_row, SLOTS: tl.constexpr):
    """Return the maximum of every ``SLOTS`` rows of those in ``m_row``, passing over NaN."""
    BM: tl.constexpr = b_v.shape[0]
    BN: tl.constexpr = b_v.shape[1]
    b_v = tl.where(m_row[:, None], b_v, float("-inf"))
    return tl.max(tl.reshape(b_v, (BM // SLOTS, SLOTS, BN)), axis=1)


@triton.jit
def store(b_y, p_y, o_n, o_l, m_row, block, n, kept, y_n, y_l, o_c, m_c,
          SLOTS: tl.constexpr, INTERPRETED: tl.constexpr):  # fmt: skip
    """Pool a block's rows where a window has several, and store them."""
    BM: tl.constexpr = b_y.shape[0]
    if SLOTS > 1:
        b_y = pooled(b_y, m_row, SLOTS)
        o_n, o_l = pooled_rows(block, kept, SLOTS, BM)
        m_row = o_n < n
    put(b_y, p_y, o_n, o_l, m_row, y_n, y_l, o_c, m_c, INTERPRETED)


@triton.jit
def put(b_y, p_y, o_n, o_l, m_row, y_n, y_l, o_c, m_c, INTERPRETED: tl.constexpr):
    """Round once and store."""
    o_y = (o_n * y_n + o_l.to(tl.int64) * y_l)[:, None] + o_c[None, :]
    b_y = rounded(b_y, p_y.dtype.element_ty, INTERPRETED)
    tl.store(p_y + o_y, b_y, mask=m_row[:, None] & m_c[None, :])
