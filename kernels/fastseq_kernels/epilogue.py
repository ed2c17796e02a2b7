"""What the kernels share: how they multiply, and what happens to sums before they are stored."""

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
def pooled(b_v, m_rows, SLOTS: tl.constexpr):
    """Return the maximum of every ``SLOTS`` rows of those in ``m_rows``, passing over NaN."""
    ROWS: tl.constexpr = b_v.shape[0]
    COLUMNS: tl.constexpr = b_v.shape[1]
    b_v = tl.where(m_rows[:, None], b_v, float("-inf"))
    return tl.max(tl.reshape(b_v, (ROWS // SLOTS, SLOTS, COLUMNS)), axis=1)
