"""A plan: a trained model ready to run on codes and edits, and able to say how it runs."""

import os
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from fastseq.arrays import Codes, check
from fastseq.errors import ModelError, OptionError
from fastseq.lower import saved
from fastseq.lower.delta_gpu import WindowEngine
from fastseq.lower.edited import incremental_effects
from fastseq.lower.explain import explain, explain_ism
from fastseq.lower.forward import Forward
from fastseq.lower.incremental import DeltaEngine
from fastseq.lower.interchange import export_onnx
from fastseq.lower.kernels import Precision as Precision
from fastseq.lower.measured import measured_ism
from fastseq.models.specs import OutputScale, Strand
from fastseq.sequence.edits import Edits, apply, check_inside, window
from fastseq.sequence.pack import Packed

Engine: TypeAlias = Literal["full", "incremental"]


class Plan(Forward):
    """A model in eval mode on one device, fed fixed-size micro-batches of codes.

    Native layers give a sequence the same bits in any company; where PyTorch runs an operator, the
    last ones may move with the place in a batch and with how many there are.

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
    compiled : bool
        Whether inductor compiled what runs in PyTorch.
    """

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
            "full" runs the edited sequences, "incremental" carries the differences of edits,
            save of those that change so much of a sequence that it is faster in full. What moves
            behind an insertion or a deletion is changed.

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

        Notes
        -----
        No bit of an effect carried as a difference depends on other rows, the order of edits or
        threads, and edits to the same bases have the same effect. Nor does an effect depend on the
        row's other edits, save what PyTorch carries (`explain_ism` says if it does) and where an
        activation is a curve: there, whether a row has 32 edits may move the last bit.
        """
        _check_scale(scale)
        rows = check("rows", rows, "n l", dtype="uint8")
        length = rows.shape[1] - left if length is None else length
        seen = {"left": left, "length": length, "strand": strand, "scale": scale}
        if engine == "incremental":
            if reasons := self.not_incremental:
                raise OptionError(f"engine='incremental' cannot run here: {'; '.join(reasons)}")
            check_inside(edits, *rows.shape)
            y_ref, deltas = incremental_effects(
                self.delta_engine(strand), self.input_spec, self.target_spec, rows, edits,
                self._full_effects, **seen,
            )  # fmt: skip
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
        seen = window(rows, left, length)
        # the last micro-batch of references is filled up with edited sequences, save in a model
        # that was not lowered, whose last bits move with the place in a batch
        room = -len(seen) % self.micro_batch if self.graph is not None else 0
        first = min(room, len(edits))
        mutants = apply(rows, edits[:first], left=left, length=length)
        answers = self._run(np.concatenate([seen, mutants]), strand, scale)
        y_ref, given = answers[: len(seen)], answers[len(seen) :]
        deltas = np.empty((len(edits), *y_ref.shape[1:]), np.float32)

        def put(done: int, block: Edits, mutants: Codes, answers: NDArray[np.float32]) -> None:
            part = deltas[done : done + len(block)]
            np.subtract(answers, y_ref[block.row], out=part)
            # the same bases are the same answer, wherever in its batch PyTorch rounds them
            part[(mutants == seen[block.row]).all(1)] = 0

        put(0, edits[:first], mutants, given)
        for block in edits[first:].blocks(self.micro_batch):
            mutants = apply(rows, block, left=left, length=length)
            put(first, block, mutants, self._run(mutants, strand, scale))
            first += len(block)
        return y_ref, deltas

    @property
    def not_incremental(self) -> list[str]:
        """Why differences cannot be carried through this plan; empty where they can."""
        if self.graph is None:
            return [f"the model was not lowered: {self.unlowered}"]
        if self.obstacles and self.device.type != "cpu":
            return [f"differences run on the CPU or in GPU kernels, the plan on {self.device} "
                    "without them"]  # fmt: skip
        return self.delta_engine("+").reasons

    def incremental_pays(
        self, edits: int, sequences: float = inf, span: tuple[int, int] | None = None
    ) -> bool:
        """Return whether so many edits of each sequence are faster as differences than in full.

        ``span`` is what each changes of the whole input, where that is more than a base.
        """
        if self.not_incremental:
            return False
        # the cost model is right to a tenth or so
        return self.delta_engine("+").cost(edits, sequences, span).gain > 1.1

    @cache  # noqa: B019 - a plan lives as long as its engines are wanted
    def delta_engine(self, strand: Strand) -> DeltaEngine | WindowEngine:
        """Return the engine that carries differences on a strand; built when first asked for."""
        graph: fx.GraphModule = self.graph  # type: ignore[assignment]
        table = self.input_spec.table(strand)
        if self.on_kernels:
            return WindowEngine(graph, table, self.precision, self.device)
        return DeltaEngine(graph, table, precision=self.precision)

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
        for rows, batch in self._batches(check("codes", codes, "n l", dtype="uint8"), whole=True):
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
        return cls(
            graph, device=device, precision=about["precision"], micro_batch=about["batch"],
            compile=bool(about.get("compile")),
        )  # fmt: skip

    def _content(self) -> bytes:
        about: dict[str, Any] = {
            "name": self.name,
            "input_spec": self.input_spec.to_dict(),
            "target_spec": self.target_spec.to_dict(),
            "precision": self.precision,
            "batch": self._given_batch,
        }
        about |= {"compile": True} if self.compiled else {}
        return saved.content(self._graph_or_why(), about)

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

    @cache  # noqa: B019 - a plan lives as long as what it is measured against
    def in_float32(self) -> "Plan":
        """Return the plan that a reduced precision is measured against."""
        if self.precision == "float32":
            return self
        return Plan(self.module, length=self.input_spec.length, device=self.device,
                    micro_batch=None if self.on_kernels else self.micro_batch)  # fmt: skip

    def explain(self) -> str:
        """Return how each layer runs and why, one line each."""
        return explain(self)

    def explain_ism(self, edits: int | None = None, *, measure: bool = True) -> str:
        """Return which engine mutates a sequence, what it costs at least and here, and why.

        Parameters
        ----------
        edits : int, optional
            Edits a sequence; three for each variable base where not given.
        measure : bool
            Whether both engines are timed on this machine, which takes some seconds.
        """
        edits = 3 * self.input_spec.variable if edits is None else edits
        reasons = self.not_incremental
        costs = [] if reasons else self.delta_engine("+").explain(edits)
        text = explain_ism(edits, reasons, self.incremental_pays(edits), costs)
        return f"{text}\n{measured_ism(self, edits)}" if measure else text


def _check_scale(scale: str) -> None:
    if scale not in ("output", "logit"):
        raise OptionError(f"scale={scale!r}; expected 'output' or 'logit'")
