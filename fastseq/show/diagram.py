"""A plan as a picture: one box a step, from codes to answers, with what is fused in each."""

from typing import TYPE_CHECKING, Any

from fastseq._lazy import load
from fastseq.errors import ShapeError
from fastseq.show.canvas import BLUE, GREEN, GREY, ORANGE, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOX = (3.3, 0.34)
GAP = 0.16
ASIDE = 1.1
PER_COLUMN = 24
CALLS = ("call_function", "call_module")


def network_diagram(plan: Any, *, title: str = "") -> "Figure":
    """Return the steps of a lowered model as boxes from top to bottom, in columns where long.

    Parameters
    ----------
    plan : Plan
        What ``fastseq.lower`` returns. Blue runs as convolution, green is other lowered work,
        orange runs in PyTorch as it is; arcs at the side are skips and branches.

    Raises
    ------
    ShapeError
        The plan has no graph: it says why in ``plan.unlowered``.
    """
    if plan.graph is None:
        raise ShapeError(f"no steps to draw, the model runs as it is: {plan.unlowered}")
    steps = _steps(plan)
    names = list(steps)
    columns = -(-len(names) // PER_COLUMN)
    rows = -(-len(names) // columns)
    width, height = BOX
    figure = load("matplotlib.figure").Figure(
        figsize=(columns * (width + ASIDE) + 0.3, rows * (height + GAP) + 0.5), layout="constrained"
    )
    axes = figure.subplots()
    axes.set_axis_off()
    patches = load("matplotlib.patches")
    place = {
        name: ((at // rows) * (width + ASIDE), -(at % rows) * (height + GAP))
        for at, name in enumerate(names)
    }
    for name, (how, shape, color, _) in steps.items():
        x, y = place[name]
        axes.add_patch(
            patches.FancyBboxPatch(
                (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.05",
                facecolor=color, alpha=0.22, edgecolor=color, linewidth=1,
            )
        )  # fmt: skip
        axes.text(x + 0.08, y + height / 2, how, va="center", fontsize=7.5)
        axes.text(x + width - 0.08, y + height / 2, shape, va="center", ha="right", fontsize=7,
                  alpha=0.75)  # fmt: skip
    for at, name in enumerate(names):
        for source in steps[name][3]:
            _join(axes, patches, place[source], place[name], at - names.index(source))
    axes.set_xlim(-0.15, columns * (width + ASIDE))
    axes.set_ylim(-rows * (height + GAP) + GAP - 0.05, height + 0.1)
    axes.set_title(title or plan.name, fontsize="medium")
    return figure


def _steps(plan: Any) -> dict[str, tuple[str, str, str, list[str]]]:
    """Return for each step what runs, its shape, its colour, and the steps it takes."""
    spec, target = plan.input_spec, plan.target_spec
    told = dict(line.split("  ", 1) for line in plan.explain().splitlines() if "  " in line)
    steps = {"input": ("codes", f"{spec.channels} x {spec.length}", GREY, [])}
    graph = plan.graph if plan.on_kernels else plan.program("+")
    for node in graph.graph.nodes:
        if node.op in CALLS and node.name in told:
            shape, _, how = told[node.name].partition("  ")
            as_it_is = how.startswith("runs in PyTorch")
            word = str(getattr(node.target, "__name__", node.target)) if as_it_is else how
            word = word.partition(", native")[0].partition("  ")[0]
            color = ORANGE if as_it_is else BLUE if how.startswith("conv") else GREEN
            sources = _sources(node, steps) or ["input"]
            steps[node.name] = (shortened(word, 46), shape, color, sources)
    last = list(steps)[-1]
    steps["output"] = (f"{target.activation}, {target.scale}", ", ".join(target.tasks[:3]), GREY,
                       [last])  # fmt: skip
    return steps


def _sources(node: Any, steps: dict) -> list[str]:
    """Return the steps a node takes, through nodes that are none."""
    found: list[str] = []
    for source in node.all_input_nodes:
        if source.op in CALLS:
            found += [source.name] if source.name in steps else _sources(source, steps)
    return list(dict.fromkeys(found))


def _join(
    axes: Any, patches: Any, start: tuple[float, float], end: tuple[float, float], apart: int
) -> None:
    """Draw an arrow to the next box, or an arc along the side past those between."""
    width, height = BOX
    style = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.8, "color": GREY,
             "shrinkA": 0, "shrinkB": 0}  # fmt: skip
    if start[0] == end[0] and apart == 1:
        ends = (start[0] + width / 2, start[1]), (end[0] + width / 2, end[1] + height)
        axes.add_patch(patches.FancyArrowPatch(*ends, **style))
        return
    right = start[0] + width
    if start[0] == end[0]:
        bend = -min(0.5, 0.9 / (apart * (height + GAP)))
        ends = (right, start[1] + height / 2), (right, end[1] + height / 2)
        axes.add_patch(patches.FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={bend}", **style))
        return
    # to another column: up between the two, each on a rail of its own
    rail = right + 0.55 + 0.06 * (apart % 8)
    corners = [(right, start[1]), (rail, start[1]), (rail, end[1]), end]
    path = load("matplotlib.path").Path([(x, y + height / 2) for x, y in corners])
    axes.add_patch(patches.FancyArrowPatch(path=path, **style))
