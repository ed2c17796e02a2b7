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
from torch.nn import functional as F

from fastseq.lower import ops
from fastseq.lower.kernel_graph import KernelGraph, Made

aten = torch.ops.aten


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return a word's arguments by name, defaults where not given."""
    bound = signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    bound.apply_defaults()
    return bound.arguments


def _why_not(
    low: KernelGraph, op: str, x: tuple[int, ...], weight: Tensor | None = None,
    slope: Tensor | None = None, dtype: torch.dtype | None = None, **options: Any,
) -> list[str]:  # fmt: skip
    """Return why a kernel cannot take maps of ``x``, (channels, length), and a layer's weights."""
    name = "codes" if op == "first_conv1d" else "x"
    dtype = dtype or low.dtype
    shapes: dict[str, Any] = {name: (1, *x[::-1])}
    dtypes = {name: torch.uint8 if name == "codes" else dtype}
    if weight is not None:
        shapes["weight"], dtypes["weight"] = weight.shape, dtype
    if slope is not None:
        shapes["slope"] = slope.shape
    return support.reasons(op, shapes, dtypes, None, **options)


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
    if (pair := _pair(low, node)) is not None:
        return pair
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
    packed, kept = reference.pack(weight).to(low.dtype), weight.shape[0]
    if groups == 1 and residual is None:
        packed, bias, shaped = _in_whole_rows(packed, bias, shaped)
    why: list[str] = []
    for name in ("conv1d", "depthwise_conv1d"):
        for nodes, width in ((pooled, pool), (inside, 1))[: 2 if pool > 1 else 1]:
            found = _why_not(low, name, x.meta["shape"], packed, shaped[1], **options, pool=width)
            if found:
                why = why or found
                continue
            map_, gate = low.gated(x) if name == "conv1d" else (low.nlc(x), None)
            beside = None if residual is None else low.nlc(residual)
            made = low.kernel(name, map_, packed, bias, shaped[1], beside, gate, **options,
                              pool=width)  # fmt: skip
            made = _channels(low, made, packed, kept)
            return low.took(nodes, Made(made, "nlc"), _words(name, nodes, gate))
    return "; ".join(why)


def _in_whole_rows(
    packed: Tensor, bias: Tensor | None, shaped: tuple[str, Tensor | None]
) -> tuple[Tensor, Tensor | None, tuple[str, Tensor | None]]:
    """Return a layer with channels of zeros to whole 16 bytes, where these are few.

    Hopper's copy engine takes rows of whole 16 bytes; a matrix unit multiplies as many zeros
    anyway. `_channels` cuts them off again, which is a view.
    """
    c_out, unit = packed.shape[2], 16 // packed.element_size()
    extra = -c_out % unit
    if 4 * extra > c_out:
        return packed, bias, shaped
    name, slope = shaped
    slope = slope if slope is None else F.pad(slope, (0, extra))
    bias = bias if bias is None else F.pad(bias, (0, extra))
    return F.pad(packed, (0, extra)), bias, (name, slope)


def _channels(low: KernelGraph, made: fx.Node, packed: Tensor, kept: int) -> fx.Node:
    """Return a map without the channels that `_in_whole_rows` added."""
    return made if packed.shape[2] == kept else low.call(aten.slice.Tensor, made, 2, 0, kept)


def _block(node: fx.Node, second: fx.Node | None) -> bool:
    """Whether two convolutions are a residual block: alike, same-padded, around one skip."""
    if second is None or second.target is not ops.conv:
        return False
    first, last = arguments(node), arguments(second)
    around = last["x"] is node and last["skip"] is first["x"] and first["skip"] is None
    same = all(
        given["stride"] == given["dilation"] == given["groups"] == 1
        and given["before"] == given["after"]
        for given in (first, last)
    )
    alike = first["activation"] == last["activation"] and first["before"] == last["before"]
    return around and same and alike and first["x"].meta["shape"] == node.meta["shape"]


def _pair(low: KernelGraph, node: fx.Node) -> Made | None:
    """Return a residual block as one kernel, None where it is none or one too large for that."""
    second = low.only_user(node)
    if second is None or not _block(node, second) or low.is_input(x := arguments(node)["x"]):
        return None
    layers = arguments(node), arguments(second)
    weights = [reference.pack(low.tensor(given["weight"])) for given in layers]  # type: ignore[arg-type]
    channels, _ = x.meta["shape"]
    shaped = [low.activation(given, channels) for given in layers]
    if weights[0].shape != weights[1].shape or isinstance(shaped[0], str):
        return None
    packed = torch.stack(weights).to(low.dtype)
    slope = None if shaped[0][1] is None else torch.stack([slope for _, slope in shaped])  # type: ignore[misc]
    options = {"activation": shaped[0][0], "precision": low.precision}
    given = low, "residual_pair", x.meta["shape"], packed, slope
    pool = _pooled(low.only_user(second))
    pool = 1 if _why_not(*given, **options, pool=pool) else pool
    if _why_not(*given, **options, pool=pool):
        return None
    nodes = [node, second, *([low.only_user(second)] if pool > 1 else [])]
    biases = [low.tensor(given["bias"]) for given in layers]
    bias = torch.stack([packed.new_zeros(channels).float() if b is None else b for b in biases])
    made = low.kernel("residual_pair", low.nlc(x), packed, bias, slope, **options, pool=pool)
    return low.took(nodes, Made(made, "nlc"), _words("residual_pair", nodes, None))  # type: ignore[arg-type]


def _first(
    low: KernelGraph, weight: Tensor, bias: Tensor | None, slope: Any, options: dict[str, Any],
    nodes: list[fx.Node], pool: int,
) -> Made | str:  # fmt: skip
    packed, base, options = low.first_layer(weight, bias, **options)
    kept = packed.shape[2]
    packed, base, (_, slope) = _in_whole_rows(packed, base, (options["activation"], slope))
    options["positions"] = nodes[0].meta["shape"][1]
    given = low, "first_conv1d", (low.width,), packed, slope
    if pool > 1 and _why_not(*given, **options, pool=pool):
        nodes, pool = nodes[:-1], 1
    if found := _why_not(*given, **options, pool=pool):
        return "; ".join(found)
    made = low.kernel("first_conv1d", low.codes, packed, base, slope, **options, pool=pool)
    made = _channels(low, made, packed, kept)
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
    if found := _why_not(low, "pointwise", node.meta["shape"], None, shaped[1],
                         activation=shaped[0]):  # fmt: skip
        return "; ".join(found)
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
        if not isinstance(found, str) and not _why_not(
            low, "pointwise", node.meta["shape"], None, found[1], activation=found[0]
        ):
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
    if found := _why_not(low, "conv1d", (packed.shape[1], 1), packed, shaped[1], dtype,
                         activation=shaped[0]):  # fmt: skip
        return "; ".join(found)
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
