"""High Schoolers (7th): kernels on both strands, attention pools, one transformer layer."""

import math

import torch
from torch import Tensor, nn

from fastseq.errors import LengthError
from fastseq.models.blocks import (
    KERAS_EPSILON,
    Conv1d,
    Exponential,
    Residual,
    check_heads,
    keras_norm,
    task_names,
)
from fastseq.models.specs import Activation, InputSpec, TargetSpec


class SharedStrands(nn.Module):
    """Kernels, then their reverse complements, over the same positions; one bias for both."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.convolution = Conv1d(4, channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        one = self.convolution
        turned = one(x.flip(1, 2)).flip(2)
        return torch.cat((one(x), turned), dim=1)


class AttentionPool(nn.Module):
    """Windows summed with weights of their own, a softmax of a linear map; the rest is cut."""

    def __init__(self, channels: int, window: int):
        super().__init__()
        self.window = window
        self.weigh = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kept = x.shape[2] // self.window * self.window
        windows = x[:, :, :kept].transpose(1, 2).unflatten(1, (-1, self.window))
        return (windows * self.weigh(windows).softmax(2)).sum(2).transpose(1, 2)


class RelativeAttention(nn.Module):
    """Attention that adds what a query makes of the distance, as Enformer: (n, length, channels).

    Avsec et al. 2021: distances in bases of exponentials, central masks and gamma densities, each
    plain and with the sign of the distance.
    """

    basis: Tensor

    def __init__(self, channels: int, heads: int, length: int):
        super().__init__()
        check_heads(channels, heads)
        self.heads, width = heads, channels // heads
        self.query, self.key, self.value, self.distance = (
            nn.Linear(channels, channels, bias=False) for _ in range(4)
        )
        self.content_bias, self.distance_bias = (
            nn.Parameter(0.5 * torch.randn(heads, 1, width)) for _ in range(2)
        )
        self.out = nn.Linear(channels, channels)
        self.register_buffer("basis", distance_basis(length, channels // 6), persistent=False)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._split(part(x)) for part in (self.query, self.key, self.value))
        query = query / query.shape[-1] ** 0.5
        distance = self._split(self.distance(self.dropout(self.basis)))
        content = (query + self.content_bias) @ key.transpose(-1, -2)
        by_distance = (query + self.distance_bias) @ distance.transpose(-1, -2)
        at = torch.arange(x.shape[1], device=x.device)
        # column j - i + length - 1 is the distance of key j from query i
        columns = (at - at[:, None] + len(at) - 1).expand_as(content)
        weights = (content + by_distance.gather(-1, columns)).softmax(-1)
        return self.out((weights @ value).transpose(-2, -3).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


def distance_basis(length: int, features: int) -> Tensor:
    """Return Enformer's features of the distances 1 - length .. length - 1, (2 length - 1, 6 f)."""
    distance = torch.arange(1.0 - length, length)[:, None]
    away = distance.abs()
    half_life = 2 ** torch.linspace(3, math.log2(length), features)
    exponential = torch.exp(-math.log(2) / half_life * away)
    mask = (2 ** torch.arange(1.0, features + 1) - 1 > away).float()
    mean, sd = torch.linspace(length / features, length, features), length / (2 * features)
    shape, rate = (mean / sd) ** 2, mean / sd**2
    log_density = torch.xlogy(shape - 1, away) - rate * away
    density = torch.exp(log_density - torch.lgamma(shape) + shape * rate.log())
    # of one position there is only distance 0, where every density is 0
    plain = exponential, mask, density / density.max().clamp(min=1e-30)
    return torch.cat([part for one in plain for part in (one, one * distance.sign())], dim=1)


class HighSchoolers(nn.Module):
    """Three convolution blocks with attention pools, a transformer layer, dense layers.

    Parameters
    ----------
    length : int
    strands : int
        Kernels of the first layer, each laid on both strands.
    widths : tuple of int
        Channels of the second and third block.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        strands: int = 192,
        widths: tuple[int, int] = (256, 192),
        heads: int = 8,
        inner: int = 1024,
        features: int = 256,
        activation: Activation = "none",
    ):
        super().__init__()
        left = length // 4 // 4 // 2
        if not left:
            raise LengthError(f"{length} bp; expected at least 32 for the three pools")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        second, last = widths
        self.stages = nn.Sequential(
            nn.Sequential(
                SharedStrands(strands, 19), keras_norm(2 * strands), Exponential(),
                *_residual(2 * strands, (2, 4, 8)), nn.Dropout(0.2), AttentionPool(2 * strands, 4),
            ),
            nn.Sequential(
                Conv1d(2 * strands, second, 9), nn.ReLU(), keras_norm(second), nn.ReLU(),
                *_residual(second, (2,)), AttentionPool(second, 4), nn.Dropout(0.3),
            ),
            nn.Sequential(
                Conv1d(second, last, 7), keras_norm(last), nn.ReLU(),
                *_residual(last, (2,)), AttentionPool(last, 2), nn.Dropout(0.1),
            ),
        )  # fmt: skip
        self.transformer = nn.Sequential(
            Residual(RelativeAttention(last, heads, left), nn.Dropout(0.1)),
            nn.LayerNorm(last, KERAS_EPSILON),
            Residual(
                nn.Linear(last, inner), nn.Dropout(0.1), nn.ReLU(), nn.Linear(inner, last),
                nn.Dropout(0.1),
            ),
            nn.LayerNorm(last, KERAS_EPSILON),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(),
            *_dense(left * last, features),
            *_dense(features, features),
            nn.Linear(features, tasks),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.transformer(self.stages(x).transpose(1, 2)))


def _residual(channels: int, dilations: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Return a residual block of ever wider convolutions, and a rectifier."""
    body: list[nn.Module] = [Conv1d(channels, channels, 3, bias=False), keras_norm(channels)]
    for dilation in dilations:
        body += [
            nn.ReLU(), nn.Dropout(0.1), Conv1d(channels, channels, 3, dilation=dilation),
            keras_norm(channels),
        ]  # fmt: skip
    return Residual(*body), nn.ReLU()


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), keras_norm(outputs), nn.ReLU(), nn.Dropout(0.4)]
