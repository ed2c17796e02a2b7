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
from fastseq_kernels.launch import architecture, choose, power_of_two
from fastseq_kernels.library import channels_last, on, per_channel, register, vector
from fastseq_kernels.support import refuse

SCHEMA = (
    "depthwise_conv1d(Tensor x, Tensor weight, Tensor? bias=None, Tensor? slope=None, "
    "Tensor? residual=None, *, int groups, int stride=1, int dilation=1, int pad_left=0, "
    "int pad_right=0, str activation='none', bool residual_first=False, int pool=1) -> Tensor"
)


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


def depthwise_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    slope: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    groups: int,
    stride: int = 1,
    dilation: int = 1,
    pad_left: int = 0,
    pad_right: int = 0,
    activation: str = "none",
    residual_first: bool = False,
    pool: int = 1,
    out: Tensor | None = None,
    config: dict | None = None,
) -> Tensor:
    """Return what `reference.conv1d` returns for small groups, computed by one kernel.

    Parameters
    ----------
    x, residual : float32, float16 or bfloat16, (n, length, channels)
        Any strides, as long as channels are contiguous.
    weight : (kernel, channels_in / groups, channels_out)
        Fewer than 16 input channels a group; one, where the convolution is depthwise.
    bias, slope : float32
    out : (n, positions // pool, channels_out), optional
        Written in place.
    config : dict, optional
        Launch configuration; the committed table's where not given.

    Raises
    ------
    ValueError
        With every reason why the kernel cannot take this.
    """
    shapes = {"x": x.shape, "weight": weight.shape}
    dtypes = {"x": x.dtype, "weight": weight.dtype}
    refuse("depthwise_conv1d", shapes, dtypes, x.device, stride=stride, dilation=dilation,
           groups=groups, activation=activation, pool=pool,
           padding=pad_left + pad_right)  # fmt: skip
    n, length, _ = x.shape
    kernel, c_in, channels = weight.shape
    positions = reference.length_out(length, kernel, stride, dilation, pad_left + pad_right)
    kept = positions // pool
    y = x.new_empty(n, kept, channels) if out is None else out
    if y.numel() == 0:
        return y
    arch = architecture(x.device)
    facts = {"aligned": channels % 16 == 0, "grouped": c_in > 1}
    config = dict(config or choose("depthwise_conv1d", arch, facts))
    config["BC"] = min(config["BC"], power_of_two(channels))
    slots = power_of_two(pool)
    blocks = triton.cdiv(n * kept * slots, config["BM"]) * triton.cdiv(channels, config["BC"])
    x, residual = channels_last(x), channels_last(residual)
    r_n, r_l = residual.stride()[:2] if residual is not None else (0, 0)
    with on(x):
        depthwise_conv1d_kernel[(blocks,)](
            x, weight.contiguous(), vector(bias), per_channel(slope, channels), residual, y,
            n, length, kept, kernel * c_in, *x.stride()[:2], r_n, r_l, *y.stride()[:2],
            C_IN=c_in, C_OUT=channels // groups, CHANNELS=channels, STEPS=kernel * c_in,
            STRIDE=stride, DILATION=dilation, PAD=pad_left, POOL=pool, SLOTS=slots,
            ACTIVATION=activation, RESIDUAL_FIRST=residual_first, INTERPRETED=INTERPRETED, **config,
        )  # fmt: skip
    return y


def plain(x, weight, bias=None, slope=None, residual=None, **options) -> Tensor:
    """Return the reference's answer; what is small about the groups is the kernel's concern."""
    return reference.conv1d(x, weight, bias, slope, residual, **options)


op = register(SCHEMA, cpu=plain, cuda=depthwise_conv1d, fake=conv.shape_only)
