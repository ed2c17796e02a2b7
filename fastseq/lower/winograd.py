"""How a convolution is multiplied out on the CPU: the direct sum, or fewer products."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._native import conv as native

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
# integers of 16 bits in sums of 32: transformed input stays within 24,000 (CONV_LIMIT of conv.h),
# which leaves this much to the weights of a sum together
LARGEST, LARGEST_SUM = 32767, (1 << 31) / 24_100
# channels whose weights still have more digits than bfloat16
INTEGER_CHANNELS = range(32, 129, 2)


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

    def tiles(self, length: int, dilation: int) -> int:
        """Return how often `points` products are made; dilated results lie `dilation` apart."""
        if self.points == 1:
            return length
        return dilation * math.ceil(math.ceil(length / dilation) / self.step)

    def cost(
        self, channels_in: int, channels: int, length: int, dilation: int, dtype: torch.dtype
    ) -> float:
        """Return the products of a result and input channel, transforms included."""
        products = float(self.points * self.pieces)
        if self.points > 1:
            # measured by AVX-512; products of 16 bits take half the time
            transform = (5 if dtype is torch.float32 else 20) * self.points
            products += transform / channels + transform / channels_in
        return products * self.tiles(length, dilation) / length


def schemes(kernel: int) -> Iterator[Scheme]:
    """Yield the ways of a convolution of stride 1, the direct sum first.

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
    pool: int, dtype: torch.dtype,
) -> Scheme:  # fmt: skip
    """Return the cheapest scheme of a layer.

    Transformed bfloat16 runs as integers of 16 bits with a scale for each tile, whose sums have no
    room for pieces or many channels: transforms would cost bfloat16 itself the digits it has.
    """
    narrow = dtype is not torch.float32
    direct = Scheme(1, 1, kernel)
    if stride > 1 or channels_in < 16 or (dilation > 1 and pool > 1):
        return direct
    if narrow and channels_in not in INTEGER_CHANNELS:
        return direct
    ways = (
        way for way in schemes(kernel)
        if way.points == 1 or way.pieces == 1 or (dilation == 1 and not narrow)
    )  # fmt: skip
    return min(ways, key=lambda way: way.cost(channels_in, channels, length, dilation, dtype))


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
        neighbouring input channels stand together. Transformed bfloat16 are int16, and behind them
        stand the float32 [point][channel] by which their sums are to be multiplied.
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
    values, scale = nn.functional.pad(values, (0, -channels % 16)), None
    narrow = dtype is not torch.float32
    if narrow and scheme.points > 1:
        size = values.abs()
        scale = torch.maximum(size.sum((1, 2)) / LARGEST_SUM, size.amax((1, 2)) / LARGEST)
        scale = scale.clamp(min=1e-30)
        values, dtype = (values / scale[:, None, None]).round(), torch.int16
    values = values.to(dtype)
    if narrow:
        values = values.unflatten(2, (channels_in // 2, 2)).movedim(3, -1).flatten(3)
    width = native.BLOCK * (2 if narrow else 1)
    blocks = torch.cat([part.flatten() for part in values.split(width, -1)])
    return blocks if scale is None else torch.cat([blocks, scale.float().flatten().view(dtype)])
