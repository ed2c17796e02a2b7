"""One command for whoever has a GPU for ten minutes: checks, times, compares, writes JSON.

    python -m benchmarks.kernels.bench_gpu                       # under 10 minutes on an H200
    TRITON_INTERPRET=1 python -m benchmarks.kernels.bench_gpu --smoke --output smoke.json

Needs PyTorch, Triton, safetensors, tqdm and the repository with its native modules built, with
``PYTHONPATH=kernels`` where it is not installed; for variants pandas and PyArrow as well. Sections
run in order of worth and the file is rewritten around each row, so a lease that ends early loses
only what came last: ceilings of the card; plans of four networks against eager and channels-last
PyTorch, in large, odd and small batches; every layer checked against float64, timed, held against
its roofline and PyTorch's two ways; mutants; variants from text to scores; training; torch.compile
and TensorRT; other launch configurations, the best of which are written down. Plans on the device
in batches of 32 and more, layers, configurations and variants are timed only where their answers
passed a check; smaller batches name their error; mutants, training, rivals and the way from host
memory are timed as they are.

The work is done in a child process. A figure that kills it, poisons its CUDA context or hangs is
written down as such, and another child goes on behind it: what is already in the file stays.

Estimated for an H200, from compile times and 70 ms a figure: ceilings and networks 2 minutes,
layers 2, mutants and training 1.5, variants .4; compilers take what is left of 8.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
import triton
from fastseq_kernels import launch

from benchmarks.kernels.device import DEVICE, random, settled
from benchmarks.kernels.journeys import training, variants
from benchmarks.kernels.networks import compiled, mutants, networks
from benchmarks.kernels.report import Report
from benchmarks.kernels.rooflines import ceilings, check, layers
from benchmarks.kernels.shapes import LAYERS
from benchmarks.kernels.tuning import configurations
from benchmarks.run import RESULTS, Case, Rival

# seconds without a row that are a hang; seconds after the last start that end any figure, so that
# all stays under ten minutes
HANGS, GRACE = 200.0, 100.0


def cases(size: str) -> Iterator[Case]:
    """Yield each layer's op as PyTorch dispatches it: the kernel on a GPU, else its plain twin."""
    if size == "full" and DEVICE.type == "cpu":
        print("kernels.bench_gpu: PyTorch sees no GPU here, so there is nothing to time")
        return
    n = 4096 if size == "full" else 1
    for layer in LAYERS if size == "full" else LAYERS[:3]:
        tensors, options = layer.arguments(n, random)
        call = partial(getattr(torch.ops.fastseq, layer.op), *tensors, **options)
        flat = layer.eager(tensors, options, flat=True)
        rivals = [Rival("conv2d channels-last", partial(settled, flat), "torch")] if flat else []
        yield Case(str(layer), partial(settled, call), n, "sequences", "random", rivals,
                   check=lambda layer=layer, call=call: check(layer, call()),
                   clock="wall")  # fmt: skip


def sections(report: Report) -> None:
    """Add all figures, those of most worth first."""
    with torch.inference_mode():
        roof = ceilings(report)
        contests = networks(report)
        right = layers(report, roof)
        mutants(report, contests)
        variants(report)
        training(report)
        compiled(report, contests)
        configurations(report, right)


def supervised(output: Path, seconds: float, options: list[str]) -> None:
    """Run children until one comes to the end, each behind the figure that its elder died of."""
    deadline, goes_on, stood = time.monotonic() + seconds, [], -1
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    output.unlink(missing_ok=True)
    while True:
        left = str(max(deadline - time.monotonic(), 0))
        command = [sys.executable, "-m", "benchmarks.kernels.bench_gpu", "--child", "--output",
                   output, "--seconds", left, *options, *goes_on]  # fmt: skip
        child, begun = subprocess.Popen(command, env=environment), time.time()
        while child.poll() is None:
            time.sleep(0.2)
            last = max(begun, output.stat().st_mtime if output.exists() else 0)
            if time.time() - last > HANGS or time.monotonic() > deadline + GRACE:
                child.kill()
        rows = len(json.loads(output.read_text())["rows"]) if output.exists() else 0
        if child.returncode == 0 or rows <= stood or time.monotonic() > deadline:
            return
        print(f"exit code {child.returncode}; another process goes on", flush=True)
        goes_on, stood = ["--goes-on"] * output.exists(), rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "kernels.gpu.json")
    parser.add_argument("--seconds", type=float, default=480, help="start nothing new after this")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, in Triton's interpreter")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--goes-on", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if DEVICE.type == "cpu" and not (asked.smoke and triton.knobs.runtime.interpret):
        told = "PyTorch sees no GPU here, so there is nothing to time; "
        print(told + "TRITON_INTERPRET=1 with --smoke tries the command itself", file=sys.stderr)
        return 0
    if asked.child:
        sections(Report(asked.output, asked.seconds, smoke=asked.smoke, goes_on=asked.goes_on))
        return 0
    print(f"launches of {launch.architecture(DEVICE)}", flush=True)
    supervised(asked.output, asked.seconds, ["--smoke"] if asked.smoke else [])
    rows = json.loads(asked.output.read_text())["rows"] if asked.output.exists() else []
    failed = [row["name"] for row in rows if "relative error" in row.get("error", "")]
    print(f"{len(rows)} rows in {asked.output}; wrong: {', '.join(failed) or 'none'}")
    return bool(failed) or not rows


if __name__ == "__main__":
    sys.exit(main())
