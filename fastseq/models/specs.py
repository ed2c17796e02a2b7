"""What a model takes in and what its numbers mean; both travel in every checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import LengthError, OptionError, SequenceError
from fastseq.sequence.batches import four_at_once, gather
from fastseq.sequence.encode import decode, encode

Strand: TypeAlias = Literal["+", "-"]
Activation: TypeAlias = Literal["none", "softplus", "sigmoid", "exp", "expected_bin"]
Scale: TypeAlias = Literal["linear", "counts", "log2", "ln", "logit", "bin"]
OutputScale: TypeAlias = Literal["output", "logit"]

COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


@dataclass(frozen=True)
class InputSpec:
    """What goes into a model: length, constant flanks, base order, unknown bases, extra channels.

    Parameters
    ----------
    length : int
        Full model input in bp, flanks included.
    left, right : str
        Constant bases on either side of the variable part, as in a reporter construct.
    base_order : str
        The letter of each of the first four channels.
    unknown : {"zero", "uniform"}
        An unknown base is four zeros or four quarters.
    strand_channel : bool
        A fifth channel that is 1 everywhere when the input is the reverse complement.
    flag_channels : tuple of str
        Further constant channels, such as "singleton"; 0 unless `expand` is told otherwise.

    Raises
    ------
    OptionError
        A field is outside its choices, or the flanks leave no variable part.
    """

    length: int
    left: str = ""
    right: str = ""
    base_order: str = "ACGT"
    unknown: Literal["zero", "uniform"] = "zero"
    strand_channel: bool = False
    flag_channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "flag_channels", tuple(self.flag_channels))
        if sorted(self.base_order) != ["A", "C", "G", "T"]:
            raise OptionError(f"base_order={self.base_order!r}; expected an order of ACGT")
        if self.unknown not in ("zero", "uniform"):
            raise OptionError(f"unknown={self.unknown!r}; expected 'zero' or 'uniform'")
        if self.variable < 1:
            raise OptionError(
                f"flanks of {len(self.left)} + {len(self.right)} bp leave nothing of {self.length}"
            )

    @property
    def variable(self) -> int:
        """Length of the part between the flanks, in bp."""
        return self.length - len(self.left) - len(self.right)

    @property
    def channels(self) -> int:
        """Channels of the model input: four bases, then strand, then flags."""
        return 4 + self.strand_channel + len(self.flag_channels)

    def channel(self, flag: str) -> int:
        """Return the channel of a flag."""
        return 4 + self.strand_channel + self.flag_channels.index(flag)

    def variable_part(self, codes: Codes) -> Codes:
        """Return the bases between the flanks, once what stands outside is shown to be the flanks.

        Parameters
        ----------
        codes : uint8, (n, variable) or (n, length)

        Returns
        -------
        uint8, (n, variable)
            A view.

        Raises
        ------
        LengthError
            The rows are neither as long as the variable part nor as the full input.
        SequenceError
            A full-length row does not carry the flanks; the first mismatch is named.
        """
        found = codes.shape[1]
        if found == self.variable:
            return codes
        if found != self.length:
            raise LengthError(self._wants(found))
        inner = slice(len(self.left), len(self.left) + self.variable)
        flanks = encode(self.left + self.right)
        differs = np.delete(codes, np.r_[inner], axis=1) != flanks
        if differs.any():
            row, at = map(int, np.argwhere(differs)[0])
            position = at if at < len(self.left) else at + self.variable
            raise SequenceError(
                f"row {row} has {decode(codes[row, position : position + 1])!r} at position "
                f"{position}, where the model's constant flank has "
                f"{(self.left + self.right)[at]!r}; give rows of {self.variable} bp to have them "
                "placed inside the flanks"
            )
        return codes[:, inner]

    def _wants(self, found: int) -> str:
        inside = (
            f", or {self.variable} bp to be placed inside its {len(self.left)} + "
            f"{len(self.right)} bp flanks"
            if self.variable != self.length
            else ""
        )
        return f"the sequences are {found} bp long; the model takes {self.length} bp{inside}"

    def place(self, codes: Codes) -> Codes:
        """Return full-length input: variable parts inside the flanks, full rows as they are.

        Parameters
        ----------
        codes : uint8, (n, variable) or (n, length)

        Returns
        -------
        uint8, (n, length)

        Raises
        ------
        LengthError
            The rows are of neither length.
        """
        found = codes.shape[1]
        if found == self.length:
            return codes
        if found != self.variable:
            raise LengthError(self._wants(found))
        full = np.empty((len(codes), self.length), np.uint8)
        full[:, : len(self.left)] = encode(self.left)
        full[:, len(self.left) : len(self.left) + found] = codes
        full[:, len(self.left) + found :] = encode(self.right)
        return full

    def with_margins(self, codes: Codes, by: int) -> Codes:
        """Return variable parts with ``by`` bases on each side: the flanks' nearest, then unknown.

        Parameters
        ----------
        codes : uint8, (n, variable)
        by : int
            Bases to add on each side.

        Returns
        -------
        uint8, (n, variable + 2 * by)
        """
        rows = np.full((len(codes), codes.shape[1] + 2 * by), UNKNOWN, np.uint8)
        rows[:, by : by + codes.shape[1]] = codes
        near_left, near_right = encode(self.left)[::-1][:by], encode(self.right)[:by]
        rows[:, by - len(near_left) : by] = near_left[::-1]
        rows[:, by + codes.shape[1] :][:, : len(near_right)] = near_right
        return rows

    def expand(
        self, codes: Codes, strand: Strand = "+", *, flags: np.ndarray | None = None
    ) -> Tensor:
        """Return the model input of full-length codes; the only place where codes become one-hot.

        Parameters
        ----------
        codes : uint8, (n, length)
        strand : {"+", "-"}
            "-" gives the reverse complement of the whole input, flanks included.
        flags : float, (n, flag_channels), optional
            Values of the flag channels; 0 where not given.

        Returns
        -------
        float32 tensor, (n, channels, length)
            Channels vary fastest in memory (an NLC array seen as NCL), so no transpose is paid.
        """
        hot = torch.empty(len(codes), codes.shape[1], self.channels)
        codes = np.ascontiguousarray(codes)
        turned = 0 if strand == "-" else len(codes)
        gather(codes, np.arange(len(codes)), self.tables()[0], hot.numpy(), turned=turned)
        hot = hot.transpose(1, 2)
        if flags is not None:
            hot[:, -len(self.flag_channels) :] = torch.as_tensor(flags).float()[:, :, None]
        return hot

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the channels of each code on either strand, and of every four bases.

        Returns
        -------
        float32, (2, 5, channels)
            Of each code, and of its complement on the other strand.
        float32, (2, 256, 4, channels)
            See `fastseq.sequence.batches.four_at_once`.
        """
        return _tables(self)

    def table(self, strand: Strand = "+") -> Tensor:
        """Return the input channels at each code, float32, (5, channels)."""
        return _table(self, strand)

    def bases(self, planes: Tensor, strand: Strand = "+") -> Tensor:
        """Return the four base planes of a gradient in the order A C G T, read on the + strand.

        Parameters
        ----------
        planes : float, (n, channels, length)
            Gradient with respect to what `expand` returned for the same strand.

        Returns
        -------
        float, (n, 4, length)
        """
        order = [self.base_order.index(letter) for letter in "ACGT"]
        four = planes[:, order]
        return four.flip(1, 2) if strand == "-" else four

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "InputSpec":
        """Return the spec of a checkpoint's JSON; fields of a later version are refused."""
        return cls(**_known(cls, values))


@lru_cache(maxsize=64)
def _table(spec: InputSpec, strand: Strand) -> Tensor:
    """Return the channels of each code, (5, channels)."""
    table = torch.zeros(5, spec.channels)
    for code, letter in enumerate("ACGT"):
        table[code, spec.base_order.index(letter)] = 1
    if spec.unknown == "uniform":
        table[UNKNOWN, :4] = 0.25
    if spec.strand_channel:
        table[:, 4] = float(strand == "-")
    return table


@lru_cache(maxsize=64)
def _tables(spec: InputSpec) -> tuple[np.ndarray, np.ndarray]:
    table = np.stack([_table(spec, "+").numpy(), _table(spec, "-").numpy()[COMPLEMENT]])
    return table, four_at_once(table)


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
        for name in ("tasks", "bins", "strand_exchange", "quantiles"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
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
        if self.slope == 0 or not np.isfinite([self.slope, self.offset]).all():
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
        return cls(**_known(cls, values))


def _known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    if unknown := set(values) - names:
        raise OptionError(
            f"{cls.__name__} has no field {', '.join(sorted(unknown))}; it knows "
            f"{', '.join(sorted(names))} (a newer fastseq may have written this)"
        )
    return dict(values)
