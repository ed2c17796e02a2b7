"""Layers that the model families share, laid out channels-last in memory.

Every layer takes and returns ``(n, channels, length)``. In memory the activations of `Conv1d`,
`BatchNorm1d` and the pools lie position by position (NLC), where oneDNN and cuDNN are 1.2-1.4x
faster than on the channel-by-channel layout of PyTorch's own one-dimensional layers; the numbers
are the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.errors import OptionError

# what Keras adds to the variance of a norm, and its slope of a leaky rectifier
KERAS_EPSILON, KERAS_SLOPE = 1e-3, 0.3


class BodyAndHead(nn.Module):
    """A network whose constructor makes a body, and a head that answers from what it gives."""

    body: nn.Module
    head: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Conv1d(nn.Conv1d):
    """Convolution over positions; ``padding="same"`` by default, as every family here wants it.

    Where the padding is uneven, the extra position is on the right, as in PyTorch and Keras.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, padding: str | int = "same", **kwargs
    ):
        reach = kwargs.get("dilation", 1) * (kernel - 1)
        if padding == "same" and reach % 2 == 0:
            padding = reach // 2
        super().__init__(inputs, outputs, kernel, padding=padding, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        padding: Any = self.padding
        if padding == "same":
            reach = self.dilation[0] * (self.kernel_size[0] - 1)
            x, padding = F.pad(x, (reach // 2, reach - reach // 2)), (0,)
        y = F.conv2d(
            _flat(x),
            self.weight.unsqueeze(2),
            self.bias,
            (1, *self.stride),
            (0, *padding),
            (1, *self.dilation),
            self.groups,
        )
        return y.squeeze(2)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of ``(n, channels, length)`` or ``(n, channels)``."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            return super().forward(x)
        return super().forward(_flat(x)).squeeze(2)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (2, 4):
            raise ValueError(f"expected (n, channels[, length]), got {tuple(input.shape)}")


class MaxPool1d(nn.MaxPool1d):
    """Maximum over windows of positions."""

    def forward(self, x: Tensor) -> Tensor:
        sizes: Any = [
            (1, self.kernel_size),
            (1, self.stride),
            (0, self.padding),
            (1, self.dilation),
        ]
        return F.max_pool2d(_flat(x), *sizes, ceil_mode=self.ceil_mode).squeeze(2)


class GlobalMaxPool(nn.Module):
    """The largest value of each channel: ``(n, channels, length)`` to ``(n, channels)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(-1)


class GlobalMeanPool(nn.Module):
    """The mean of each channel: ``(n, channels, length)`` to ``(n, channels)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1)


class MaxAndMean(nn.Module):
    """The largest value of each channel, then the mean: (n, channels, length) to (n, 2 channels).

    The maximum knows the best site, the mean how many there are.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x.amax(-1), x.mean(-1)), dim=1)


class PReLU(nn.PReLU):
    """Leaky rectifier with one learned slope."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.device.type == "cpu":
            return _LearnedSlope.apply(x, self.weight)
        return super().forward(x)


class _LearnedSlope(torch.autograd.Function):
    """PReLU of one slope; its gradient takes 1/4 of the time of PyTorch's, a 1.2x faster step."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.leaky_relu(x, slope.item())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        to_x = torch.ops.aten.leaky_relu_backward(grad, x, slope.item(), False)
        return to_x, (grad * x.clamp(max=0)).sum().view(1)


class Exponential(nn.Module):
    """exp(x): as the first activation it makes filters learn whole motifs (Koo et al. 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module):
        super().__init__()
        self.body = body[0] if len(body) == 1 else nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ConcatResidual(nn.Module):
    """Channels of x, then those of body(x)."""

    def __init__(self, *body: nn.Module):
        super().__init__()
        self.body = body[0] if len(body) == 1 else nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.body(x)), dim=1)


class Parallel(nn.Module):
    """The outputs of several branches over one input, side by side in the channels."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class SqueezeExcite(nn.Module):
    """x scaled channel by channel by a gate that sees the mean over positions.

    gate = sigmoid(expand(silu(reduce(mean x)))); Hu et al. 2018.
    """

    def __init__(self, channels: int, reduced: int):
        super().__init__()
        self.reduce = nn.Linear(channels, reduced)
        self.expand = nn.Linear(reduced, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(F.silu(self.reduce(x.mean(-1)))).sigmoid()
        return x * gate.unsqueeze(-1)


class Transposed(nn.Module):
    """A layer over ``(n, length, channels)`` put to work on ``(n, channels, length)``."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class BiLSTM(nn.Module):
    """A bidirectional LSTM over positions; ``hidden`` units each way, their states side by side."""

    def __init__(self, channels: int, hidden: int, layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.transpose(1, 2))[0].transpose(1, 2)


def conv_norm_act(
    inputs: int,
    outputs: int,
    kernel: int,
    act: type[nn.Module] = nn.SiLU,
    *,
    groups: int = 1,
    bias: bool = False,
) -> nn.Sequential:
    """Return convolution, batch normalisation and activation."""
    return nn.Sequential(
        Conv1d(inputs, outputs, kernel, groups=groups, bias=bias), BatchNorm1d(outputs), act()
    )


def check_heads(channels: int, heads: int) -> None:
    """Raise where attention heads do not share the channels evenly."""
    if channels % heads:
        raise OptionError(f"heads={heads} do not divide {channels} channels evenly")


def keras_norm(channels: int) -> BatchNorm1d:
    """Return batch normalisation as Keras has it, for networks that were published there."""
    return BatchNorm1d(channels, KERAS_EPSILON, momentum=0.01)


def _flat(x: Tensor) -> Tensor:
    """Return (n, channels, length) as a channels-last (n, channels, 1, length), a view if it is."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def task_names(tasks: int) -> tuple[str, ...]:
    """Return the names of so many outputs while the data have not named them: y, or y0, y1, ..."""
    return ("y",) if tasks == 1 else tuple(f"y{task}" for task in range(tasks))
