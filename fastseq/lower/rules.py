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
from fastseq.lower.elementwise import ELEMENTWISE, activate, affine
from fastseq.lower.lowering import Lowering, Seen, Value

aten = torch.ops.aten


def _shape(node: fx.Node) -> tuple[int, ...]:
    """Return the per-sample shape of a captured node, a plane's height of 1 left out."""
    shape = tuple(map(int, node.meta["val"].shape[1:]))
    return (shape[0], shape[2]) if len(shape) == 3 and shape[1] == 1 else shape


def _is_map(value: Any) -> bool:
    """Return whether a value is a map, or a plane."""
    return isinstance(value, Value) and len(value.shape) == 2 and value.seen in ("map", "plane")


def _is_tokens(value: Any) -> bool:
    return isinstance(value, Value) and value.seen == "tokens"


def _dims(node: fx.Node, *dims: int) -> list[int]:
    """Return axes of a captured node's first argument, counted from its first."""
    rank = node.args[0].meta["val"].ndim  # type: ignore[union-attr]
    return [dim % rank for dim in dims]


def _seen(node: fx.Node) -> Seen:
    return "plane" if node.meta["val"].ndim == 4 else "map"


def _transpose(low: Lowering, node: fx.Node, x: Value, first: int, second: int) -> Value | str:
    """A map is seen as tokens, or tokens as the map they are."""
    two = isinstance(x, Value) and len(x.shape) == 2 and x.seen in ("map", "tokens")
    if not two or sorted(_dims(node, first, second)) != [1, 2]:
        return "other axes change places than channels and positions"
    return Value(x.node, x.shape, "map" if x.seen == "tokens" else "tokens")


def _turn(low: Lowering, node: fx.Node, x: Value) -> Value | str:
    return _transpose(low, node, x, -2, -1)


def _permute(low: Lowering, node: fx.Node, x: Value, dims: list[int]) -> Value | str:
    if _dims(node, *dims) != [0, 2, 1]:
        return "other axes change places than channels and positions"
    return _transpose(low, node, x, 1, 2)


def _is_batch(node: fx.Node, size: Any) -> bool:
    """Return whether a size in the captured graph is the number of sequences."""
    (x,) = node.graph.find_nodes(op="placeholder")
    return isinstance(size, torch.SymInt) and str(size) == str(x.meta["val"].shape[0])


def _size(low: Lowering, node: fx.Node, x: Value, dim: int) -> Value | str:
    return low.batch() if _is_batch(node, node.meta["val"]) else "a size is read"


def _reshape(low: Lowering, node: fx.Node, x: Value, *_: Any) -> Value | str:
    """Another shape for the numbers of a sequence, in their order."""
    size, *rest = node.meta["val"].shape
    if node.meta["val"].dtype is not torch.float32:
        return "whole numbers are reshaped"
    if not (isinstance(x, Value) and x.shape and _is_batch(node, size)):
        return "the batch axis is not kept first"
    shape = tuple(map(int, rest))
    if shape == x.captured:
        return x
    if len(x.shape) == 2:
        channels, length = x.shape
        if shape == x.shape:
            return low.as_map(x)
        if shape == (channels, 1, length):
            return Value(x.node, x.shape, "plane")
        if shape == (1, channels, length):
            return Value(x.node, x.shape, "image")
        if shape == (channels * length,):
            return low.emit(aten.flatten.using_ints, low.as_map(x), 1, -1, shape=shape)
    if shape == (*x.shape, 1):
        return low.emit(aten.unsqueeze.default, x, 2, shape=shape)
    if (*shape, 1) == x.shape:
        return low.emit(aten.squeeze.dim, x, 1, shape=shape)
    return f"{x.captured} becomes {shape}, which is neither a map nor all of it as a vector"


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
    if not isinstance(x, Value) or len(x.shape) != 2 or not isinstance(weight, Tensor):
        return "the convolution's input is no map, or its weight is computed"
    if weight.ndim == 4:
        # one that covers all rows of an image reads each as a channel
        covers = x.seen == "image" and weight.shape[1:3] == (1, x.shape[0]) and padding != "same"
        if not covers and (x.seen != "plane" or weight.shape[2] != 1):
            return "the convolution is two-dimensional"
        weight = weight[:, 0] if covers else weight[:, :, 0]
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
    made.seen = _seen(node)
    return made


def _pad(
    low: Lowering, node: fx.Node, x: Value, pad: list[int], mode: str = "constant",
    value: float | None = None,
) -> Value | str:  # fmt: skip
    zero = mode == "constant" and not value and _is_map(x) and len(pad) == 2 and min(pad) >= 0
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
    if _is_map(x) or len(x.shape) == 1:
        return affine(low, x, scale.float(), shift.float())
    return "batch normalisation of neither maps nor vectors"


def _batch_norm_alone(low: Lowering, node: fx.Node, *options: Any) -> Any:
    """The same where a graph was written anew without writes: statistics come beside it."""
    x, weight, bias, mean, variance, momentum, eps = options
    made = _batch_norm(low, node, x, weight, bias, mean, variance, False, momentum, eps)
    return made if isinstance(made, str) else [made]


def _slice(
    low: Lowering, node: fx.Node, x: Value, dim: int = 0, start: int | None = None,
    end: int | None = None, step: int = 1,
) -> Value | str:  # fmt: skip
    """A slice of everything, as x[:, None] writes for its other axes."""
    size = (0, *x.captured)[dim] if 0 <= dim <= len(x.captured) else 0
    everything = step == 1 and not start and (end is None or end >= (size or 1 << 62))
    return x if everything and x.seen in ("map", "tokens") else "a part is cut out"


def _cat(low: Lowering, node: fx.Node, xs: list[Any], dim: int = 0) -> Value | str:
    if not all(_is_map(x) or (isinstance(x, Value) and len(x.shape) == 1) for x in xs):
        return "the concatenation has a constant part"
    if dim % node.meta["val"].ndim != 1:
        return "the concatenation is not along channels"
    made = low.emit(ops.concat, [low.as_map(x) for x in xs], shape=_shape(node))
    made.seen = xs[0].seen
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
    count, after = _window_end(x.shape[1], *sizes, pad, ceil)
    if count == 1 and not pad and not after and x.seen == "map":
        return _adaptive(ops.global_max)(low, node, x, 1)
    made = low.emit(ops.max_pool, low.as_map(x), *sizes, pad, after, shape=_shape(node))
    made.seen = _seen(node)
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
    if count == 1 and not pad and not after and divisor in (None, length) and x.seen == "map":
        return _adaptive(ops.global_mean)(low, node, x, 1)
    first = torch.arange(count) * step - pad
    last = (first + wide).clamp(max=length + pad)
    inside = last.clamp(max=length) - first.clamp(min=0)
    counted = last - first if count_padding else inside
    counted = torch.full_like(counted, divisor) if divisor else counted
    made = low.emit(ops.mean_pool, low.as_map(x), counted.float(), wide, step, pad, after,
                    shape=_shape(node))  # fmt: skip
    made.seen = _seen(node)
    return made


def _over_positions(node: fx.Node, x: Any, dim: Any) -> bool:
    dims = _dims(node, *(dim if isinstance(dim, list | tuple) else [dim]))
    if not isinstance(x, Value) or len(x.shape) != 2:
        return False
    return dims == {"tokens": [1], "map": [2], "plane": [2, 3]}.get(x.seen)


def _global(word: Any) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, dim: Any = (), keep: bool = False) -> Any:
        if not _over_positions(node, x, dim):
            return "the reduction is not over positions alone"
        if keep and x.seen != "map":
            return "the reduction keeps an axis of one token, or a plane of one number"
        pooled = low.emit(word, low.as_map(x), shape=x.shape[:1])
        return _one_position(low, pooled) if keep else pooled

    return rule


def _one_position(low: Lowering, x: Value) -> Value:
    """Return a vector as a map of one position."""
    return low.emit(aten.unsqueeze.default, x, 2, shape=(*x.shape, 1))


def _sum(low: Lowering, node: fx.Node, x: Value, dim: Any = (), keep: bool = False) -> Any:
    mean = _global(ops.global_mean)(low, node, x, dim, keep)
    return mean if isinstance(mean, str) else affine(low, mean, x.shape[1], 0)


def _adaptive(word: Any) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, size: Any) -> Value | str:
        sizes = list(size) if isinstance(size, list | tuple) else [size]
        if not _is_map(x) or x.seen != "map" or sizes != [1]:
            return "the adaptive pool is not to one position"
        return _one_position(low, low.emit(word, low.as_map(x), shape=x.shape[:1]))

    return rule


def _without_places(rule: Any) -> Any:
    """Return a rule of an operator that gives maxima and their places, for the maxima alone."""

    def alone(low: Lowering, node: fx.Node, *args: Any) -> Any:
        if any(user.args[1] != 0 and user.users for user in node.users):
            return "the places of the maxima are read"
        maxima = rule(low, node, *args)
        return maxima if isinstance(maxima, str) else [maxima, None]

    return alone


def _chunk(low: Lowering, node: fx.Node, x: Value, count: int, dim: int = 0) -> Any:
    """A layer that is cut into equal parts of its channels is as many layers."""
    source = x.node if isinstance(x, Value) else None
    if source is None or source.target is not ops.conv or x.seen not in ("map", "tokens"):
        return "what is cut is no layer"
    (before,) = node.all_input_nodes
    along = _dims(node, dim) == [2 if x.seen == "tokens" else 1]
    _, weight, bias, *_, groups, _, _ = source.args
    if not along or groups != 1 or len(before.users) > 1 or x.shape[0] % count:
        return "the layer is not cut into equal parts of its channels, or read elsewhere"
    shape = (x.shape[0] // count, x.shape[1])
    inputs, weight, bias, *rest = source.args
    weights, biases = (
        [None] * count if held is None else low.held(held).chunk(count) for held in (weight, bias)
    )
    made = [low.emit(ops.conv, inputs, *pair, *rest, shape=shape) for pair in zip(weights, biases)]
    return [Value(part.node, shape, x.seen) for part in made]


def _glu(low: Lowering, node: fx.Node, x: Value, dim: int = -1) -> Any:
    """One half of a layer's channels times the sigmoid of the other."""
    halves = _chunk(low, node, x, 2, dim)
    if isinstance(halves, str):
        return halves
    gate = activate(low, halves[1], "sigmoid")
    made = low.emit(aten.mul.Tensor, *map(low.as_map, (halves[0], gate)), shape=gate.shape)
    made.seen = x.seen
    return made


def _left(why: str) -> Any:
    """Return the rule of an operator that always stays with PyTorch."""
    return lambda low, node, *args, **options: why


def _item(low: Lowering, node: fx.Node, x: Any, index: int) -> Value | str:
    return x[index] if isinstance(x, list) else "one of several outputs"


def _linear(
    low: Lowering, node: fx.Node, x: Value, weight: Tensor, bias: Tensor | None = None
) -> Value | str:
    if len(x.captured) not in (1, 2) or not isinstance(weight, Tensor):
        return "the linear layer is over neither vectors nor tokens, or its weight is computed"
    if len(x.shape) == 1:
        return low.emit(ops.linear, x, weight, bias, "none", None, shape=_shape(node))
    x = low.as_map(low.as_tokens(x))
    made = low.emit(
        ops.conv, x, weight[:, :, None], bias, None, 1, 0, 0, 1, 1, "none", None,
        shape=(len(weight), x.shape[1]),
    )  # fmt: skip
    made.seen = "tokens"
    return made


IDENTITIES = {
    aten.dropout.default, aten.feature_dropout.default, aten.contiguous.default,
    aten.clone.default, aten.detach.default, aten.alias.default, aten.lift_fresh_copy.default,
}  # fmt: skip

RECURRENCE = _left("recurrence reads the whole sequence, one position after the other")
ATTENTION = _left("attention lets every position read all others")
SOFTMAX = _left("a softmax weighs every number against all others of its axis")
STATISTICS = _left("its mean and variance are taken from the sequence itself")
COMPUTED = _left("both factors are computed")

RULES: dict[Any, Any] = {
    **ELEMENTWISE,
    aten.sym_size.int: _size,
    aten.transpose.int: _transpose,
    aten.swapaxes.default: _transpose,
    aten.mT.default: _turn,
    aten.permute.default: _permute,
    aten.view.default: _reshape,
    aten.reshape.default: _reshape,
    aten.unflatten.int: _reshape,
    aten.unsqueeze.default: _reshape,
    aten.squeeze.default: _reshape,
    aten.squeeze.dim: _reshape,
    aten.squeeze.dims: _reshape,
    aten.flatten.using_ints: _reshape,
    aten.slice.Tensor: _slice,
    aten.chunk.default: _chunk,
    aten.glu.default: _glu,
    operator.getitem: _item,
    aten.cat.default: _cat,
    aten.conv1d.default: _conv,
    aten.conv1d.padding: _conv,
    aten.conv2d.default: _conv,
    aten.conv2d.padding: _conv,
    aten.linear.default: _linear,
    aten.pad.default: _pad,
    aten.constant_pad_nd.default: _pad,
    aten.batch_norm.default: _batch_norm,
    aten._native_batch_norm_legit_no_training.default: _batch_norm_alone,
    aten.max_pool1d.default: _max_pool,
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool1d.default: _mean_pool,
    aten.avg_pool2d.default: _mean_pool,
    aten.amax.default: _global(ops.global_max),
    aten.max.dim: _without_places(_global(ops.global_max)),
    aten.mean.dim: _global(ops.global_mean),
    aten.sum.dim_IntList: _sum,
    aten.adaptive_max_pool1d.default: _without_places(_adaptive(ops.global_max)),
    aten.adaptive_avg_pool1d.default: _adaptive(ops.global_mean),
    aten.softmax.int: SOFTMAX,
    aten._softmax.default: SOFTMAX,
    aten.log_softmax.int: SOFTMAX,
    aten.lstm.input: RECURRENCE,
    aten.gru.input: RECURRENCE,
    aten.rnn_tanh.input: RECURRENCE,
    aten.rnn_relu.input: RECURRENCE,
    aten.scaled_dot_product_attention.default: ATTENTION,
    aten.layer_norm.default: STATISTICS,
    aten.group_norm.default: STATISTICS,
    aten.instance_norm.default: STATISTICS,
    aten.matmul.default: COMPUTED,
    aten.bmm.default: COMPUTED,
    aten.einsum.default: COMPUTED,
}

# whose rules read tokens as they are; others get the array that the captured graph sees
TAKE_TOKENS = {
    *ELEMENTWISE, aten.sym_size.int, aten.transpose.int, aten.swapaxes.default, aten.mT.default,
    aten.permute.default, aten.slice.Tensor, aten.chunk.default, aten.glu.default, operator.getitem,
    aten.linear.default, aten.mean.dim, aten.sum.dim_IntList, aten.amax.default, aten.max.dim,
}  # fmt: skip
