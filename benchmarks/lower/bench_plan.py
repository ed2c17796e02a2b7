"""Forward passes of lowered plans beside PyTorch, ONNX Runtime and OpenVINO on one thread.

Ours begin with codes, all rivals with ready-made one-hot input.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.utils.benchmark

import fastseq
from benchmarks.rivals import optional
from benchmarks.rivals.plain_torch import BPNet, DeepStarr, LegNet, ResNet, calibrated
from benchmarks.run import Case, Rival
from fastseq._native import cpu
from fastseq.models.specs import InputSpec

onnx_runtimes = optional("onnx_runtimes")
# name, model, length, sequences, goals in float32 and bfloat16
MODELS = (
    ("ResNet", ResNet, 110, 512, 2.4, 4.0),
    ("DeepSTARR", DeepStarr, 249, 224, 2.0, None),
    ("LegNet", LegNet, 150, 64, 1.6, None),
    ("BPNet", BPNet, 2114, 32, 2.0, None),
)
BATCH = 32


def cases(size: str) -> Iterator[Case]:
    """Yield a float32 and a bfloat16 plan of each model, beside eager nn.Conv1d in float32."""
    torch.set_num_threads(1)
    for name, make, length, rows, *goals in MODELS:
        rows = {"tiny": 2, "full": rows}[size]
        channels = 6 if name == "LegNet" else 4
        model = calibrated(make(), length, channels)
        if channels == 6:
            model.input_spec = InputSpec(length, strand_channel=True, flag_channels=("singleton",))
        codes = np.random.default_rng(0).integers(0, 4, (rows, length), dtype=np.uint8)
        eager = Eager(model, codes, channels)
        for precision, goal in zip(("float32", "bfloat16"), goals):
            plan = fastseq.lower(model, length=length, precision=precision)
            rivals = [Rival("eager nn.Conv1d float32, its best batch", eager.run, "torch", goal)]
            if onnx_runtimes and size == "full":
                rivals += _runtimes(model, eager.hot, precision)
            yield Case(
                f"{name} {length} bp, {precision}",
                lambda plan=plan, codes=codes: plan.predict(codes),
                rows,
                "sequences",
                f"{rows} random sequences as codes",
                rivals,
                check=lambda plan=plan, eager=eager: eager.agrees(plan),
            )
        if name == "ResNet":
            yield from _other_ways(model, eager, codes, size)
    yield grouped(size)


def _other_ways(
    model: torch.nn.Module, eager: "Eager", codes: np.ndarray, size: str
) -> Iterator[Case]:
    """Yield the compiled bfloat16 plan, and the float32 plan without AVX-512."""
    if size == "full":  # a compilation takes longer than all tiny cases
        yield _compiled(model, eager, codes)
    if "avx2" not in cpu.supported() or cpu.current() == "avx2":
        return
    plan = fastseq.lower(model, length=codes.shape[1])

    def narrow() -> np.ndarray:
        before = cpu.use("avx2")
        try:
            return plan.predict(codes)
        finally:
            cpu.use(before)

    rivals = [
        Rival("eager nn.Conv1d float32, its best batch, by AVX-512", eager.run, "torch"),
        Rival("the plan by AVX-512", lambda: plan.predict(codes)),
    ]
    yield Case(
        f"ResNet {codes.shape[1]} bp, float32, AVX2", narrow, len(codes), "sequences",
        f"{len(codes)} random sequences as codes", rivals, check=lambda: eager.agrees(plan),
    )  # fmt: skip


def _compiled(model: torch.nn.Module, eager: "Eager", codes: np.ndarray) -> Case:
    """Return the bfloat16 plan whose head inductor compiled."""
    length = codes.shape[1]
    plain = fastseq.lower(model, length=length, precision="bfloat16")
    compiled = fastseq.lower(model, length=length, precision="bfloat16", compile=True)
    rivals = [
        Rival("eager nn.Conv1d float32, its best batch", eager.run, "torch", 2.9),
        Rival("the plan as it is", lambda: plain.predict(codes)),
    ]
    return Case(
        f"ResNet {length} bp, bfloat16, its head compiled", lambda: compiled.predict(codes),
        len(codes), "sequences", f"{len(codes)} random sequences as codes", rivals,
        check=lambda: eager.agrees(compiled),
        note="native layers stay, inductor compiles what runs in PyTorch",
    )  # fmt: skip


def grouped(size: str) -> Case:
    """Return convolutions of two channels a group, as LegNet has them, beside eager PyTorch."""
    rows, length = {"tiny": 2, "full": 64}[size], 150
    torch.manual_seed(0)
    layers = (torch.nn.Conv1d(256, 256, 7, padding=3, groups=128) for _ in range(4))
    body = (part for layer in layers for part in (layer, torch.nn.SiLU()))
    model = torch.nn.Sequential(torch.nn.Conv1d(4, 256, 7, padding=3), *body,
                                torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten())  # fmt: skip
    codes = np.random.default_rng(0).integers(0, 4, (rows, length), dtype=np.uint8)
    plan, eager = fastseq.lower(model.eval(), length=length), Eager(model, codes, 4)
    return Case(
        "four convolutions of 256 channels, 2 a group, 150 bp", lambda: plan.predict(codes), rows,
        "sequences", f"{rows} random sequences as codes",
        [Rival("eager nn.Conv1d float32, its best batch", eager.run, "torch")],
        check=lambda: eager.agrees(plan),
    )  # fmt: skip


def _runtimes(model: torch.nn.Module, hot: torch.Tensor, precision: str) -> Iterator[Rival]:
    """Yield the runtimes that are installed; ours is to be within a tenth of each."""
    if precision == "float32":
        session = onnx_runtimes.OnnxRuntime(model, hot, BATCH)
        yield Rival("ONNX Runtime float32", session.run, "onnxruntime", 0.9)
    if onnx_runtimes.openvino:
        compiled = onnx_runtimes.OpenVino(model, hot, BATCH, precision)
        yield Rival(f"OpenVINO {precision}", compiled.run, "openvino", 0.9)


class Eager:
    """The model on ready-made one-hot input, at the batch size that suits it best."""

    def __init__(self, model: torch.nn.Module, codes: np.ndarray, channels: int):
        self.model, self.codes = model, codes
        hot = torch.from_numpy(fastseq.one_hot(codes, dtype="float32"))
        extra = torch.zeros(len(hot), channels - 4, hot.shape[2])
        self.hot, self.batch = torch.cat([hot, extra], 1), len(codes)
        if len(codes) > 2:
            self.batch = min((16, 64, 256), key=self._seconds)

    def _seconds(self, batch: int) -> float:
        self.batch = batch
        return min(torch.utils.benchmark.Timer("f()", globals={"f": self.run}).timeit(1).mean
                   for _ in range(3))  # fmt: skip

    def run(self) -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([self.model(part) for part in self.hot.split(self.batch)])

    def agrees(self, plan: fastseq.lower.Plan) -> None:
        """Raise when the plan's answers are not the model's."""
        truth = self.run().float().numpy()
        error = np.abs(plan.predict(self.codes) - truth).max() / np.abs(truth).max()
        tolerance = 1e-5 if plan.precision == "float32" else 5e-2
        assert error < tolerance, f"{error:.1e} of the largest answer"
