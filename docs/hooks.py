"""What pages hold besides their text: tables and references, made from the code."""

import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import fastseq
from benchmarks import page as benchmarks_page
from docs import gallery
from fastseq import show
from fastseq.cli.main import VERBS, main
from fastseq.learn.subsets import WEIGHTS

ROOT = Path(__file__).parents[1]
FINDINGS = ROOT / "benchmarks" / "reliability" / "findings"
# what public functions return, and tools beside them
RESULTS = (
    "fastseq.lower.plan.Plan",
    "fastseq.score.explained.ISMResult",
    "fastseq.score.explained.Attributions",
    "fastseq.score.perturb.Perturbations",
    "fastseq.score.marginalize.Marginalization",
    "fastseq.score.ablate.Ablations",
    "fastseq.score.epistasis.Epistasis",
    "fastseq.reliability.result.KLDResult",
    "fastseq.reliability.length_weights.LengthWeights",
    "fastseq.learn.evaluate.DreamScore",
    "fastseq.learn.train.TrainResult",
    "fastseq.learn.recipes.Recipe",
    "fastseq.learn.recipes.Stage",
    "fastseq.sequence.simulate.MotifTask",
    "fastseq.sequence.motifs.Motif",
)
TOOLS = (
    "fastseq.learn.genome.from_genome",
    "fastseq.learn.subsets.read_subsets",
    "fastseq.learn.ensemble.fit_ensemble",
    "fastseq.sequence.tokens.tokenize",
    "fastseq.sequence.motifs.jaspar",
    "fastseq.sequence.motifs.read_motifs",
    "fastseq.sequence.motifs.format_motifs",
    "fastseq.io.maps.read_maps",
    "fastseq.io.maps.write_maps",
    "fastseq.io.maps.write_modisco",
    "fastseq.io.map_shards.read_shards",
    "fastseq.io.map_shards.each_shard",
    "fastseq.io.results.read_results",
    "fastseq.show.report.report",
    "fastseq.show.report.Section",
)


def on_pre_build(config: Any) -> None:
    """Draw the benchmarks page anew from the committed results."""
    benchmarks_page.write()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is made from the code in place of its comment."""
    for name, make in MADE.items():
        comment = f"<!-- {name} -->"
        if comment in markdown:
            markdown = markdown.replace(comment, "\n".join(make()))
    return markdown


def models() -> Iterator[str]:
    """Yield the table of models."""
    yield "| name | parameters | what it is | source | licence of the idea |"
    yield "|---|--:|---|---|---|"
    for e in fastseq.models.list():
        parameters = f"{e.parameters:,}" if e.parameters else "grown"
        yield f"| `{e.name}` | {parameters} | {e.summary} | {e.source} | {e.licence} |"


def subsets() -> Iterator[str]:
    """Yield the subsets of the challenge and their weights."""
    yield "| subset | weight |"
    yield "|---|--:|"
    yield from (f"| {name.replace('_', ' ')} | {weight:g} |" for name, weight in WEIGHTS.items())


def study() -> Iterator[str]:
    """Yield what each study found, group by group."""
    yield "| study | group | models | metric | Spearman with SNR |"
    yield "|---|---|--:|---|---|"
    for path in sorted(FINDINGS.glob("*.json")):
        for group, held in json.loads(path.read_text())["groups"].items():
            for metric, v in held.get("spearman with SNR", {}).items():
                interval = f"{v['value']:.2f} [{v['low']:.2f}, {v['high']:.2f}]"
                yield f"| {path.stem} | {group} | {held['models']} | {metric} | {interval} |"


def commands() -> Iterator[str]:
    """Yield the help of every verb."""
    with click.Context(main, info_name="fastseq") as root:
        for verb in VERBS:
            command = main.get_command(root, verb)
            yield from _help(command, click.Context(command, root, info_name=verb))


def _help(command: Any, context: click.Context, depth: int = 2) -> Iterator[str]:
    context.max_content_width = 92
    yield f"{'#' * depth} {context.command_path}\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _help(inner, click.Context(inner, context, info_name=name), depth + 1)


def api() -> Iterator[str]:
    """Yield a reference for every public name, at the place that defines it."""
    groups = {
        "fastseq": [_home(fastseq, n) for n in fastseq.__all__ if n not in ("models", "show")],
        "fastseq.models": [_home(fastseq.models, name) for name in fastseq.models.__all__],
        "fastseq.show": [_home(show, name) for name in show.__all__],
        "Results and settings": RESULTS,
        "Rows, motifs, maps and reports": TOOLS,
        "Errors": ["fastseq.errors"],
    }
    for title, names in groups.items():
        yield f"## {title}\n"
        for name in names:
            yield f"::: {_existing(name)}\n"


def _home(package: Any, name: str) -> str:
    """Return the full name under which a public object is defined."""
    found = getattr(package, name)
    if inspect.ismodule(found):
        found = getattr(found, name)
    return f"{found.__module__}.{found.__qualname__}"


def _existing(name: str) -> str:
    """Return the name, having made sure that there is such an object."""
    module, _, last = name.rpartition(".")
    getattr(import_module(module), last)
    return name


MADE = {
    "models": models, "subsets": subsets, "study": study, "pictures": gallery.pictures,
    "commands": commands, "api": api,
}  # fmt: skip
