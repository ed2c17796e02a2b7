"""A module becomes a graph of PyTorch operators, and that a graph of the lowered vocabulary."""

import inspect
import io
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, export

from fastseq.lower import attention
from fastseq.lower.fusions import FUSIONS
from fastseq.lower.lowering import Lowering, Value
from fastseq.lower.rules import IDENTITIES, RULES, TAKE_TOKENS

# holds the shapes and types of the capture, which a plan keeps anyway
CHECK = torch.ops.aten._assert_tensor_metadata.default
DROPOUT = {torch.ops.aten.dropout.default, torch.ops.aten.feature_dropout.default}
# read nothing and are the same in every call
COUNTS = {torch.ops.aten.arange.default, torch.ops.aten.arange.start}


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
        with _quiet(), torch.no_grad(), attention.sequences_first(module):
            program = export(module, (example,), dynamic_shapes=({0: Dim.DYNAMIC},))
            captured = program.module(check_guards=False)
            if any(map(_may_be_seen, captured.graph.nodes)):
                captured = program.run_decompositions({}).module(check_guards=False)
    except Exception as error:
        # torch.export has no common ancestor for what it raises
        first = str(error).strip().partition("\n")[0]
        if "your code specialized it" in str(error):
            first = "its code fixes the batch size, as len(x) does and x.shape[0] does not"
        raise NotCaptured(first) from error
    return fuse(translate(captured))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch.export prints of a module it refuses, a graph of pages, off the screen."""
    logger = logging.getLogger("torch.fx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _may_be_seen(node: fx.Node) -> bool:
    """Return whether a node writes into what another one may read, which no rule knows of.

    Such a graph is written anew without writes. Most write into what a layer just made for them.
    """
    if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
        return False
    written = node.args[0]
    if not isinstance(written, fx.Node) or len(written.users) > 1:
        return True
    made_by = written.target
    if written.op == "get_attr":
        raise NotCaptured("it writes into a parameter or buffer of its own")
    is_fresh = isinstance(made_by, torch._ops.OpOverload) and made_by not in IDENTITIES
    return not is_fresh or any(result.alias_info for result in made_by._schema.returns)  # type: ignore[union-attr]


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
    known = all(isinstance(value, Tensor) for value in inputs)
    if known and (inputs or node.target in COUNTS):
        return node.target(*args, **node.kwargs)  # type: ignore[operator]
    if node.target in DROPOUT and args[2]:  # type: ignore[index]
        return low.copy(node, "it draws anew in every call: its training is on")
    if node.target in IDENTITIES:
        return args[0]  # type: ignore[index]
    rule = RULES.get(node.target)  # type: ignore[arg-type]
    if rule is None:
        return low.copy(node, f"no rule for {node.target}")
    unknown = node.kwargs.keys() - inspect.signature(rule).parameters.keys()
    if unknown:
        return low.copy(node, f"no rule for {node.target} with {', '.join(sorted(unknown))}")
    seen = args if node.target in TAKE_TOKENS else low.straight(args)
    made = rule(low, node, *seen, **node.kwargs)  # type: ignore[misc]
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
