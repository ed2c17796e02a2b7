"""What a model's numbers mean: tasks, head, scale, affine map, strands."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fastseq.errors import OptionError
from fastseq.models.fields import known, several

Activation: TypeAlias = Literal["none", "softplus", "sigmoid", "exp", "expected_bin"]
Scale: TypeAlias = Literal["linear", "counts", "log2", "ln", "logit", "bin"]
OutputScale: TypeAlias = Literal["output", "logit"]


@dataclass(frozen=True)
class TargetSpec:
    """What a model's numbers mean: tasks, head, scale, affine map, strands.

    A model's ``forward`` returns scores before the activation. The numbers a user sees are
    ``slope * activation(score) + offset``, in the units that ``scale`` names.

    Parameters
    ----------
    tasks : tuple of str
        One name per output.
    activation : {"none", "softplus", "sigmoid", "exp", "expected_bin"}
        The head. "expected_bin" reads the scores (n, bins) as logits of ``bins``.
    scale : {"linear", "counts", "log2", "ln", "logit", "bin"}
        What the final numbers are; it decides how a log2 fold change is formed.
    slope, offset : float
        The affine map back to the units of the training table.
    bins : tuple of float
        The value of each bin of an "expected_bin" head.
    strand_exchange : tuple of int
        Where stranded tasks trade places under reverse complement: the task that takes each
        one's place. Empty: none does.
    reverse_complement : bool or None
        Whether the model was trained with reverse complements; None where nobody knows.
    quantiles : tuple of float
        Answers to the training rows at equally spaced ranks, from the least to the greatest, of a
        model with one task; empty where they were not kept. Only `predict` looks at them.

    Raises
    ------
    OptionError
        A field is outside its choices.
    """

    tasks: tuple[str, ...] = ("y",)
    activation: Activation = "none"
    scale: Scale = "linear"
    slope: float = 1.0
    offset: float = 0.0
    bins: tuple[float, ...] = ()
    strand_exchange: tuple[int, ...] = ()
    reverse_complement: bool | None = None
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        kinds = {"tasks": str, "bins": Real, "strand_exchange": Integral, "quantiles": Real}
        for name, kind in kinds.items():
            object.__setattr__(self, name, several(name, getattr(self, name), kind))
        if not self.tasks:
            raise OptionError("tasks=(); expected one name an output")
        if self.reverse_complement not in (None, True, False):
            raise OptionError(
                f"reverse_complement={self.reverse_complement!r}; expected True, False or None"
            )
        choices = {"activation": Activation, "scale": Scale}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed.__args__:
                raise OptionError(
                    f"{name}={getattr(self, name)!r}; expected one of {', '.join(allowed.__args__)}"
                )
        if self.strand_exchange and sorted(self.strand_exchange) != [*range(len(self.tasks))]:
            raise OptionError(
                f"strand_exchange={self.strand_exchange}; expected an order of the "
                f"{len(self.tasks)} tasks"
            )
        if not all(isinstance(v, Real) and np.isfinite(v) for v in (self.slope, self.offset)) or (
            self.slope == 0
        ):
            raise OptionError(
                f"slope={self.slope}, offset={self.offset}; expected an invertible map"
            )

    def score(self, raw: Tensor) -> Tensor:
        """Return what gradients are taken of: scores before the activation, or the expected bin.

        The gradient of a saturated probability is exactly 0 in float32, so it is never taken.

        Parameters
        ----------
        raw : float, (n,), (n, tasks), (n, bins) or (n, tasks, positions)

        Returns
        -------
        float, (n, tasks) or (n, tasks, positions)
        """
        if self.activation == "expected_bin":
            bins = torch.as_tensor(self.bins or range(raw.shape[1]), dtype=raw.dtype)
            return raw.softmax(1) @ bins.to(raw.device)[:, None]
        return raw[:, None] if raw.ndim == 1 else raw

    def activate(self, score: Tensor) -> Tensor:
        """Return the head's answer to a score, before the affine map; same shape."""
        match self.activation:
            case "softplus":
                return torch.nn.functional.softplus(score)
            case "sigmoid":
                return score.sigmoid()
            case "exp":
                return score.exp()
        return score

    def effect(
        self, raw: Tensor, deltas: Tensor, row: Tensor, scale: OutputScale
    ) -> tuple[Tensor, Tensor]:
        """Return answers without the offset, and what changes of the raw scores make of them.

        A non-linear head is applied in float64 on both sides of the change, so that no digit of
        a small effect is lost.

        Parameters
        ----------
        raw : float32, (n, ...)
            What the model's ``forward`` gives.
        deltas : float32, (e, ...)
            Changes of it.
        row : int64, (e,)
            The row of ``raw`` each change belongs to.
        scale : {"output", "logit"}

        Returns
        -------
        float32, (n, tasks, ...) and (e, tasks, ...)
        """
        bins = self.activation == "expected_bin"
        head = self.activation != "none" and scale == "output"
        before = self.score(raw.double())
        if bins:
            at = raw.double()[row]
            change = self.score(at + deltas.double()) - self.score(at)
        else:
            change = self.score(deltas.double())
            if head:
                # arrays of one shape take one path through the vector unit: no change stays 0
                change = self.activate(before[row] + change) - self.activate(before[row])
        answer = before if scale == "logit" else self.activate(before) * self.slope
        change = change if scale == "logit" else change * self.slope
        return answer.float(), change.float()

    def invert(self, values: np.ndarray) -> np.ndarray:
        """Return table values in the units the head answers in: the affine map undone."""
        return (values - self.offset) / self.slope

    def rank(self, answers: np.ndarray) -> np.ndarray:
        """Return the place of answers among those to the training rows, 0 to 1.

        Raises
        ------
        OptionError
            The model has not kept these.
        """
        if not self.quantiles:
            raise OptionError(
                "the model holds no quantiles of its training rows; train it with quantiles=True"
            )
        places = np.linspace(0, 1, len(self.quantiles))
        return np.interp(answers, self.quantiles, places).astype(np.float32)

    def same_strand(self, answer: Tensor) -> Tensor:
        """Return a - strand answer in forward terms: tasks exchanged, profiles flipped."""
        if self.strand_exchange:
            answer = answer[:, list(self.strand_exchange)]
        return answer.flip(2) if answer.ndim == 3 else answer

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetSpec":
        """Return the spec of a checkpoint's JSON; fields of a later version are refused."""
        return cls(**known(cls, values))
