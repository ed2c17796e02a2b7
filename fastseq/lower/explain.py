"""How a plan runs, in lines for people to read."""

from torch import fx

from fastseq.lower import ops
from fastseq.lower.chain import batch_sizes
from fastseq.lower.forward import Forward
from fastseq.lower.words import words


def explain(plan: Forward) -> str:
    """Return how each layer of a plan runs and why, one line each."""
    spec = plan.input_spec
    lines = [
        f"{plan.name}: {spec.length} bp ({spec.variable} variable), "
        f"{spec.channels} channels, {plan.precision} on {plan.device}, "
        f"micro-batches of {plan.micro_batch}",
    ]
    if plan.graph is None:
        lines.append(f"runs as it is in PyTorch, layer by layer: {plan.unlowered}")
        layers = plan.module.named_modules()
        lines += [f"{n or 'model'}  {type(m).__name__}" for n, m in layers if not any(m.children())]
    elif plan.on_kernels:
        how = plan.kernels("+", spec.variable).meta["how"]
        sizes = batch_sizes(plan.graph)
        nodes = [n for n in plan.graph.graph.nodes if n.name in how and n not in sizes]
        lines += [f"{_named(node)}  {words(node)}  {how[node.name]}" for node in nodes]
    else:
        if plan.device.type != "cpu":
            lines.append(f"conv2d on channels-last maps, no kernels: {'; '.join(plan.obstacles)}")
        placed = plan.program("+")
        lines += placed.meta.get("refusals", [])
        if plan.compiled:
            lines.append("what runs in PyTorch is compiled by inductor, its weights frozen")
        told = ("call_function", "call_module")
        sizes = batch_sizes(placed)
        nodes = (node for node in placed.graph.nodes if node.op in told and node not in sizes)
        lines += map(_line, nodes)
    affine = "" if plan.target_spec.slope == 1 else f"{plan.target_spec.slope:.6g} * "
    lines.append(
        f"output  {affine}{plan.target_spec.activation} + {plan.target_spec.offset:.6g} "
        f"({plan.target_spec.scale}): {', '.join(plan.target_spec.tasks)}"
    )
    return "\n".join(lines)


def explain_ism(edits: int, reasons: list[str], pays: bool, costs: list[str]) -> str:
    """Return which engine makes so many edits of a sequence, what it costs at least, and why.

    Parameters
    ----------
    edits : int
    reasons : list of str
        Why differences cannot be carried.
    pays : bool
        Whether differences are faster.
    costs : list of str
        What the engine of differences says of so many edits.
    """
    if reasons:
        return "\n".join([f"{edits} edits a sequence run in full", *reasons])
    how = "as differences" if pays else "in full"
    return "\n".join([f"{edits} edits a sequence run {how}", *costs])


def _line(node: fx.Node) -> str:
    """Return how one node of a program runs, as a line."""
    how = node.meta.get("how") or words(node)
    if why := node.meta.get("why"):
        how = (
            f"{how}  runs in PyTorch: {why}"
            if node.target is ops.conv
            else f"runs in PyTorch: {why}"
        )
    return f"{_named(node)}  {how}"


def _named(node: fx.Node) -> str:
    return f"{node.name}  {' x '.join(map(str, node.meta.get('shape', ())))}"
