"""One command for whoever has a GPU for ten minutes: checks, times, compares, writes JSON.

    python -m benchmarks.kernels.bench_gpu                       # under 10 minutes on an H200
    TRITON_INTERPRET=1 python -m benchmarks.kernels.bench_gpu --smoke --output smoke.json

Needs PyTorch, Triton and this folder (``PYTHONPATH=kernels`` where nothing is installed). Sections
run in order of worth and the file is rewritten after each row, so a lease that ends early loses
only what came last: ceilings of the card; every layer checked against float64, timed, held against
its roofline and PyTorch's two ways; the networks under CUDA graphs against eager, channels-last and
torch.compile; other launch configurations. A figure stands only above a check that passed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import torch
import triton
from fastseq_kernels import launch, library, reference
from torch import Tensor

from benchmarks.kernels.nets import NETS, Flat, Fused, Paired, Plain
from benchmarks.kernels.shapes import BASES, LAYERS, Layer
from benchmarks.run import RESULTS, Case, Rival, stamp

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# a whole network in bfloat16, each layer rounding once more: this, or twice PyTorch's own error
# where a head that sums to nearly nothing makes that larger
NET_TOLERANCE = 2e-2


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


def check(layer: Layer, found: Tensor) -> float:
    """Return the relative error of an answer to random input; raise where it is too large."""
    truth = layer.truth(*layer.arguments(len(found), random))
    error = reference.relative_error(found, truth)
    kind = "tf32" if layer.precision == "tf32" else layer.dtype
    limit = reference.TOLERANCE["float32" if layer.op == "squeeze" else kind]
    if not error <= limit:
        raise ArithmeticError(f"{layer}: relative error {error:.2e}, of {limit:.0e}")
    return error


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    """Return codes, row numbers or normal numbers; the same ones for the same shape."""
    noise = torch.Generator(DEVICE).manual_seed(sum(shape) * len(shape))
    if not dtype.is_floating_point:
        high = 5 if dtype == torch.uint8 else BASES
        return torch.randint(high, shape, generator=noise, dtype=dtype, device=DEVICE)
    return torch.randn(shape, generator=noise, device=DEVICE).to(dtype)


def settled(call: Callable[[], object]) -> object:
    """Return a call's answer once the device has it."""
    answer = call()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return answer


class Report:
    """Rows so far, in a file that is complete at every moment."""

    def __init__(self, path: Path, seconds: float, smoke: bool):
        self.path, self.smoke = path, smoke
        self.deadline = time.monotonic() + seconds
        self.head = stamp("python -m benchmarks.kernels.bench_gpu") | {
            "gpu": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "none: interpreted",
            "cuda": torch.version.cuda,
            "torch": torch.__version__,
            "triton": triton.__version__,
        }
        self.rows: list[dict] = []

    def add(self, section: str, name: str, figure: Callable[[], dict]) -> dict | None:
        """Record what ``figure`` returns, or why it could not."""
        if time.monotonic() > self.deadline:
            row = {"section": section, "name": name, "error": "not reached in the time given"}
        else:
            try:
                row = {"section": section, "name": name, **figure()}
            except Exception as error:  # one figure lost must not cost the others
                row = {
                    "section": section,
                    "name": name,
                    "error": f"{type(error).__name__}: {error}",
                }
        # JSON has no NaN: a smoke test has no times
        row = {k: None if v != v else v for k, v in row.items()}
        self.rows.append(row)
        self.path.write_text(json.dumps({**self.head, "rows": self.rows}, indent=1) + "\n")
        values = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                           for k, v in row.items() if k not in ("section", "name"))  # fmt: skip
        print(f"{section:9} {name:72} {values[:300]}", flush=True)
        return None if "error" in row else row

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the median time of a call; once and unmeasured in a smoke test."""
        if self.smoke:
            call()
            return float("nan")
        return triton.testing.do_bench(call, warmup=10, rep=60, return_mode="median")


def ceilings(report: Report) -> dict[str, float]:
    """Measure the copy and the matrix product, which bound all that follows."""
    size = 1 << (10 if report.smoke else 31)
    source = torch.empty(size, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    side = 64 if report.smoke else 8192
    a, b = (random(side, side, dtype=torch.bfloat16) for _ in range(2))

    def copy() -> dict:
        ms = report.milliseconds(lambda: target.copy_(source))
        return {"bytes_per_second": 2 * size / ms * 1e3}

    def product() -> dict:
        ms = report.milliseconds(lambda: a @ b)
        return {"operations_per_second": 2 * side**3 / ms * 1e3}

    found = {}
    for name, figure in (("copy", copy), ("bfloat16 matrix product", product)):
        found |= report.add("ceiling", name, figure) or {}
    measured = {name: value for name, value in found.items() if value}
    return {"bytes_per_second": 4.3e12, "operations_per_second": 790e12} | measured


def layers(report: Report, roof: dict[str, float]) -> list[Layer]:
    """Check and time every layer; return those that are right."""
    right = []
    # a smoke test takes the first layer of each op
    chosen = {layer.op: layer for layer in reversed(LAYERS)}.values() if report.smoke else LAYERS
    for layer in chosen:
        n = 1 if report.smoke else int(5e8 / layer.traffic(1))  # ten times what L2 holds

        def figure(layer=layer, n=n) -> dict:
            tensors, options = layer.arguments(n, random)
            few = layer.arguments(min(n, 2), random)
            row = {"n": n, "error_l2": check(layer, layer.run(*few))}
            ms = report.milliseconds(lambda: layer.run(tensors, options))
            floor = 1e3 * max(layer.traffic(n) / roof["bytes_per_second"],
                              layer.operations(n) / roof["operations_per_second"])  # fmt: skip
            row |= {"ms": ms, "floor_ms": floor, "share_of_roofline": floor / ms,
                    "tflops": layer.operations(n) / ms / 1e9,
                    "tbs": layer.traffic(n) / ms / 1e9}  # fmt: skip
            for name, flat in (("conv1d NCL", False), ("conv2d channels-last", True)):
                rival = layer.eager(tensors, options, flat=flat)
                if rival is not None and layer.dtype != "float32":
                    row[f"ratio to {name}"] = report.milliseconds(rival) / ms
            return row

        if report.add("layer", str(layer), figure):
            right.append(layer)
    return right


def graphed(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return the replay of a call as one CUDA graph, and its answer where it was captured."""
    if DEVICE.type == "cpu":
        return call
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = call()

    def replay() -> Tensor:
        graph.replay()
        return answer

    return replay


def networks(report: Report) -> list[tuple[str, Callable, dict]]:
    """Time whole networks: kernels under CUDA graphs against eager and folded channels-last.

    Returns each network's name, how its rivals are timed, and the rivals.
    """
    timed = []
    # a smoke test takes two, small; tests/kernels/test_nets.py has them all
    for net in [net.small() for net in NETS[:2]] if report.smoke else NETS:
        torch.manual_seed(0)
        plain = Plain(net).eval().requires_grad_(False).to(DEVICE)
        whole = 2 if report.smoke else int(65536 * 17e6 / max(net.operations(), 17e6)) // 64 * 64
        codes = torch.randint(0, 5, (whole, net.length), dtype=torch.uint8, device=DEVICE)
        fused = Fused(plain, torch.bfloat16)
        paired = Paired(plain, torch.bfloat16) if net.name.startswith("TUM") else None
        truth = plain.double()(one_hot(codes[:32], torch.float64))
        half = plain.bfloat16()
        flat = Flat(half)
        own = reference.relative_error(flat(one_hot(codes[:32], torch.bfloat16)), truth)

        def ours(n: int, micro: int, fused=fused, codes=codes, truth=truth, own=own) -> dict:
            part = codes[:n]
            call = graphed(lambda: torch.cat([fused(part[i : i + micro])
                                              for i in range(0, n, micro)]))  # fmt: skip
            error = reference.relative_error(settled(call)[: len(truth)], truth[:n])
            if n >= len(truth) and not error <= max(NET_TOLERANCE, 2 * own):
                raise ArithmeticError(f"relative error {error:.2e}; PyTorch's own is {own:.2e}")
            ms = report.milliseconds(call)
            return {"n": n, "micro_batch": micro, "error_l2": error, "torch_error_l2": own,
                    "ms": ms, "sequences_per_second": n / ms * 1e3}  # fmt: skip

        def theirs(model, n: int = whole, *, graph: bool, codes=codes) -> dict:
            x = one_hot(codes[:n], torch.bfloat16)
            call = graphed(lambda: model(x)) if graph else (lambda: model(x))
            ms = report.milliseconds(call)
            return {"n": n, "ms": ms, "sequences_per_second": n / ms * 1e3}

        # an L2 of 50 MB holds the input and the output of 1,024 x 110 x 64 in bfloat16
        for micro in sorted({whole, *(m for m in (512, 1024, 4096) if m < whole)}):
            report.add("network", f"{net.name}: kernels, {micro} at once",
                       partial(ours, whole, micro))  # fmt: skip
            if paired:
                report.add("network", f"{net.name}: kernels, pairs in registers, {micro} at once",
                           partial(ours, whole, micro, paired))  # fmt: skip
        for n in (n for n in (1, 32, whole - 61) if 0 < n < whole):
            report.add("network", f"{net.name}: kernels, batch of {n}", partial(ours, n, n))
        for name, model, graph in (("eager conv1d", half, False), ("conv2d folded", flat, False),
                                   ("conv2d folded, graph", flat, True)):  # fmt: skip
            report.add("network", f"{net.name}: {name}", partial(theirs, model, graph=graph))
            report.add("network", f"{net.name}: {name}, batch of 32",
                       partial(theirs, model, min(32, whole), graph=graph))  # fmt: skip
        timed.append((net.name, theirs, {"conv1d": half, "conv2d folded": flat}))
    return timed


def compiled(report: Report, timed: list[tuple[str, Callable, dict]]) -> None:
    """Time torch.compile(max-autotune) of the plain and of the folded channels-last networks."""
    for name, theirs, rivals in timed:
        for kind, model in rivals.items():
            if report.smoke:
                continue  # minutes of compiling, and nothing of ours in it
            best = torch.compile(model, mode="max-autotune")
            report.add("compile", f"{name}: max-autotune {kind}",
                       partial(theirs, best, graph=False))  # fmt: skip


def configurations(report: Report, right: list[Layer]) -> None:
    """Time launch configurations one change away from the committed ones."""
    for layer in right[: 1 if report.smoke else 18]:
        n = 2 if report.smoke else int(5e8 / layer.traffic(1))
        tensors, options = layer.arguments(n, random)
        committed = taken(layer, tensors, options)
        for config in neighbours(committed)[: 2 if report.smoke else None]:

            def figure(config=config, layer=layer, tensors=tensors, options=options, n=n) -> dict:
                few = layer.arguments(2, random)
                check(layer, layer.run(*few, config=config))
                ms = report.milliseconds(lambda: layer.run(tensors, options, config=config))
                return {"config": config, "ms": ms, "tflops": layer.operations(n) / ms / 1e9,
                        "tbs": layer.traffic(n) / ms / 1e9}  # fmt: skip

            changed = {k: v for k, v in config.items() if committed[k] != v}
            report.add("config", f"{layer} {changed or 'committed'}", figure)


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
        "ROWS": (64, 256),
              "num_warps": (2, 8), "num_stages": (1, 4)}  # fmt: skip
    found = [config]
    for name, value in config.items():
        low, high = bounds[name]
        near = (value - 1, value + 1) if name == "num_stages" else (value // 2, value * 2)
        found += [config | {name: other} for other in near if low <= other <= high]
    return found


def one_hot(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (n, 4, length); unknown bases are zeros."""
    table = torch.eye(5, 4, dtype=dtype, device=codes.device)
    return table[codes.long()].transpose(1, 2).contiguous()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "kernels.gpu.json")
    parser.add_argument("--seconds", type=float, default=480, help="start nothing new after this")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, in Triton's interpreter")
    asked = parser.parse_args()
    if DEVICE.type == "cpu" and not (asked.smoke and triton.knobs.runtime.interpret):
        told = "PyTorch sees no GPU here, so there is nothing to time; "
        print(told + "TRITON_INTERPRET=1 with --smoke tries the command itself", file=sys.stderr)
        return 0
    report = Report(asked.output, asked.seconds, asked.smoke)
    print(f"{report.head['gpu']}, launches of {launch.architecture(DEVICE)}", flush=True)
    with torch.inference_mode():
        roof = ceilings(report)
        right = layers(report, roof)
        compiled(report, networks(report))
        configurations(report, right)
    failed = [row["name"] for row in report.rows if "relative error" in row.get("error", "")]
    print(f"{len(report.rows)} rows in {asked.output}; wrong: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
