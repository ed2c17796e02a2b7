"""The device that is timed, and the tensors that it is given."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.kernels.shapes import BASES

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    """Return codes, row numbers or normal numbers; the same ones for the same shape."""
    noise = torch.Generator(DEVICE).manual_seed(sum(shape) * len(shape))
    if not dtype.is_floating_point:
        high = 5 if dtype == torch.uint8 else BASES
        return torch.randint(high, shape, generator=noise, dtype=dtype, device=DEVICE)
    return torch.randn(shape, generator=noise, device=DEVICE).to(dtype)


def one_hot(codes: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (n, 4, length); unknown bases are zeros."""
    table = torch.eye(5, 4, dtype=dtype, device=codes.device)
    return table[codes.long()].transpose(1, 2).contiguous()


def settled(call: Callable[[], object]) -> object:
    """Return a call's answer once the device has it."""
    answer = call()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return answer
