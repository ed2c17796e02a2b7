"""Calls of a lowered graph are given to native layers on the CPU, by what follows them."""

from typing import Any

import torch
from torch import Tensor, fx

from fastseq._native import conv, cpu
from fastseq.lower import ops
from fastseq.lower.native import ACTIVATIONS, NARROW, Conv, Grouped, Layer, Stem
from fastseq.lower.words import words

aten = torch.ops.aten

# glibc gives freed memory back beyond twice the largest block that it has ever freed (mallopt(3)),
# and each page given back costs a fault in the next micro-batch: a ResNet of 110 bp ran at 87 us a
# sequence without them and at 143 us with them. A block four times as large as the widest
# activation of a micro-batch, freed once, keeps them all:
KEPT_BYTES = 1 << 24

IN_PLACE: dict[Any, Any] = {ops.add: aten.add_.Tensor, aten.mul.Tensor: aten.mul_.Tensor}


def refusals(dtype: torch.dtype) -> list[str]:
    """Return why native layers cannot run at all here, as sentences."""
    if cpu.current() == "portable":
        return ["the processor has no AVX2: convolutions run in oneDNN"]
    if dtype is torch.bfloat16 and not conv.has_bfloat16():
        return ["the processor multiplies no bfloat16: convolutions run in oneDNN"]
    return [] if dtype in NARROW else [f"native layers run no {dtype}"]


def take(placed: fx.GraphModule, codes: fx.Node, table: Tensor, dtype: torch.dtype) -> None:
    """Give convolutions, and the activations and pools that follow them, to native layers.

    The graph is changed in place. ``node.meta["how"]`` says how a taken node runs, ``"why"`` why a
    convolution was left to PyTorch.

    Parameters
    ----------
    placed : fx.GraphModule
        Over `fastseq.lower.ops`; its placeholder is the model's input.
    codes : fx.Node
        The placeholder; a first layer reads it as codes.
    table : float32, (5, channels)
        The input channels at each code.
    """
    torch.UntypedStorage(KEPT_BYTES)  # freed at once
    for node in list(placed.graph.nodes):
        if node.target is not ops.conv:
            continue
        made = _layer(placed, node, codes, table, dtype)
        if isinstance(made, str):
            node.meta["why"] = made
            continue
        layer, last, skip = made
        placed.add_submodule(node.name, layer)
        inputs = (node.args[0],) if skip is None else (node.args[0], skip)
        with placed.graph.inserting_before(last):
            call = placed.graph.call_module(node.name, inputs)
        call.meta |= {"shape": last.meta["shape"], "how": words(node) + layer.word()}
        call.meta["reads codes"] = isinstance(layer, Stem)
        last.replace_all_uses_with(call)
    placed.graph.eliminate_dead_code()
    for node in placed.graph.nodes:
        _in_place(node)


def _layer(
    placed: fx.GraphModule, node: fx.Node, codes: fx.Node, table: Tensor, dtype: torch.dtype
) -> tuple[Layer, fx.Node, Any] | str:
    """Return a convolution's layer, the last node it takes in, its skip; or why there is none."""
    arguments: list[Any] = [
        getattr(placed, str(arg.target)) if getattr(arg, "op", "") == "get_attr" else arg  # type: ignore[union-attr]
        for arg in node.args
    ]
    x, weight, bias, skip, stride, before, _, dilation, groups, activation, parameter = arguments
    (channels, length), (_, group, _) = node.meta["shape"], weight.shape
    pool, last = _pool_behind(node) if activation in ACTIVATIONS else (1, node)
    options: dict[str, Any] = {"stride": stride, "before": before, "activation": activation,
                               "parameter": parameter, "pool": pool, "dtype": dtype}  # fmt: skip
    if x is codes and groups == dilation == 1 and skip is None:
        return Stem(weight, bias, table, codes.meta["shape"][-1], length, **options), last, None
    _, length_in = (len(table.T), codes.meta["shape"][-1]) if x is codes else x.meta["shape"]
    options["dilation"] = dilation
    if groups == 1:
        if dtype is torch.bfloat16 and group % 2:
            return f"native bfloat16 wants an even number of channels, not {group}"
        late = None
        if skip is None and pool == 1 and activation in ACTIVATIONS:
            late, last = _summand_behind(node)
        layer = Conv(weight, bias, length_in, length, late=late is not None, **options)
        return layer, last, skip or late
    if group in (1, 2, 4) and channels == group * groups and skip is None:
        return Grouped(weight, bias, length_in, length, **options), last, None
    return f"{groups} groups of {group} channels in and {channels // groups} out run in oneDNN"


def _pool_behind(node: fx.Node) -> tuple[int, fx.Node]:
    """Return the width of the pool that alone reads a node, and the pool; else 1 and the node."""
    (user,) = node.users if len(node.users) == 1 else (None,)
    if user is not None and user.target is ops.max_pool:
        sizes: tuple[Any, ...] = user.args[1:]
        width, stride, before, after = sizes
        whole = user.meta["shape"][1] == node.meta["shape"][1] // width
        if width == stride and before == 0 and after <= 0 and whole:
            return width, user
    return 1, node


def _summand_behind(node: fx.Node) -> tuple[fx.Node | None, fx.Node]:
    """Return what alone is added to a node, and the sum; else None and the node."""
    (user,) = node.users if len(node.users) == 1 else (None,)
    if user is not None and user.target is ops.add and user.args[0] is not user.args[1]:
        x, y = user.args
        return (y if x is node else x), user  # type: ignore[return-value]
    return None, node


def _in_place(node: fx.Node) -> None:
    """Let a sum or product overwrite its first factor where nothing reads that any more."""
    into = IN_PLACE.get(node.target)
    source = node.args[0] if node.args else None
    if into is None or not isinstance(source, fx.Node) or source.op != "call_module":
        return
    if not all(_reads_only(user) for user in source.users):
        return
    if source.meta["shape"] == node.meta["shape"] and max(source.users) is node:
        node.meta["how"] = f"{words(node)}, in place"
        node.target = into


def _reads_only(user: fx.Node) -> bool:
    """Return whether an answer is no view of its inputs: a copied operator's may be one."""
    word = getattr(user.target, "__module__", "") == ops.__name__
    return user.op == "call_module" or word or user.target in (*IN_PLACE, *IN_PLACE.values())
