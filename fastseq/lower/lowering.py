"""A lowered graph under construction, as the rules see it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

aten = torch.ops.aten


@dataclass
class Value:
    """What a node of the captured graph became.

    ``plane`` marks a map (n, channels, length) that the captured graph sees as a plane
    (n, channels, 1, length), the way channels-last convolutions are written in PyTorch.
    """

    node: fx.Node
    shape: tuple[int, ...]
    plane: bool = False


class Lowering:
    """The graph under construction; rules call `constant` and `emit`."""

    def __init__(self) -> None:
        self.root = nn.Module()
        self.graph = fx.Graph()
        self.known: dict[fx.Node, object] = {}

    def constant(self, value: Tensor) -> fx.Node:
        """Return a node that holds a tensor."""
        name = f"tensor{len(list(self.root.buffers()))}"
        self.root.register_buffer(name, value.detach().clone())
        node = self.graph.get_attr(name)
        node.meta["shape"] = tuple(value.shape)
        return node

    def emit(self, function: Callable, *args: object, shape: tuple[int, ...]) -> Value:
        """Return a new call; tensors among its arguments become constants."""
        plain = tuple(self._argument(arg) for arg in args)
        node = self.graph.call_function(function, plain)
        node.meta["shape"] = shape
        return Value(node, shape)

    def _argument(self, arg: object) -> object:
        if isinstance(arg, Value):
            return arg.node
        if isinstance(arg, Tensor):
            return self.constant(arg)
        if isinstance(arg, list | tuple):
            return type(arg)(self._argument(item) for item in arg)
        return arg

    def of(self, arg: object) -> object:
        """Return what an argument of the captured graph became; lists element by element."""
        if isinstance(arg, fx.Node):
            return self.known[arg]
        if isinstance(arg, list | tuple):
            return type(arg)(self.of(item) for item in arg)
        return arg

    def as_map(self, value: Value) -> Value:
        """Return a plane as the map it is."""
        return Value(value.node, value.shape)

    def copy(self, node: fx.Node, why: str) -> object:
        """Return an operator that no rule took, on its own arguments, with the reason."""
        args = fx.node.map_aggregate(node.args, self._unplaned)
        kwargs = fx.node.map_aggregate(node.kwargs, self._unplaned)
        # a view counts on the strides of the captured run; maps lie channels-last here
        target = aten.reshape.default if node.target is aten.view.default else node.target
        made = self.graph.call_function(target, args, kwargs)  # type: ignore[arg-type]
        made.meta["why"] = why
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            return Value(made, ())
        made.meta["dtype"] = value.dtype
        made.meta["shape"] = shape = tuple(map(int, value.shape[1:])) if value.ndim else ()
        return Value(made, shape)

    def _unplaned(self, arg: object) -> object:
        if not isinstance(arg, fx.Node):
            return arg
        value = self.known[arg]
        if isinstance(value, Tensor):
            return self.constant(value)
        assert isinstance(value, Value)
        if value.plane:
            return self.graph.call_function(aten.unsqueeze.default, (value.node, 2))
        return value.node
