"""The rules of lowering, a table: operator of PyTorch -> word of the vocabulary.

A rule takes the lowering, the captured node and its arguments as they became; it returns what the
node becomes, or a sentence that says why it stays with PyTorch.
"""

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx

from fastseq.lower import ops
from fastseq.lower.lowering import Lowering, Value

aten = torch.ops.aten


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Return the per-sample shape of a captured node, a plane's height of 1 left out."""
    shape = tuple(map(int, node.meta["val"].shape[1:]))
    return (shape[0], shape[2]) if len(shape) == 3 and shape[1] == 1 else shape


def _is_map(value: Any) -> bool:
    return not isinstance(value, Tensor) and len(getattr(value, "shape", ())) == 2


def _unsqueeze(low: Lowering, node: fx.Node, x: Value, dim: int) -> Value | str:
    if _is_map(x) and not x.plane and dim in (2, -2):
        return type(x)(x.node, x.shape, plane=True)
    if len(x.shape) == 1 and dim in (2, -1):
        return low.emit(aten.unsqueeze.default, x, 2, shape=(*x.shape, 1))
    return "an axis is added that is no plane of height 1"


def _squeeze(low: Lowering, node: fx.Node, x: Value, dim: int = 2) -> Value | str:
    if getattr(x, "plane", False) and dim in (2, -2):
        return low.as_map(x)
    return "an axis is dropped that is no plane of height 1"


def _line(size: Any, name: str) -> int:
    """Return the size along positions of a one- or two-dimensional layer's option."""
    sizes = list(size) if isinstance(size, list | tuple) else [size]
    if len(sizes) == 2 and sizes[0] != {"padding": 0}.get(name, 1):
        raise ValueError(f"{name}={sizes} moves across the plane")
    return int(sizes[-1])


def _conv(
    low: Lowering, node: fx.Node, x: Value, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Value | str:  # fmt: skip
    if not _is_map(x) or not isinstance(weight, Tensor):
        return "the convolution's input is no map, or its weight is computed"
    if weight.ndim == 4:
        if weight.shape[2] != 1:
            return "the convolution is two-dimensional"
        weight = weight[:, :, 0]
    try:
        stride, dilation = _line(stride, "stride"), _line(dilation, "dilation")
        if isinstance(padding, str):
            reach = dilation * (weight.shape[2] - 1) if padding == "same" else 0
            before, after = reach // 2, reach - reach // 2
        else:
            before = after = _line(padding, "padding")
    except ValueError as error:
        return str(error)
    made = low.emit(
        ops.conv, low.as_map(x), weight, bias, None, stride, before, after, dilation, groups,
        "none", None, shape=_shape(node),
    )  # fmt: skip
    made.plane = node.meta["val"].ndim == 4
    return made


def _pad(
    low: Lowering, node: fx.Node, x: Value, pad: list[int], mode: str = "constant",
    value: float | None = None,
) -> Value | str:  # fmt: skip
    zero = mode == "constant" and not value and _is_map(x) and len(pad) == 2
    if not zero:
        return "the padding is not zeros along positions"
    made = low.emit(ops.zero_pad, low.as_map(x), pad[0], pad[1], shape=_shape(node))
    return made


def _batch_norm(
    low: Lowering, node: fx.Node, x: Value, weight: Tensor | None, bias: Tensor | None,
    mean: Tensor | None, variance: Tensor | None, training: bool, momentum: float, eps: float,
    *_: Any,
) -> Value | str:  # fmt: skip
    if training or mean is None or variance is None:
        return "batch statistics are taken from the batch itself"
    scale = (variance.double() + eps).rsqrt()
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale + (0 if bias is None else bias.double())
    scale, shift = scale.float(), shift.float()
    if _is_map(x):
        made = low.emit(
            ops.conv, low.as_map(x), scale[:, None, None], shift, None, 1, 0, 0, 1, len(scale),
            "none", None, shape=_shape(node),
        )  # fmt: skip
        made.plane = x.plane
        return made
    if len(x.shape) == 1:
        return low.emit(ops.linear, x, scale.diag(), shift, "none", None, shape=_shape(node))
    return "batch normalisation of neither maps nor vectors"


def _activation(name: ops.Activation, default: float | None = None) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, *options: Any) -> Value | str:
        if isinstance(x, Tensor) or not (_is_map(x) or len(x.shape) == 1):
            return "the activation is over neither maps nor vectors"
        parameter = options[0] if options else default
        if name == "gelu" and parameter not in (None, "none"):
            return "only the exact GELU has a word in the vocabulary"
        if name == "elu" and any(option != 1 for option in options[1:]):
            return "the ELU is scaled"
        if name == "softplus" and (options and tuple(options) != (1, 20)[: len(options)]):
            return "the softplus is not the standard one"
        keeps = name in ("prelu", "leaky_relu", "elu")
        made = low.emit(ops.activate, low.as_map(x), name, parameter if keeps else None,
                        shape=_shape(node))  # fmt: skip
        made.plane = x.plane
        return made

    return rule


def _clamp_min(low: Lowering, node: fx.Node, x: Value, least: float) -> Value | str:
    return _activation("relu")(low, node, x) if least == 0 else "the clamp is not at 0"


def _add(low: Lowering, node: fx.Node, x: Any, y: Any, alpha: float = 1) -> Value | str:
    if node.kwargs.get("alpha", alpha) != 1 or isinstance(x, Tensor) or isinstance(y, Tensor):
        return "the sum has a constant or a factor"
    if not hasattr(y, "shape") or x.shape != y.shape or len(x.shape) not in (1, 2):
        return "the summands differ in shape"
    made = low.emit(ops.add, low.as_map(x), low.as_map(y), shape=_shape(node))
    made.plane = x.plane
    return made


def _slice(
    low: Lowering, node: fx.Node, x: Value, dim: int = 0, start: int | None = None,
    end: int | None = None, step: int = 1,
) -> Value | str:  # fmt: skip
    """A slice of everything, as x[:, None] writes for its other axes."""
    size = (0, *x.shape)[dim] if 0 <= dim <= len(x.shape) else 0
    everything = step == 1 and not start and (end is None or end >= (size or 1 << 62))
    return x if everything and not x.plane else "a part is cut out"


def _mul(low: Lowering, node: fx.Node, x: Any, y: Any) -> Value | str:
    """A map times a factor for each of its channels, as squeeze-excite scales it."""
    if not _is_map(x) or isinstance(y, Tensor):
        x, y = y, x
    if not _is_map(x) or x.plane or isinstance(y, Tensor) or not hasattr(y, "shape"):
        return "the product is not of a map and a factor for each channel"
    if x.shape[-1] == 1 or y.shape != (x.shape[0], 1):
        return "the product is not of a map and a factor for each channel"
    return low.emit(aten.mul.Tensor, x, y, shape=x.shape)


def _cat(low: Lowering, node: fx.Node, xs: list[Any], dim: int = 0) -> Value | str:
    if any(isinstance(x, Tensor) or len(x.shape) not in (1, 2) for x in xs):
        return "the concatenation has a constant part"
    if dim % node.meta["val"].ndim != 1:
        return "the concatenation is not along channels"
    made = low.emit(ops.concat, [low.as_map(x) for x in xs], shape=_shape(node))
    made.plane = xs[0].plane
    return made


def _window_end(length: int, width: int, stride: int, pad: int, ceil: bool) -> tuple[int, int]:
    """Return (windows, padding at the end) of a pool as PyTorch counts them."""
    span = length + 2 * pad - width
    count = (math.ceil(span / stride) if ceil else span // stride) + 1
    if ceil and (count - 1) * stride >= length + pad:
        count -= 1  # PyTorch lets no window start beyond the input and its left padding
    return count, (count - 1) * stride + width - length - pad


def _max_pool(
    low: Lowering, node: fx.Node, x: Value, width: Any, stride: Any = (), padding: Any = 0,
    dilation: Any = 1, ceil: bool = False,
) -> Value | str:  # fmt: skip
    if not _is_map(x):
        return "the pool is not over positions"
    try:
        sizes = _line(width, "width"), _line(stride or width, "stride")
        pad, spread = _line(padding, "padding"), _line(dilation, "dilation")
    except ValueError as error:
        return str(error)
    if spread != 1:
        return "the pool is dilated"
    _, after = _window_end(x.shape[1], *sizes, pad, ceil)
    made = low.emit(ops.max_pool, low.as_map(x), *sizes, pad, after, shape=_shape(node))
    made.plane = node.meta["val"].ndim == 4
    return made


def _mean_pool(
    low: Lowering, node: fx.Node, x: Value, width: Any, stride: Any = (), padding: Any = 0,
    ceil: bool = False, count_padding: bool = True, divisor: int | None = None,
) -> Value | str:  # fmt: skip
    if not _is_map(x):
        return "the pool is not over positions"
    try:
        wide, step = _line(width, "width"), _line(stride or width, "stride")
        pad = _line(padding, "padding")
    except ValueError as error:
        return str(error)
    length = x.shape[1]
    count, after = _window_end(length, wide, step, pad, ceil)
    first = torch.arange(count) * step - pad
    last = (first + wide).clamp(max=length + pad)
    inside = last.clamp(max=length) - first.clamp(min=0)
    counted = last - first if count_padding else inside
    counted = torch.full_like(counted, divisor) if divisor else counted
    made = low.emit(ops.mean_pool, low.as_map(x), counted.float(), wide, step, pad, after,
                    shape=_shape(node))  # fmt: skip
    made.plane = node.meta["val"].ndim == 4
    return made


def _over_positions(node: fx.Node, x: Any, dim: Any) -> bool:
    dims = list(dim) if isinstance(dim, list | tuple) else [dim]
    rank = 4 if getattr(x, "plane", False) else 3
    wanted = {2, 3} if rank == 4 else {2}
    return _is_map(x) and {d % rank for d in dims} in (wanted, {rank - 1})


def _global(word: Any) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, dim: Any = (), keep: bool = False,
             **_: Any) -> Value | str:  # fmt: skip
        if not _over_positions(node, x, dim) or x.plane:
            return "the reduction is not over positions alone"
        pooled = low.emit(word, low.as_map(x), shape=x.shape[:1])
        if not keep:
            return pooled
        return low.emit(aten.unsqueeze.default, pooled, 2, shape=(*x.shape[:1], 1))

    return rule


def _adaptive(word: Any) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, size: Any) -> Value | str:
        sizes = list(size) if isinstance(size, list | tuple) else [size]
        if not _is_map(x) or x.plane or sizes != [1]:
            return "the adaptive pool is not to one position"
        pooled = low.emit(word, low.as_map(x), shape=x.shape[:1])
        return low.emit(aten.unsqueeze.default, pooled, 2, shape=(*x.shape[:1], 1))

    return rule


def _item(low: Lowering, node: fx.Node, x: Value, index: int) -> Value | str:
    """An adaptive maximum comes with its indices, which nobody reads."""
    pooled = node.args[0].target is aten.adaptive_max_pool1d.default  # type: ignore[union-attr]
    return x if pooled and x.shape and index == 0 else "one of several outputs"


def _flatten(low: Lowering, node: fx.Node, x: Value, *dims: int) -> Value | str:
    full = (*dims, *(0, -1)[len(dims) :])
    if len(x.shape) == 1 and full[0] == 1:
        return x
    if _is_map(x) and not x.plane and full[0] == 1 and full[1] in (-1, 2):
        return low.emit(aten.flatten.using_ints, x, 1, -1, shape=(x.shape[0] * x.shape[1],))
    return "the flattening does not keep the batch axis alone"


def _linear(
    low: Lowering, node: fx.Node, x: Value, weight: Tensor, bias: Tensor | None = None
) -> Value | str:
    if len(x.shape) != 1 or not isinstance(weight, Tensor):
        return "the linear layer is not over vectors"
    return low.emit(ops.linear, x, weight, bias, "none", None, shape=_shape(node))


IDENTITIES = {
    aten.dropout.default, aten.feature_dropout.default, aten.contiguous.default,
    aten.clone.default, aten.detach.default, aten.alias.default, aten.lift_fresh_copy.default,
}  # fmt: skip

RULES: dict[Any, Any] = {
    aten.unsqueeze.default: _unsqueeze,
    aten.squeeze.dim: _squeeze,
    aten.conv1d.default: _conv,
    aten.conv1d.padding: _conv,
    aten.conv2d.default: _conv,
    aten.conv2d.padding: _conv,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _pad,
    aten.batch_norm.default: _batch_norm,
    aten.relu.default: _activation("relu"),
    aten.relu_.default: _activation("relu"),
    aten.clamp_min.default: _clamp_min,
    aten.leaky_relu.default: _activation("leaky_relu", 0.01),
    aten.leaky_relu_.default: _activation("leaky_relu", 0.01),
    aten.prelu.default: _activation("prelu"),
    aten.elu.default: _activation("elu", 1.0),
    aten.elu_.default: _activation("elu", 1.0),
    aten.silu.default: _activation("silu"),
    aten.silu_.default: _activation("silu"),
    aten.gelu.default: _activation("gelu"),
    aten.exp.default: _activation("exp"),
    aten.softplus.default: _activation("softplus"),
    aten.sigmoid.default: _activation("sigmoid"),
    aten.tanh.default: _activation("tanh"),
    aten.add.Tensor: _add,
    aten.add_.Tensor: _add,
    aten.slice.Tensor: _slice,
    aten.mul.Tensor: _mul,
    aten.cat.default: _cat,
    aten.max_pool1d.default: _max_pool,
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool1d.default: _mean_pool,
    aten.avg_pool2d.default: _mean_pool,
    aten.amax.default: _global(ops.global_max),
    aten.mean.dim: _global(ops.global_mean),
    aten.adaptive_max_pool1d.default: _adaptive(ops.global_max),
    aten.adaptive_avg_pool1d.default: _adaptive(ops.global_mean),
    operator.getitem: _item,
    aten.flatten.using_ints: _flatten,
    aten.linear.default: _linear,
}
