"""A plan: a trained model ready to run on codes and edits, and able to say how it runs."""

import copy
import math
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from fastseq.arrays import UNKNOWN, Codes, check
from fastseq.errors import ModelError, OptionError
from fastseq.lower import ops
from fastseq.lower.capture import NotCaptured, capture
from fastseq.lower.edited import incremental_effects, keeps_length
from fastseq.lower.incremental import DeltaEngine
from fastseq.models.checkpoints import load
from fastseq.models.specs import InputSpec, OutputScale, Strand, TargetSpec
from fastseq.sequence.edits import Edits, apply, check_inside, window

Engine: TypeAlias = Literal["full", "incremental", "auto"]
Precision: TypeAlias = Literal["float32", "bfloat16"]
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
    input_spec : InputSpec
    target_spec : TargetSpec
        Task names are filled in from the model's answer where the model carries no spec.
    device : torch.device
    precision : str
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
        if precision not in ("float32", "bfloat16"):
            raise OptionError(f"precision={precision!r}; expected 'float32' or 'bfloat16'")
        if micro_batch is not None and micro_batch < 1:
            raise OptionError(f"batch_size={micro_batch}; expected at least 1")
        self.input_spec: InputSpec = _input_spec(model, length)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision = precision
        # a copy, so that the caller's model keeps its mode, device and gradients
        self._module = copy.deepcopy(model).to(self.device).float().eval().requires_grad_(False)
        small = sequences is not None and sequences * self._flops() < LOWER_ABOVE
        self.target_spec: TargetSpec = getattr(model, "target_spec", None) or TargetSpec()
        self.target_spec, self.positions = self._probe()
        self._graph, self.unlowered = (None, "a small job") if small else self._lower()
        self.micro_batch = micro_batch or self._fitting_batch()

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
            return self._module(x)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"{type(self._module).__name__} cannot take float32 {tuple(x.shape)}: {first}"
            ) from error

    def _fitting_batch(self) -> int:
        """Return the power of two of sequences whose widest activation fits the cache."""
        widest = 64 * self.input_spec.length
        if self._graph is not None:
            nodes = self._graph.graph.nodes
            widest = max(math.prod(node.meta.get("shape", ())) for node in nodes)
        fitting = 1 << max(ACTIVATION_BYTES // (4 * widest), 1).bit_length() - 1
        return min(max(fitting, SMALLEST_BATCH), LARGEST_BATCH)

    def _lower(self) -> tuple[fx.GraphModule | None, str]:
        """Return the lowered graph on the device, or why there is none."""
        try:
            graph = capture(self._module, self.input_spec.channels, self.input_spec.length)
        except NotCaptured as error:
            return None, f"torch.export could not capture it: {error}"
        return graph.to(getattr(torch, self.precision)), ""

    def _probe(self) -> tuple[TargetSpec, int | None]:
        """Run one input of unknown bases; return the spec with its tasks, and profile positions."""
        with torch.inference_mode():
            raw = self._attempt(self._blank())
        if not isinstance(raw, Tensor) or raw.ndim not in (1, 2, 3) or len(raw) != 1:
            found = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
            raise ModelError(
                f"{type(self._module).__name__} answered one input with {found}; expected a "
                "tensor (1,), (1, tasks) or (1, tasks, positions)"
            )
        score = self.target_spec.score(raw)
        names = self.target_spec.tasks
        if len(names) != score.shape[1]:
            if names != TargetSpec().tasks:
                raise ModelError(
                    f"{type(self._module).__name__} answers {score.shape[1]} tasks; its "
                    f"TargetSpec names {len(names)}: {', '.join(names)}"
                )
            names = tuple(f"task{i}" for i in range(score.shape[1]))
        given = self.target_spec.to_dict() | {"tasks": names}
        return TargetSpec.from_dict(given), score.shape[2] if score.ndim == 3 else None

    def _forward(self, codes: Codes, strand: Strand) -> Tensor:
        """Return raw scores of full-length codes, as the module gives them, in float32."""
        x = self.input_spec.expand(self.input_spec.place(codes), strand)
        if self._graph is not None:
            return self._graph(x.to(self.device, getattr(torch, self.precision))).float()
        with torch.autocast(self.device.type, torch.bfloat16, self.precision == "bfloat16"):
            return self._module(x.to(self.device)).float()

    def _answer(self, codes: Codes, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        """Return answers without the offset, in forward terms: slope * activation(score)."""
        spec = self.target_spec
        with torch.inference_mode():
            score = spec.score(self._forward(codes, strand))
            answer = score if scale == "logit" else spec.activate(score) * spec.slope
            if strand == "-":
                answer = spec.same_strand(answer)
        return answer.cpu().numpy()

    def _batches(self, codes: Codes) -> Iterator[tuple[slice, Codes]]:
        """Yield micro-batches of one shape; the last is padded with unknown bases."""
        for first in range(0, len(codes), self.micro_batch):
            batch = codes[first : first + self.micro_batch]
            short = self.micro_batch - len(batch)
            if short:
                padding = np.full((short, codes.shape[1]), UNKNOWN, np.uint8)
                batch = np.concatenate([batch, padding])
            yield slice(first, first + self.micro_batch - short), batch

    def _run(self, codes: Codes, strand: Strand, scale: OutputScale) -> NDArray[np.float32]:
        out = np.empty((len(codes), *self.answer_shape), np.float32)
        for rows, batch in self._batches(codes):
            out[rows] = self._answer(batch, strand, scale)[: rows.stop - rows.start]
        return out

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """Axes of one sequence's answer: (tasks,) or (tasks, positions)."""
        tasks = len(self.target_spec.tasks)
        return (tasks,) if self.positions is None else (tasks, self.positions)

    def predict(
        self, codes: Codes, *, strand: Strand = "+", scale: OutputScale = "output"
    ) -> NDArray[np.float32]:
        """Return the model's answers, in the units of its TargetSpec.

        Parameters
        ----------
        codes : uint8, (n, variable) or (n, length)
            Variable parts are placed inside the model's flanks.
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
        """
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
        engine : {"full", "incremental", "auto"}
            "full" runs the edited sequences, "incremental" carries the differences of edits that
            keep the length (others run in full), "auto" chooses by `incremental_pays`.

        Returns
        -------
        y_ref : float32, (n, tasks) or (n, tasks, positions)
        deltas : float32, (e, tasks) or (e, tasks, positions)
            Answer of the edited sequence minus answer of its row. The offset of the affine map
            never enters, so it costs no digits.

        Raises
        ------
        OptionError
            An edit reaches outside its row.
        """
        rows = check("rows", rows, "n l", dtype="uint8")
        length = rows.shape[1] - left if length is None else length
        seen = {"left": left, "length": length, "strand": strand, "scale": scale}
        if self._runs_incrementally(engine) and keeps_length(edits).all():
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

    def _runs_incrementally(self, engine: Engine) -> bool:
        if engine == "full" or (engine == "auto" and not self.incremental_pays):
            return False
        if reasons := self.not_incremental:
            raise OptionError(f"engine='incremental' cannot run here: {'; '.join(reasons)}")
        return True

    @property
    def not_incremental(self) -> list[str]:
        """Why differences cannot be carried through this plan; empty where they can."""
        if self._graph is None:
            return [f"the model was not lowered: {self.unlowered}"]
        if self.device.type != "cpu" or self.precision != "float32":
            return [f"differences run in float32 on the CPU, the plan in {self.precision} on "
                    f"{self.device}"]  # fmt: skip
        return self.delta_engine("+").reasons

    @property
    def incremental_pays(self) -> bool:
        """Whether all substitutions of a sequence are faster as differences than in full."""
        return not self.not_incremental and not self.delta_engine("+").walls

    @cache  # noqa: B019 - a plan lives as long as its engines are wanted
    def delta_engine(self, strand: Strand) -> DeltaEngine:
        """Return the engine that carries differences on a strand; built when first asked for."""
        return DeltaEngine(self._graph, self.input_spec.table(strand))  # type: ignore[arg-type]

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
                score = self.target_spec.score(self._module(x).float())
                (grad,) = torch.autograd.grad(score[:, task].sum(), x)
            out[rows] = self.input_spec.bases(grad, strand)[: rows.stop - rows.start].cpu().numpy()
        return out

    def in_float32(self) -> "Plan":
        """Return the plan that a reduced precision is measured against."""
        if self.precision == "float32":
            return self
        return Plan(self._module, length=self.input_spec.length, device=self.device,
                    micro_batch=self.micro_batch)  # fmt: skip

    def explain(self) -> str:
        """Return how each layer runs and why, one line each."""
        spec = self.input_spec
        lines = [
            f"{type(self._module).__name__}: {spec.length} bp ({spec.variable} variable), "
            f"{spec.channels} channels, {self.precision} on {self.device}, "
            f"micro-batches of {self.micro_batch}",
            "input  one look-up per base from codes, channels last in memory",
        ]
        if self._graph is None:
            lines.append(f"runs as it is in PyTorch, layer by layer: {self.unlowered}")
            layers = self._module.named_modules()
            lines += [
                f"{n or 'model'}  {type(m).__name__}" for n, m in layers if not any(m.children())
            ]
        else:
            lines += [_line(node) for node in self._graph.graph.nodes if node.op == "call_function"]
        affine = "" if self.target_spec.slope == 1 else f"{self.target_spec.slope:.6g} * "
        lines.append(
            f"output  {affine}{self.target_spec.activation} + {self.target_spec.offset:.6g} "
            f"({self.target_spec.scale}): {', '.join(self.target_spec.tasks)}"
        )
        return "\n".join(lines)


Runnable: TypeAlias = nn.Module | Plan | str | os.PathLike
"""What the public functions take as a model; a list of these is an ensemble."""


def _line(node: fx.Node) -> str:
    """Return how one node of a lowered graph runs, as a line."""
    shape = " x ".join(map(str, node.meta.get("shape", ())))
    if "why" in node.meta:
        return f"{node.name}  {shape}  runs in PyTorch: {node.meta['why']}"
    word = getattr(node.target, "__name__", str(node.target))
    if node.target is ops.conv:
        _, weight, _, skip, stride, _, _, dilation, groups, activation, _ = node.args
        word += f" of {weight.meta['shape'][2]}"  # type: ignore[union-attr]
        word += f", stride {stride}" if stride != 1 else ""
        word += f", dilation {dilation}" if dilation != 1 else ""
        word += f", {groups} groups" if groups != 1 else ""
        word += " + skip" if skip is not None else ""
    else:
        activation = next((arg for arg in node.args if arg in ops.ACTIVATIONS), "none")
    return f"{node.name}  {shape}  {word}{'' if activation == 'none' else f', {activation}'}"


def _input_spec(model: nn.Module, length: int | None) -> InputSpec:
    spec = getattr(model, "input_spec", None)
    if spec is None:
        if length is None:
            raise OptionError(f"{type(model).__name__} carries no InputSpec; pass length= in bp")
        return InputSpec(length)
    if length not in (None, spec.length, spec.variable):
        raise OptionError(
            f"length={length}; the model takes {spec.length} bp"
            + (f" or {spec.variable} bp inside its flanks" if spec.left or spec.right else "")
        )
    return spec


def lower(
    model: nn.Module | str | os.PathLike,
    *,
    length: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int | None = None,
) -> Plan:
    """Return a plan that runs the model on codes and edits.

    Parameters
    ----------
    model : nn.Module or path
        Any module that maps float32 (n, 4, length) one-hot to (n,), (n, tasks) or (n, tasks,
        positions), or a checkpoint. The module is copied, never changed.
    length : int, optional
        Input length in bp; needed where the module carries no InputSpec.
    device : str or torch.device, optional
        CUDA where there is one, else the CPU.
    precision : {"float32", "bfloat16"}
    batch_size : int, optional
        Sequences run at once.

    Returns
    -------
    Plan

    Raises
    ------
    OptionError, ModelError
        The length is missing or wrong; the module refuses such input or answers in other shapes.
    MissingFileError, CheckpointError
        As `fastseq.models.load`.
    """
    return Plan(
        _module(model), length=length, device=device, precision=precision, micro_batch=batch_size
    )


def _module(model: object) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, str | os.PathLike):
        return load(model)
    raise OptionError(
        f"model is a {type(model).__name__}; expected an nn.Module, a checkpoint's path, a Plan, "
        "or a list of these"
    )


def lower_all(
    models: Runnable | Sequence[Runnable],
    *,
    length: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    batch_size: int | None = None,
    sequences: int | None = None,
) -> list[Plan]:
    """Return the plans of a model or of an ensemble whose members agree on input and tasks.

    ``sequences`` is how many will be run: a module is lowered only for a job that earns it back.

    Raises
    ------
    OptionError
        The list is empty, a Plan is given together with options it already fixed, or members
        differ in variable length, tasks or scale.
    """
    members = list(models) if isinstance(models, list | tuple) else [models]
    if not members:
        raise OptionError("an empty list of models; expected at least one")
    plans = []
    for member in members:
        if isinstance(member, Plan):
            _refuse_options(member, device=device, precision=precision, batch_size=batch_size)
            plans.append(member)
        else:
            options = {"device": device, "precision": precision or "float32"}
            plans.append(
                Plan(_module(member), length=length, micro_batch=batch_size, sequences=sequences,
                     **options)
            )  # fmt: skip
    first = plans[0]
    for number, plan in enumerate(plans[1:], 1):
        for what, mine, theirs in (
            ("variable length", first.input_spec.variable, plan.input_spec.variable),
            ("tasks", first.target_spec.tasks, plan.target_spec.tasks),
            ("scale", first.target_spec.scale, plan.target_spec.scale),
        ):
            if mine != theirs:
                raise OptionError(
                    f"model {number} of the ensemble has {what} {theirs}; model 0 has {mine}"
                )
    return plans


def _refuse_options(plan: Plan, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise OptionError(
            f"{', '.join(given)} given together with a Plan, which has fixed them "
            f"({plan.precision} on {plan.device}); pass them to fastseq.lower instead"
        )
