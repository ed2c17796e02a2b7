"""Launch configurations beside the committed ones, timed; the best are written down.

The table beside the results is a proposal: `benchmarks.kernels.aot` judges it before a commit.
"""

import json
from statistics import geometric_mean
from unittest import mock

from fastseq_kernels import launch, library

from benchmarks.kernels.device import DEVICE, random
from benchmarks.kernels.report import Report
from benchmarks.kernels.rooflines import check
from benchmarks.kernels.shapes import Layer


def configurations(report: Report, right: list[Layer]) -> None:
    """Time launch configurations one change away from the committed ones, and write the best."""
    gains: dict[tuple[str, str], dict[str, list[float]]] = {}
    for layer in right[: 1 if report.smoke else None]:
        n = 2 if report.smoke else int(5e8 / layer.traffic(1))
        tensors, options = layer.arguments(n, random)
        committed = taken(layer, tensors, options)
        base = None
        for config in neighbours(committed)[: 2 if report.smoke else None]:

            def figure(config=config, layer=layer, tensors=tensors, options=options, n=n) -> dict:
                few = layer.arguments(2, random)
                check(layer, layer.run(*few, config=config))
                ms = report.milliseconds(lambda: layer.run(tensors, options, config=config))
                return {"config": config, "ms": ms, "tflops": layer.operations(n) / ms / 1e9,
                        "tbs": layer.traffic(n) / ms / 1e9}  # fmt: skip

            changed = {k: config.get(k) for k, v in committed.items() if config.get(k) != v}
            row = report.add("config", f"{layer} {changed or 'committed'}", figure)
            if row and row["ms"]:
                base = base or row["ms"]
                found = gains.setdefault((layer.op, json.dumps(committed)), {})
                found.setdefault(json.dumps(config), []).append(base / row["ms"])
    report.propose(best_of(gains))


def best_of(gains: dict[tuple[str, str], dict[str, list[float]]]) -> dict[str, list[dict]]:
    """Return the tables of this architecture, rows replaced where that pays for their layers.

    A row is judged by the geometric mean over all layers that take it, measured for each, and
    stays unless that gains 3 %.
    """
    tables = {}
    for (op, committed), found in gains.items():
        layers = max(map(len, found.values()))
        means = {config: geometric_mean(ratios) for config, ratios in found.items()
                 if len(ratios) == layers}  # fmt: skip
        best = max(means, key=means.__getitem__)
        own = launch.table(op)[launch.architecture(DEVICE)]
        rows = tables.setdefault(op, [dict(row) for row in own])
        if means[best] < 1.03:
            continue
        for row in rows:
            if {k: v for k, v in row.items() if k != "when"} == json.loads(committed):
                when = {"when": row["when"]} if "when" in row else {}
                row.clear()
                row.update(when | json.loads(best))
    return tables


def taken(layer: Layer, tensors: list, options: dict) -> dict:
    """Return the committed launch configuration that a layer's call takes."""
    found = []

    def choose(*call) -> dict:
        found.append(launch.choose(*call))
        return found[-1]

    with mock.patch.object(library, "choose", choose):
        layer.run(tensors, options)
    return found[0]


def neighbours(config: dict) -> list[dict]:
    """Return the configuration itself and those with one value halved or doubled."""
    bounds = {"BM": (16, 256), "BN": (32, 128), "BK": (16, 128), "BL": (8, 128), "BC": (32, 256),
              "ROWS": (64, 256), "num_warps": (2, 8), "num_stages": (1, 4)}  # fmt: skip
    found = [config]
    for name, value in config.items():
        if name == "described":
            found.append({key: v for key, v in config.items() if key != name})
            continue
        low, high = bounds[name]
        near = (value - 1, value + 1) if name == "num_stages" else (value // 2, value * 2)
        found += [config | {name: other} for other in near if low <= other <= high]
    return found
