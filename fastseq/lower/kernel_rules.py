"""The rules of the kernels, a table: word of the vocabulary -> call of a kernel.

A rule takes the graph under construction and a node of the lowered one; it returns what the node
becomes, its neighbours taken in where one kernel computes them too, or a sentence that says why it
stays with PyTorch.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from fastseq_kernels import reference, support
from torch import Tensor, fx

from fastseq.lower import ops
from fastseq.lower.kernel_graph import KernelGraph, Made

aten = torch.ops.aten


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return a word's arguments by name, defaults where not given."""
    bound = signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    bound.apply_defaults()
    return bound.arguments


def _pooled(node: fx.Node | None) -> int:
    """Return the width of a pool of windows side by side, 1 where it is none such."""
    if node is None or node.target is not ops.max_pool:
        return 1
    given = arguments(node)
    width, kept = given["width"], node.meta["shape"][1]
    aligned = width == given["stride"] and given["before"] == 0
    return width if aligned and kept == given["x"].meta["shape"][1] // width else 1


def _conv(low: KernelGraph, node: fx.Node) -> Made | str:
    given = arguments(node)
    x, skip, groups = given["x"], given["skip"], given["groups"]
    weight, bias = low.tensor(given["weight"]), low.tensor(given["bias"])
    shaped = low.activation(given, node.meta["shape"][0])
    if isinstance(shaped, str):
        return shaped
    from_codes = low.is_input(x) and groups == 1 and skip is None
    inside, residual = [node], skip
    after_sum = low.only_user(node)
    if not from_codes and skip is None and after_sum and after_sum.target is ops.add:
        other = next((arg for arg in after_sum.args if arg is not node), None)
        if other in low.values and len(node.meta["shape"]) == 2:
            inside, residual = [node, after_sum], other
    pool = _pooled(low.only_user(inside[-1]))
    pooled = [*inside, low.only_user(inside[-1])] if pool > 1 else inside
    options = {"stride": given["stride"], "dilation": given["dilation"],
               "activation": shaped[0], "precision": low.precision,
               "pad_left": given["before"], "pad_right": given["after"]}  # fmt: skip
    if from_codes:
        return _first(low, weight, bias, shaped[1], options, pooled, pool)
    options |= {"groups": groups, "residual_first": skip is not None}
    channels, length = x.meta["shape"]
    packed = reference.pack(weight).to(low.dtype)
    shapes = {"x": (1, length, channels), "weight": packed.shape}
    dtypes = {"x": low.dtype, "weight": low.dtype}
    why: list[str] = []
    for name in ("conv1d", "depthwise_conv1d"):
        for nodes, width in ((pooled, pool), (inside, 1))[: 2 if pool > 1 else 1]:
            found = support.reasons(name, shapes, dtypes, None, **options, pool=width)
            if found:
                why = why or found
                continue
            map_, gate = low.gated(x) if name == "conv1d" else (low.nlc(x), None)
            beside = None if residual is None else low.nlc(residual)
            made = low.kernel(name, map_, packed, bias, shaped[1], beside, gate, **options,
                              pool=width)  # fmt: skip
            return low.took(nodes, Made(made, "nlc"), _words(name, nodes, gate))
    return "; ".join(why)


def _first(
    low: KernelGraph, weight: Tensor, bias: Tensor | None, slope: Any, options: dict[str, Any],
    nodes: list[fx.Node], pool: int,
) -> Made | str:  # fmt: skip
    packed, base, options = low.first_layer(weight, bias, **options)
    options["positions"] = nodes[0].meta["shape"][1]
    shapes = {"codes": (1, low.width), "weight": packed.shape}
    dtypes = {"codes": torch.uint8, "weight": low.dtype}
    if pool > 1 and support.reasons("first_conv1d", shapes, dtypes, None, **options, pool=pool):
        nodes, pool = nodes[:-1], 1
    if found := support.reasons("first_conv1d", shapes, dtypes, None, **options, pool=pool):
        return "; ".join(found)
    made = low.kernel("first_conv1d", low.codes, packed, base, slope, **options, pool=pool)
    return low.took(nodes, Made(made, "nlc"), _words("first_conv1d", nodes, None))


def _words(name: str, nodes: list[fx.Node], gate: object) -> str:
    taken = [getattr(node.target, "__name__", "") for node in nodes[1:]]
    return " + ".join([name, *(["gate"] if gate is not None else []), *taken])


def _activate(low: KernelGraph, node: fx.Node) -> Made | str:
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    shaped = low.activation(given := arguments(node), node.meta["shape"][0])
    if isinstance(shaped, str):
        return shaped
    map_, gate = low.gated(given["x"])
    made = low.kernel("pointwise", map_, gate, shaped[1], None, activation=shaped[0])
    return low.took([node], Made(made, "nlc"), "pointwise")


def _add(low: KernelGraph, node: fx.Node) -> Made | str:
    x, y = node.args
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    (map_, gate), beside = low.gated(x), low.nlc(y)
    follower = low.only_user(node)
    nodes, shaped = [node], ("none", None)
    if follower is not None and follower.target is ops.activate:
        found = low.activation(arguments(follower), node.meta["shape"][0])
        if not isinstance(found, str):
            nodes, shaped = [node, follower], found
    made = low.kernel("pointwise", map_, gate, shaped[1], beside, activation=shaped[0],
                      residual_first=True)  # fmt: skip
    return low.took(nodes, Made(made, "nlc"), _words("pointwise", nodes, gate))


def _gate(low: KernelGraph, node: fx.Node) -> Made | str:
    """A map times a vector that was given an axis of one position."""
    for x, other in (node.args, node.args[::-1]):
        spread = isinstance(other, fx.Node) and other.target is aten.unsqueeze.default
        if not spread or len(getattr(x, "meta", {}).get("shape", ())) != 2:
            continue
        gate = other.args[0]
        if x.meta["shape"] == node.meta["shape"] and gate.meta["shape"] == x.meta["shape"][:1]:
            made = Made(low.nlc(x), "nlc", low.vector(gate))
            low.how[other.name] = f"inside {node.name}"
            return low.took([node], made, "gate, applied where the map is read next")
    return "the product is not of a map and a gate"


def _concat(low: KernelGraph, node: fx.Node) -> Made | str:
    (xs,) = node.args
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    made = low.call(aten.cat.default, [low.nlc(x) for x in xs], 2)
    low.how[node.name] = "PyTorch: a copy, channels last"
    return Made(made, "nlc")


def _global_mean(low: KernelGraph, node: fx.Node) -> Made | str:
    made = Made(low.kernel("squeeze", low.nlc(node.args[0])), "vector")  # type: ignore[arg-type]
    return low.took([node], made, "squeeze")


def _linear(low: KernelGraph, node: fx.Node) -> Made | str:
    """A linear layer is a convolution of width one over one long row of vectors."""
    given = arguments(node)
    x, weight, bias = given["x"], low.tensor(given["weight"]), low.tensor(given["bias"])
    flat = node.target is ops.flat_linear
    shaped = low.activation(given, node.meta["shape"][0])
    if isinstance(shaped, str):
        return shaped
    # what answers is not rounded to half precision
    last = any(user.op == "output" for user in node.users)
    dtype = low.dtype if flat and not last else torch.float32
    packed = weight.flatten(1).T[None].to(dtype).contiguous()
    if flat:
        rows = low.call(aten.to.dtype, low.call(aten.flatten.using_ints, low.nlc(x), 1), dtype)
    else:
        rows = low.vector(x)
    made = low.kernel("conv1d", low.call(aten.unsqueeze.default, rows, 0), packed, bias, shaped[1],
                      activation=shaped[0])  # fmt: skip
    made = low.call(aten.to.dtype, low.call(aten.squeeze.dim, made, 0), torch.float32)
    return low.took([node], Made(made, "vector"), "conv1d of width 1")


def _max_pool(low: KernelGraph, node: fx.Node) -> str:
    return "windows overlap, or stand apart from what a kernel ends"


def _global_max(low: KernelGraph, node: fx.Node) -> str:
    return "one read of the map, which PyTorch does as well"


def _flatten(low: KernelGraph, node: fx.Node) -> Made | str:
    x: Any = node.args[0]
    same = node.meta["shape"] == x.meta.get("shape")
    return low.made(x) if same else "a copy in the order of the head's weights"


RULES: dict[Any, Callable[[KernelGraph, fx.Node], Made | str]] = {
    ops.conv: _conv,
    ops.activate: _activate,
    ops.add: _add,
    ops.concat: _concat,
    ops.max_pool: _max_pool,
    ops.global_max: _global_max,
    ops.global_mean: _global_mean,
    ops.linear: _linear,
    ops.flat_linear: _linear,
    aten.mul.Tensor: _gate,
    aten.flatten.using_ints: _flatten,
}
