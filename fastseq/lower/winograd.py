"""How a convolution is multiplied out on the CPU: the direct sum, or fewer products."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._native import conv as native

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
        products = float(self.points * self.pieces)
        if self.points > 1:
            transform = self.points**2 * 0.7 + 2 * self.points
            products += transform / channels + transform / channels_in
        return products * tiles / length


def schemes(kernel: int) -> Iterator[Scheme]:
    """Yield the ways of a convolution of stride and dilation 1, the direct sum first.

    Seven points would be 10 % faster for kernels of 7, and lie unevenly: effects lose a digit.
    """
    yield Scheme(1, 1, kernel)
    for points, step in ((6, 4), (6, 3), (6, 2), (8, 6), (8, 5), (8, 4), (8, 3), (8, 2)):
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
