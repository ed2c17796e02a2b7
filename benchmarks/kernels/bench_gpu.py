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
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import geometric_mean
from unittest import mock

import torch
import triton
from fastseq_kernels import launch, library, reference
from torch import Tensor, nn

from benchmarks.kernels.nets import NETS, Flat, Net, Plain
from benchmarks.kernels.shapes import BASES, LAYERS, Layer
from benchmarks.kernels.snvs import SNVs
from benchmarks.rivals import plain_loop
from benchmarks.run import RESULTS, Case, Rival, stamp
from fastseq.learn.train import train
from fastseq.lower.gpu import captured, in_parts
from fastseq.lower.plan import Plan
from fastseq.models.registry import build
from fastseq.sequence.edits import Edits
from fastseq.sequence.encode import decode

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# a whole network in bfloat16, each layer rounding once more: this, or twice PyTorch's own error
# where a head that sums to nearly nothing makes that larger
NET_TOLERANCE = 2e-2
# exit code of a child whose CUDA context an error has spoilt; seconds without a row that are a
# hang; seconds after the last start that end any figure, so that all stays under ten minutes
POISONED, HANGS, GRACE = 3, 200.0, 100.0


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

    def __init__(self, path: Path, seconds: float, *, smoke: bool = False, goes_on: bool = False):
        self.path, self.smoke = path, smoke
        self.deadline = time.monotonic() + seconds
        self.head = stamp("python -m benchmarks.run kernels --gpu") | {
            "gpu": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "none: interpreted",
            "cuda": torch.version.cuda,
            "torch": torch.__version__,
            "triton": triton.__version__,
        }
        self.head["machine"]["gpu"] = self.head["gpu"]
        self.rows: list[dict] = json.loads(path.read_text())["rows"] if goes_on else []

    def known(self, section: str, name: str) -> dict | None:
        """Return a figure's row, None where it has not been begun."""
        return next((r for r in self.rows if (r["section"], r["name"]) == (section, name)), None)

    def write(self) -> None:
        """Write the file anew, all of it or not at all."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({**self.head, "rows": self.rows}, indent=1) + "\n")
        part.replace(self.path)

    def add(
        self, section: str, name: str, figure: Callable[[], dict], *, again: bool = False
    ) -> dict | None:
        """Record what ``figure`` returns, or why it could not.

        A figure that stands in the file, as one that killed an earlier process does, is not tried
        a second time, unless it worked and ``again`` says that its doing is needed here.
        """
        known = self.known(section, name)
        if known is not None:
            self.rows.remove(known)
        if known is not None and (not again or "error" in known):
            row = known
        elif time.monotonic() > self.deadline:
            row = {"section": section, "name": name, "error": "not reached in the time given"}
        else:
            row = {"section": section, "name": name}
            self.rows.append(row | {"error": "the process ended in it"})
            self.write()
            self.rows.pop()
            row = self.tried(row, figure)
        # JSON has no NaN: a smoke test has no times
        row = {k: None if v != v else v for k, v in row.items()}
        self.rows.append(row)
        self.write()
        if known is None:
            values = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                               for k, v in row.items() if k not in ("section", "name"))  # fmt: skip
            print(f"{section:9} {name:72} {values[:300]}", flush=True)
        if "CUDA error" in row.get("error", "") and known is None:
            os._exit(POISONED)  # no later call of this process would work
        return None if "error" in row else row

    def tried(self, row: dict, figure: Callable[[], dict]) -> dict:
        """Return a row with its figure's values, or with its error."""
        try:
            found = row | figure()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()  # a fault of this figure must not show in the next
            return found
        except Exception as error:  # one figure lost must not cost the others
            return row | {"error": f"{type(error).__name__}: {error}"}

    def propose(self, tables: dict[str, list[dict]]) -> None:
        """Write launch configurations beside the results."""
        path = self.path.with_suffix(".configs.json")
        path.write_text(json.dumps({launch.architecture(DEVICE): tables}, indent=1) + "\n")

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the median time of a call; once and unmeasured in a smoke test."""
        if self.smoke:
            call()
            return float("nan")
        return triton.testing.do_bench(call, warmup=10, rep=60, return_mode="median")


class Contest:
    """A network run by a plan and by PyTorch, on the same codes."""

    def __init__(self, name: str, plan: Plan, plain: Plain, codes: Tensor, truth: Tensor) -> None:
        self.name, self.plan, self.plain, self.codes, self.truth = name, plan, plain, codes, truth
        self.flat, self.n = Flat(plain), len(codes)
        self.own = reference.relative_error(self.flat(self.inputs(len(truth))), truth)

    @classmethod
    def of(cls, net: Net, most: int) -> "Contest":
        """Return a network with random weights and as many codes as take about as long as most."""
        torch.manual_seed(0)
        plain = Plain(net).eval().requires_grad_(False).to(DEVICE)
        n = 1 if most == 1 else int(most * 17e6 / max(net.operations(), 17e6)) // 64 * 64
        codes = torch.randint(0, 5, (n, net.length), dtype=torch.uint8, device=DEVICE)
        with torch.inference_mode(False):
            plan = Plan(plain, length=net.length, device=DEVICE, precision="bfloat16",
                        micro_batch=1 if most == 1 else None)  # fmt: skip
        truth = plain.double()(one_hot(codes[:32], torch.float64))
        return cls(net.name, plan, plain.bfloat16(), codes, truth)

    def inputs(self, n: int) -> Tensor:
        """Return what PyTorch takes, ready on the device."""
        return one_hot(self.codes[:n], torch.bfloat16)

    def ours(self, report: Report, n: int, parts: int) -> dict:
        """Check and time the kernels over codes on the device, as one CUDA graph."""
        program = self.plan.kernels("+", self.codes.shape[1])
        call = captured(in_parts(program, parts), self.codes[:n])
        known = self.truth[:n]
        error = reference.relative_error(settled(call)[: len(known)], known)
        if n >= len(self.truth) and not error <= max(NET_TOLERANCE, 2 * self.own):
            raise ArithmeticError(f"relative error {error:.2e}; PyTorch's own is {self.own:.2e}")
        ms = report.milliseconds(call)
        return {"n": n, "micro_batch": parts, "error_l2": error, "torch_error_l2": self.own,
                "ms": ms, "sequences_per_second": n / ms * 1e3}  # fmt: skip

    def whole_way(self, report: Report) -> dict:
        """Time a plan from codes in NumPy to answers in NumPy."""
        codes = self.codes.cpu().numpy()
        ms = report.milliseconds(lambda: self.plan.predict(codes))
        return {"n": self.n, "ms": ms, "sequences_per_second": self.n / ms * 1e3}

    def theirs(self, report: Report, model: nn.Module, n: int, *, graph: bool) -> dict:
        """Time PyTorch over one-hot that is ready on the device."""
        x = self.inputs(n)
        ms = report.milliseconds(captured(model, x) if graph else lambda: model(x))
        return {"n": n, "ms": ms, "sequences_per_second": n / ms * 1e3}


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


def contest_of(report: Report, net: Net) -> Contest | None:
    """Return a network lowered and ready, None where that failed."""
    made = []

    def lowered() -> dict:
        made.append(Contest.of(net, 1 if report.smoke else 65536))
        return {"n": made[0].n, "torch_error_l2": made[0].own}

    report.add("network", f"{net.name}: lowered", lowered, again=True)
    return made[0] if made else None


def networks(report: Report) -> list[Contest]:
    """Time plans of the networks, on device and from host memory, beside PyTorch's ways.

    Returns what `compiled` and `mutants` go on with.
    """
    contests = []
    # a smoke test takes two, small; tests/kernels/test_nets.py has them all
    for net in [net.small() for net in NETS[:2]] if report.smoke else NETS:
        if (contest := contest_of(report, net)) is None:
            continue
        contests.append(contest)
        # an L2 of 50 MB holds the input and the output of 1,024 x 110 x 64 in bfloat16
        for parts in sorted({contest.n, *(m for m in (512, 1024, 4096) if m < contest.n)}):
            report.add("network", f"{net.name}: kernels, {parts} at once",
                       partial(contest.ours, report, contest.n, parts))  # fmt: skip
        for n in sorted({1, min(32, contest.n), max(1, contest.n - 61)}):
            report.add("network", f"{net.name}: kernels, batch of {n}",
                       partial(contest.ours, report, n, n))  # fmt: skip
        report.add("network", f"{net.name}: from host memory to answers",
                   partial(contest.whole_way, report))  # fmt: skip
        ways = [("eager conv1d", contest.plain, False), ("conv2d folded", contest.flat, False),
                ("conv2d folded, graph", contest.flat, True)]  # fmt: skip
        for name, model, graph in ways:
            for n in sorted({1, min(32, contest.n), contest.n}):
                report.add("network", f"{net.name}: {name}, batch of {n}",
                           partial(contest.theirs, report, model, n, graph=graph))  # fmt: skip
    return contests


def compiled(report: Report, contests: list[Contest]) -> None:
    """Time torch.compile(max-autotune), the fair rival first, and TensorRT where there is one."""
    if report.smoke:
        return  # minutes of compiling, and nothing of ours in it
    tensorrt = find_spec("torch_tensorrt") is not None
    for kind in ("conv2d folded", "conv1d", "TensorRT"):
        for contest in contests:
            model = contest.plain if kind == "conv1d" else contest.flat

            def figure(contest=contest, model=model, kind=kind) -> dict:
                if kind == "TensorRT" and not tensorrt:
                    return {"note": "torch_tensorrt is not installed"}
                options = {"backend": "tensorrt"} if kind == "TensorRT" else {
                    "mode": "max-autotune"}  # fmt: skip
                best = torch.compile(model, **options)
                return contest.theirs(report, best, contest.n, graph=False)

            report.add("compile", f"{contest.name}: {kind}", figure)


def mutants(report: Report, contests: list[Contest]) -> None:
    """Time the effects of every substitution, each engine that runs here."""
    shapes = [contest for contest in contests if not contest.name.startswith("LegNet")]
    if not report.smoke:  # its aim is at the challenge's length
        net = replace(NETS[-1], name="LegNet optimised 110 bp", length=110)
        shapes += filter(None, [contest_of(report, net)])
    for contest in shapes:
        length = contest.codes.shape[1]
        rows = contest.codes[: 1 if report.smoke else max(1, 2**20 // (3 * length))].cpu().numpy()
        edits = Edits.substitutions(rows, 0, 1 if report.smoke else length)
        for engine in ("full", "incremental"):

            def figure(engine=engine, rows=rows, edits=edits, plan=contest.plan) -> dict:
                if engine == "incremental" and plan.not_incremental:
                    return {"note": "; ".join(plan.not_incremental)}
                ms = report.milliseconds(lambda: plan.effects(rows, edits, engine=engine))
                return {"edits": len(edits), "ms": ms, "edits_per_second": len(edits) / ms * 1e3}

            report.add("mutants", f"{contest.name}: {engine}", figure)


def variants(report: Report) -> None:
    """Time `score_variants` over every SNV of a region, and over a VCF."""
    made: list[SNVs] = []

    def ready() -> dict:
        begin = time.perf_counter()
        with torch.inference_mode(False), torch.enable_grad():
            made.append(SNVs(DEVICE, NET_TOLERANCE, smoke=report.smoke))
        return {"seconds": time.perf_counter() - begin}

    def scored(name: str) -> dict:
        with torch.inference_mode(False):
            return getattr(made[0], name)()

    if report.add("variants", "a network trained and lowered", ready, again=True):
        report.add("variants", "saturating", partial(scored, "saturating"))
        report.add("variants", "from a VCF", partial(scored, "from_vcf"))


def training(report: Report) -> None:
    """Time epochs of LegNet and DREAM-RNN, ours and as most people write them."""
    small = {"legnet": {"stem": 16, "widths": (16,)}, "dream_rnn": {}}
    for name in ("legnet",) if report.smoke else small:
        rows = 64 if report.smoke else 65536
        sizes = small[name] if report.smoke else {}
        length = 20 if report.smoke else 110
        codes = random(rows, length, dtype=torch.uint8).cpu().numpy() % 4
        labels = codes.astype("float32").mean(1)

        def ours(name=name, codes=codes, labels=labels, sizes=sizes) -> dict:
            with torch.inference_mode(False), torch.enable_grad():
                result = train(name, (codes, labels), validation=(codes[:32], labels[:32]),
                               sizes=sizes, epochs=1 if report.smoke else 2, device=DEVICE,
                               progress=False, flanks="none")  # fmt: skip
            return epoch(len(codes), result.history[-1]["seconds"])

        def theirs(name=name, codes=codes, labels=labels, sizes=sizes) -> dict:
            few = len(codes) // 8  # a row of theirs takes the more part of a millisecond
            with torch.inference_mode(False), torch.enable_grad():
                net = build(name, length=codes.shape[1], **sizes)
                more = net.input_spec.channels - 4  # of strand and flags, which the strings lack
                net = nn.Sequential(nn.ConstantPad2d((0, 0, 0, more), 0.0), net).to(DEVICE)
                begin = time.perf_counter()
                plain_loop.epoch(net, decode(codes[:few]), labels[:few], 256)
            return epoch(few, time.perf_counter() - begin)

        report.add("training", f"an epoch of {name}", ours)
        report.add("training", f"an epoch of {name}: DataLoader over strings", theirs)


def epoch(rows: int, seconds: float) -> dict:
    """Return a row's values."""
    return {"n": rows, "seconds": seconds, "sequences_per_second": rows / seconds}


def configurations(report: Report, right: list[Layer]) -> None:
    """Time launch configurations one change away from the committed ones, and write the best.

    The table beside the results is a proposal: `benchmarks.kernels.aot` judges it before a commit.
    """
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


def one_hot(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (n, 4, length); unknown bases are zeros."""
    table = torch.eye(5, 4, dtype=dtype, device=codes.device)
    return table[codes.long()].transpose(1, 2).contiguous()


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
