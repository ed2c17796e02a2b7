"""What is known of operators that see several sequences at once: one row each, and its bits."""

import operator
from typing import Any

import torch
from torch import fx

from fastseq.lower import ops

aten = torch.ops.aten

# where an operator's axes stand among its arguments
AXES = {
    aten.transpose.int: (1, 2), aten.permute.default: (), aten.unsqueeze.default: (1,),
    aten.squeeze.dim: (1,), aten.flatten.using_ints: (1,), aten.unflatten.int: (1,),
    aten.select.int: (1,), aten.slice.Tensor: (1,), aten.flip.default: (1,),
    aten.chunk.default: (2,), aten.cat.default: (1,), aten.softmax.int: (1,),
    aten.sum.dim_IntList: (1,), aten.mean.dim: (1,), aten.gather.default: (1,),
}  # fmt: skip
# whose arguments say how many rows there are to be
SIZED = {
    aten.reshape.default: 1, aten.expand.default: 1, aten.new_zeros.default: 1,
    aten.zeros.default: 0,
}  # fmt: skip
# moves, single roundings, and sums over one sequence in an order of its own
ROUND_ALIKE = {
    ops.add, ops.shift, ops.concat, ops.zero_pad, ops.max_pool, ops.global_max, operator.getitem,
    aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.rsub.Scalar, aten.mul.Tensor,
    aten.mul_.Tensor, aten.div.Tensor, aten.neg.default, aten.abs.default, aten.relu.default,
    aten.zeros_like.default, aten.expand_as.default, aten.sym_size.int, aten.layer_norm.default,
    aten.scaled_dot_product_attention.default,
}  # fmt: skip
# last bits that depend on how many rows there are
ROUND_BY_SHAPE = {
    ops.conv, ops.activate, ops.mean_pool, ops.global_mean, ops.flat_linear, ops.linear,
    aten.linear.default, aten.softmax.int, aten.sum.dim_IntList, aten.mean.dim,
    aten.conv_transpose1d.default, aten.matmul.default,
}  # fmt: skip


def keeps(node: fx.Node) -> bool:
    """Return whether an operator's answer surely has a row for each sequence, first."""
    if node.target in AXES:
        return _leaves_first_axis(node)
    if node.target in SIZED:
        size: Any = node.args[SIZED[node.target]]  # type: ignore[index]
        counts = [getattr(part, "target", None) is aten.sym_size.int for part in size]
        return counts[:1] == [True]
    if node.target is aten.matmul.default:
        rows, factor = node.args
        ranks = [len(part.meta.get("shape", ())) for part in node.all_input_nodes]
        each = min(ranks) >= 2  # a product for every sequence
        return each or (rows.op != "get_attr" and factor.op == "get_attr")  # type: ignore[union-attr]
    return node.target in ROUND_ALIKE or node.target in ROUND_BY_SHAPE


def rounds_alike(node: fx.Node) -> bool:
    """Return whether an operator that `keeps` rows gives each the same bits in any batch."""
    if node.target is ops.activate:
        return node.args[1] in ("relu", "leaky_relu", "prelu")
    moves = node.target in AXES or node.target in SIZED
    return (moves or node.target in ROUND_ALIKE) and node.target not in ROUND_BY_SHAPE


def _leaves_first_axis(node: fx.Node) -> bool:
    if node.target is aten.permute.default:
        return node.args[1][0] == 0  # type: ignore[index]
    source = node.all_input_nodes[0]
    if "shape" not in source.meta:
        return False
    rank = 1 + len(source.meta["shape"]) + (node.target is aten.unsqueeze.default)
    for at in AXES[node.target]:  # type: ignore[index]
        axes: Any = node.args[at] if at < len(node.args) else 0
        if any(axis % rank == 0 for axis in (axes if isinstance(axes, list | tuple) else [axes])):
            return False
    return True
