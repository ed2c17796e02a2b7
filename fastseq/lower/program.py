"""A lowered graph becomes what runs on a device: codes in, scores out."""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from fastseq.lower import cpu, rows
from fastseq.lower.native import Layer

CODES = "codes"
aten = torch.ops.aten


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

    Native layers, and the operators of PyTorch that `rows` knows, give a sequence the same bits
    in any company. The last bits of the others depend on their shapes, so these alone get a batch
    filled up with zeros. The answer is of a whole batch, for what follows. One runner serves one
    call.
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
        layers = any(isinstance(part, Layer) for part in program.children())
        return layers and all(map(rows.keeps, called))

    def run_node(self, n: fx.Node) -> Any:
        """Run one node; fill up what it reads where it is an operator of PyTorch."""
        if n.op == "output":
            return map_arg(n.args[0], self._filled)
        if n.op != "call_function" or n not in self._by_rows or rows.rounds_alike(n):
            return super().run_node(n)
        args, kwargs = map_arg((n.args, n.kwargs), self._filled)
        count = len(self.env[next(node for node in n.all_input_nodes if node in self._by_rows)])
        return n.target(*args, **kwargs)[:count]  # type: ignore[operator]

    def _filled(self, node: fx.Node) -> Any:
        """Return a node's value, with rows of zeros up to the batch and its order in memory."""
        value = self.env[node]
        if node not in self._by_rows:
            return value
        sizes, strides = [self.batch, *value.shape[1:]], [0] * value.ndim
        step = 1
        for axis in sorted(range(value.ndim), key=lambda at: (value.stride(at), -at)):
            strides[axis], step = step, step * sizes[axis]
        whole = value.new_empty(0).new_empty_strided(sizes, strides)
        whole[: len(value)] = value
        whole[len(value) :] = 0
        return whole


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
    # the number of sequences is that of codes
    done = [
        user
        for user in codes.users
        if user.meta.get("reads codes") or user.target is aten.sym_size.int
    ]
    readers = [user for user in codes.users if user not in done]
    if not readers:
        return
    placed.add_submodule("expand", Expand(table))
    with placed.graph.inserting_after(codes):
        hot = placed.graph.call_module("expand", (codes,))
    hot.meta["shape"] = (table.shape[1], *codes.meta["shape"])
    hot.meta["how"] = "one look-up per base, channels last in memory"
    for reader in readers:
        reader.replace_input_with(codes, hot)
