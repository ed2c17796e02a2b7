"""A lowered graph read as steps that carry differences, up to the first operator that cannot."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fastseq.lower import ops

# the arguments of each function that are values of the graph; all others are weights and sizes
INPUTS = {
    ops.conv: ("x", "skip"),
    ops.activate: ("x",),
    ops.zero_pad: ("x",),
    ops.add: ("x", "y"),
    ops.concat: ("xs",),
    ops.shift: ("x",),
    ops.max_pool: ("x",),
    ops.mean_pool: ("x",),
    ops.global_max: ("x",),
    ops.global_mean: ("x",),
    ops.flat_linear: ("x",),
    ops.linear: ("x",),
}
aten = torch.ops.aten
SIZE = aten.sym_size.int
# operators that do to a difference what they do to a value, with no other tensor among their inputs
HOMOGENEOUS = {
    aten.flatten.using_ints, aten.neg.default, aten.select.int, aten.slice.Tensor,
    aten.squeeze.dim, aten.unsqueeze.default,
}  # fmt: skip
VIEWS = {aten.transpose.int, aten.permute.default, aten.reshape.default, aten.unflatten.int}
SIGNATURES = {function: inspect.signature(function) for function in INPUTS}


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a function of `fastseq.lower.ops`.

    Attributes
    ----------
    function : callable
    name : str
        Of the graph's node.
    inputs : tuple of int
        Values it reads. Value 0 is the model's input, value i + 1 the result of step i.
    arguments : dict
        Weights and sizes, by the function's own names.
    shape : tuple of int
        Of the result: (channels, length), (features,) or ().
    length_in : int
        Positions of the first input; 0 for a vector.
    """

    function: Any
    name: str
    inputs: tuple[int, ...]
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    length_in: int

    @cached_property
    def kernel(self) -> int:
        """Taps of a convolution, width of a pool, else 1."""
        if self.function is ops.conv:
            return self.arguments["weight"].shape[2]
        return self.arguments.get("width", 1)

    @cached_property
    def stride(self) -> int:
        """Input positions from one result to the next."""
        return self.arguments.get("stride", 1)

    @cached_property
    def dilation(self) -> int:
        """Input positions from one tap to the next."""
        return self.arguments.get("dilation", 1)

    @cached_property
    def before(self) -> int:
        """Positions added in front of the input."""
        return self.arguments.get("before", 0)

    @property
    def is_map(self) -> bool:
        """Whether the result has positions."""
        return len(self.shape) == 2

    @property
    def activation(self) -> str:
        """Name of the activation that ends the step, "none" where there is none."""
        return self.arguments.get("activation", "none")

    @property
    def parameter(self) -> Tensor | float | None:
        """Parameter of the activation."""
        return self.arguments.get("parameter")

    def reach(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the half-open range of results that positions [low, high) of the input touch.

        The range is not clipped at the ends, and is empty or inverted where a stride skips the
        positions. Numbers or arrays of numbers.
        """
        halo = (self.kernel - 1) * self.dilation
        return (
            -((halo - low - self.before) // self.stride),
            (high - 1 + self.before) // self.stride + 1,
        )


@dataclass(frozen=True, eq=False)
class Chain:
    """The steps that carry differences, and what runs in full after them.

    Attributes
    ----------
    steps : list of Step
    shapes : list of tuple
        Of every value, without the batch axis.
    outputs : tuple of int
        Values that leave the chain: the graph's answer, or what `suffix` reads.
    suffix : fx.GraphModule, optional
        The rest of the graph over those values; None where the chain reaches the answer.
    walls : list of str
        Why each first operator of the suffix is not carried, as sentences.
    """

    steps: list[Step]
    shapes: list[tuple[int, ...]]
    outputs: tuple[int, ...]
    suffix: fx.GraphModule | None
    walls: list[str]

    @cached_property
    def bare(self) -> set[int]:
        """The input and every value that is the input in another shape."""
        bare = {0}
        for number, step in enumerate(self.steps, 1):
            if step.function in HOMOGENEOUS and step.inputs[0] in bare:
                bare.add(number)
        return bare

    @cached_property
    def strides(self) -> list[int]:
        """Input bases from one position to the next, for every value; 0 for a vector."""
        strides = [1]
        for step in self.steps:
            strides.append(max(1, strides[step.inputs[0]]) * step.stride if step.is_map else 0)
        return strides

    @cached_property
    def period(self) -> int:
        """Edits this far apart have windows of the same shape throughout."""
        return int(np.lcm.reduce([stride for stride in self.strides if stride]))

    def windows(self, start: Any, end: Any, *, clip: bool) -> list[tuple[Any, Any] | None]:
        """Return the range of every map that edits of bases [start, end) can change.

        Parameters
        ----------
        start, end : int or int64 (sites,)
        clip : bool
            Whether ranges end where the map does.

        Returns
        -------
        list of (low, high), None for a vector
            High is never below low.
        """
        ranges: list[tuple[Any, Any] | None] = [(start, end)]
        for step in self.steps:
            ranges.append(self._window(step, ranges, clip) if step.is_map else None)
        return ranges

    def _window(self, step: Step, ranges: list, clip: bool) -> tuple[Any, Any]:
        start, end = ranges[step.inputs[0]] or ranges[0]
        if step.function in HOMOGENEOUS:
            return start * 0, start * 0 + step.shape[1]
        low, high = step.reach(start, end)
        high = np.where(end > start, high, low)
        for other in step.inputs[1:]:
            low, high = _hull(low, high, *ranges[other])
        if clip:
            low, high = np.clip(low, 0, step.shape[1]), np.clip(high, 0, step.shape[1])
        return low, np.maximum(low, high)


def _hull(low: Any, high: Any, other_low: Any, other_high: Any) -> tuple[Any, Any]:
    """Return the smallest range over two, where an empty one does not count."""
    mine, theirs = high > low, other_high > other_low
    both = mine & theirs
    return (
        np.where(both, np.minimum(low, other_low), np.where(mine, low, other_low)),
        np.where(both, np.maximum(high, other_high), np.where(mine, high, other_high)),
    )


def read(graph: fx.GraphModule) -> Chain:
    """Return the chain of a lowered graph.

    Parameters
    ----------
    graph : fx.GraphModule
        One placeholder and one result; every node has ``meta["shape"]``.
    """
    values: dict[fx.Node, int] = {}
    constants: dict[fx.Node, Any] = {}
    steps: list[Step] = []
    shapes: list[tuple[int, ...]] = []
    rest: list[fx.Node] = []
    walls: list[str] = []
    sizes = batch_sizes(graph)
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            values[node] = 0
            shapes.append(tuple(node.meta["shape"]))
        elif node.op == "get_attr":
            constants[node] = _attribute(graph, node.target)
        elif node in sizes:
            rest.append(node)
        elif _is_identity(node) and node.args[0] in values:
            values[node] = values[node.args[0]]
        elif node.op != "output":
            reason = _refusal(node, values, {*constants, *sizes})
            if reason is None:
                steps.append(_step(node, values, constants))
                values[node] = len(steps)
                shapes.append(steps[-1].shape)
            else:
                rest.append(node)
                walls += [reason] if reason and reason not in walls else []
    (answer,) = next(iter(reversed(graph.graph.nodes))).args
    if answer in values:
        live, outputs = _live(steps, [values[answer]])
        return Chain(live, _shapes(shapes[0], live), outputs, None, [])
    behind = {*rest} - sizes
    frontier = [node for node in values if not behind.isdisjoint(node.users)]
    live, outputs = _live(steps, [values[node] for node in frontier])
    suffix = _suffix(graph, frontier, rest, answer)
    return Chain(live, _shapes(shapes[0], live), outputs, suffix, walls)


def batch_sizes(graph: fx.GraphModule) -> set[fx.Node]:
    """Return how many sequences there are, and what is made of that number and constants alone."""
    sizes: set[fx.Node] = set()
    for node in graph.graph.nodes:
        if node.op == "call_function":
            read = [source for source in node.all_input_nodes if source.op != "get_attr"]
            counts = node.target is SIZE and read[0].op == "placeholder"
            if counts or (read and sizes.issuperset(read)):
                sizes.add(node)
    return sizes


def _is_identity(node: fx.Node) -> bool:
    """Return whether a node only gives back its input, such as a flattening of one axis."""
    if node.target not in HOMOGENEOUS - {aten.neg.default}:
        return False
    return tuple(node.meta["shape"]) == tuple(node.args[0].meta["shape"])  # type: ignore[union-attr]


def _attribute(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _bound(node: fx.Node) -> dict[str, Any]:
    arguments = SIGNATURES[node.target].bind(*node.args, **node.kwargs)
    arguments.apply_defaults()
    return arguments.arguments


def _inputs(node: fx.Node) -> Iterator[Any]:
    if node.target in HOMOGENEOUS:
        yield node.args[0]
        return
    arguments = _bound(node)
    for name in INPUTS[node.target]:
        argument = arguments[name]
        if isinstance(argument, list | tuple):
            yield from argument
        elif argument is not None:
            yield argument


def _refusal(node: fx.Node, values: dict, constants: set) -> str | None:
    """Return why a node does not carry differences, "" where it only follows one that does not."""
    sources = [source for source in node.all_input_nodes if source not in constants]
    if any(source not in values for source in sources):
        return ""
    if node.target in HOMOGENEOUS and sources == list(node.all_input_nodes):
        return None
    if node.target not in INPUTS:
        # what only looks at a map another way is no wall, what reads it then is
        while node.target in VIEWS and node.users:
            node = min(node.users)
        operator = getattr(node.target, "__name__", str(node.target))
        why = node.meta.get("why", f"no difference passes {operator}")
        return f"{node.name}: {why}; mutants run in full from here"
    if any(source not in values for source in _inputs(node)):
        return f"{node.name}: reads a constant where a map is expected; mutants run in full"
    shapes = [tuple(source.meta["shape"]) for source in _inputs(node)]
    if node.target is ops.add and shapes[0] != shapes[1]:
        return f"{node.name}: adds {shapes[1]} to {shapes[0]}; mutants run in full from here"
    if node.target is ops.linear and len(shapes[0]) != 1:
        return f"{node.name}: a linear layer at every position; mutants run in full from here"
    return None


def _step(node: fx.Node, values: dict, constants: dict) -> Step:
    first = next(_inputs(node)).meta["shape"]
    if node.target in HOMOGENEOUS:
        arguments = {"rest": node.args[1:]}
    else:
        arguments = {
            name: constants.get(value) if isinstance(value, fx.Node) else value
            for name, value in _bound(node).items()
            if name not in INPUTS[node.target]
        }
    return Step(
        function=node.target,
        name=node.name,
        inputs=tuple(values[source] for source in _inputs(node)),
        arguments=arguments,
        shape=tuple(node.meta["shape"]),
        length_in=first[1] if len(first) == 2 else 0,
    )


def _live(steps: list[Step], outputs: list[int]) -> tuple[list[Step], tuple[int, ...]]:
    """Return the steps that the outputs need, renumbered, and the outputs' new numbers."""
    needed = set(outputs)
    for number in range(len(steps), 0, -1):
        if number in needed:
            needed.update(steps[number - 1].inputs)
    new = {0: 0}
    kept = []
    for number, step in enumerate(steps, 1):
        if number in needed:
            inputs = tuple(new[value] for value in step.inputs)
            kept.append(replace(step, inputs=inputs))
            new[number] = len(kept)
    return kept, tuple(new[value] for value in outputs)


def _shapes(first: tuple[int, ...], steps: list[Step]) -> list[tuple[int, ...]]:
    return [first, *(step.shape for step in steps)]


def _suffix(
    graph: fx.GraphModule, frontier: list[fx.Node], rest: list[fx.Node], answer: fx.Node
) -> fx.GraphModule:
    """Return the nodes after the frontier as a graph of their own, one placeholder a value."""
    part = fx.Graph()
    copied = {node: part.placeholder(node.name) for node in frontier}
    for node in graph.graph.nodes:
        if node.target is SIZE and node.args[0].op == "placeholder":
            copied[node] = part.call_function(SIZE, (next(iter(copied.values())), 0))
        elif node.op == "get_attr" or node in rest:
            copied[node] = part.node_copy(node, copied.__getitem__)
    part.output(copied[answer])
    part.eliminate_dead_code()
    return fx.GraphModule(graph, part)
