"""A module becomes a graph of PyTorch operators, and that a graph of the lowered vocabulary."""

import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, export

from fastseq.lower.fusions import FUSIONS
from fastseq.lower.rules import IDENTITIES, RULES

aten = torch.ops.aten


class NotCaptured(Exception):
    """Why a module's graph could not be taken; the plan then runs the module as it is."""


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
        self._batch: fx.Node | None = None

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


def capture(module: nn.Module, channels: int, length: int) -> fx.GraphModule:
    """Return a module in eval mode as a graph over `fastseq.lower.ops`.

    Parameters
    ----------
    module : nn.Module
        In float32, on the device it will run on.
    channels, length : int
        Axes of its input.

    Returns
    -------
    fx.GraphModule
        One placeholder (n, channels, length). ``node.meta["shape"]`` is a node's shape without
        the batch axis; ``node.meta["why"]`` says why an operator was left to PyTorch.

    Raises
    ------
    NotCaptured
        torch.export refuses the module; the message is its first line.
    """
    device = next((weight.device for weight in module.parameters()), torch.device("cpu"))
    example = torch.zeros(2, channels, length, device=device)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = export(module, (example,), dynamic_shapes=({0: Dim.DYNAMIC},))
            captured = program.module(check_guards=False)
    except Exception as error:
        # torch.export has no common ancestor for what it raises
        raise NotCaptured(str(error).strip().partition("\n")[0]) from error
    return fuse(translate(captured))


def translate(captured: fx.GraphModule) -> fx.GraphModule:
    """Return a captured graph in the lowered vocabulary, one node at a time."""
    low = Lowering()
    for node in captured.graph.nodes:
        if node.op == "placeholder":
            made = low.graph.placeholder("x")
            made.meta["shape"] = shape = tuple(map(int, node.meta["val"].shape[1:]))
            low.known[node] = Value(made, shape)
        elif node.op == "get_attr":
            low.known[node] = operator.attrgetter(str(node.target))(captured).detach()
        elif node.op == "call_function":
            low.known[node] = _translated(low, node)
        elif node.op == "output":
            (answers,) = node.args
            (answer,) = answers if isinstance(answers, list | tuple) else (answers,)
            low.graph.output(low._unplaned(answer))
        elif node.op == "call_module":
            raise NotCaptured(f"a call to the submodule {node.target} stayed in the graph")
    return fx.GraphModule(low.root, low.graph)


def _translated(low: Lowering, node: fx.Node) -> object:
    args = low.of(list(node.args))
    inputs = [low.known[name] for name in node.all_input_nodes]
    if inputs and all(isinstance(value, Tensor) for value in inputs):
        return node.target(*args, **node.kwargs)  # type: ignore[operator]
    if node.target in IDENTITIES:
        return args[0]  # type: ignore[index]
    rule = RULES.get(node.target)  # type: ignore[arg-type]
    if rule is None:
        return low.copy(node, f"no rule for {node.target}")
    made = rule(low, node, *args)  # type: ignore[misc]
    return low.copy(node, made) if isinstance(made, str) else made


def fuse(lowered: fx.GraphModule) -> fx.GraphModule:
    """Return the graph with neighbours merged, in place: each fusion of the table in turn."""
    for fusion in FUSIONS:
        for node in list(lowered.graph.nodes):
            if node.op == "call_function":
                fusion(lowered, node)
        lowered.graph.eliminate_dead_code()
    lowered.graph.lint()
    lowered.delete_all_unused_submodules()
    lowered.recompile()
    return lowered
