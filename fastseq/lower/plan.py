"""A plan: a trained model ready to run on codes and edits, and able to say how it runs."""

import copy
import math
import os
import warnings
from collections.abc import Iterator
from functools import cache, cached_property, partial
from numbers import Integral
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from fastseq.arrays import UNKNOWN, Codes, check
from fastseq.errors import FastseqWarning, LengthError, ModelError, OptionError
from fastseq.lower import saved
from fastseq.lower.capture import NotCaptured, capture
from fastseq.lower.delta_gpu import WindowEngine
from fastseq.lower.edited import incremental_effects, keeps_length
from fastseq.lower.explain import explain, explain_ism
from fastseq.lower.gpu import AT_ONCE, RUNGS, Runner, fitting, in_parts, unpacked
from fastseq.lower.incremental import DeltaEngine
from fastseq.lower.interchange import export_onnx
from fastseq.lower.kernels import Precision, obstacles, ready
from fastseq.lower.program import Fewer, program
from fastseq.models.specs import COMPLEMENT, InputSpec, OutputScale, Strand, TargetSpec
from fastseq.sequence.edits import Edits, apply, check_inside, window
from fastseq.sequence.pack import Packed

Engine: TypeAlias = Literal["full", "incremental"]
# capturing a graph takes about a second, which a smaller job never earns back at 2e11 FLOP/s
LOWER_ABOVE = 2e11

# measured on one core with 1 MB of L2: a layer's widest activation of a micro-batch at 2-4 MB is
# fastest, for 64 channels x 110 bp as for 256 x 249 and 64 x 2,114
ACTIVATION_BYTES = 4 << 20
LARGEST_BATCH, SMALLEST_BATCH = 64, 8


class Plan:
    """A model in eval mode on one device, fed fixed-size micro-batches of codes.

    Every micro-batch has the same padded shape, so an answer does not depend on the sequence's
    neighbours or on how many there are.

    Attributes
    ----------
    module : nn.Module
        A copy of the model in eval mode, in float32.
    name : str
        Of the model's class.
    graph : fx.GraphModule or None
        The lowered model; None where ``unlowered`` says why the module runs as it is.
    input_spec : InputSpec
    target_spec : TargetSpec
        Task names are filled in from the model's answer where the model carries no spec.
    device : torch.device
    precision : str
    obstacles : list of str
        Why the GPU kernels do not run here; empty where they do.
    micro_batch : int
        Sequences run at once.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        length: int | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "float32",
        micro_batch: int | None = None,
        sequences: int | None = None,
    ) -> None:
        if precision not in get_args(Precision):
            raise OptionError(
                f"precision={precision!r}; expected one of {', '.join(get_args(Precision))}"
            )
        if micro_batch is not None and not (isinstance(micro_batch, Integral) and micro_batch > 0):
            raise OptionError(f"batch_size={micro_batch!r}; expected a whole number of at least 1")
        self.input_spec: InputSpec = _input_spec(model, length)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision: Precision = precision
        self.obstacles = obstacles(self.device)
        if precision in ("tf32", "float16") and self.obstacles:
            raise OptionError(
                f"precision={precision!r} runs in the GPU kernels, which cannot run: "
                + "; ".join(self.obstacles)
            )
        # a copy, so that the caller's model keeps its mode, device and gradients
        self.module = copy.deepcopy(model).to(self.device).float().eval().requires_grad_(False)
        # a saved plan's model is its lowered graph
        self.is_graph = isinstance(model, fx.GraphModule) and "lowered" in model.meta
        self.name = model.meta["lowered"] if self.is_graph else type(model).__name__  # type: ignore[index,union-attr]
        small = sequences is not None and sequences * self._flops() < LOWER_ABOVE
        self.target_spec: TargetSpec = getattr(model, "target_spec", None) or TargetSpec()
        self.target_spec, self.positions = self._probe()
        self.graph, self.unlowered = (None, "a small job") if small else self._lower()
        self._given_batch = micro_batch
        self._parts = micro_batch or self._fitting_batch()
        self.micro_batch = self._parts * (AT_ONCE if self.on_kernels and not micro_batch else 1)
        self._sizes = (
            *(rung for rung in RUNGS if rung < self._parts and not micro_batch),
            *sorted({self._parts, self.micro_batch}),
        )

    def _flops(self) -> int:
        """Return the floating-point operations of one forward pass."""
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self._attempt(self._blank())
        return counter.get_total_flops()

    def _blank(self) -> Tensor:
        """Return one input of zeros."""
        return torch.zeros(1, self.input_spec.channels, self.input_spec.length, device=self.device)

    def _attempt(self, x: Tensor) -> object:
        """Return the module's answer to an input it may not be able to take."""
        try:
            return self.module(x)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"{type(self.module).__name__} cannot take float32 {tuple(x.shape)}: {first}"
            ) from error

    def _fitting_batch(self) -> int:
        """Return the power of two of sequences whose widest activation fits the cache."""
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

    def _probe(self) -> tuple[TargetSpec, int | None]:
        """Run one input of unknown bases; return the spec with its tasks, and profile positions."""
        with torch.inference_mode():
            raw = self._attempt(self._blank())
        if not isinstance(raw, Tensor) or raw.ndim not in (1, 2, 3) or len(raw) != 1:
            found = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
            raise ModelError(
                f"{type(self.module).__name__} answered one input with {found}; expected a "
                "tensor (1,), (1, tasks) or (1, tasks, positions)"
            )
        score = self.target_spec.score(raw)
        names = self.target_spec.tasks
        if len(names) != score.shape[1]:
            if names != TargetSpec().tasks:
                raise ModelError(
                    f"{type(self.module).__name__} answers {score.shape[1]} tasks; its "
                    f"TargetSpec names {len(names)}: {', '.join(names)}"
                )
            names = tuple(f"task{i}" for i in range(score.shape[1]))
        given = self.target_spec.to_dict() | {"tasks": names}
        return TargetSpec.from_dict(given), score.shape[2] if score.ndim == 3 else None

    def _forward(self, codes: Codes, strand: Strand) -> Tensor:
        """Return raw scores of full-length codes, as the module gives them, in float32."""
        codes = self.input_spec.place(codes)
        if self.graph is not None:
            turned = (
                COMPLEMENT[codes[:, ::-1]] if strand == "-" else np.require(codes, None, ["C", "W"])
            )
            rows = torch.from_numpy(turned).to(self.device)
            runs = self.program(strand)
            if len(rows) < self.micro_batch:
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

    def _batches(self, codes: Codes, *, fewer: bool = False) -> Iterator[tuple[slice, Codes]]:
        """Yield micro-batches; the last is padded with unknown bases or has ``fewer`` rows."""
        for first in range(0, len(codes), self.micro_batch):
            batch = codes[first : first + self.micro_batch]
            short = self.micro_batch - len(batch)
            if short and not fewer:
                padding = np.full((short, codes.shape[1]), UNKNOWN, np.uint8)
                batch = np.concatenate([batch, padding])
            yield slice(first, first + self.micro_batch - short), batch

    def _run(self, codes: Codes, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        if self.on_kernels:
            self.input_spec.place(codes[:0])  # which refuses rows of another length
            out = self._runner(strand, codes.shape[1], scale)(codes)
        else:
            out = np.empty((len(codes), *self.answer_shape), np.float32)
            for rows, batch in self._batches(codes, fewer=self._takes_fewer):
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
        return self.graph is not None and Fewer.runs(self.program("+"))

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

    def predict(
        self, codes: Codes | Packed, *, strand: Strand = "+", scale: OutputScale = "output"
    ) -> NDArray[np.float32]:
        """Return the model's answers, in the units of its TargetSpec.

        Parameters
        ----------
        codes : uint8, (n, variable) or (n, length), or Packed
            Variable parts are placed inside the model's flanks. What is packed reaches a GPU at
            two bits a base.
        strand : {"+", "-"}
            "-" runs the reverse complement of the whole input; the answer is in forward terms.
        scale : {"output", "logit"}
            "logit" stops before the activation and the affine map.

        Returns
        -------
        float32, (n, tasks) or (n, tasks, positions)

        Raises
        ------
        LengthError
            The rows are of neither length.
        OptionError
            Another word for scale.
        """
        _check_scale(scale)
        if isinstance(codes, Packed):
            answer = self._run_packed(codes, strand, scale)
        else:
            answer = self._run(check("codes", codes, "n l", dtype="uint8"), strand, scale)
        return answer if scale == "logit" else answer + np.float32(self.target_spec.offset)

    def effects(
        self,
        rows: Codes,
        edits: Edits,
        *,
        left: int = 0,
        length: int | None = None,
        strand: Strand = "+",
        scale: OutputScale = "output",
        engine: Engine = "full",
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the reference answers and what each edit changes.

        Parameters
        ----------
        rows : uint8, (n, row_length)
            Reference rows; the model sees [left, left + length) of each, edited or not.
        edits : Edits
        left, length : int
            The window in a row; the whole row where not given. ``length`` is the model's
            variable or full length.
        strand, scale : as `predict`
        engine : {"full", "incremental"}
            "full" runs the edited sequences, "incremental" carries the differences of edits that
            keep the length; where one does not, all run in full.

        Returns
        -------
        y_ref : float32, (n, tasks) or (n, tasks, positions)
        deltas : float32, (e, tasks) or (e, tasks, positions)
            Answer of the edited sequence minus answer of its row. The offset of the affine map
            never enters, so it costs no digits.

        Raises
        ------
        OptionError
            An edit reaches outside its row, or another word for scale.
        """
        _check_scale(scale)
        rows = check("rows", rows, "n l", dtype="uint8")
        length = rows.shape[1] - left if length is None else length
        seen = {"left": left, "length": length, "strand": strand, "scale": scale}
        if engine == "incremental" and keeps_length(edits).all():
            if reasons := self.not_incremental:
                raise OptionError(f"engine='incremental' cannot run here: {'; '.join(reasons)}")
            check_inside(edits, *rows.shape)
            y_ref, deltas = incremental_effects(
                self.delta_engine(strand), self.input_spec, self.target_spec, rows, edits, **seen
            )
        else:
            y_ref, deltas = self._full_effects(rows, edits, **seen)
        return (y_ref if scale == "logit" else y_ref + np.float32(self.target_spec.offset)), deltas

    def _full_effects(
        self,
        rows: Codes,
        edits: Edits,
        *,
        left: int,
        length: int,
        strand: Strand,
        scale: OutputScale,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        y_ref = self._run(window(rows, left, length), strand, scale)
        deltas = np.empty((len(edits), *y_ref.shape[1:]), np.float32)
        done = 0
        for block in edits.blocks(self.micro_batch):
            y_alt = self._run(apply(rows, block, left=left, length=length), strand, scale)
            np.subtract(y_alt, y_ref[block.row], out=deltas[done : done + len(block)])
            done += len(block)
        return y_ref, deltas

    @property
    def not_incremental(self) -> list[str]:
        """Why differences cannot be carried through this plan; empty where they can."""
        if self.graph is None:
            return [f"the model was not lowered: {self.unlowered}"]
        if self.obstacles and (self.device.type != "cpu" or self.precision != "float32"):
            return [f"differences run in float32 on the CPU or in GPU kernels, the plan in "
                    f"{self.precision} on {self.device} without them"]  # fmt: skip
        return self.delta_engine("+").reasons

    def incremental_pays(self, edits: int) -> bool:
        """Return whether so many edits of a sequence are faster as differences than in full."""
        # the cost model is right to a tenth or so
        return not self.not_incremental and self.delta_engine("+").cost(edits).gain > 1.1

    @cache  # noqa: B019 - a plan lives as long as its engines are wanted
    def delta_engine(self, strand: Strand) -> DeltaEngine | WindowEngine:
        """Return the engine that carries differences on a strand; built when first asked for."""
        graph: fx.GraphModule = self.graph  # type: ignore[assignment]
        table = self.input_spec.table(strand)
        if self.on_kernels:
            return WindowEngine(graph, table, self.precision, self.device)
        return DeltaEngine(graph, table)

    def gradient(self, codes: Codes, *, task: int = 0, strand: Strand = "+") -> NDArray[np.float32]:
        """Return the gradient of one task's score before the activation, at each base and channel.

        Parameters
        ----------
        codes : uint8, (n, variable) or (n, length)
        task : int
            Profiles are summed over their positions.
        strand : {"+", "-"}

        Returns
        -------
        float32, (n, 4, length)
            Channels A C G T on the + strand; full length, flanks included.
        """
        if strand == "-" and self.target_spec.strand_exchange:
            task = self.target_spec.strand_exchange[task]
        out = np.empty((len(codes), 4, self.input_spec.length), np.float32)
        for rows, batch in self._batches(check("codes", codes, "n l", dtype="uint8")):
            x = self.input_spec.expand(self.input_spec.place(batch), strand).to(self.device)
            x.requires_grad_(True)
            # cuDNN refuses a backward pass through a recurrent layer in eval mode
            with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
                score = self.target_spec.score(self.module(x).float())
                (grad,) = torch.autograd.grad(score[:, task].sum(), x)
            out[rows] = self.input_spec.bases(grad, strand)[: rows.stop - rows.start].cpu().numpy()
        return out

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the lowered model with its specs as one safetensors file; return the path.

        `fastseq.lower` reads it as it reads a checkpoint, without the model's own code;
        `Plan.load` also takes over precision and batch size.

        Raises
        ------
        ModelError
            The model could not be lowered, or calls an operator that does not load again.
        UnreadableFileError
            The folder cannot be written.
        """
        return saved.save(path, self._content())

    def export_onnx(self, path: str | os.PathLike[str]) -> Path:
        """Write the plan as an ONNX model in float32; return the path.

        Its input is ``codes``, uint8 (n, length) of full-length sequences, its output ``answer``,
        as `predict` gives it on the + strand; n is free.

        Raises
        ------
        ModelError
            The model could not be lowered, or PyTorch knows no ONNX form of an operator in it.
        MissingExtraError
            The extra ``onnx`` is not installed.
        UnreadableFileError
            The folder cannot be written.
        """
        return export_onnx(self._graph_or_why(), self.input_spec, self.target_spec, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, device: str | torch.device | None = None
    ) -> "Plan":
        """Return a saved plan.

        Raises
        ------
        MissingFileError, UnreadableFileError
            No such file, or the system refuses to read it.
        CheckpointError
            The file is truncated, no plan, or calls what a plan may not.
        """
        return cls._of(saved.read(path), device, str(path))

    @classmethod
    def _of(
        cls, content: bytes, device: str | torch.device | None = None, source: str = "a plan"
    ) -> "Plan":
        graph, about = saved.parts(content, source)
        return cls(graph, device=device, precision=about["precision"], micro_batch=about["batch"])

    def _content(self) -> bytes:
        return saved.content(self._graph_or_why(), {
            "name": self.name,
            "input_spec": self.input_spec.to_dict(),
            "target_spec": self.target_spec.to_dict(),
            "precision": self.precision,
            "batch": self._given_batch,
        })  # fmt: skip

    def _graph_or_why(self) -> fx.GraphModule:
        graph, reason = (self.graph, "") if self.graph is not None else self._lower()
        if graph is None:
            raise ModelError(f"the plan cannot be saved: {reason}")
        return graph

    def __reduce__(self) -> tuple:
        """A plan goes to another process in its saved form, onto a device of the same kind.

        The module itself goes where torch.export could not capture it.
        """
        graph = self.graph or self._lower()[0]
        if graph is None:
            again = partial(
                Plan, length=self.input_spec.length, device=self.device.type,
                precision=self.precision, micro_batch=self._given_batch,
            )  # fmt: skip
            return again, (self.module,)
        return Plan._of, (self._content(), self.device.type)

    def in_float32(self) -> "Plan":
        """Return the plan that a reduced precision is measured against."""
        if self.precision == "float32":
            return self
        return Plan(self.module, length=self.input_spec.length, device=self.device,
                    micro_batch=None if self.on_kernels else self.micro_batch)  # fmt: skip

    def explain(self) -> str:
        """Return how each layer runs and why, one line each."""
        return explain(self)

    def explain_ism(self, edits: int | None = None) -> str:
        """Return which engine mutates a sequence, what it costs at least, and why.

        Parameters
        ----------
        edits : int, optional
            Edits a sequence; three for each variable base where not given.
        """
        return explain_ism(self, 3 * self.input_spec.variable if edits is None else edits)


def _check_scale(scale: str) -> None:
    if scale not in ("output", "logit"):
        raise OptionError(f"scale={scale!r}; expected 'output' or 'logit'")


def _input_spec(model: nn.Module, length: int | None) -> InputSpec:
    spec = getattr(model, "input_spec", None)
    if spec is None:
        if length is None:
            raise OptionError(f"{type(model).__name__} carries no InputSpec; pass length= in bp")
        return InputSpec(length)
    if length not in (None, spec.length, spec.variable):
        raise LengthError(
            f"length={length}; the model takes {spec.length} bp"
            + (f" or {spec.variable} bp inside its flanks" if spec.left or spec.right else "")
        )
    return spec
