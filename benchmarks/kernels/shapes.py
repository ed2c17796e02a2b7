"""Calls that stand for the zoo: what the kernels are compiled for, and what they are timed on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from fastseq_kernels import conv

OPS = (conv,)
HALF, FULL = torch.bfloat16, torch.float32


@dataclass
class AotCase:
    """One call to compile; ``matrix``: it must use matrix instructions."""

    call: Callable[[], object]
    matrix: bool = True


def empty(*shape: int, dtype: torch.dtype = FULL) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="cuda")


def dense(length: int, c_in: int, c_out: int, kernel: int, dtype=HALF, *, residual=False,
          gate=False, pool=1, groups=1, **options) -> None:  # fmt: skip
    """Call conv1d, same-padded, on 1,024 sequences."""
    span = options.get("dilation", 1) * (kernel - 1)
    conv.conv1d(
        empty(1024, length, c_in, dtype=dtype),
        empty(kernel, c_in // groups, c_out, dtype=dtype),
        empty(c_out),
        empty(c_out) if options.get("activation") == "prelu" else None,
        empty(1024, length, c_out, dtype=dtype) if residual else None,
        empty(1024, c_in) if gate else None,
        pad_left=span // 2, pad_right=span - span // 2, groups=groups, pool=pool, **options,
    )  # fmt: skip


AOT_CASES: dict[str, AotCase] = {
    "conv1d 64-64 k5 prelu": AotCase(partial(dense, 110, 64, 64, 5, activation="prelu")),
    "conv1d 64-64 k5 prelu residual pool2": AotCase(
        partial(dense, 110, 64, 64, 5, activation="prelu", residual=True, pool=2)
    ),
    "conv1d 64-64 k5 float16": AotCase(
        partial(dense, 110, 64, 64, 5, torch.float16, activation="relu")
    ),
    "conv1d 64-64 k5 float32": AotCase(partial(dense, 110, 64, 64, 5, FULL, activation="prelu")),
    "conv1d 64-64 k5 tf32": AotCase(
        partial(dense, 110, 64, 64, 5, FULL, activation="prelu", precision="tf32")
    ),
    "conv1d 64-64 k3 dilation 8 relu residual": AotCase(
        partial(dense, 2114, 64, 64, 3, dilation=8, activation="relu", residual=True)
    ),
    "conv1d 256-256 k7 silu": AotCase(partial(dense, 150, 256, 256, 7, activation="silu")),
    "conv1d 256-60 k3 relu pool2": AotCase(
        partial(dense, 124, 256, 60, 3, activation="relu", pool=2)
    ),
    "conv1d 60-60 k5 relu pool2": AotCase(partial(dense, 62, 60, 60, 5, activation="relu", pool=2)),
    "conv1d 80-96 k7 gelu pool3": AotCase(
        partial(dense, 115, 80, 96, 7, activation="gelu", pool=3)
    ),
    "conv1d 512-128 k1 gated": AotCase(partial(dense, 150, 512, 128, 1, gate=True)),
    "conv1d 128-128 k3 groups 4": AotCase(
        partial(dense, 150, 128, 128, 3, groups=4, activation="silu")
    ),
    "conv1d 512-128 k1 gated float32": AotCase(partial(dense, 150, 512, 128, 1, FULL, gate=True)),
}
