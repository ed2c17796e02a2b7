"""What unedited sequences give at every step: the values around which differences are carried."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fastseq._native import cpu
from fastseq.arrays import Codes
from fastseq.lower import native, ops
from fastseq.lower.chain import HOMOGENEOUS, INPUTS, Chain, Step

# steps over maps, and activations, whose results PyTorch rounds alike in a batch of any size
BY_ROW = {ops.activate, ops.add, ops.concat, ops.max_pool, ops.shift, ops.zero_pad}
STRAIGHT = ("none", "relu", "leaky_relu", "prelu")


@dataclass(frozen=True, eq=False)
class Reference:
    """What unedited sequences give at every value, and before every activation.

    Attributes
    ----------
    codes : uint8, (n, length)
    values : list of (n, channels, length), channels fastest in memory, or (n, features)
    linear : the same for every step, before its activation
    """

    codes: Codes
    values: list[Tensor]
    linear: list[Tensor]


class References:
    """The chain over unedited sequences, whatever ends a step kept apart.

    Parameters
    ----------
    chain : Chain
    table : float32, (5, channels)
        The input channels at each code.
    native_layers : bool
        Whether convolutions may run in native code; if not, PyTorch does.

    Attributes
    ----------
    is_native : bool
        Whether they do.
    by_row : bool
        Whether maps come out the same, to the last bit, however many sequences run together.
    """

    def __init__(self, chain: Chain, table: Tensor, *, native_layers: bool) -> None:
        self.chain, self.table = chain, table
        self._layers: dict[int, Callable[..., Tensor]] = {}
        self.is_native = native_layers and cpu.current() != "portable"
        if self.is_native:
            for number, step in enumerate(chain.steps):
                if step.function is ops.conv and step.arguments["groups"] == 1:
                    self._layers[number] = self._layer(step)
        maps = [(i, step) for i, step in enumerate(chain.steps) if step.is_map]
        self.by_row = all(
            (i in self._layers or step.function in BY_ROW) and step.activation in STRAIGHT
            for i, step in maps
        )

    def _layer(self, step: Step) -> Callable[..., Tensor]:
        """Return a convolution in native code, without its activation."""
        given = step.arguments
        sizes = {"stride": step.stride, "before": step.before, "activation": "none",
                 "parameter": None, "pool": 1, "dtype": torch.float32}  # fmt: skip
        weight, bias = given["weight"], given["bias"]
        if step.inputs == (0,) and step.dilation == 1:
            return native.Stem(weight, bias, self.table, step.length_in, step.shape[1], **sizes)
        # fewer products would round equal windows apart, and a tie of maxima is then no tie
        return native.Conv(
            weight, bias, step.length_in, step.shape[1], dilation=step.dilation, direct=True,
            **sizes,
        )  # fmt: skip

    def __call__(self, codes: Codes, size: int = 1) -> Reference:
        """Return what sequences give; codes are uint8, (n, length).

        Vectors are multiplied in batches of at least ``size``, so that neighbours change no bit.
        """
        letters, short = torch.from_numpy(codes), max(0, size - len(codes))
        values = [self.table[letters.long()].mT]
        linear = []
        for number, step in enumerate(self.chain.steps):
            layer, inputs = self._layers.get(number), [values[i] for i in step.inputs]
            if isinstance(layer, native.Stem):
                z = layer(letters)
            elif layer is not None:
                z = layer(*inputs)
            else:
                if not step.is_map and short:
                    inputs = [torch.cat([x, x.new_zeros(short, *x.shape[1:])]) for x in inputs]
                z = linear_part(step, inputs, bias=True)
            y = ops.activate(z, step.activation, step.parameter)  # type: ignore[arg-type]
            linear.append(z[: len(codes)])
            values.append(y[: len(codes)])
        return Reference(codes, values, linear)


def linear_part(step: Step, inputs: list[Tensor], *, bias: bool, **changed: object) -> Tensor:
    """Return a step without its activation, with sizes changed and perhaps without its bias."""
    if step.function is ops.activate:
        return inputs[0]
    if step.function is ops.concat:
        return ops.concat(inputs)
    if step.function in HOMOGENEOUS:
        return step.function(inputs[0], *step.arguments["rest"])
    arguments = step.arguments | changed
    if "activation" in arguments:
        arguments |= {"activation": "none", "parameter": None}
        if not bias:
            arguments["bias"] = None
    return step.function(**dict(zip(INPUTS[step.function], inputs)), **arguments)
