"""A model on one device that answers any number of codes in micro-batches of one shape."""

import math
import warnings
from collections.abc import Iterator
from functools import cache, cached_property
from numbers import Integral
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import FastseqWarning, OptionError
from fastseq.lower import inductor, probe
from fastseq.lower.capture import NotCaptured, capture
from fastseq.lower.gpu import AT_ONCE, RUNGS, Runner, fitting, in_parts, unpacked
from fastseq.lower.kernels import Precision, obstacles, ready
from fastseq.lower.program import Fewer, program
from fastseq.models.specs import COMPLEMENT, InputSpec, OutputScale, Strand, TargetSpec
from fastseq.sequence.pack import Packed

# capturing a graph takes about a second, which a smaller job never earns back at 2e11 FLOP/s
LOWER_ABOVE = 2e11
# why such a job runs the module as it is, and how many sequences at once: always as many, so that
# one alone has the bits that it has in company
SMALL_JOB, SMALL_JOB_BATCH = "a small job", 8

# measured on one core with 1 MB of L2: a layer's widest activation of a micro-batch at 2-4 MB is
# fastest, for 64 channels x 110 bp as for 256 x 249 and 64 x 2,114
ACTIVATION_BYTES = 4 << 20
LARGEST_BATCH, SMALLEST_BATCH = 64, 2


def rung(rows: int) -> int:
    """Return the least of 1 to 8, 10, 12, 14, 16, 20... that holds them: few shapes, few idle."""
    step = max(1, (1 << (rows - 1).bit_length()) // 8)
    return -(-rows // step) * step


class Forward:
    """The half of a `Plan` that runs it: lowering, micro-batches, answers without the offset."""

    def __init__(
        self,
        model: nn.Module,
        *,
        length: int | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        micro_batch: int | None = None,
        sequences: int | None = None,
        compile: bool = False,
    ) -> None:
        if precision not in get_args(Precision):
            raise OptionError(
                f"precision={precision!r}; expected one of {', '.join(get_args(Precision))}"
            )
        if micro_batch is not None and not (isinstance(micro_batch, Integral) and micro_batch > 0):
            raise OptionError(f"batch_size={micro_batch!r}; expected a whole number of at least 1")
        self.input_spec: InputSpec = probe.input_spec(model, length)
        self.device = probe.device(device)
        self.precision: Precision = precision
        self.obstacles = obstacles(self.device)
        if precision in ("tf32", "float16") and self.obstacles:
            raise OptionError(
                f"precision={precision!r} runs in the GPU kernels, which cannot run: "
                + "; ".join(self.obstacles)
            )
        # a copy, so that the caller's model keeps its mode, device and gradients
        self.module = probe.own_copy(model, self.device)
        # a saved plan's model is its lowered graph
        self.is_graph = isinstance(model, fx.GraphModule) and "lowered" in model.meta
        self.name = model.meta["lowered"] if self.is_graph else type(model).__name__  # type: ignore[index,union-attr]
        with probe.Operations() as operations:
            raw = probe.answer_to_zeros(self.module, self.input_spec, self.device)
        spec: TargetSpec = getattr(model, "target_spec", None) or TargetSpec()
        self.target_spec, self.positions = probe.target_spec(self.module, raw, spec)
        small = sequences is not None and sequences * operations.count < LOWER_ABOVE
        small = small and not self.is_graph  # which costs no capture
        self.graph, self.unlowered = (None, SMALL_JOB) if small else self._lower()
        self.compiled = compile
        if compile and (reasons := inductor.refusals(self.graph, self.unlowered, self.device)):
            raise OptionError(f"compile=True cannot be had: {'; '.join(reasons)}")
        self._given_batch = micro_batch
        self._parts = micro_batch or self._fitting_batch()
        self.micro_batch = self._parts * (AT_ONCE if self.on_kernels and not micro_batch else 1)
        self._sizes = (
            *(rung for rung in RUNGS if rung < self._parts and not micro_batch),
            *sorted({self._parts, self.micro_batch}),
        )

    def _fitting_batch(self) -> int:
        """Return the power of two of sequences whose widest activation fits the cache."""
        if self.unlowered == SMALL_JOB:
            return SMALL_JOB_BATCH
        widest = 64 * self.input_spec.length
        if self.graph is not None:
            # what native layers take in, such as a pool, is not written down
            runs = self.graph if self.on_kernels else self.program("+")
            values = (node for node in runs.graph.nodes if node.op != "get_attr")
            widest = max(math.prod(node.meta.get("shape", ())) for node in values)
        if self.on_kernels:
            return fitting(self.device, widest, self.dtype.itemsize)
        fits = 1 << max(ACTIVATION_BYTES // (self.dtype.itemsize * widest), 1).bit_length() - 1
        return min(max(fits, SMALLEST_BATCH), LARGEST_BATCH)

    @property
    def on_kernels(self) -> bool:
        """Whether the GPU kernels run the graph."""
        return self.graph is not None and not self.obstacles

    @property
    def dtype(self) -> torch.dtype:
        """Of activations."""
        return torch.float32 if self.precision == "tf32" else getattr(torch, self.precision)

    def _lower(self) -> tuple[fx.GraphModule | None, str]:
        """Return the lowered graph on the device, or why there is none."""
        if self.is_graph:
            return self.module, ""  # type: ignore[return-value]
        try:
            graph = capture(self.module, self.input_spec.channels, self.input_spec.length)
        except NotCaptured as error:
            return None, f"torch.export could not capture it: {error}"
        return graph, ""

    def _forward(self, codes: Codes, strand: Strand) -> Tensor:
        """Return raw scores of full-length codes, as the module gives them, in float32."""
        codes = self.input_spec.place(codes)
        if self.graph is not None:
            turned = (
                COMPLEMENT[codes[:, ::-1]] if strand == "-" else np.require(codes, None, ["C", "W"])
            )
            rows = torch.from_numpy(turned).to(self.device)
            if self.compiled:
                return self._compiled(strand)(rows).float()
            runs = self.program(strand)
            if self._takes_fewer and len(rows) < self.micro_batch:
                return Fewer(runs, self.micro_batch).run(rows).float()
            return runs(rows).float()
        x = self.input_spec.expand(codes, strand)
        half = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype if half else None, half):
            return self.module(x.to(self.device)).float()

    @cache  # noqa: B019 - a plan lives as long as its programs are wanted
    def program(self, strand: Strand) -> fx.GraphModule:
        """Return the lowered graph as it runs on the device: codes on a strand in, scores out."""
        return program(
            self.graph,  # type: ignore[arg-type]
            self.input_spec.table(strand),
            device=self.device,
            dtype=self.dtype,
        )

    @cache  # noqa: B019 - a plan lives as long as its programs are wanted
    def _compiled(self, strand: Strand) -> fx.GraphModule:
        """Return `program` with what runs in PyTorch compiled, for whole micro-batches."""
        return inductor.compiled(self.program(strand), self.micro_batch)

    @cache  # noqa: B019 - a plan lives as long as its programs are wanted
    def kernels(self, strand: Strand, width: int) -> fx.GraphModule:
        """Return the lowered graph on the GPU kernels: rows of so many codes in, scores out."""
        graph: fx.GraphModule = self.graph  # type: ignore[assignment]
        return ready(graph, self.input_spec, strand, width, self.precision, self.device)

    @cache  # noqa: B019 - a plan lives as long as its runners are wanted
    def _runner(
        self, strand: Strand, width: int, scale: OutputScale, *, packed: bool = False
    ) -> Runner:
        """Return what runs rows of so many codes on the GPU, head included."""
        program = self.kernels(strand, width)
        # PyTorch's products may differ in the last bit from one batch shape to another
        sizes = (self._parts,) if program.meta["foreign"] else self._sizes

        def call(codes: Tensor) -> Tensor:
            return self._headed(program(codes).float(), strand, scale)

        whole = in_parts(call, self._parts)
        if packed:
            return Runner(lambda data: whole(unpacked(data, width)), -(-width // 4), sizes,
                          self.device)  # fmt: skip
        return Runner(whole, width, sizes, self.device)

    def _answer(self, codes: Codes, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        """Return answers without the offset, in forward terms: slope * activation(score)."""
        with torch.inference_mode():
            return self._headed(self._forward(codes, strand), strand, scale).cpu().numpy()

    def _headed(self, raw: Tensor, strand: Strand, scale: OutputScale) -> Tensor:
        spec = self.target_spec
        score = spec.score(raw)
        answer = score if scale == "logit" else spec.activate(score) * spec.slope
        return spec.same_strand(answer) if strand == "-" else answer

    def _batches(self, codes: Codes, *, whole: bool = False) -> Iterator[tuple[slice, Codes]]:
        """Yield micro-batches; a short one is padded with unknown bases as far as it must be."""
        for first in range(0, len(codes), self.micro_batch):
            batch = codes[first : first + self.micro_batch]
            rows = slice(first, first + len(batch))
            run = self.micro_batch if whole else self._padded(len(batch))
            if padding := run - len(batch):
                unknown = np.full((padding, codes.shape[1]), UNKNOWN, np.uint8)
                batch = np.concatenate([batch, unknown])
            yield rows, batch

    def _padded(self, rows: int) -> int:
        """Return how many sequences run in a micro-batch that has so many."""
        if self._takes_fewer:
            return rows
        whole = self.compiled or self.graph is None
        return self.micro_batch if whole else min(rung(rows), self.micro_batch)

    def _run(self, codes: Codes, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        if self.on_kernels:
            self.input_spec.place(codes[:0])  # which refuses rows of another length
            out = self._runner(strand, codes.shape[1], scale)(codes)
        else:
            out = np.empty((len(codes), *self.answer_shape), np.float32)
            for rows, batch in self._batches(codes):
                out[rows] = self._answer(batch, strand, scale)[: rows.stop - rows.start]
        if not np.isfinite(out).all():
            odd = int(np.argmax(~np.isfinite(out.reshape(len(out), -1)).all(1)))
            warnings.warn(
                f"the model answers sequence {odd} with a number that is not finite",
                FastseqWarning,
                stacklevel=3,
            )
        return out

    @cached_property
    def _takes_fewer(self) -> bool:
        """Whether a short batch gives the bits of a padded one without its cost."""
        return self.graph is not None and not self.compiled and Fewer.runs(self.program("+"))

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """Axes of one sequence's answer: (tasks,) or (tasks, positions)."""
        tasks = len(self.target_spec.tasks)
        return (tasks,) if self.positions is None else (tasks, self.positions)

    def _run_packed(self, rows: Packed, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        """Run packed sequences, unpacked on the GPU where no base of theirs is unknown."""
        if not self.on_kernels or len({*rows.sizes.tolist()}) != 1:
            return self._run(np.atleast_2d(rows.unpack()), strand, scale)
        known = np.ones(len(rows), bool)
        known[rows.runs[:, 0]] = False
        data = rows.data[rows.at[0] : rows.at[-1]].reshape(len(rows), -1)
        self.input_spec.place(np.empty((0, rows.sizes[0]), np.uint8))
        out = np.empty((len(rows), *self.answer_shape), np.float32)
        runner = self._runner(strand, int(rows.sizes[0]), scale, packed=True)
        out[known] = runner(data[known])
        others = np.flatnonzero(~known)
        if len(others):
            codes = np.stack([rows.codes(row) for row in others.tolist()])
            out[others] = self._run(codes, strand, scale)
        return out
