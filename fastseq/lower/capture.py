"""A module becomes a graph of PyTorch operators, and that a graph of the lowered vocabulary."""

import operator
import warnings

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, export

from fastseq.lower.fusions import FUSIONS
from fastseq.lower.lowering import Lowering, Value
from fastseq.lower.rules import IDENTITIES, RULES

# holds the shapes and types of the capture, which a plan keeps anyway
CHECK = torch.ops.aten._assert_tensor_metadata.default


class NotCaptured(Exception):
    """Why a module's graph could not be taken; the plan then runs the module as it is."""


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
        first = str(error).strip().partition("\n")[0]
        if "your code specialized it" in str(error):
            first = "its code fixes the batch size, as len(x) does and x.shape[0] does not"
        raise NotCaptured(first) from error
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
        elif node.op == "call_function" and node.target is not CHECK:
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
