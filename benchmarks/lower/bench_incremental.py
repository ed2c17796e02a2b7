"""Edits as differences, one thread, beside eager mutants and tangermeme's windows."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch

import fastseq
from benchmarks.peak import multiply_adds
from benchmarks.rivals import optional
from benchmarks.rivals.plain_torch import BPNet, DeepStarr, LegNet, ResNet, calibrated
from benchmarks.run import Case, Rival
from fastseq.lower.capture import capture
from fastseq.lower.incremental import DeltaEngine
from fastseq.sequence.edits import Edits, apply
from fastseq.sequence.scans import read_source

TABLE = torch.cat([torch.eye(4), torch.zeros(1, 4)])
BATCHES = (32, 128, 512)
# name, model, length, positions edited at full size; goals: times eager, times tangermeme, share
# of the core's multiply-add peak on the dense delta operations
NETWORKS: tuple[tuple[str, Callable, int, int, tuple[float, float, float]], ...] = (
    ("ResNet ReLU", lambda length: ResNet(activation=torch.nn.ReLU), 110, 110, (5, 3, 0.75)),
    ("ResNet PReLU", lambda length: ResNet(), 110, 110, (5, 3, 0.75)),
    ("ResNet ReLU", lambda length: ResNet(activation=torch.nn.ReLU), 249, 249, (10, 3, 0.75)),
    ("ResNet ReLU", lambda length: ResNet(activation=torch.nn.ReLU), 500, 250, (20, 3, 0.75)),
    ("DeepSTARR", DeepStarr, 249, 249, (18, 4, 0.6)),
    ("DeepSTARR", DeepStarr, 1000, 250, (70, 5, 0.6)),
    ("BPNet", lambda length: BPNet(), 2114, 120, (25, 5, 0.75)),
)
IN_BFLOAT16 = {("ResNet PReLU", 110), ("DeepSTARR", 1000), ("BPNet", 2114)}
# networks with walls (gates, attention, recurrence) and without, few edits and many
SMALL = (
    ("tum_resnet", 4), ("legnet", 4), ("dream_rnn", 4), ("dream_attn", 4), ("vaishnav", 4),
    ("deepstarr", 4), ("legnet", 40), ("dream_rnn", 20),
)  # fmt: skip
# edits that move what is behind them, at every position: network, length, edits
MOVING = (
    ("ResNet", 110, "deletions:1"),
    ("ResNet", 110, "deletions:10"),
    ("ResNet", 110, "insertions:A"),
    ("DeepSTARR", 249, "deletions:1"),
    ("DeepSTARR", 249, "deletions:10"),
    ("DeepSTARR", 249, "insertions:A"),
)
PYTORCH_ONLY = {110: 3, 249: 6.5, 500: 13}  # goals on the residual network


def cases(size: str) -> Iterator[Case]:
    """Yield each network by native code, and the residual one by PyTorch alone."""
    torch.set_num_threads(1)
    for name, make, length, positions, goals in NETWORKS[:: 4 if size == "tiny" else 1]:
        job = Job(calibrated(make(length), length), length, 3 if size == "tiny" else positions)
        engine = job.engine()
        eager = Rival("eager mutants, the best batch", job.best(job.eager, size), "torch", goals[0])
        rivals = [eager]
        windows = optional("tangermeme_ism")
        if windows:
            fast = windows.FastISM(job.model, job.hot, job.positions)
            run = job.best(fast.run, size)
            rivals.append(Rival("tangermeme windows, the best batch", run, "tangermeme", goals[1]))
        peak = multiply_adds(engine.bound.delta * len(job.start))
        rivals.append(Rival("dense operations at the multiply-add peak", peak, goal=goals[2]))
        yield job.case(f"{name} {length} bp", engine, rivals)
        if (name, length) in IN_BFLOAT16:
            whole = Job(job.model, length, length)
            yield whole.in_bfloat16(f"{name} {length} bp, bfloat16", engine)
        if name == "ResNet ReLU":
            slow = Rival(eager.name, eager.run, "torch", PYTORCH_ONLY[length])
            yield job.case(f"{name} {length} bp, PyTorch", job.engine(native=False), [slow])
    yield gated(size)
    for name, length, source in MOVING[:: 5 if size == "tiny" else 1]:
        yield moving(name, length, source, size)
    yield two_threads(size)
    yield growth(size)
    for name, positions in SMALL[:: 4 if size == "tiny" else 1]:
        yield small_job(name, 2 if size == "tiny" else positions)


def gated(size: str) -> Case:
    """Return a network whose gates read the whole length, which `auto` runs in full."""
    length = 110
    job = Job(calibrated(LegNet(4), length), length, 3 if size == "tiny" else 40)
    plan = fastseq.lower(job.model, length=length, device="cpu")
    edits = job.table
    engine = "incremental" if plan.incremental_pays(3 * length, 1) else "full"
    run = lambda: plan.effects(job.codes, edits, engine=engine)  # noqa: E731
    rivals = [Rival("eager mutants, the best batch", job.best(job.eager, size), "torch", 1.6)]
    windows = optional("tangermeme_ism")
    if windows:
        fast = windows.FastISM(job.model, job.hot, job.positions)
        best = job.best(fast.run, size)
        rivals.append(Rival("tangermeme windows, the best batch", best, "tangermeme", 2))
    return Case(
        f"LegNet {length} bp", run, len(edits), "edits",
        f"{len(edits)} substitutions in one random sequence; random weights, batch statistics of "
        "random sequences",
        rivals, check=lambda: job.check(run()[1]), note=f"auto takes the {engine} engine",
    )  # fmt: skip


def moving(name: str, length: int, source: str, size: str) -> Case:
    """Return edits that move all behind them, through the engine that each is faster by."""
    model = DeepStarr(length) if name == "DeepSTARR" else ResNet(activation=torch.nn.ReLU)
    job = Job(calibrated(model, length), length, 3)
    plan = fastseq.lower(job.model, length=length, device="cpu")
    codes = np.random.default_rng(2).integers(0, 4, (1, length + 10), dtype=np.uint8)
    edits = read_source(source, codes, end=9 if size == "tiny" else length)
    run = lambda: plan.effects(codes, edits, length=length, engine="incremental")  # noqa: E731
    mutants = torch.from_numpy(fastseq.one_hot(apply(codes, edits, length=length), dtype="float32"))

    def eager(batch: int) -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([job.model(part) for part in mutants.split(batch)])

    def check() -> None:
        with torch.inference_mode():
            hot = torch.from_numpy(fastseq.one_hot(codes[:, :length], dtype="float64"))
            true = job.model.double()(mutants.double()) - job.model(hot)
            job.model.float()
            own = eager(32) - job.model(hot.float())
        error = np.abs(run()[1] - true.numpy()).max()
        limit = max(1e-4 * true.abs().median(), (own - true).abs().max())
        assert error <= limit, f"{error:.1e} off"

    carried = plan.delta_engine("+").pays(edits.start, length - edits.start).mean()
    return Case(
        f"{name} {length} bp, {source}", run, len(edits), "edits",
        f"{len(edits)} edits in one random sequence, bases behind it move in; random weights, "
        "batch statistics of random sequences",
        [Rival("eager mutants, the best batch", job.best(eager, size), "torch", 1.5)],
        check=check, note=f"{carried:.0%} run as differences, the others in full",
    )  # fmt: skip


def small_job(name: str, positions: int) -> Case:
    """Return a small job through the engine that a plan chooses, beside eager mutants."""
    torch.manual_seed(0)
    model = fastseq.models.build(name).eval()
    begin = time.process_time()
    plan = fastseq.lower(model, device="cpu")
    seconds, length = time.process_time() - begin, plan.input_spec.variable
    job = Job(model, length, positions)
    edits = job.table
    pays = plan.incremental_pays(len(edits), 1)
    engine = "incremental" if pays else "full"

    def eager() -> None:
        codes = np.concatenate([job.codes, apply(job.codes, edits, length=length)])
        with torch.inference_mode():
            plan.module(plan.input_spec.expand(plan.input_spec.place(codes), "+"))

    return Case(
        f"{name}, {len(edits)} edits",
        lambda: plan.effects(job.codes, edits, engine=engine),
        len(edits),
        "edits",
        f"substitutions in one random sequence of {length} bp; random weights",
        [Rival("eager mutants in one batch", eager, "torch", goal=0.95)],
        note=f"auto takes the {engine} engine; lowered in {seconds:.2g} s",
    )


def two_threads(size: str) -> Case:
    """Return all substitutions of many sequences on two threads beside one."""
    job = Job(calibrated(DeepStarr(249), 249), 249, 3 if size == "tiny" else 249)
    rows = 2 if size == "tiny" else 32
    codes, edits = job.of_many(rows)
    one, two = job.engine(), job.engine()
    two.threads = 2
    return Case(
        "DeepSTARR 249 bp, two threads",
        lambda: two.effects(codes, *edits),
        len(edits[0]),
        "edits",
        f"{len(edits[0])} substitutions in {rows} random sequences",
        [Rival("one thread", lambda: one.effects(codes, *edits), goal=1.8)],
        clock="wall",
    )


def growth(size: str) -> Case:
    """Return all substitutions of many sequences in one call beside a call for each."""
    job = Job(calibrated(ResNet(), 110), 110, 3 if size == "tiny" else 110)
    rows, engine = 2 if size == "tiny" else 128, job.engine()
    codes, edits = job.of_many(rows)
    row, start, inserted = (part.reshape(rows, -1) for part in edits[:3])
    offsets = np.arange(row.shape[1] + 1)

    def one_by_one() -> None:
        for one in range(rows):
            alone = 0 * row[one], start[one], inserted[one], offsets
            engine.effects(codes[one : one + 1], *alone)

    return Case(
        f"growth: ResNet PReLU 110 bp, {rows} sequences",
        lambda: engine.effects(codes, *edits),
        len(edits[0]),
        "edits",
        f"{len(edits[0])} substitutions in {rows} random sequences",
        [Rival("one sequence at a time", one_by_one, goal=0.91)],
    )


class Job:
    """One sequence, three substitutions at positions over its whole length, and the model."""

    def __init__(self, model: torch.nn.Module, length: int, positions: int):
        self.model, self.length = model, length
        self.codes = np.random.default_rng(0).integers(0, 4, (1, length), dtype=np.uint8)
        self.hot = torch.from_numpy(fastseq.one_hot(self.codes, dtype="float32"))
        self.positions = np.unique(np.linspace(0, length - 1, positions).astype(np.int64))
        self.start = np.repeat(self.positions, 3)
        self.inserted = (self.codes[0, self.start] + np.tile([1, 2, 3], len(self.positions))) % 4

    def engine(self, *, native: bool = True, precision: str = "float32") -> DeltaEngine:
        """Return the engine over the lowered model."""
        graph = capture(self.model, 4, self.length)
        return DeltaEngine(graph, TABLE, threads=1, native=native, precision=precision)

    @property
    def edits(self) -> tuple[np.ndarray, ...]:
        """All substitutions, as an engine takes them."""
        count = np.arange(len(self.start) + 1)
        return self.start * 0, self.start, self.inserted.astype(np.uint8), count

    @property
    def table(self) -> Edits:
        """All substitutions, as a plan takes them."""
        return Edits.point(*self.edits[:3])

    def of_many(self, rows: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return so many random sequences, and substitutions at the same positions of each."""
        codes = np.random.default_rng(1).integers(0, 4, (rows, self.length), dtype=np.uint8)
        row, start = np.repeat(np.arange(rows), len(self.start)), np.tile(self.start, rows)
        inserted = (codes[row, start] + np.tile([1, 2, 3], len(row) // 3)) % 4
        return codes, (row, start, inserted.astype(np.uint8), np.arange(len(row) + 1))

    def in_bfloat16(self, name: str, wide: DeltaEngine) -> Case:
        """Return differences in bfloat16 beside those in float32, with their error of effects."""
        narrow = self.engine(precision="bfloat16")
        fast, true = (engine.effects(self.codes, *self.edits)[1] for engine in (narrow, wide))
        error, size = np.abs(fast - true), np.abs(true)
        flips = float((np.sign(fast) * np.sign(true) < 0).mean())
        cost = f"median error {np.median(error) / np.median(size):.2g} of the median effect"

        def check() -> None:
            assert np.median(error) <= 0.05 * np.median(size), cost

        return Case(
            name,
            lambda: narrow.effects(self.codes, *self.edits),
            len(self.start),
            "edits",
            f"{len(self.start)} substitutions in one random sequence",
            [Rival("float32 differences", lambda: wide.effects(self.codes, *self.edits), goal=1.5)],
            check=check,
            note=f"{cost}, {flips:.2%} of signs flipped; {'; '.join(narrow.wide)}".rstrip("; "),
        )

    def case(self, name: str, engine: DeltaEngine, rivals: list[Rival]) -> Case:
        """Return the case, checked against double precision."""
        count, edits = len(self.start), self.edits
        return Case(
            name,
            lambda: engine.effects(self.codes, *edits)[1],
            count,
            "edits",
            f"{count} substitutions in one random sequence; random weights, batch statistics "
            "of random sequences",
            rivals,
            check=lambda: self.check(engine.effects(self.codes, *edits)[1]),
            note="; ".join(engine.explain(count)),
        )

    def mutants(self, chosen: np.ndarray) -> torch.Tensor:
        """Return edited sequences as one-hot rows."""
        rows = self.hot.repeat(len(chosen), 1, 1)
        each = torch.arange(len(chosen))
        rows[each, :, self.start[chosen]] = 0
        rows[each, self.inserted[chosen], self.start[chosen]] = 1
        return rows

    def eager(self, batch: int) -> torch.Tensor:
        """Return the model's answer on every mutant."""
        with torch.inference_mode():
            parts = np.array_split(np.arange(len(self.start)), -(-len(self.start) // batch))
            return torch.cat([self.model(self.mutants(part)) for part in parts])

    def best(self, run: Callable[[int], object], size: str) -> Callable[[], object]:
        """Return a rival at its fastest batch size."""
        batch = BATCHES[0] if size == "tiny" else min(BATCHES, key=lambda b: _seconds(run, b))
        return lambda: run(batch)

    def check(self, effects: np.ndarray) -> None:
        """Raise where effects are further from double precision than 1e-4 of the median one."""
        some = np.random.default_rng(1).permutation(len(self.start))[:48]
        true, eager = (self._differences(some, dtype) for dtype in (torch.float64, torch.float32))
        error = np.abs(effects[some] - true).max()
        own = np.abs(eager - true).max()
        assert error <= max(1e-4 * np.median(np.abs(true)), own), f"{error:.1e} off"

    def _differences(self, chosen: np.ndarray, dtype: torch.dtype) -> np.ndarray:
        self.model.to(dtype)
        with torch.inference_mode():
            parts = [chosen[a:b] for a, b in pairwise(range(0, len(chosen) + 8, 8))]
            alt = torch.cat([self.model(self.mutants(part).to(dtype)) for part in parts])
            found = alt - self.model(self.hot.to(dtype))
        self.model.to(torch.float32)
        return found.double().numpy()


def _seconds(run: Callable[[int], object], batch: int) -> float:
    begin = time.process_time()
    run(batch)
    return time.process_time() - begin
