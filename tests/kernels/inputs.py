"""Inputs for the kernel tests, a function of their shape, and the one way to compare."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import combinations, product
from zlib import crc32

import torch
from fastseq_kernels import reference

DTYPES = ["float32", "float16", "bfloat16"]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def normal(*shape: int, dtype: str = "float32", seed: int = 0) -> torch.Tensor:
    noise = torch.Generator().manual_seed(crc32(str((shape, seed)).encode()))
    return torch.randn(shape, generator=noise).to(getattr(torch, dtype)).to(DEVICE)


def random_codes(*shape: int) -> torch.Tensor:
    """Return uint8 codes, one in five unknown."""
    noise = torch.Generator().manual_seed(crc32(str(shape).encode()))
    return torch.randint(0, 5, shape, generator=noise, dtype=torch.uint8).to(DEVICE)


@dataclass(frozen=True)
class Case:
    """Shape and options of one convolution; prints as what differs from the defaults."""

    n: int
    length: int
    c_in: int
    c_out: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    padding: tuple[int, int] | None = None  # None: as many positions out as in
    activation: str = "none"
    residual: str | None = None
    pool: int = 1
    gate: bool = False

    def __str__(self) -> str:
        shape = f"{self.n}x{self.length} {self.c_in}-{self.c_out} k{self.kernel}"
        extra = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[5:]
                 if getattr(self, f.name) != f.default]  # fmt: skip
        return " ".join([shape, *extra])

    def tensors(self, dtype: str):
        """Return x, weight, bias, slope, residual, gate and the op's options."""
        span = self.dilation * (self.kernel - 1)
        left, right = self.padding or (span // 2, span - span // 2)
        options = {
            "stride": self.stride, "dilation": self.dilation, "groups": self.groups,
            "pad_left": left, "pad_right": right, "activation": self.activation,
            "residual_first": self.residual == "before", "pool": self.pool,
        }  # fmt: skip
        positions = reference.length_out(
            self.length, self.kernel, self.stride, self.dilation, left + right
        )
        fan = self.c_in // self.groups * self.kernel
        return (
            normal(self.n, self.length, self.c_in, dtype=dtype),
            normal(self.kernel, self.c_in // self.groups, self.c_out, dtype=dtype) / fan**0.5,
            normal(self.c_out),
            normal(self.c_out, seed=1).abs() if self.activation == "prelu" else None,
            normal(self.n, positions, self.c_out, dtype=dtype, seed=2) if self.residual else None,
            normal(self.n, self.c_in).sigmoid() if self.gate else None,
            options,
        )


def pairwise_cover(axes: dict[str, tuple]) -> Iterator[dict]:
    """Yield choices of one value an axis until any two values of two axes have met.

    Greedy: each choice begins with a pair that has not met, and takes for every other axis the
    value that meets most of those it has not met.
    """
    left = {
        ((a, x), (b, y))
        for a, b in combinations(axes, 2)
        for x, y in product(range(len(axes[a])), range(len(axes[b])))
    }
    while left:
        chosen = dict(min(left))
        for name in axes:
            if name not in chosen:
                met = [
                    sum(_pair(axes, (name, i), other) in left for other in chosen.items())
                    for i in range(len(axes[name]))
                ]
                chosen[name] = met.index(max(met))
        left -= {_pair(axes, *two) for two in combinations(chosen.items(), 2)}
        yield {name: axes[name][chosen[name]] for name in axes}


def _pair(axes: dict[str, tuple], one: tuple, other: tuple) -> tuple:
    first = one[0] == next(name for name in axes if name in (one[0], other[0]))
    return (one, other) if first else (other, one)


def floats(*tensors: torch.Tensor | None) -> list[torch.Tensor | None]:
    """Return float64 copies, on the CPU."""
    return [None if x is None else x.cpu().double() for x in tensors]


def poisoned(like: torch.Tensor, dtype: str) -> torch.Tensor:
    """Return an output full of NaN, so that an element that is never written fails."""
    return torch.full(like.shape, float("nan"), dtype=getattr(torch, dtype), device=DEVICE)


def check(found: torch.Tensor, truth: torch.Tensor, dtype: str) -> None:
    error = reference.relative_error(found, truth)
    assert error <= reference.TOLERANCE[dtype], f"relative error {error:.2e}"
