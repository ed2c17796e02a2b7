"""How a plan runs, in lines for people to read."""

from typing import TYPE_CHECKING

from torch import fx

from fastseq.lower import ops

if TYPE_CHECKING:
    from fastseq.lower.plan import Plan


def explain(plan: "Plan") -> str:
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
        nodes = [node for node in plan.graph.graph.nodes if node.name in how]
        lines += [f"{_named(node)}  {words(node)}  {how[node.name]}" for node in nodes]
    else:
        if plan.device.type != "cpu":
            lines.append(f"conv2d on channels-last maps, no kernels: {'; '.join(plan.obstacles)}")
        placed = plan.program("+")
        lines += placed.meta.get("refusals", [])
        nodes = placed.graph.nodes
        lines += [_line(node) for node in nodes if node.op in ("call_function", "call_module")]
    affine = "" if plan.target_spec.slope == 1 else f"{plan.target_spec.slope:.6g} * "
    lines.append(
        f"output  {affine}{plan.target_spec.activation} + {plan.target_spec.offset:.6g} "
        f"({plan.target_spec.scale}): {', '.join(plan.target_spec.tasks)}"
    )
    return "\n".join(lines)


def explain_ism(plan: "Plan", edits: int) -> str:
    """Return which engine makes so many edits of a sequence, what it costs at least, and why."""
    if reasons := plan.not_incremental:
        return "\n".join([f"{edits} edits a sequence run in full", *reasons])
    engine = plan.delta_engine("+")
    pays = "as differences" if plan.incremental_pays(edits) else "in full"
    return "\n".join([f"{edits} edits a sequence run {pays}", *engine.explain(edits)])


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


def words(node: fx.Node) -> str:
    """Return what one node of a lowered graph computes, in words."""
    word = getattr(node.target, "__name__", str(node.target))
    if node.target is ops.conv:
        _, weight, _, skip, stride, _, _, dilation, groups, activation, _ = node.args
        word += f" of {weight.meta['shape'][2]}"  # type: ignore[union-attr]
        word += f", stride {stride}" if stride != 1 else ""
        word += f", dilation {dilation}" if dilation != 1 else ""
        word += f", {groups} groups" if groups != 1 else ""
        word += " + skip" if skip is not None else ""
    else:
        activation = next((arg for arg in node.args if arg in ops.ACTIVATIONS), "none")
    return word if activation == "none" else f"{word}, {activation}"
