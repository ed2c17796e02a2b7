"""A lowered graph becomes what runs on a device: codes in, scores out."""

import torch
from torch import Tensor, fx, nn

from fastseq.lower import cpu

CODES = "codes"


class Expand(nn.Module):
    """One look-up per base: codes become the channels that the model was trained on."""

    def __init__(self, table: Tensor):
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", table)

    def forward(self, codes: Tensor) -> Tensor:
        hot = self.table.index_select(0, codes.reshape(-1).int())
        return hot.view(*codes.shape, -1).transpose(1, 2)


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
