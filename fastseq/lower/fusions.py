"""The merges of lowering, a table: neighbours in a lowered graph that become one word."""

from typing import Any

import torch
from torch import Tensor, fx

from fastseq.lower import ops

aten = torch.ops.aten


def _tensor(graph: fx.GraphModule, node: Any) -> Any:
    return getattr(graph, node.target) if isinstance(node, fx.Node) else node


def _hold(graph: fx.GraphModule, near: fx.Node, value: Tensor) -> fx.Node:
    """Return a new constant, placed before a node."""
    name = f"merged{sum(1 for n in graph.graph.nodes if n.op == 'get_attr')}_{near.name}"
    graph.register_buffer(name, value)
    with graph.graph.inserting_before(near):
        made = graph.graph.get_attr(name)
    made.meta["shape"] = tuple(value.shape)
    return made


def _only_user(node: Any, user: fx.Node) -> bool:
    return isinstance(node, fx.Node) and list(node.users) == [user]


def drop_round_trips(graph: fx.GraphModule, node: fx.Node) -> None:
    """A vector that is made a map of one position and flattened again stays a vector."""
    if node.target not in (aten.flatten.using_ints, aten.squeeze.dim, aten.squeeze.default):
        return
    inner = node.args[0]
    if isinstance(inner, fx.Node) and inner.target is aten.unsqueeze.default:
        source = inner.args[0]
        if isinstance(source, fx.Node) and source.meta["shape"] == node.meta["shape"]:
            node.replace_all_uses_with(source)


def flatten_into_linear(graph: fx.GraphModule, node: fx.Node) -> None:
    """Flatten then linear is one layer over the whole map, its weight turned to positions first."""
    if node.target is not ops.linear:
        return
    flat = node.args[0]
    if not isinstance(flat, fx.Node) or flat.target is not aten.flatten.using_ints:
        return
    source = flat.args[0]
    channels, length = source.meta["shape"]  # type: ignore[union-attr]
    weight = _tensor(graph, node.args[1])
    turned = weight.view(len(weight), channels, length).transpose(1, 2).contiguous()
    node.target = ops.flat_linear
    node.args = (source, _hold(graph, node, turned), *node.args[2:])


def pad_into_conv(graph: fx.GraphModule, node: fx.Node) -> None:
    """Zeros around a convolution's input are its own padding."""
    padded = node.args[0]
    if node.target is not ops.conv or not isinstance(padded, fx.Node):
        return
    if padded.target is ops.zero_pad:
        source, before, after = padded.args
        args = list(node.args)
        args[0], args[5], args[6] = source, args[5] + before, args[6] + after
        node.args = tuple(args)


def _is_affine(node: Any) -> bool:
    """Whether a convolution scales and shifts each channel, as batch normalisation does."""
    if not isinstance(node, fx.Node) or node.target is not ops.conv:
        return False
    channels = node.meta["shape"][0]
    shape = node.args[1].meta["shape"]  # type: ignore[union-attr]
    return shape == (channels, 1, 1) and node.args[8] == channels and node.args[4:7] == (1, 0, 0)


def affine_into_layer(graph: fx.GraphModule, node: fx.Node) -> None:
    """A scale and shift per channel goes into the convolution or linear layer before it."""
    vector = node.target is ops.linear
    if not vector and not _is_affine(node):
        return
    before = node.args[0]
    if not _only_user(before, node) or before.target not in (  # type: ignore[union-attr]
        (ops.linear, ops.flat_linear) if vector else (ops.conv,)
    ):
        return
    skip, activation = (None, before.args[3]) if vector else (before.args[3], before.args[9])
    if skip is not None or activation != "none":
        return
    scale, shift = _tensor(graph, node.args[1]), _tensor(graph, node.args[2])
    if vector:
        if scale.shape[0] != scale.shape[1] or scale.count_nonzero() > len(scale):
            return
        scale = scale.diagonal()
    scale = scale.flatten()
    weight, bias = _tensor(graph, before.args[1]), _tensor(graph, before.args[2])
    scaled = weight.double() * scale.double()[:, None, None].reshape(-1, *[1] * (weight.ndim - 1))
    moved = shift if bias is None else (bias.double() * scale.double() + shift.double()).float()
    args = list(before.args)
    args[1] = _hold(graph, before, scaled.float())
    args[2] = _hold(graph, before, moved)
    before.args = tuple(args)
    node.replace_all_uses_with(before)


def sum_into_conv(graph: fx.GraphModule, node: fx.Node) -> None:
    """A sum goes into the later of its summands that is a bare convolution."""
    if node.target is not ops.add or len(node.meta["shape"]) != 2:
        return
    order = {known: at for at, known in enumerate(graph.graph.nodes)}
    for summand in sorted(node.args, key=order.__getitem__, reverse=True):  # type: ignore[arg-type]
        other = node.args[0] if summand is node.args[1] else node.args[1]
        bare = summand.target is ops.conv and summand.args[3] is None  # type: ignore[union-attr]
        if not bare or not _only_user(summand, node) or summand.args[9] != "none":  # type: ignore[union-attr]
            continue
        if other is summand or order[other] > order[summand]:  # type: ignore[index]
            continue
        args = list(summand.args)  # type: ignore[union-attr]
        args[3] = other
        summand.args = tuple(args)  # type: ignore[union-attr]
        node.replace_all_uses_with(summand)  # type: ignore[arg-type]
        return


def activation_into_layer(graph: fx.GraphModule, node: fx.Node) -> None:
    """An activation goes into the layer before it."""
    if node.target is not ops.activate:
        return
    place = {ops.conv: 9, ops.linear: 3, ops.flat_linear: 3}
    layer = node.args[0]
    if not _only_user(layer, node) or layer.target not in place:  # type: ignore[union-attr]
        return
    at = place[layer.target]  # type: ignore[union-attr,index]
    if layer.args[at] != "none":  # type: ignore[union-attr]
        return
    args = list(layer.args)  # type: ignore[union-attr]
    args[at], args[at + 1] = node.args[1], node.args[2]
    parameter = node.args[2]
    if isinstance(parameter, fx.Node):
        args[at + 1] = _hold(graph, layer, _tensor(graph, parameter))  # type: ignore[arg-type]
    layer.args = tuple(args)  # type: ignore[union-attr]
    node.replace_all_uses_with(layer)  # type: ignore[arg-type]


FUSIONS = (
    drop_round_trips,
    flatten_into_linear,
    pad_into_conv,
    affine_into_layer,
    sum_into_conv,
    activation_into_layer,
)
