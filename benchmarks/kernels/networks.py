"""Whole networks, by plans and by PyTorch's ways, in batches of all kinds; and their mutants."""

from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import torch
from fastseq_kernels import reference
from torch import Tensor, nn

from benchmarks.kernels.device import DEVICE, one_hot, settled
from benchmarks.kernels.nets import NETS, Flat, Net, Plain
from benchmarks.kernels.report import Report
from benchmarks.kernels.rooflines import peak
from fastseq.lower.gpu import captured, in_parts
from fastseq.lower.plan import Plan
from fastseq.sequence.edits import Edits

# a whole network in bfloat16, each layer rounding once more: this, or twice PyTorch's own error
# where a head that sums to nearly nothing makes that larger
NET_TOLERANCE = 2e-2


class Contest:
    """A network run by a plan and by PyTorch, on the same codes."""

    def __init__(self, net: Net, plan: Plan, plain: Plain, codes: Tensor, truth: Tensor) -> None:
        self.name, self.operations = net.name, net.operations()
        self.plan, self.plain, self.codes, self.truth = plan, plain, codes, truth
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
        return cls(net, plan, plain.bfloat16(), codes, truth)

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
        share = n * self.operations / ms * 1e3 / peak(report)
        return {"n": n, "micro_batch": parts, "error_l2": error, "torch_error_l2": self.own,
                "ms": ms, "sequences_per_second": n / ms * 1e3,
                "share_of_matrix_product": share}  # fmt: skip

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
