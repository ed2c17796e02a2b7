"""Layers of the zoo: what the kernels are compiled for, checked on and timed on."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from fastseq_kernels import block, conv, depthwise, first_conv, reference, squeeze_excite, window
from torch import Tensor
from torch.nn import functional as F

BASES = 64  # reference rows that windows belong to
KERNELS: dict[str, Callable[..., Tensor]] = {
    "conv1d": conv.conv1d,
    "first_conv1d": first_conv.first_conv1d,
    "depthwise_conv1d": depthwise.depthwise_conv1d,
    "squeeze": squeeze_excite.squeeze,
    "excite": squeeze_excite.excite,
    "pointwise": squeeze_excite.pointwise,
    "window_conv1d": window.window_conv1d,
    "residual_pair": block.residual_pair,
}
TWINS = {**{op: getattr(reference, op, None) for op in KERNELS},
         "depthwise_conv1d": reference.conv1d}  # fmt: skip
EAGER = {
    "none": lambda v, slope: v,
    "relu": lambda v, slope: v.relu(),
    "prelu": lambda v, slope: F.prelu(v, slope.to(v.dtype)),
    "silu": lambda v, slope: F.silu(v),
    "gelu": lambda v, slope: F.gelu(v),
    "exp": lambda v, slope: v.exp(),
}


@dataclass(frozen=True)
class Layer:
    """One call of one op, same-padded; prints as what differs from the defaults."""

    op: str
    length: int
    c_in: int
    c_out: int
    kernel: int = 1
    dtype: str = "bfloat16"
    precision: str = "float32"
    dilation: int = 1
    groups: int = 1
    activation: str = "none"
    residual: bool = False
    gate: bool = False
    flanks: bool = False
    unknown: float = 0.0
    pool: int = 1
    width: int = 0  # of the windows of window_conv1d, whose residual comes first
    row: int = 0  # channels from one position of x to the next, where more than it has
    largest: bool = False  # of squeeze: maxima in place of means
    rank: int = 0  # of a bilinear gate's products, which are then half its c_out features

    def __str__(self) -> str:
        extra = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[5:]
                 if getattr(self, f.name) != f.default]  # fmt: skip
        shape = f"{self.length} bp {self.c_in}-{self.c_out} k{self.kernel}"
        return " ".join([self.op, shape, *extra])

    @property
    def matrix(self) -> bool:
        """Whether the op must use matrix instructions."""
        return self.op not in ("depthwise_conv1d", "squeeze", "pointwise")

    def arguments(self, n: int, make: Callable[..., Tensor]) -> tuple[list, dict]:
        """Return tensors and options of a call; ``make(*shape, dtype=)`` makes each, of sd 1."""
        half = getattr(torch, self.dtype)
        full, span = torch.float32, self.dilation * (self.kernel - 1)
        slope = make(self.c_out, dtype=full) if self.activation == "prelu" else None
        if self.op == "first_conv1d":
            codes = make(n, self.length, dtype=torch.uint8)
            base = (self.length, self.c_out) if self.flanks else (self.c_out,)
            weight = make(self.kernel, 4, self.c_out, dtype=half) / self.kernel**0.5
            return [codes, weight, make(*base, dtype=full), slope], {
                "positions": self.length, "first": -(span // 2), "unknown": self.unknown,
                "activation": self.activation, "pool": self.pool, "precision": self.precision,
            }  # fmt: skip
        if self.op == "residual_pair":
            return self._pair(n, make)
        if self.op == "window_conv1d":
            return self._windows(n, make, slope)
        if self.op == "excite":
            return self._gate(n, make)
        x = make(n, self.length, self.row or self.c_in, dtype=half).narrow(2, 0, self.c_in)
        if self.op == "squeeze":
            return [x], {"largest": self.largest}
        y = make(n, self.length, self.c_out, dtype=half) if self.residual else None
        gate = make(n, self.c_in, dtype=full) if self.gate else None
        if self.op == "pointwise":
            return [x, gate, slope, y], {"activation": self.activation}
        options = {
            "pad_left": span // 2, "pad_right": span - span // 2, "dilation": self.dilation,
            "groups": self.groups, "activation": self.activation, "pool": self.pool,
        }  # fmt: skip
        fan = self.c_in // self.groups
        weight = make(self.kernel, fan, self.c_out, dtype=half) / (self.kernel * fan) ** 0.5
        tensors = [x, weight, make(self.c_out, dtype=full), slope, y]
        if self.op == "conv1d":
            return [*tensors, gate], options | {"precision": self.precision}
        return tensors, options

    def _pair(self, n: int, make: Callable[..., Tensor]) -> tuple[list, dict]:
        half, c, full = getattr(torch, self.dtype), self.c_in, torch.float32
        weight = make(2, self.kernel, c, c, dtype=half) / (2 * self.kernel * c) ** 0.5
        slope = make(2, c, dtype=full) if self.activation == "prelu" else None
        return [make(n, self.length, c, dtype=half), weight, make(2, c, dtype=full), slope], {
            "activation": self.activation, "pool": self.pool, "precision": self.precision,
        }  # fmt: skip

    def _gate(self, n: int, make: Callable[..., Tensor]) -> tuple[list, dict]:
        def layer(inputs: int, outputs: int, *, bias: bool = True) -> list:
            weight = make(inputs, outputs, dtype=torch.float32) / inputs**0.5
            return [weight, make(outputs, dtype=torch.float32)] if bias else [weight]

        c, z, rank = self.c_in, self.c_out, self.rank
        tensors = [make(n, c, dtype=torch.float32), *layer(c, z)]
        if not rank:
            return [*tensors, *layer(z, c)], {"activation": self.activation}
        factors = [*layer(z, rank, bias=False), *layer(z, rank, bias=False)]
        bilinear = [*layer(z, z), *factors, *layer(rank, z // 2)]
        return [*tensors, *layer(z + z // 2, c), *bilinear], {"activation": self.activation}

    def _windows(self, n: int, make: Callable[..., Tensor], slope) -> tuple[list, dict]:
        half, integer = getattr(torch, self.dtype), torch.int32
        start, row = make(n, dtype=integer), make(n, dtype=integer)
        weight = make(self.kernel, self.c_in, self.c_out, dtype=half)
        skip = make(n, self.width, self.c_out, dtype=half) if self.residual else None
        return [
            make(n, self.width, self.c_in, dtype=half), start, row,
            make(BASES, self.length, self.c_out, dtype=half),
            weight / (self.kernel * self.c_in) ** 0.5, slope,
            skip, None if skip is None else start,
        ], {
            "length": self.length, "pad_left": self.dilation * (self.kernel - 1) // 2,
            "dilation": self.dilation, "activation": self.activation, "pool": self.pool,
            "residual_first": self.residual, "precision": self.precision,
        }  # fmt: skip

    def run(self, tensors: list, options: dict, **more) -> Tensor:
        """Call the kernel."""
        return KERNELS[self.op](*tensors, **options, **more)

    def truth(self, tensors: list, options: dict) -> Tensor:
        """Return the reference's answer in float64."""
        wide = [x.double() if x is not None and x.is_floating_point() else x for x in tensors]
        return TWINS[self.op](*wide, **options)

    def operations(self, n: int) -> float:
        """Return the multiplications and additions that the answer needs."""
        if self.op in ("squeeze", "pointwise"):
            return n * self.length * self.c_in
        if self.op == "excite":
            z, rank, more = self.c_out, self.rank, self.c_out // 2 if self.rank else 0
            bilinear = z * z + rank * (2 * z + more) if rank else 0
            return 2.0 * n * (self.c_in * (2 * z + more) + bilinear)
        wide = 4 if self.op == "first_conv1d" else self.c_in // self.groups
        rows = self.width * self.kernel if self.width else self.length * self.kernel
        layers = 2 if self.op == "residual_pair" else 1
        return 2.0 * n * rows * self.c_out * wide * layers

    def traffic(self, n: int) -> float:
        """Return the bytes of activations read and written once."""
        size = getattr(torch, self.dtype).itemsize
        if self.op == "excite":
            return n * 2 * self.c_in * size
        if self.width:
            out = reference.window_width(self.width, self.kernel, self.dilation, self.pool)
            skip = self.residual * self.width * self.c_out
            return n * size * (self.width * self.c_in + out * self.c_out + skip)
        read = self.length * (1 if self.op == "first_conv1d" else self.c_in * size)
        written = 4 * self.c_out if self.op == "squeeze" else (
            self.length // self.pool * self.c_out * size
        )  # fmt: skip
        return n * (read + written + self.residual * self.length * self.c_out * size)

    def eager(self, tensors: list, options: dict, *, flat: bool) -> Callable[[], Tensor] | None:
        """Return the same layer in PyTorch on NCL, or ``flat``: as conv2d on channels-last.

        None where PyTorch has no such layer of its own.
        """
        if self.op not in ("conv1d", "depthwise_conv1d") or self.gate:
            return None
        x, weight, bias, slope, residual = tensors[:5]
        dense = weight.permute(2, 1, 0).contiguous()
        bias, padding = bias.to(x.dtype), options["pad_left"]

        def laid(v: Tensor) -> Tensor:
            ncl = v.transpose(1, 2)
            return ncl.unsqueeze(2) if flat else ncl.contiguous()

        x, skip = laid(x), None if residual is None else laid(residual)
        if flat:
            dense = dense.unsqueeze(2).contiguous(memory_format=torch.channels_last)

        def call() -> Tensor:
            if flat:
                y = F.conv2d(x, dense, bias, 1, (0, padding), (1, self.dilation), self.groups)
            else:
                y = F.conv1d(x, dense, bias, 1, padding, self.dilation, self.groups)
            y = EAGER[self.activation](y, slope)
            y = y if skip is None else y + skip
            if self.pool == 1:
                return y
            return F.max_pool2d(y, (1, self.pool)) if flat else F.max_pool1d(y, self.pool)

        return call


def _c(length: int, c_in: int, c_out: int, kernel: int, **more) -> Layer:
    return Layer("conv1d", length, c_in, c_out, kernel, **more)


def _f(length: int, c_out: int, kernel: int, **more) -> Layer:
    return Layer("first_conv1d", length, 4, c_out, kernel, **more)


def _d(length: int, channels: int, kernel: int, groups: int, **more) -> Layer:
    return Layer("depthwise_conv1d", length, channels, channels, kernel, groups=groups, **more)


def _r(length: int, channels: int, kernel: int, **more) -> Layer:
    return Layer("residual_pair", length, channels, channels, kernel, **more)


def _w(length: int, c_in: int, c_out: int, kernel: int, width: int, **more) -> Layer:
    return Layer("window_conv1d", length, c_in, c_out, kernel, width=width, **more)


LAYERS = [
    # residual network on 110 bp
    _f(110, 64, 21, activation="prelu"),
    _c(110, 64, 64, 5, activation="prelu"),
    _c(110, 64, 64, 5, activation="prelu", residual=True, pool=2),
    Layer("squeeze", 13, 64, 64, largest=True),
    # DeepSTARR on 249 bp
    _f(249, 256, 7, activation="relu", pool=2),
    _c(124, 256, 64, 3, activation="relu", pool=2),
    _c(62, 60, 64, 5, activation="relu", pool=2, row=64),
    # BPNet trunk on 2,114 bp
    _c(2114, 64, 64, 3, dilation=8, activation="relu", residual=True),
    # LegNet on 150 bp
    _f(150, 256, 7, activation="silu"),
    _c(150, 256, 256, 7, activation="silu"),
    _d(150, 512, 7, 512, activation="silu"),
    _d(150, 512, 7, 256, activation="silu", pool=2),
    Layer("squeeze", 150, 512, 512),
    Layer("excite", 150, 512, 64, dtype="float32", activation="silu", rank=410),
    Layer("excite", 150, 1024, 64, dtype="float32", activation="silu"),
    Layer("pointwise", 150, 512, 512, activation="silu", residual=True, gate=True),
    _c(150, 512, 128, 1, gate=True),
    _c(150, 128, 128, 3, groups=4, activation="silu"),
    # heads: linear layers over one long row of vectors; a residual behind a gate-less chain
    _c(1024, 1800, 256, 1, activation="relu"),
    _c(1024, 256, 2, 1, dtype="float32"),
    Layer("pointwise", 110, 64, 64, activation="prelu", residual=True),
    _r(110, 64, 5, activation="prelu", pool=2),
    _r(27, 64, 5, activation="prelu", pool=2),
    _r(55, 32, 5, dtype="float32", activation="prelu"),
    # windows of single substitutions in the residual network
    _w(110, 4, 64, 21, 1, activation="prelu"),
    _w(110, 64, 64, 5, 21, activation="prelu"),
    _w(110, 64, 64, 5, 25, activation="prelu", residual=True, pool=2),
    # other types and odd shapes
    _c(124, 256, 60, 3, activation="relu", pool=2),
    _c(62, 60, 60, 5, activation="relu", pool=2),
    _c(110, 64, 64, 5, dtype="float32", activation="prelu", pool=3),
    _c(150, 512, 128, 1, gate=True, pool=3),
    _w(62, 60, 60, 5, 7, activation="relu", pool=2),
    _w(110, 64, 64, 5, 25, dtype="float32", activation="gelu", pool=2),
    _c(110, 64, 64, 5, dtype="float16", activation="prelu"),
    _c(110, 64, 64, 5, dtype="float32", activation="prelu"),
    _c(110, 64, 64, 5, dtype="float32", precision="tf32", activation="prelu"),
    _c(115, 80, 96, 7, activation="gelu", pool=3),
    _c(150, 512, 128, 1, dtype="float32", gate=True),
    _f(80, 64, 21, flanks=True, unknown=0.25, activation="exp", pool=2),
    _f(110, 64, 21, dtype="float32", activation="prelu"),
    _f(150, 256, 7, dtype="float32", activation="silu"),
    _d(150, 100, 5, 25, dtype="float32"),
    Layer("squeeze", 75, 100, 100, dtype="float32"),
    Layer("excite", 75, 448, 112, dtype="float32", activation="silu"),
    Layer("excite", 75, 100, 128, dtype="float32", activation="relu", rank=821),
    Layer("pointwise", 75, 100, 100, dtype="float32", residual=True, gate=True),
]
