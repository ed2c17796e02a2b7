"""The rules of operators that take each number by itself: activations, sums and products."""

from typing import Any

import torch
from torch import Tensor, fx

from fastseq.lower import ops
from fastseq.lower.lowering import Lowering, Value

aten = torch.ops.aten

# a vector up to this many features is scaled by a diagonal linear layer, which others take in
WIDEST = 2048
# of Klambauer et al. (2017), as PyTorch writes them
SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}


def affine(low: Lowering, x: Value, scale: Tensor | float, shift: Tensor | float) -> Value:
    """Return scale * x + shift, numbers or one for each channel; its neighbours may take it in."""
    channels = x.shape[0]
    scale, shift = (
        torch.as_tensor(number, dtype=torch.float32).expand(channels) for number in (scale, shift)
    )
    if (scale == 1).all() and not shift.any():
        return x
    if len(x.shape) == 1 and channels > WIDEST:
        scaled = low.emit(aten.mul.Tensor, x, scale.contiguous(), shape=x.shape)
        return low.emit(aten.add.Tensor, scaled, shift.contiguous(), shape=x.shape)
    if len(x.shape) == 1:
        return low.emit(ops.linear, x, scale.diag(), shift, "none", None, shape=x.shape)
    made = low.emit(
        ops.conv, low.as_map(x), scale[:, None, None], shift, None, 1, 0, 0, 1, channels, "none",
        None, shape=x.shape,
    )  # fmt: skip
    made.seen = x.seen
    return made


def activate(low: Lowering, x: Value, name: ops.Activation, parameter: Any = None) -> Value:
    """Return an activation of a map or a vector."""
    made = low.emit(ops.activate, low.as_map(x), name, parameter, shape=x.shape)
    made.seen = x.seen
    return made


def _takes(node: fx.Node, x: Any) -> bool:
    """Return whether a value is a map or a vector, and all that a node reads is float32."""
    read = (source.meta["val"] for source in node.all_input_nodes if source.op != "get_attr")
    plain = all(isinstance(val, Tensor) and val.dtype is torch.float32 for val in read)
    return plain and isinstance(x, Value) and len(x.shape) in (1, 2)


NEITHER = "what it reads is neither maps nor vectors of float32"


def _activation(name: ops.Activation) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value) -> Value | str:
        return activate(low, x, name) if _takes(node, x) else NEITHER

    return rule


def _sloped(name: ops.Activation, default: float | None = None) -> Any:
    def rule(low: Lowering, node: fx.Node, x: Value, slope: Any = default) -> Value | str:
        return activate(low, x, name, slope) if _takes(node, x) else NEITHER

    return rule


def _gelu(low: Lowering, node: fx.Node, x: Value, approximate: str = "none") -> Value | str:
    name: ops.Activation = "gelu" if approximate == "none" else "gelu_tanh"
    return activate(low, x, name) if _takes(node, x) else NEITHER


def _elu(
    low: Lowering, node: fx.Node, x: Value, alpha: float = 1.0, scale: float = 1.0,
    input_scale: float = 1.0,
) -> Value | str:  # fmt: skip
    """scale * x, or scale * alpha * (exp(input_scale * x) - 1) below 0."""
    if not _takes(node, x):
        return NEITHER
    made = activate(low, affine(low, x, input_scale, 0), "elu", alpha * input_scale)
    return affine(low, made, scale / input_scale, 0)


def _selu(low: Lowering, node: fx.Node, x: Value) -> Value | str:
    return _elu(low, node, x, **SELU)


def _celu(low: Lowering, node: fx.Node, x: Value, alpha: float = 1.0) -> Value | str:
    return _elu(low, node, x, alpha, 1.0, 1 / alpha)


def _softplus(
    low: Lowering, node: fx.Node, x: Value, beta: float = 1.0, threshold: float = 20.0
) -> Value | str:
    if threshold != 20:
        return "the softplus is a line from another threshold on than 20"
    if not _takes(node, x):
        return NEITHER
    return affine(low, activate(low, affine(low, x, beta, 0), "softplus"), 1 / beta, 0)


def _clamp(
    low: Lowering, node: fx.Node, x: Value, least: Any = None, most: Any = None
) -> Value | str:
    """least + relu(x - least), and most - relu(most - x)."""
    if not _takes(node, x) or isinstance(least, Tensor | Value) or isinstance(most, Tensor | Value):
        return "the bounds are no numbers"
    if least is not None:
        x = affine(low, activate(low, affine(low, x, 1, -least), "relu"), 1, least)
    if most is not None:
        x = affine(low, activate(low, affine(low, x, -1, most), "relu"), -1, most)
    return x


def _relu6(low: Lowering, node: fx.Node, x: Value) -> Value | str:
    return _clamp(low, node, x, 0, 6)


def _hardtanh(
    low: Lowering, node: fx.Node, x: Value, least: float = -1.0, most: float = 1.0
) -> Value | str:
    return _clamp(low, node, x, least, most)


def _hardsigmoid(low: Lowering, node: fx.Node, x: Value) -> Value | str:
    if not _takes(node, x):
        return NEITHER
    bounded = _clamp(low, node, affine(low, x, 1, 3), 0, 6)
    return affine(low, bounded, 1 / 6, 0)  # type: ignore[arg-type]


def _alike(node: fx.Node, x: Any, y: Any) -> bool:
    """Return whether two values are maps or vectors of one shape in the captured graph."""
    return _takes(node, x) and _takes(node, y) and x.captured == y.captured


def _seen_alike(low: Lowering, x: Value, y: Value) -> tuple[Value, Value]:
    """Return two values of one shape, both as tokens where one is."""
    return (low.as_tokens(x), low.as_tokens(y)) if "tokens" in (x.seen, y.seen) else (x, y)


def _whole(x: Value, constant: Tensor | float) -> Tensor | None:
    """Return a constant as channels, or as a map, that it is to each sequence; None if neither."""
    numbers = torch.as_tensor(constant, dtype=torch.float32)
    shape = (1, *x.captured)
    try:
        if torch.broadcast_shapes(numbers.shape, shape) != shape:
            return None
    except RuntimeError:
        return None
    numbers = numbers[(None,) * (len(shape) - numbers.ndim)][0]
    if x.seen in ("plane", "image"):
        numbers = numbers.squeeze(1 if x.seen == "plane" else 0)
    numbers = numbers.mT if x.seen == "tokens" else numbers
    if len(x.shape) == 1 or numbers.shape[1] == 1:
        return numbers.reshape(-1)
    return numbers.expand(x.shape)


def _add(low: Lowering, node: fx.Node, x: Any, y: Any, alpha: float = 1) -> Value | str:
    """x + alpha * y, of two maps or vectors or of one and a constant."""
    if _alike(node, x, y):
        x, y = _seen_alike(low, x, affine(low, y, alpha, 0))
        made = low.emit(ops.add, low.as_map(x), low.as_map(y), shape=x.shape)
        made.seen = x.seen
        return made
    if isinstance(x, Value) and isinstance(y, Value):
        return "the summands differ in shape"
    if isinstance(x, Value):
        return _shifted(low, x, alpha * y) if _takes(node, x) else NEITHER
    return _shifted(low, affine(low, y, alpha, 0), x) if _takes(node, y) else NEITHER


def _shifted(low: Lowering, x: Value, constant: Tensor | float) -> Value | str:
    """Return a constant added to a value; where it varies by position, as a word of its own."""
    shift = _whole(x, constant)
    if shift is None:
        return "a constant of another shape is added"
    if shift.ndim == 1:
        return affine(low, x, 1, shift)
    made = low.emit(ops.shift, low.as_map(x), shift, shape=x.shape)
    made.seen = x.seen
    return made


def _sub(low: Lowering, node: fx.Node, x: Any, y: Any, alpha: float = 1) -> Value | str:
    return _add(low, node, x, y, -alpha)


def _rsub(low: Lowering, node: fx.Node, x: Any, y: Any, alpha: float = 1) -> Value | str:
    return _add(low, node, y, x, -alpha)


def _mul(low: Lowering, node: fx.Node, x: Any, y: Any) -> Value | str:
    """Two maps, a map and a factor for each of its channels, computed or constant."""
    if _alike(node, x, y) and len(x.shape) == 2:
        x, y = _seen_alike(low, x, y)
        made = low.emit(aten.mul.Tensor, low.as_map(x), low.as_map(y), shape=x.shape)
        made.seen = x.seen
        return made
    if not isinstance(x, Value) or (isinstance(y, Value) and len(x.shape) < len(y.shape)):
        x, y = y, x
    if not isinstance(y, Value):
        return _scaled(low, node, x, y)
    a_map = len(x.shape) == 2 and x.seen == "map" and x.shape[-1] != 1
    if not a_map or y.shape != (x.shape[0], 1):
        return "the product is not of a map and a factor for each channel"
    return low.emit(aten.mul.Tensor, x, y, shape=x.shape)


def _scaled(low: Lowering, node: fx.Node, x: Any, factor: Any = -1.0) -> Value | str:
    if not _takes(node, x):
        return NEITHER
    scale = _whole(x, factor)
    if scale is None or scale.ndim == 2:
        return "the factor is not one for each channel"
    return affine(low, x, scale, 0)


def _div(low: Lowering, node: fx.Node, x: Any, y: Any) -> Value | str:
    if isinstance(y, Value):
        return "the divisor is computed"
    return _scaled(low, node, x, 1 / torch.as_tensor(y, dtype=torch.float64))


ELEMENTWISE: dict[Any, Any] = {
    aten.relu.default: _activation("relu"),
    aten.relu_.default: _activation("relu"),
    aten.leaky_relu.default: _sloped("leaky_relu", 0.01),
    aten.leaky_relu_.default: _sloped("leaky_relu", 0.01),
    aten.prelu.default: _sloped("prelu"),
    aten.elu.default: _elu,
    aten.elu_.default: _elu,
    aten.selu.default: _selu,
    aten.selu_.default: _selu,
    aten.celu.default: _celu,
    aten.celu_.default: _celu,
    aten.silu.default: _activation("silu"),
    aten.silu_.default: _activation("silu"),
    aten.mish.default: _activation("mish"),
    aten.mish_.default: _activation("mish"),
    aten.hardswish.default: _activation("hardswish"),
    aten.hardswish_.default: _activation("hardswish"),
    aten.gelu.default: _gelu,
    aten.exp.default: _activation("exp"),
    aten.softplus.default: _softplus,
    aten.sigmoid.default: _activation("sigmoid"),
    aten.tanh.default: _activation("tanh"),
    aten.clamp.default: _clamp,
    aten.clip.default: _clamp,
    aten.clamp_min.default: _clamp,
    aten.relu6.default: _relu6,
    aten.hardtanh.default: _hardtanh,
    aten.hardtanh_.default: _hardtanh,
    aten.hardsigmoid.default: _hardsigmoid,
    aten.hardsigmoid_.default: _hardsigmoid,
    aten.add.Tensor: _add,
    aten.add_.Tensor: _add,
    aten.sub.Tensor: _sub,
    aten.sub_.Tensor: _sub,
    aten.rsub.Scalar: _rsub,
    aten.mul.Tensor: _mul,
    aten.mul_.Tensor: _mul,
    aten.div.Tensor: _div,
    aten.div_.Tensor: _div,
    aten.neg.default: _scaled,
}
