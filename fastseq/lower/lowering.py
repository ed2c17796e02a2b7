"""A lowered graph under construction, as the rules see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, fx, nn

aten = torch.ops.aten

Seen: TypeAlias = Literal["map", "plane", "image", "tokens"]


@dataclass
class Value:
    """What a node of the captured graph became.

    ``seen`` says how the captured graph sees a map (n, channels, length): as it is; as a plane
    (n, channels, 1, length), the way channels-last convolutions are written in PyTorch; as an
    image (n, 1, channels, length); or as tokens (n, length, channels), which is how it lies in
    memory.
    """

    node: fx.Node
    shape: tuple[int, ...]
    seen: Seen = "map"

    @property
    def captured(self) -> tuple[int, ...]:
        """Axes behind the batch in the captured graph."""
        if self.seen == "map":
            return self.shape
        channels, length = self.shape
        if self.seen == "tokens":
            return length, channels
        return (channels, 1, length) if self.seen == "plane" else (1, channels, length)


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

    def batch(self) -> Value:
        """Return how many sequences there are."""
        (x,) = self.graph.find_nodes(op="placeholder")
        return self.emit(aten.sym_size.int, x, 0, shape=())

    def held(self, node: fx.Node) -> Tensor:
        """Return the tensor that a node holds."""
        return self.root.get_buffer(str(node.target))

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
        """Return a plane, an image or tokens as the map it is."""
        return Value(value.node, value.shape)

    def turned(self, value: Value) -> Value:
        """Return an array with its last two axes exchanged, which moves nothing in memory."""
        return self.emit(aten.transpose.int, value, 1, 2, shape=value.shape[::-1])

    def straight(self, value: object) -> object:
        """Return what a value is where it is seen as tokens; lists element by element."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.straight, value))
        tokens = isinstance(value, Value) and value.seen == "tokens"
        return self.turned(value) if tokens else value

    def as_tokens(self, value: Value) -> Value:
        """Return an array (n, length, channels) as a map that is seen as tokens."""
        if value.seen == "tokens":
            return value
        made = self.turned(value)
        return Value(made.node, made.shape, "tokens")

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
        # no rule knows an array whose sequences do not come first
        rows = [isinstance(size, torch.SymInt) for size in value.shape]
        return Value(made, shape if rows[:1] == [True] and not any(rows[1:]) else ())

    def _unplaned(self, arg: object) -> object:
        if not isinstance(arg, fx.Node):
            return arg
        value = self.known[arg]
        if isinstance(value, Tensor):
            return self.constant(value)
        assert isinstance(value, Value)
        if value.seen in ("plane", "image"):
            axis = 2 if value.seen == "plane" else 1
            return self.emit(aten.unsqueeze.default, value, axis, shape=value.captured).node
        return self.straight(value).node  # type: ignore[attr-defined]
