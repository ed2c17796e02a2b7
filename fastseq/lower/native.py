"""Layers of a lowered graph in native code on the CPU, with what follows them in one pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor, fx, nn

from fastseq._native import conv as native
from fastseq._native import cpu
from fastseq.lower import ops
from fastseq.lower.explain import words
from fastseq.threads import run

aten = torch.ops.aten

ACTIVATIONS = {"none": 0, "relu": 1, "leaky_relu": 2, "prelu": 2, "silu": 3, "sigmoid": 4}
NARROW = {torch.float32: False, torch.bfloat16: True}

# transformed input and products of one block: half of 1 MB of L2, weights take the rest
BLOCK_BYTES = 1 << 19
# rows of all tables that known bases reach
TABLE_BYTES = 1 << 19
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)


@dataclass(frozen=True)
class Scheme:
    """How a convolution is multiplied out: `points` products give `step` results.

    One point is the direct sum. A kernel longer than ``points - step + 1`` runs as pieces of
    `step` taps, whose products share one input transform.
    """

    points: int
    step: int
    pieces: int

    @property
    def longest(self) -> int:
        """Taps of the last piece."""
        return self.points - self.step + 1

    def cost(self, channels_in: int, channels: int, length: int) -> float:
        """Return the multiplications of a result and input channel, transforms included."""
        tiles = -(-length // self.step)
        products = self.points * self.pieces
        if self.points > 1:
            transform = self.points**2 * 0.7 + 2 * self.points
            products += transform / channels + transform / channels_in  # type: ignore[assignment]
        return products * tiles / length


def schemes(kernel: int) -> Iterator[Scheme]:
    """Yield the ways of a convolution of stride and dilation 1, the direct sum first."""
    yield Scheme(1, 1, kernel)
    for points, step in ((6, 4), (6, 3), (6, 2), (7, 4), (8, 6), (8, 5), (8, 4), (8, 3), (8, 2)):
        longest = points - step + 1
        if kernel <= longest:
            yield Scheme(points, step, 1)
        elif longest >= step:
            yield Scheme(points, step, 1 + -(-(kernel - longest) // step))


def chosen(
    kernel: int, stride: int, dilation: int, channels_in: int, channels: int, length: int,
    dtype: torch.dtype,
) -> Scheme:  # fmt: skip
    """Return the cheapest scheme of a layer.

    bfloat16 takes the direct sum alone: transforms would cost it the digits it has.
    """
    direct = Scheme(1, 1, kernel)
    if stride > 1 or dilation > 1 or channels_in < 16 or dtype is not torch.float32:
        return direct
    return min(schemes(kernel), key=lambda way: way.cost(channels_in, channels, length))


@cache
def weight_transform(points: int, longest: int) -> np.ndarray:
    """Return the values of a kernel at the points, over the derivative of what vanishes there.

    float64, (points, longest). Toom and Cook's algorithm as in Winograd, Arithmetic Complexity of
    Computations (1980), with the last point at infinity.
    """
    finite = np.array(POINTS[: points - 1])
    others = finite[:, None] - finite + np.eye(points - 1)
    powers = finite[:, None] ** np.arange(longest) / others.prod(1)[:, None]
    return np.concatenate([powers, np.eye(longest)[-1:]])


def pack(weight: Tensor, scheme: Scheme, dtype: torch.dtype) -> Tensor:
    """Return a convolution's weight as native code reads it.

    Parameters
    ----------
    weight : float32, (channels, channels_in, kernel)

    Returns
    -------
    dtype, flat
        [block of 64 channels][point][piece][channel in][channel of the block]; two bfloat16 of
        neighbouring input channels stand together.
    """
    channels, channels_in, kernel = weight.shape
    taps = weight.double().permute(2, 1, 0)
    if scheme.points == 1:
        values = taps[None]
    else:
        turn = torch.from_numpy(weight_transform(scheme.points, scheme.longest))
        values = torch.zeros(scheme.points, scheme.pieces, channels_in, channels).double()
        for piece in range(scheme.pieces):
            first = piece * scheme.step
            last = kernel if piece == scheme.pieces - 1 else first + scheme.step
            part = taps[first:last]
            values[:, piece] = torch.einsum("pt,tio->pio", turn[:, : len(part)], part)
    values = nn.functional.pad(values, (0, -channels % 16)).to(dtype)
    if dtype is torch.bfloat16:
        values = values.unflatten(2, (channels_in // 2, 2)).movedim(3, -1).flatten(3)
    width = native.BLOCK * (2 if dtype is torch.bfloat16 else 1)
    return torch.cat([part.flatten() for part in values.split(width, -1)])


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
        self.pool = pool
        self.length_in = numbers["length_in"]

    def _spread(self, call: Callable[[int, int], None], n: int) -> None:
        """Run ``call(first, last)`` over sequences, in as many threads as PyTorch would use."""
        run(call, n, torch.get_num_threads())

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
    """A convolution of all channels with its bias, skip, activation and maxima of a pool."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, length_in: int, length: int,
        *, stride: int, before: int, dilation: int, activation: ops.Activation,
        parameter: ops.Parameter, pool: int, dtype: torch.dtype,
    ) -> None:  # fmt: skip
        channels, channels_in, kernel = weight.shape
        scheme = chosen(kernel, stride, dilation, channels_in, channels, length, dtype)
        words = channels_in // (2 if dtype is torch.bfloat16 else 1)
        all_tiles = -(-(length // pool * pool) // scheme.step)
        fitting = max(1, BLOCK_BYTES // 4 // (scheme.points * (words * stride + native.BLOCK)))
        tiles = -(-all_tiles // -(-all_tiles // fitting))
        tiles += -tiles % pool
        super().__init__(
            native.LAYER, channels, length, bias, activation, parameter, pool, dtype,
            pack(weight, scheme, dtype), words=words, length_in=length_in, taps=scheme.pieces,
            stride=stride, dilation=dilation, before=before, points=scheme.points,
            step=scheme.step, tiles=tiles,
        )  # fmt: skip
        self.scheme = scheme
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
        way = self.scheme
        fewer = f"{way.points} products for {way.step} results" if way.points > 1 else "direct"
        return f"{super().word()}, native, {fewer}"


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


def refusals(dtype: torch.dtype) -> list[str]:
    """Return why native layers cannot run at all here, as sentences."""
    if cpu.current() == "portable":
        return ["the processor has no AVX2: convolutions run in oneDNN"]
    if dtype is torch.bfloat16 and not native.has_bfloat16():
        return ["the processor multiplies no bfloat16: convolutions run in oneDNN"]
    return [] if dtype in NARROW else [f"native layers run no {dtype}"]


def take(placed: fx.GraphModule, codes: fx.Node, table: Tensor, dtype: torch.dtype) -> None:
    """Give convolutions, and the activations and pools that follow them, to native layers.

    The graph is changed in place. ``node.meta["how"]`` says how a taken node runs, ``"why"`` why a
    convolution was left to PyTorch.

    Parameters
    ----------
    placed : fx.GraphModule
        Over `fastseq.lower.ops`; its placeholder is the model's input.
    codes : fx.Node
        The placeholder; a first layer reads it as codes.
    table : float32, (5, channels)
        The input channels at each code.
    """
    for node in list(placed.graph.nodes):
        if node.target is not ops.conv:
            continue
        made = _layer(placed, node, codes, table, dtype)
        if isinstance(made, str):
            node.meta["why"] = made
            continue
        layer, last = made
        placed.add_submodule(node.name, layer)
        skip = node.args[3]
        inputs = (node.args[0],) if skip is None else (node.args[0], skip)
        with placed.graph.inserting_before(last):
            call = placed.graph.call_module(node.name, inputs)
        call.meta |= {"shape": last.meta["shape"], "how": words(node) + layer.word()}
        last.replace_all_uses_with(call)
    placed.graph.eliminate_dead_code()
    for node in placed.graph.nodes:
        _in_place(node)


def _layer(
    placed: fx.GraphModule, node: fx.Node, codes: fx.Node, table: Tensor, dtype: torch.dtype
) -> tuple[Layer, fx.Node] | str:
    """Return the layer of a convolution and the last node it takes in, or why there is none."""
    x, weight, bias, skip, stride, before, _, dilation, groups, activation, parameter = (
        getattr(placed, arg.target) if isinstance(arg, fx.Node) and arg.op == "get_attr" else arg
        for arg in node.args
    )
    (channels, length), (_, group, _) = node.meta["shape"], weight.shape
    pool, last = _pool_behind(node) if activation in ACTIVATIONS else (1, node)
    options = {"stride": stride, "before": before, "activation": activation,
               "parameter": parameter, "pool": pool, "dtype": dtype}  # fmt: skip
    if x is codes and groups == 1 and dilation == 1 and skip is None:
        return Stem(weight, bias, table, codes.meta["shape"][-1], length, **options), last
    _, length_in = (len(table.T), codes.meta["shape"][-1]) if x is codes else x.meta["shape"]
    options["dilation"] = dilation
    if groups == 1:
        if dtype is torch.bfloat16 and group % 2:
            return f"native bfloat16 wants an even number of channels, not {group}"
        return Conv(weight, bias, length_in, length, **options), last
    if group in (1, 2, 4) and channels == group * groups and skip is None:
        return Grouped(weight, bias, length_in, length, **options), last
    return f"{groups} groups of {group} channels in and {channels // groups} out run in oneDNN"


def _pool_behind(node: fx.Node) -> tuple[int, fx.Node]:
    """Return the width of the pool that alone reads a node, and the pool; else 1 and the node."""
    (user,) = node.users if len(node.users) == 1 else (None,)
    if user is not None and user.target is ops.max_pool:
        _, width, stride, before, after = user.args
        whole = user.meta["shape"][1] == node.meta["shape"][1] // width
        if width == stride and before == 0 and after <= 0 and whole:
            return width, user
    return 1, node


def _in_place(node: fx.Node) -> None:
    """Let a sum or product overwrite its first factor where nothing reads that any more."""
    into = {ops.add: aten.add_.Tensor, aten.mul.Tensor: aten.mul_.Tensor}.get(node.target)
    source = node.args[0] if node.args else None
    if into is None or not isinstance(source, fx.Node) or source.op != "call_module":
        return
    if source.meta["shape"] == node.meta["shape"] and max(source.users) is node:
        node.meta.setdefault("how", words(node) + ", in place")
        node.target = into
