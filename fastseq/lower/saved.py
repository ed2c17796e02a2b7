"""A lowered model on disk: its graph as JSON in the header of one safetensors file."""

import json
import operator
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, fx, nn

from fastseq.errors import CheckpointError, MissingFileError, ModelError, UnreadableFileError
from fastseq.lower import ops
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.models.whole_files import write_whole

KIND = "fastseq-plan-1"
WORDS = {
    word.__name__: word
    for word in (
        ops.conv, ops.activate, ops.zero_pad, ops.add, ops.concat, ops.max_pool, ops.mean_pool,
        ops.global_max, ops.global_mean, ops.flat_linear, ops.linear, ops.shift,
    )
}  # fmt: skip
ARITHMETIC = {"getitem", "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "ge", "le"}
# operators that reach beyond the tensors they are given
DENIED = {"from_file", "as_strided", "as_strided_copy", "as_strided_scatter"}
# the only ones that write into a tensor they are given, within its bounds
WRITING = {"add_", "copy_", "div_", "fill_", "index_put_", "masked_fill_", "mul_", "sub_", "zero_"}
TYPES = (torch.dtype, torch.device, torch.layout, torch.memory_format)


def content(graph: fx.GraphModule, about: dict[str, Any]) -> bytes:
    """Return a lowered graph and what is to be known of it as a safetensors file.

    Raises
    ------
    ModelError
        The graph calls an operator that does not load again; it is named.
    """
    nodes, tensors = [], {}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            tensors[node.name] = getattr(graph, str(node.target)).detach().cpu().contiguous()
        known = {key: node.meta[key] for key in ("shape", "why") if key in node.meta}
        target = _name(node.target) if node.op == "call_function" else ""
        args, kwargs = _plain(node.args), _plain(node.kwargs)
        nodes.append([node.op, node.name, target, args, kwargs, known])
    header = {"kind": KIND, "nodes": nodes, **about}
    return safetensors.torch.save(tensors, {"fastseq": json.dumps(header)})


def save(path: str | os.PathLike[str], plan: bytes) -> Path:
    """Write what `content` made; the file appears under its name only when it is complete.

    Raises
    ------
    UnreadableFileError
        The folder cannot be written.
    """
    return write_whole(Path(path), plan)


def is_plan(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a saved plan, by its header."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return KIND.encode() in file.read(min(size, 1 << 24))
    except OSError:
        return False


def read(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a saved plan.

    Raises
    ------
    MissingFileError, UnreadableFileError
        No such file, or the system refuses to read it.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(f"there is no plan {path}") from error
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror or error}") from error


def parts(plan: bytes, source: str = "a plan") -> tuple[fx.GraphModule, dict[str, Any]]:
    """Return the lowered graph of a saved plan, and what was said of it.

    Nothing in the file is run: operators are looked up by name among those that only compute.

    Raises
    ------
    CheckpointError
        The file is truncated, no plan, or calls what a plan may not.
    """
    try:
        tensors = safetensors.torch.load(plan)
        size = int.from_bytes(plan[:8], "little")
        about = json.loads(json.loads(plan[8 : 8 + size])["__metadata__"]["fastseq"])
        if about["kind"] != KIND:
            raise CheckpointError(
                f"{source} is of kind {about['kind']!r}; this fastseq reads {KIND!r}"
            )
        graph = _graph(about.pop("nodes"), tensors, str(about["name"]))
        graph.input_spec = InputSpec.from_dict(about["input_spec"])  # type: ignore[assignment]
        graph.target_spec = TargetSpec.from_dict(about["target_spec"])  # type: ignore[assignment]
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{source} is truncated or no plan: {error}") from error
    return graph, about


def _graph(nodes: list, tensors: dict[str, Tensor], name: str) -> fx.GraphModule:
    root, made, known = nn.Module(), fx.Graph(), {}
    for op, at, target, args, kwargs, meta in nodes:
        args, kwargs = _alive(args, known), _alive(kwargs, known)
        if op == "placeholder":
            node = made.placeholder("x")
        elif op == "get_attr":
            # the graph becomes Python text, where names of attributes stand as they are
            own = f"tensor{len(known)}"
            root.register_buffer(own, tensors[at])
            node = made.get_attr(own)
        elif op == "call_function":
            node = made.create_node(op, _function(target), tuple(args), kwargs, at)
        elif op == "output":
            node = made.output(args[0])
        else:
            raise CheckpointError(f"a plan may not hold a {op!r}")
        if "shape" in meta:
            meta["shape"] = tuple(meta["shape"])
        node.meta |= meta
        known[at] = node
    made.lint()
    graph = fx.GraphModule(root, made)
    graph.meta["lowered"] = name
    return graph


def _name(target: Any) -> str:
    """Return the name of a function under which `_function` finds it again."""
    if target in WORDS.values():
        return f"fastseq.{target.__name__}"
    if isinstance(target, torch._ops.OpOverload) and target.namespace == "aten":
        name = str(target)
    else:
        name = f"operator.{getattr(target, '__name__', target)}"
    try:
        _function(name)
    except CheckpointError as error:
        raise ModelError(f"the plan cannot be saved: {error}") from error
    return name


def _function(name: str) -> Any:
    room, _, rest = name.partition(".")
    if room == "fastseq" and rest in WORDS:
        return WORDS[rest]
    if room == "operator" and rest in ARITHMETIC:
        return getattr(operator, rest)
    packet, _, overload = rest.partition(".")
    private = packet.startswith("_") and not packet.startswith("__")
    if room == "aten" and packet not in DENIED and not private:
        found = getattr(getattr(torch.ops.aten, packet, None), overload, None)
        known = isinstance(found, torch._ops.OpOverload)
        if known and (packet in WRITING or not found._schema.is_mutable):
            return found
    raise CheckpointError(f"it calls {name!r}, which is none of the operators that only compute")


def _plain(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, TYPES):
        return {"torch": str(value).removeprefix("torch."), "kind": type(value).__name__}
    if isinstance(value, dict):
        return {"dict": {key: _plain(item) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(f"the plan cannot be saved: a call takes a {type(value).__name__}")


def _alive(value: Any, known: dict[str, fx.Node]) -> Any:
    if isinstance(value, list):
        return [_alive(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    if "node" in value:
        return known[value["node"]]
    if "dict" in value:
        return {key: _alive(item, known) for key, item in value["dict"].items()}
    if value["kind"] == "device":
        return torch.device(value["torch"])
    found = getattr(torch, value["torch"])
    if not isinstance(found, TYPES):
        raise CheckpointError(f"torch.{value['torch']} is no type of a tensor")
    return found
