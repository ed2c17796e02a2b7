"""Rules of the kernels for squeeze-excite: what spans a map, and the gates that are made of it."""

from typing import Any

import torch
from torch import Tensor, fx

from fastseq.lower import ops
from fastseq.lower.kernel_graph import KernelGraph, Made, arguments

aten = torch.ops.aten


def squeeze(low: KernelGraph, node: fx.Node) -> Made | str:
    """The mean or the largest value over all positions."""
    x: Any = node.args[0]
    options = {"largest": node.target is ops.global_max}
    if why := low.why_not("squeeze", x.meta["shape"], **options):
        return why
    return low.took([node], Made(low.kernel("squeeze", low.nlc(x), **options), "vector"), "squeeze")


def excite(low: KernelGraph, first: fx.Node) -> Made | str:
    """A gate made of what spans a map, by its first layer; "" where that begins no gate."""
    spanned: Any = first.args[0]
    if spanned.target not in (ops.global_mean, ops.global_max):
        return ""
    layers = _plain(low, first) or _bilinear(low, first)
    if not layers:
        return ""
    nodes, tensors = layers
    options = {"activation": arguments(first)["activation"]}
    if why := low.why_not("excite", spanned.meta["shape"], torch.float32, **tensors, **options):
        return why
    # the operator's own order
    made = low.kernel("excite", low.vector(spanned), *tensors.values(), **options)
    return low.took([first, *nodes], Made(made, "vector"), "excite")


Layers = tuple[list[fx.Node], dict[str, Tensor | None]]


def _plain(low: KernelGraph, first: fx.Node) -> Layers | None:
    """Return the nodes behind the first and the tensors of a gate of two layers."""
    last = _linear(low.only_user(first), "sigmoid")
    if last is None:
        return None
    return [last], _weights(low, reduce=first, expand=last)


def _bilinear(low: KernelGraph, first: fx.Node) -> Layers | None:
    """Return the same of a gate that also sees products of the squeezed features."""
    mix = _linear(low.only_user(first), "none")
    if mix is None:
        return None
    sides = [user for user in mix.users if _factor(low, user) is not None]
    if len(sides) != 2 or len(mix.users) != 3:
        return None
    both = _behind(low, sides[0], aten.mul.Tensor)
    if both is None or {*both.args} != {*sides}:
        return None
    combine, tensors = _composed(low, both)
    joined = _behind(low, (combine or [None])[-1], ops.concat)
    shaped = _behind(low, joined, ops.activate)
    last = _linear(None if shaped is None else low.only_user(shaped), "sigmoid")
    if joined is None or shaped is None or last is None:
        return None
    alike = all(arguments(shaped)[name] == arguments(first)[name]
                for name in ("activation", "parameter"))  # fmt: skip
    if list(joined.args[0]) != [mix, combine[-1]] or not alike:  # type: ignore[arg-type]
        return None
    found = _weights(low, reduce=first, expand=last, mix=mix)
    found |= {name: _factor(low, side) for name, side in zip(("left", "right"), sides)} | tensors
    return [mix, *sides, both, *combine, joined, shaped, last], found


def _composed(low: KernelGraph, node: fx.Node) -> Layers:
    """Return linear layers and constant factors behind a node, and what they amount to."""
    nodes: list[fx.Node] = []
    matrix: Tensor | None = None
    shift: Tensor | None = None
    while (behind := low.only_user(node)) is not None:
        if _linear(behind, "none") is not None:
            layer = _weights(low, this=behind)
            weight, bias = layer["this"], layer["this_bias"]
        elif (factor := _factors(low, behind)) is not None:
            weight, bias = torch.diag(factor), None
        else:
            break
        assert weight is not None
        matrix = weight if matrix is None else matrix @ weight
        moved = None if shift is None else shift @ weight
        shift = bias if moved is None else moved if bias is None else moved + bias
        nodes, node = [*nodes, behind], behind
    return nodes, {"combine": matrix, "combine_bias": shift}


def _factors(low: KernelGraph, node: fx.Node) -> Tensor | None:
    """Return the constant, one number a feature, that a node multiplies with."""
    if node.target is not aten.mul.Tensor or getattr(node.args[1], "op", "") != "get_attr":
        return None
    found: Any = low.tensor(node.args[1])  # type: ignore[arg-type]
    return found if found.shape == node.meta["shape"] else None


def _behind(low: KernelGraph, node: fx.Node | None, target: Any) -> fx.Node | None:
    """Return the only reader of a node, where that is such a call."""
    user = None if node is None else low.only_user(node)
    return user if user is not None and user.target is target else None


def _linear(node: fx.Node | None, activation: str) -> fx.Node | None:
    """Return a node where it is a linear layer with this activation."""
    if node is None or node.target is not ops.linear:
        return None
    return node if arguments(node)["activation"] == activation else None


def _weights(low: KernelGraph, **layers: fx.Node) -> dict[str, Tensor | None]:
    """Return weights (in, out) and biases of linear layers by the operator's names."""
    found: dict[str, Tensor | None] = {}
    for name, node in layers.items():
        given = arguments(node)
        weight = low.tensor(given["weight"])
        assert weight is not None
        found |= {name: weight.T.contiguous(), f"{name}_bias": low.tensor(given["bias"])}
    return found


def _factor(low: KernelGraph, node: fx.Node) -> Tensor | None:
    """Return the matrix (in, out) of a product without a bias."""
    if node.target in (aten.matmul.default, aten.mm.default):
        matrix: Any = node.args[1]
        return low.tensor(matrix) if matrix.op == "get_attr" else None
    if _linear(node, "none") is None or arguments(node)["bias"] is not None:
        return None
    return _weights(low, side=node)["side"]


def gate(low: KernelGraph, node: fx.Node) -> Made | str:
    """A map times a vector that was given an axis of one position."""
    for x, other in (node.args, node.args[::-1]):
        spread = isinstance(other, fx.Node) and other.target is aten.unsqueeze.default
        if not spread or len(getattr(x, "meta", {}).get("shape", ())) != 2:
            continue
        given: Any = other.args[0]
        if x.meta["shape"] == node.meta["shape"] and given.meta["shape"] == x.meta["shape"][:1]:
            made = Made(low.nlc(x), "nlc", low.vector(given))
            low.how[other.name] = f"inside {node.name}"
            return low.took([node], made, "gate, applied where the map is read next")
    return "the product is not of a map and a gate"
