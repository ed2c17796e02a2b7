"""A lowered graph as calls of the GPU kernels; what none of them takes stays with PyTorch."""

import torch
from fastseq_kernels import support
from torch import fx

from fastseq._lazy import load
from fastseq.lower import ops
from fastseq.lower.kernel_graph import KernelGraph, Precision, integral
from fastseq.lower.kernel_rules import RULES
from fastseq.models.specs import InputSpec, Strand

FILES = ("block", "conv", "depthwise", "first_conv", "squeeze_excite")


def obstacles(device: torch.device) -> list[str]:
    """Return why no kernel runs on a device, as sentences; nothing where they do."""
    return list(support.machine(device))


def onto_kernels(
    lowered: fx.GraphModule,
    spec: InputSpec,
    strand: Strand,
    width: int,
    precision: Precision,
    *,
    rest: torch.dtype | None = None,
) -> fx.GraphModule:
    """Return a lowered graph over codes, its words as kernels where one takes them.

    Parameters
    ----------
    lowered : fx.GraphModule
        Calls of `fastseq.lower.ops` or of PyTorch; float32 constants.
    spec : InputSpec
        Its flanks, strand and flag channels and unknown bases are folded into the first layer.
    strand : {"+", "-"}
        "-" reads the codes backwards and answers in the orientation of the reverse complement.
    width : int
        Codes of a row: the spec's variable part, or its full length.
    precision : {"float32", "tf32", "float16", "bfloat16"}
        How maps are stored and multiplied; sums and vectors are float32.
    rest : torch.dtype, optional
        In which type operators run that have no word; that of maps where not given.

    Returns
    -------
    fx.GraphModule
        uint8 codes (n, width) to the graph's answer. ``meta["how"]`` maps each node of the lowered
        graph to how it runs, in words; ``meta["foreign"]`` lists those that have no word and may
        answer a row in other last bits in another batch.
    """
    for file in FILES:  # which defines the operators, and needs Triton
        load(f"fastseq_kernels.{file}")
    made = KernelGraph(lowered, spec, strand, width, precision, rest)
    for node in lowered.graph.nodes:
        _translate(made, node)
    made.graph.eliminate_dead_code()
    program = fx.GraphModule(made.root, made.graph)
    program.graph.lint()
    program.meta |= {"how": made.how, "foreign": made.foreign}
    return program


def ready(
    lowered: fx.GraphModule, spec: InputSpec, strand: Strand, width: int, precision: Precision,
    device: torch.device,
) -> fx.GraphModule:  # fmt: skip
    """Return `onto_kernels` on its device; operators that refuse half precision run in float32."""
    program = onto_kernels(lowered, spec, strand, width, precision).to(device)
    if not program.meta["foreign"] or precision in ("float32", "tf32"):
        return program
    try:
        with torch.inference_mode():
            program(torch.zeros(1, width, dtype=torch.uint8, device=device))
        return program
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
    whole = onto_kernels(lowered, spec, strand, width, precision, rest=torch.float32).to(device)
    for node in whole.meta["foreign"]:
        whole.meta["how"][node] += f", in float32 ({why})"
    return whole


def _translate(low: KernelGraph, node: fx.Node) -> None:
    """Add what a node of the lowered graph becomes, unless an earlier node has taken it in."""
    if node.op == "placeholder":
        low.codes = low.graph.placeholder("codes")
    elif node.op == "call_function" and node not in low.values:
        rule = RULES.get(node.target)  # type: ignore[arg-type]
        whole = any(map(integral, node.all_input_nodes))
        found = rule(low, node) if rule and not whole else "no kernel computes it"
        if isinstance(found, str):
            way = "PyTorch, conv2d channels-last" if node.target is ops.conv else "PyTorch"
            low.how[node.name] = f"{way}: {found}"
            found = low.by_pytorch(node)
        low.values[node] = found
    elif node.op == "output":
        (answer,) = node.args
        made = low.made(answer)
        whole = low.ncl(answer) if made.layout == "nlc" or made.gate else made.node
        low.graph.output(whole)
