"""The rules of the kernels, a table: word of the vocabulary -> call of a kernel.

A rule takes the graph under construction and a node of the lowered one; it returns what the node
becomes, its neighbours taken in where one kernel computes them too, or a sentence that says why it
stays with PyTorch.
"""

from collections.abc import Callable
from typing import Any

import torch
from fastseq_kernels import reference, support
from torch import Tensor, fx
from torch.nn import functional as F

from fastseq.lower import kernel_gates, ops
from fastseq.lower.kernel_graph import KernelGraph, Made, arguments

aten = torch.ops.aten


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
    if isinstance(pair := _pair(low, node), Made):
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
    sizes = {"stride": given["stride"], "dilation": given["dilation"],
             "activation": shaped[0], "precision": low.precision,
             "pad_left": given["before"], "pad_right": given["after"]}  # fmt: skip
    if from_codes:
        return _first(low, weight, bias, shaped[1], sizes, pooled, pool)
    sizes |= {"groups": groups, "residual_first": skip is not None}
    packed, kept = reference.pack(weight).to(low.dtype), weight.shape[0]
    if groups == 1 and residual is None:
        packed, bias, shaped = _in_whole_rows(packed, bias, shaped)
    options = sizes | {"weight": packed, "slope": shaped[1], "bias": bias}
    if residual is not None:
        options["residual"] = (1, *node.meta["shape"][::-1])
    name = "depthwise_conv1d" if support.small_groups(packed.shape, groups) else "conv1d"
    if name == "conv1d":
        options["gate"] = low.gate_shape(x)
    if pool > 1 and (why := low.why_not(name, x.meta["shape"], **options, pool=pool)):
        low.left_out[pooled[-1]] = why
        pooled, pool = inside, 1
    if why := low.why_not(name, x.meta["shape"], **options, pool=pool):
        return "; ".join(filter(None, (pair, why)))
    map_, gate = low.gated(x) if name == "conv1d" else (low.nlc(x), None)
    beside = None if residual is None else low.nlc(residual)
    made = low.kernel(name, map_, packed, bias, shaped[1], beside, gate, **sizes, pool=pool)
    made = _channels(low, made, packed, kept)
    return low.took(pooled, Made(made, "nlc"), _words(name, pooled, gate, pair))


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


def _pair(low: KernelGraph, node: fx.Node) -> Made | str:
    """Return a residual block as one kernel, or why it is none, "" where it is no such block."""
    second = low.only_user(node)
    if second is None or not _block(node, second) or low.is_input(x := arguments(node)["x"]):
        return ""
    layers = arguments(node), arguments(second)
    weights = [reference.pack(low.tensor(given["weight"])) for given in layers]  # type: ignore[arg-type]
    channels, _ = x.meta["shape"]
    shaped = [low.activation(given, channels) for given in layers]
    if weights[0].shape != weights[1].shape or any(isinstance(found, str) for found in shaped):
        return ""
    (name, first), (_, last) = shaped
    packed = torch.stack(weights).to(low.dtype)
    slope = None if first is None else torch.stack([first, last])  # type: ignore[list-item]
    options = {"activation": name, "precision": low.precision}
    pool, after = _pooled(low.only_user(second)), [low.only_user(second)]
    given = options | {"weight": packed, "slope": slope}
    if pool > 1 and low.why_not("residual_pair", x.meta["shape"], **given, pool=pool):
        pool = 1
    if why := low.why_not("residual_pair", x.meta["shape"], **given, pool=pool):
        return why
    nodes = [node, second, *(after if pool > 1 else [])]
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
    given = options | {"weight": packed, "base": base, "slope": slope}
    if pool > 1 and (why := low.why_not("first_conv1d", (low.width,), **given, pool=pool)):
        low.left_out[nodes[-1]] = why
        nodes, pool = nodes[:-1], 1
    if why := low.why_not("first_conv1d", (low.width,), **given, pool=pool):
        return why
    made = low.kernel("first_conv1d", low.codes, packed, base, slope, **options, pool=pool)
    made = _channels(low, made, packed, kept)
    return low.took(nodes, Made(made, "nlc"), _words("first_conv1d", nodes, None))


def _words(name: str, nodes: list[fx.Node], gate: object, why: str = "") -> str:
    """Return a kernel, what it has taken in, and why it is not a larger one."""
    taken = [getattr(node.target, "__name__", "") for node in nodes[1:]]
    words = " + ".join([name, *(["gate"] if gate is not None else []), *taken])
    return f"{words}, one by one ({why})" if why else words


def _activate(low: KernelGraph, node: fx.Node) -> Made | str:
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    given = arguments(node)
    shaped = low.activation(given, node.meta["shape"][0])
    if isinstance(shaped, str):
        return shaped
    name, slope = shaped
    gate = low.gate_shape(given["x"])
    if why := low.why_not("pointwise", node.meta["shape"], gate=gate, slope=slope,
                          activation=name):  # fmt: skip
        return why
    made = low.kernel("pointwise", *low.gated(given["x"]), slope, None, activation=name)
    return low.took([node], Made(made, "nlc"), "pointwise")


def _add(low: KernelGraph, node: fx.Node) -> Made | str:
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    # the one that still wants its gate is scaled here
    x, y = sorted(node.args, key=lambda arg: low.gate_shape(arg) is None)  # type: ignore[arg-type]
    channels, length = node.meta["shape"]
    call = {"gate": low.gate_shape(x), "residual": (1, length, channels)}
    nodes, name, slope = [node], "none", None
    follower = low.only_user(node)
    if follower is not None and follower.target is ops.activate:
        shaped = low.activation(arguments(follower), channels)
        if not isinstance(shaped, str) and not low.why_not(
            "pointwise", node.meta["shape"], slope=shaped[1], activation=shaped[0], **call
        ):
            nodes, (name, slope) = [node, follower], shaped
    if why := low.why_not("pointwise", node.meta["shape"], slope=slope, activation=name, **call):
        return why
    (map_, gate), beside = low.gated(x), low.nlc(y)
    made = low.kernel("pointwise", map_, gate, slope, beside, activation=name,
                      residual_first=True)  # fmt: skip
    return low.took(nodes, Made(made, "nlc"), _words("pointwise", nodes, gate))


def _concat(low: KernelGraph, node: fx.Node) -> Made | str:
    (xs,) = node.args
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    made = low.call(aten.cat.default, [low.nlc(x) for x in xs], 2)
    low.how[node.name] = "PyTorch: a copy, channels last"
    return Made(made, "nlc")


def _linear(low: KernelGraph, node: fx.Node) -> Made | str:
    """A linear layer is a convolution of width one over one long row of vectors."""
    if isinstance(gate := kernel_gates.excite(low, node), Made):
        return gate
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
    if why := low.why_not("conv1d", (packed.shape[1], 1), dtype, weight=packed, bias=bias,
                          slope=shaped[1], activation=shaped[0]):  # fmt: skip
        return "; ".join(filter(None, (gate, why)))
    if flat:
        rows = low.call(aten.to.dtype, low.call(aten.flatten.using_ints, low.nlc(x), 1), dtype)
    else:
        rows = low.vector(x)
    made = low.kernel("conv1d", low.call(aten.unsqueeze.default, rows, 0), packed, bias, shaped[1],
                      activation=shaped[0])  # fmt: skip
    made = low.call(aten.to.dtype, low.call(aten.squeeze.dim, made, 0), torch.float32)
    words = _words("conv1d of width 1", [node], None, gate)
    return low.took([node], Made(made, "vector"), words)


def _max_pool(low: KernelGraph, node: fx.Node) -> str:
    return low.left_out.get(node, "windows overlap, or stand apart from what a kernel ends")


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
    ops.global_max: kernel_gates.squeeze,
    ops.global_mean: kernel_gates.squeeze,
    ops.linear: _linear,
    ops.flat_linear: _linear,
    aten.mul.Tensor: kernel_gates.gate,
    aten.flatten.using_ints: _flatten,
}
