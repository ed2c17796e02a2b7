"""What goes into a model: length, flanks, base order, unknown bases, extra channels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import LengthError, OptionError, SequenceError
from fastseq.models.fields import known, several
from fastseq.sequence.batches import expand, four_at_once
from fastseq.sequence.encode import decode, encode

Strand: TypeAlias = Literal["+", "-"]

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
        flags = several("flag_channels", self.flag_channels, str)
        object.__setattr__(self, "flag_channels", flags)
        if isinstance(self.length, bool) or not isinstance(self.length, Integral):
            raise OptionError(f"length={self.length!r}; expected a whole number of bp")
        if not isinstance(self.strand_channel, bool):
            raise OptionError(f"strand_channel={self.strand_channel!r}; expected True or False")
        for name in ("left", "right"):
            flank = getattr(self, name)
            if not isinstance(flank, str) or not set(flank.upper()) <= set("ACGTN"):
                raise OptionError(f"{name}={flank!r}; expected bases A, C, G, T or N")
        if not isinstance(self.base_order, str) or sorted(self.base_order) != [*"ACGT"]:
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
        table, turned = self.tables()[0], strand == "-"
        expand(np.ascontiguousarray(codes), table[int(turned)], hot.numpy(), reversed=turned)
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
        return cls(**known(cls, values))


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
