"""Write the benchmarks page from the committed results: every aim beside what was measured.

    python -m benchmarks.page

Reads ``goals.toml`` and ``results/*.json``; writes ``docs/benchmarks.md`` and the pictures beside
it. Nothing is run: each row names the command that makes its figure again.
"""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fastseq.show.canvas import palette, panels, save

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PICTURES = PAGE.parent / "benchmarks"
SCALES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))
HEAD = """---
hide: [navigation, toc]
---

# Benchmarks

Every aim the project set itself, met or missed, beside what was measured. A ratio is ours over the
rival's in the same run, on the same thread, interleaved; where several rows answer one aim, the
worst is shown. Aims of exactness are tests, not figures. This page is written by
`python -m benchmarks.page` from `benchmarks/results/`, and the command in a row makes its figure
again. A rival that is not installed is left out of a run.
"""


@dataclass(frozen=True)
class Goal:
    """One aim, and which rows of the results answer it."""

    subject: str
    what: str
    aim: str
    of: str
    figure: str
    least: float = 0.0
    most: float = math.inf
    rival: str | None = None
    key: str | None = None
    lower_end: bool = False  # of the interval of a gain, instead of a value

    def answers(self, rows: list[dict]) -> "list[tuple[float, dict]]":
        """Return value and row of each row that answers this aim, the worst first."""
        found = []
        for row in rows:
            against = row.get("rival")
            if not fnmatchcase(str(row.get("figure", "")), self.figure):
                continue
            if self.rival is None and against is not None:
                continue
            if self.rival is not None and not fnmatchcase(str(against), self.rival):
                continue
            if self.key is None:
                value = row.get("value" if self.rival is None else "ratio")
            elif self.lower_end:
                value = row.get("gain_95", {}).get(self.key, [None])[0]
            else:
                value = row.get("values", {}).get(self.key)
            if value is not None:
                found.append((float(value), row))
        return sorted(found, key=lambda pair: pair[0], reverse=self.most < math.inf)


def write() -> Path:
    """Write the page and its pictures; return the page's path."""
    goals = [Goal(**goal) for goal in tomllib.loads((HERE / "goals.toml").read_text())["goal"]]
    results = {
        path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("results/*.json"))
    }
    if "kernels.gpu" in results:
        results["kernels.gpu"]["rows"] += list(networks(results["kernels.gpu"]["rows"]))
    PICTURES.mkdir(exist_ok=True)
    lines = [HEAD, *summary(goals, results)]
    for subject in dict.fromkeys(goal.subject for goal in goals):
        lines += [f"\n## {subject}\n", *table([g for g in goals if g.subject == subject], results)]
    lines += ["\n## Cost\n", *pictures(results), "\n## All figures\n", *everything(results)]
    text = "\n".join(lines).rstrip() + "\n"
    PAGE.write_text(text)
    return PAGE


def judged(goal: Goal, results: dict[str, Any]) -> str:
    """Return met, MISSED or not measured yet."""
    found = goal.answers(results.get(goal.of, {"rows": []})["rows"])
    if not found:
        return "not measured yet"
    return "met" if goal.least <= found[0][0] <= goal.most else "MISSED"


def summary(goals: list[Goal], results: dict[str, Any]) -> Iterator[str]:
    """Yield how many aims were met, by subject."""
    yield "| subject | met | missed | not measured yet |\n|---|--:|--:|--:|"
    for subject in dict.fromkeys(goal.subject for goal in goals):
        count = Counter(judged(goal, results) for goal in goals if goal.subject == subject)
        yield f"| {subject} | {count['met']} | {count['MISSED']} | {count['not measured yet']} |"


def table(goals: list[Goal], results: dict[str, Any]) -> Iterator[str]:
    """Yield one row for each aim."""
    yield "| figure | beside | aim | measured | | machine, commit, command |"
    yield "|---|---|--:|--:|---|---|"
    for goal in goals:
        verdict = judged(goal, results)
        found = goal.answers(results.get(goal.of, {"rows": []})["rows"])
        if not found:
            yield f"| {goal.what} | {goal.rival or ''} | {goal.aim} | | {verdict} | |"
            continue
        value, row = found[0]
        what = f"{goal.what} (budget: {row['budget']})" if "budget" in row else goal.what
        rival = " ".join(filter(None, [row.get("rival"), row.get("rival_version")]))
        shown = f"{value:.3g}x" if goal.rival else f"{scaled(value)} {row.get('unit', '')}".strip()
        of = f", worst of {len(found)}" if len(found) > 1 else ""
        mark = f"**{verdict}**" if verdict == "MISSED" else verdict
        origin = source(results[goal.of])
        yield f"| {what} | {rival} | {goal.aim} | {shown}{of} | {mark} | {origin} |"


def source(result: dict[str, Any]) -> str:
    """Return where a result was made and what makes it again."""
    machine = result["machine"]
    name = machine.get("gpu") or f"{machine['processor']}, {machine['cores']} cores"
    return f"{name}; {result['commit']}; `{result['command']}`"


def scaled(value: float) -> str:
    """Return a number with the letter of its size."""
    for size, letter in SCALES:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def networks(rows: list[dict]) -> Iterator[dict]:
    """Yield what a GPU did in the form of the other results: the best of ours, and of each rival.

    Rows are named ``network: how, size``; a rival is compared at its own best size.
    """
    best: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        network, _, how = row.get("name", "").partition(": ")
        who = how.partition(", batch")[0]
        match row:
            case {"section": "network", "sequences_per_second": speed}:
                who = "" if how.startswith("kernels") else who
            case {"section": "compile", "sequences_per_second": speed}:
                who = who if who == "TensorRT" else f"torch.compile {who}"
            case {"section": "mutants", "edits_per_second": speed}:
                network, who = f"edits, {network}", ""
            case _:
                continue
        unit = "edits/s" if row["section"] == "mutants" else "sequences/s"
        speeds = best.setdefault((network, unit), {})
        speeds[who] = max(speeds.get(who, 0), speed)
    for (network, unit), speeds in best.items():
        if ours := speeds.pop("", None):
            row = {"figure": network, "value": ours, "unit": unit, "input": "codes"}
            yield row
            for rival, speed in speeds.items():
                yield {**row, "rival": rival, "rival_value": speed, "ratio": ours / speed}


def everything(results: dict[str, Any]) -> Iterator[str]:
    """Yield all rows of all results that have a value, also those without an aim."""
    for name, result in results.items():
        rows = [row for row in result["rows"] if "figure" in row and "value" in row]
        if not rows:
            continue
        versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
        yield f"\n### {name}\n\n{source(result)}, {result['date']}; {versions}.\n"
        yield "| figure | value | beside | ratio | input | note |\n|---|--:|---|--:|---|---|"
        for row in rows:
            rival = " ".join(filter(None, [row.get("rival"), row.get("rival_version")]))
            ratio = f"{row['ratio']:.3g}" if "ratio" in row else ""
            value = f"{scaled(row['value'])} {row.get('unit', '')}"
            end = (str(row.get(name, "")) for name in ("input", "note"))
            cells = (row["figure"], value, rival, ratio, *end)
            yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def pictures(results: dict[str, Any]) -> Iterator[str]:
    """Yield the pictures of cost, those whose figures the results hold."""
    made = {
        "length": ("Edits a second by length of the sequence, exact mutagenesis of one thread.",
                   by_number(results, "lower.bench_incremental", r"^(.*?) (\d+) bp$"), "bp"),
        "k": ("Bases a second by length of the k-mer, one thread.",
              by_number(results, "sequence.bench_kmers", r"^(count_kmers) k=(\d+)$"), "k"),
        "batch": ("Answers a second by batch, one thread.",
                  by_number(results, "lower.bench_batch", r"^(.*), batch of (\d+)$"), "batch"),
        "gpu-batch": ("Answers a second by batch on a GPU.",
                      by_number(results, "kernels.gpu", r"^(.*), batch of (\d+)$"), "batch"),
        "cores": ("Bases a second by threads.",
                  by_number(results, "sequence.bench_cores", r"^(.*), (\d+) threads$"), "threads"),
    }  # fmt: skip
    for name, (caption, lines, label) in made.items():
        if len({x for points in lines.values() for x, _ in points}) < 2:
            yield f"{caption} Not measured yet.\n"
            continue
        save(costs(lines, label), PICTURES / f"{name}.svg")
        yield f'![{caption}](benchmarks/{name}.svg){{ style="background: white" }}\n\n{caption}\n'


def costs(lines: dict[tuple[str, str], list], label: str) -> Any:
    """Return speeds by a number: a colour for each network or task, a dash for each way of it."""
    unit = next(iter(lines.values()))[0][1].get("unit", "sequences/s")
    subjects, ways = (list(dict.fromkeys(key[at] for key in lines)) for at in (0, 1))
    colors = dict(zip(subjects, palette(len(subjects))))
    dashes = dict(zip(ways, ["o-", "s--", "^:", "v-."] * len(ways)))
    figure, (axes,) = panels(1, width=8, height=3.4)
    for (subject, way), points in lines.items():
        x, y = [at for at, _ in points], [row["shown"] for _, row in points]
        axes.plot(x, y, dashes[way], color=colors[subject], markersize=4)
    for subject in subjects:
        axes.plot([], [], "-", color=colors[subject], linewidth=4, label=subject)
    for way in ways:
        axes.plot([], [], dashes[way], color="#444444", markersize=4, label=way)
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel=unit)
    ticks = sorted({at for points in lines.values() for at, _ in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def by_number(results: dict[str, Any], of: str, pattern: str) -> dict[tuple[str, str], list]:
    """Return points (number in the figure's name, row) by subject and way: ours, each rival's."""
    lines: dict[tuple[str, str], dict[int, dict]] = {}
    for row in results.get(of, {"rows": []})["rows"]:
        match = re.match(pattern, str(row.get("figure", row.get("name", ""))))
        value = row.get("rival_value", row.get("value", row.get("sequences_per_second")))
        if match and value is not None:
            who = row.get("rival", "fastseq")
            points = lines.setdefault((match[1], who), {})
            points[int(match[2])] = {**row, "shown": value}
    return {name: sorted(points.items()) for name, points in lines.items()}


if __name__ == "__main__":
    print(write())
