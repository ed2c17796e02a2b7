"""A lowered graph becomes what runs on a device: codes in, scores out."""

import math
from typing import Any

import torch
from torch import Tensor, fx, nn

from fastseq.lower import cpu, ops
from fastseq.lower.native import Layer

CODES = "codes"
aten = torch.ops.aten
# whose answers have a row for each sequence, first
BY_ROWS = {
    ops.conv, ops.activate, ops.add, ops.concat, ops.max_pool, ops.mean_pool, ops.global_max,
    ops.global_mean, ops.flat_linear, ops.linear, ops.zero_pad, aten.add_.Tensor, aten.mul.Tensor,
    aten.mul_.Tensor,
}  # fmt: skip
# the same where their first axis is beyond the rows
BY_ROWS_FROM_AXIS = {aten.unsqueeze.default, aten.flatten.using_ints}


class Expand(nn.Module):
    """One look-up per base: codes become the channels that the model was trained on."""

    def __init__(self, table: Tensor):
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", table)

    def forward(self, codes: Tensor) -> Tensor:
        hot = self.table.index_select(0, codes.reshape(-1).int())
        return hot.view(*codes.shape, -1).transpose(1, 2)


class Fewer(fx.Interpreter):
    """Runs a program over fewer sequences than its batch, with the bits of a whole one.

    Native layers give a sequence the same bits in any company. The last bits of PyTorch's
    operators depend on their shapes, so these alone get a batch filled up with zeros. The answer
    is of a whole batch, for what follows. One runner serves one call.
    """

    def __init__(self, program: fx.GraphModule, batch: int) -> None:
        super().__init__(program)
        self.batch = batch
        (codes,) = program.graph.find_nodes(op="placeholder")
        self._by_rows = {codes}
        for node in program.graph.nodes:
            if not self._by_rows.isdisjoint(node.all_input_nodes):
                self._by_rows.add(node)

    @staticmethod
    def runs(program: fx.GraphModule) -> bool:
        """Return whether every operator is known to keep a row for each sequence."""
        called = [node for node in program.graph.nodes if node.op == "call_function"]
        layers = [m for m in program.children() if isinstance(m, Layer)]
        return bool(layers) and all(map(_keeps_rows, called))

    def run_node(self, n: fx.Node) -> Any:
        """Run one node; fill up what it reads where it is an operator of PyTorch."""
        if n.op == "output":
            return fx.node.map_arg(n.args[0], self._filled)
        if n.op != "call_function" or n not in self._by_rows:
            return super().run_node(n)
        args, kwargs = fx.node.map_arg((n.args, n.kwargs), self._filled)
        rows = len(self.env[next(node for node in n.all_input_nodes if node in self._by_rows)])
        return n.target(*args, **kwargs)[:rows]  # type: ignore[operator]

    def _filled(self, node: fx.Node) -> Any:
        """Return a node's value, with rows of zeros up to the batch and its order in memory."""
        value = self.env[node]
        if node not in self._by_rows:
            return value
        strides = (math.prod(value.shape[1:]), *value.stride()[1:])
        whole = value.new_empty(0).new_empty_strided((self.batch, *value.shape[1:]), strides)
        whole[: len(value)] = value
        whole[len(value) :] = 0
        return whole


def _keeps_rows(node: fx.Node) -> bool:
    """Return whether an operator's answer surely has a row for each sequence, first."""
    if node.target in BY_ROWS_FROM_AXIS:
        return len(node.args) > 1 and node.args[1] >= 1  # type: ignore[operator]
    if node.target is aten.matmul.default:
        rows, factor = node.args
        return rows.op != "get_attr" and factor.op == "get_attr"  # type: ignore[union-attr]
    return node.target in BY_ROWS


def program(
    graph: fx.GraphModule, table: Tensor, *, device: torch.device, dtype: torch.dtype
) -> fx.GraphModule:
    """Return a lowered graph with each call given to the fastest code for it on a device.

    Parameters
    ----------
    graph : fx.GraphModule
        Over `fastseq.lower.ops`, in float32. It is not changed.
    table : float32, (5, channels)
        The input channels at each code, from the model's InputSpec.
    device, dtype
        Where and in what activations run.

    Returns
    -------
    fx.GraphModule
        Takes uint8 codes (n, length). ``node.meta["how"]`` says how a node runs where that is not
        PyTorch; ``meta["refusals"]`` of the graph module why nothing at all is native.
    """
    made = fx.Graph()
    made.output(made.graph_copy(graph.graph, {}))
    placed = fx.GraphModule(graph, made)
    (x,) = made.find_nodes(op="placeholder")
    x.name = x.target = CODES
    length = x.meta["shape"][1]
    x.meta["shape"] = (length,)
    if device.type == "cpu":
        placed.meta["refusals"] = cpu.refusals(dtype)
        if not placed.meta["refusals"]:
            cpu.take(placed, x, table, dtype)
    _expand_the_rest(placed, x, table)
    made.eliminate_dead_code()
    made.lint()
    placed.delete_all_unused_submodules()
    placed.recompile()
    return placed.to(device, dtype)


def _expand_the_rest(placed: fx.GraphModule, codes: fx.Node, table: Tensor) -> None:
    """Give the nodes that still read the model's input that input."""
    readers = [user for user in codes.users if not user.meta.get("reads codes")]
    if not readers:
        return
    placed.add_submodule("expand", Expand(table))
    with placed.graph.inserting_after(codes):
        hot = placed.graph.call_module("expand", (codes,))
    hot.meta["shape"] = (table.shape[1], *codes.meta["shape"])
    hot.meta["how"] = "one look-up per base, channels last in memory"
    for reader in readers:
        reader.replace_input_with(codes, hot)
