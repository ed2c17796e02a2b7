"""Layers of a lowered graph in native code on the CPU, with what follows them in one pass."""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._native import conv as native
from fastseq.lower import ops
from fastseq.lower.winograd import Scheme, chosen, pack
from fastseq.threads import run

ACTIVATIONS = {"none": 0, "relu": 1, "leaky_relu": 2, "prelu": 2, "silu": 3, "sigmoid": 4}
NARROW = {torch.float32: False, torch.bfloat16: True}

# transformed input and products of one block: half of 1 MB of L2, weights take the rest
BLOCK_BYTES = 1 << 19
# a quarter of a millisecond, where starting a thread takes a twentieth
PRODUCTS_OF_A_THREAD = 12_000_000
# rows of all tables that known bases reach
TABLE_BYTES = 1 << 19


def _padded(values: Tensor | None, channels: int) -> Tensor:
    """Return a value for each channel, with zeros up to whole blocks."""
    out = torch.zeros(-(-channels // native.BLOCK) * native.BLOCK)
    if values is not None:
        out[:channels] = values
    return out


class Layer(nn.Module):
    """A native layer: its numbers, the tensors whose addresses they hold, and what ends it."""

    def __init__(
        self, names: tuple[str, ...], channels: int, length: int, bias: Tensor | None,
        activation: ops.Activation, parameter: ops.Parameter, pool: int, dtype: torch.dtype,
        weight: Tensor, **numbers: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.dtype, self.narrow = dtype, NARROW[dtype]
        self.last = ("none", None) if activation in ACTIVATIONS else (activation, parameter)
        own = activation if activation in ACTIVATIONS else "none"
        slope = parameter if activation in ("leaky_relu", "prelu") else None
        # plain attributes, so that the module's dtype and device are not theirs
        self.held = weight.contiguous(), _padded(bias, channels), _padded(slope, channels)  # type: ignore[arg-type]
        addresses = dict(zip((names[-3], "bias", "slope"), map(Tensor.data_ptr, self.held)))
        numbers |= {"channels": channels, "length": length, "pool": pool,
                    "activation": ACTIVATIONS[own]}  # fmt: skip
        self.numbers = np.array([(numbers | addresses)[name] for name in names], np.int64)
        self.channels, self.positions = channels, length // pool
        self.products = length * weight.numel() // max(1, numbers.get("points", 1))
        self.pool = pool
        self.length_in = numbers["length_in"]

    def _spread(self, call: Callable[[int, int], None], n: int) -> None:
        """Run ``call(first, last)`` over sequences, in as many threads as earn their start."""
        worth = n * self.products // PRODUCTS_OF_A_THREAD
        run(call, n, max(1, min(torch.get_num_threads(), worth)))

    def _empty(self, n: int) -> Tensor:
        return torch.empty(n, self.positions, self.channels, dtype=self.dtype)

    def _ended(self, y: Tensor) -> Tensor:
        return ops.activate(y.transpose(1, 2), *self.last, inplace=True)

    def word(self) -> str:
        """Return what the layer adds to a line of `Plan.explain`."""
        return f" and max pool of {self.pool}" if self.pool > 1 else ""


def _lines(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a map as it is to lie in memory, (n, length, channels)."""
    return x.transpose(1, 2).to(dtype).contiguous()


class Conv(Layer):
    """A convolution of all channels with its bias, skip, activation and maxima of a pool.

    A ``late`` skip is added after the activation. ``direct`` asks for the direct sum, in which
    equal windows have equal results to the last bit.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, length_in: int, length: int,
        *, stride: int, before: int, dilation: int, activation: ops.Activation,
        parameter: ops.Parameter, pool: int, dtype: torch.dtype, late: bool = False,
        direct: bool = False,
    ) -> None:  # fmt: skip
        channels, channels_in, kernel = weight.shape
        scheme = Scheme(1, 1, kernel) if direct else chosen(
            kernel, stride, dilation, channels_in, channels, length, pool, dtype
        )  # fmt: skip
        words = channels_in // (2 if dtype is torch.bfloat16 else 1)
        all_tiles = scheme.tiles(length // pool * pool, dilation)
        fitting = max(1, BLOCK_BYTES // 4 // (scheme.points * (words * stride + native.BLOCK)))
        tiles = -(-all_tiles // -(-all_tiles // fitting))
        tiles += -tiles % pool
        super().__init__(
            native.LAYER, channels, length, bias, activation, parameter, pool, dtype,
            pack(weight, scheme, dtype), words=words, length_in=length_in, taps=scheme.pieces,
            stride=stride, dilation=dilation, before=before, points=scheme.points,
            step=scheme.step, tiles=tiles, late=late,
        )  # fmt: skip
        self.scheme, self.late = scheme, late
        self.scratch = native.scratch(self.numbers)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        x = _lines(x, self.dtype)
        skip = None if skip is None else _lines(skip, self.dtype)
        y = self._empty(len(x))

        def call(first: int, last: int) -> None:
            scratch = torch.empty(self.scratch)
            beside = 0 if skip is None else skip[first:].data_ptr()
            native.run(self.numbers, x[first:].data_ptr(), beside, y[first:].data_ptr(),
                       last - first, scratch.data_ptr(), self.narrow)  # fmt: skip

        self._spread(call, len(x))
        return self._ended(y)

    def word(self) -> str:
        way, before = self.scheme, " + skip" * self.late + super().word()
        if way.points == 1:
            return f"{before}, native, direct"
        kind = "products of 16-bit integers" if self.narrow else "products"
        return f"{before}, native, {way.points} {kind} for {way.step} results"


class Stem(Layer):
    """A first layer that reads codes: rows of tables, one for each few letters, added up."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, table: Tensor, length_in: int, length: int,
        *, stride: int, before: int, activation: ops.Activation, parameter: ops.Parameter,
        pool: int, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        channels, _, kernel = weight.shape
        letters = max(
            (n for n in (1, 2, 3) if 4**n * -(-kernel // n) * channels * 4 <= TABLE_BYTES),
            default=1,
        )
        tables = look_up(weight, table, letters)
        super().__init__(
            native.STEM, channels, length, bias, activation, parameter, pool, dtype, tables,
            tables=len(tables), letters=letters, width=tables.shape[2], length_in=length_in,
            stride=stride, before=before,
        )  # fmt: skip
        self.starts = (length - 1) * stride + len(tables) * letters
        self.letters = letters
        self.products //= native.LETTERS**letters

    def forward(self, codes: Tensor) -> Tensor:
        y = self._empty(len(codes))
        rows = codes.numpy()

        def call(first: int, last: int) -> None:
            scratch = torch.empty(self.starts, dtype=torch.int32)
            native.run_stem(self.numbers, rows[first:last], y[first:].data_ptr(),
                            scratch.data_ptr(), self.narrow)  # fmt: skip

        self._spread(call, len(codes))
        return self._ended(y)

    def word(self) -> str:
        return f"{super().word()}, native, from codes by tables of {self.letters} bases"


def look_up(weight: Tensor, table: Tensor, letters: int) -> Tensor:
    """Return what `letters` codes in a row add to each channel, float32.

    Parameters
    ----------
    weight : float32, (channels, channels_in, kernel)
    table : float32, (5, channels_in)
        The input channels at each code.

    Returns
    -------
    (tables, 6 ** letters, channels up to whole blocks)
        Code 4 is an unknown base, code 5 the padding: zero in all channels, whatever constant
        planes the input has.
    """
    channels, _, kernel = weight.shape
    spread = torch.cat([table, torch.zeros(1, table.shape[1])]).double()
    single = torch.einsum("oik,ci->kco", weight.double(), spread)
    single = nn.functional.pad(single, (0, -channels % native.BLOCK, 0, 0, 0, -kernel % letters))
    single = single.unflatten(0, (-1, letters))
    entries = list(product(range(native.LETTERS), repeat=letters))
    chosen = torch.tensor(entries)
    return sum(single[:, at][:, chosen[:, at]] for at in range(letters)).float()  # type: ignore[union-attr]


class Grouped(Layer):
    """A convolution of 1, 2 or 4 channels in and out a group."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, length_in: int, length: int,
        *, stride: int, before: int, dilation: int, activation: ops.Activation,
        parameter: ops.Parameter, pool: int, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        channels, group, kernel = weight.shape
        # the partner of a channel differs in the bits of its number
        partner = (torch.arange(channels) % group)[:, None] ^ torch.arange(group)
        turned = weight.float().gather(1, partner[:, :, None].expand(-1, -1, kernel))
        turned = nn.functional.pad(turned.permute(2, 1, 0), (0, -channels % 16))
        super().__init__(
            native.GROUPS, channels, length, bias, activation, parameter, pool, dtype, turned,
            group=group, length_in=length_in, taps=kernel, stride=stride, dilation=dilation,
            before=before,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = _lines(x, self.dtype)
        y = self._empty(len(x))

        def call(first: int, last: int) -> None:
            native.run_groups(self.numbers, x[first:].data_ptr(), y[first:].data_ptr(),
                              last - first, self.narrow)  # fmt: skip

        self._spread(call, len(x))
        return self._ended(y)

    def word(self) -> str:
        return f"{super().word()}, native"
