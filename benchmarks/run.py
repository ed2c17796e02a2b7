"""Run benchmark cases beside their rivals, interleaved, and write one JSON row a figure.

    python -m benchmarks.run sequence              # every bench_*.py of a room, at full size
    python -m benchmarks.run sequence.bench_encode --only one_hot
    python -m benchmarks.run kernels --gpu         # under ten minutes, on a machine with a GPU
    python -m benchmarks.run --list

A bench file holds ``cases(size)`` with size ``"tiny"`` or ``"full"``, which yields `Case` objects.
pytest collects the tiny ones (``test_benchmarks.py``), so that they cannot rot. Results go to
``benchmarks/results/<room>.<file>.json``.
"""

import argparse
import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results"


@dataclass
class Rival:
    """The best other way, configured as its author would."""

    name: str
    run: Callable[[], object]
    package: str | None = None  # distribution whose version is recorded; None: part of this file
    goal: float | None = None  # ours is to be this many times faster


@dataclass
class Case:
    """One figure: what runs, on what, against whom."""

    name: str
    run: Callable[[], object]
    amount: float  # units of work in one call
    unit: str  # what `amount` counts: "bp", "edits", "rows", "bytes"
    input: str  # the input in words
    rivals: list[Rival] = field(default_factory=list)
    check: Callable[[], None] | None = None  # raises when the answer is wrong; runs first
    goal: float | None = None  # units of work a second
    clock: str = "cpu"  # "cpu": process time, for one thread; "wall": for threads and processes
    note: str = ""
    rounds: int | None = None  # 1: once and cold, for what takes a minute


def seconds(call: Callable[[], object], clock: str, at_least: float) -> float:
    """Return the seconds one call takes, averaged over a batch that lasts `at_least` seconds."""
    now = time.process_time if clock == "cpu" else time.perf_counter
    calls = 1
    while True:
        begin = now()
        for _ in range(calls):
            call()
        took = now() - begin
        if took >= at_least:
            return took / calls
        calls = max(calls * 2, int(calls * at_least / max(took, 1e-9) * 1.1))


def measure(case: Case, *, rounds: int = 7, at_least: float = 0.05) -> list[dict]:
    """Return one result row for the case and each of its rivals, timed in turn, round by round."""
    if case.check:
        case.check()
    runs = [("fastseq", case.run), *((rival.name, rival.run) for rival in case.rivals)]
    rounds = case.rounds or rounds
    for _, run in runs if rounds > 1 else ():
        run()
    times: dict[str, list[float]] = {name: [] for name, _ in runs}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, run in runs:
                times[name].append(seconds(run, case.clock, at_least))
    finally:
        gc.enable()
    ours = min(times["fastseq"])
    common = {
        "figure": case.name,
        "unit": f"{case.unit}/s",
        "input": case.input,
        "clock": case.clock,
        "value": case.amount / ours,
        "seconds_p20_p50_p80": [float(np.quantile(times["fastseq"], q)) for q in (0.2, 0.5, 0.8)],
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "note": case.note,
    }
    rows = [{**common, "goal": case.goal, "met": None if case.goal is None else
             bool(case.amount / ours >= case.goal)}]  # fmt: skip
    for rival in case.rivals:
        theirs = min(times[rival.name])
        rows.append({
            **common,
            "rival": rival.name,
            "rival_version": release(rival.package),
            "rival_value": case.amount / theirs,
            "ratio": theirs / ours,
            "goal": rival.goal,
            "met": None if rival.goal is None else bool(theirs / ours >= rival.goal),
        })  # fmt: skip
    return rows


def release(package: str | None) -> str | None:
    """Return the installed version of a distribution, None when there is none."""
    try:
        return version(package) if package else None
    except PackageNotFoundError:
        return None


def machine() -> dict:
    """Return the machine in words: processor, cores, system."""
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    )
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def stamp(command: str) -> dict:
    """Return where and when a result was made: commit, date, machine, versions, command."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True)
        return done.stdout.strip()

    packages = ("numpy", "scipy", "numba", "torch", "triton", "fastseq-genomics")
    return {
        "commit": git("rev-parse", "--short", "HEAD"),
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "machine": machine(),
        "versions": {name: release(name) for name in packages if release(name)},
    }  # fmt: skip


def save(name: str, rows: list[dict], command: str) -> Path:
    """Write result rows with their stamp to ``results/<name>.json``; return the path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**stamp(command), "rows": rows}, indent=1) + "\n")
    return path


def modules(prefix: str = "") -> Iterator[str]:
    """Yield the bench modules whose dotted name below ``benchmarks`` starts with ``prefix``."""
    for path in sorted(HERE.rglob("bench_*.py")):
        name = ".".join(path.relative_to(HERE).with_suffix("").parts)
        if name.startswith(prefix):
            yield name


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="*", default=[""], help="rooms or bench modules")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--size", choices=["tiny", "full"], default="full")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--gpu", action="store_true", help="time the kernels on the GPU here")
    parser.add_argument("--smoke", action="store_true", help="with --gpu: try the command itself")
    chosen = parser.parse_args()
    if chosen.gpu:
        sys.argv[1:] = ["--smoke"] if chosen.smoke else []
        sys.exit(import_module("benchmarks.kernels.bench_gpu").main())
    names = [name for prefix in chosen.modules for name in modules(prefix)]
    if chosen.list:
        print(*names, sep="\n")
        return
    for name in names:
        rows = []
        for case in import_module(f"benchmarks.{name}").cases(chosen.size):
            if chosen.only not in case.name:
                continue
            rows += measure(case, rounds=chosen.rounds)
            for row in rows[-1 - len(case.rivals) :]:
                against = f"  {row['ratio']:8.2f} x {row['rival']}" if "rival" in row else ""
                missed = "  MISSED" if row["met"] is False else ""
                print(f"{row['figure']:44} {row['value']:12.4g} {row['unit']}{against}{missed}",
                      flush=True)  # fmt: skip
        if rows and chosen.size == "full" and not chosen.only:
            save(name, rows, f"python -m benchmarks.run {name}")


if __name__ == "__main__":
    sys.exit(main())
