"""The vocabulary of a lowered graph: what rules rewrite layers into, and engines know how to run.

Activations are float tensors (n, channels, length) whose channels vary fastest in memory (NLC seen
as NCL); vectors are (n, features). A node of a lowered graph is a call to one of these functions,
or an operator of PyTorch that no rule matched, which takes the same tensors.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Activation: TypeAlias = Literal[
    "none", "relu", "leaky_relu", "prelu", "elu", "silu", "gelu", "exp", "softplus", "sigmoid",
    "tanh", "gelu_tanh", "hardswish", "mish",
]  # fmt: skip
ACTIVATIONS = Activation.__args__  # type: ignore[attr-defined]

# parameter: the slope of leaky_relu (float), of prelu (tensor of 1 or `channels`), alpha of elu
Parameter: TypeAlias = Tensor | float | None


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    skip: Tensor | None = None,
    stride: int = 1,
    before: int = 0,
    after: int = 0,
    dilation: int = 1,
    groups: int = 1,
    activation: Activation = "none",
    parameter: Parameter = None,
) -> Tensor:
    """Return activation(convolution + bias + skip), with `before` and `after` zeros around x.

    Parameters
    ----------
    x : (n, cin, length)
    weight : (cout, cin / groups, kernel)
    bias : (cout,), optional
    skip : (n, cout, length_out), optional
    """
    halo = dilation * (weight.shape[2] - 1)
    # oneDNN (torch 2.13) reads out of bounds where a result lies wholly in the padding
    if before != after or before > halo or dilation >= x.shape[2]:
        x, before = F.pad(x, (before, after)), 0
    plane = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(
        plane, weight.unsqueeze(2), bias, (1, stride), (0, before), (1, dilation), groups
    ).squeeze(2)
    if skip is not None:
        y = y.add_(skip) if not y.requires_grad else y + skip
    return activate(y, activation, parameter, inplace=not y.requires_grad)


def activate(
    x: Tensor, activation: Activation, parameter: Parameter = None, inplace: bool = False
) -> Tensor:
    """Return an elementwise activation of maps (n, channels, length) or vectors (n, features)."""
    match activation:
        case "none":
            return x
        case "relu":
            return F.relu(x, inplace)
        case "leaky_relu":
            return F.leaky_relu(x, parameter, inplace)  # type: ignore[arg-type]
        case "prelu":
            return F.prelu(x, parameter)  # type: ignore[arg-type]
        case "elu":
            return F.elu(x, parameter, inplace)  # type: ignore[arg-type]
        case "silu":
            return F.silu(x, inplace)
        case "gelu":
            return F.gelu(x)
        case "exp":
            return x.exp_() if inplace else x.exp()
        case "softplus":
            return F.softplus(x)
        case "sigmoid":
            return x.sigmoid_() if inplace else x.sigmoid()
        case "tanh":
            return x.tanh_() if inplace else x.tanh()
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "hardswish":
            return F.hardswish(x, inplace)
        case "mish":
            return F.mish(x, inplace)
    raise AssertionError(activation)


def zero_pad(x: Tensor, before: int, after: int) -> Tensor:
    """Return a map with zeros around it, or without its ends where a number is negative."""
    return F.pad(x, (before, after))


def add(x: Tensor, y: Tensor) -> Tensor:
    """Return the sum of two maps or two vectors of one shape."""
    return x + y


def shift(x: Tensor, by: Tensor) -> Tensor:
    """Return a map plus a constant one, (channels, length)."""
    return x + by


def concat(xs: Sequence[Tensor]) -> Tensor:
    """Return maps side by side in the channels, or vectors in the features."""
    if xs[0].ndim == 2:
        return torch.cat(list(xs), 1)
    return torch.cat([x.transpose(1, 2) for x in xs], 2).transpose(1, 2)


def max_pool(x: Tensor, width: int, stride: int, before: int = 0, after: int = 0) -> Tensor:
    """Return the maxima of windows, with `before` and `after` times minus infinity around x.

    What a ceil mode adds or drops at the end is in `after`, which may be negative.
    """
    if before or after:
        x = F.pad(x, (before, after), value=-torch.inf)
    plane = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    return F.max_pool2d(plane, (1, width), (1, stride)).squeeze(2)


def mean_pool(
    x: Tensor, divisor: Tensor, width: int, stride: int, before: int = 0, after: int = 0
) -> Tensor:
    """Return the sums of windows over a divisor each, with zeros around x.

    Parameters
    ----------
    divisor : (length_out,)
        How many positions each window counts: depends on padding and ceil mode at the ends.
    """
    if before or after:
        x = F.pad(x, (before, after))
    plane = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
    return F.avg_pool2d(plane, (1, width), (1, stride), divisor_override=1).squeeze(2) / divisor


def global_max(x: Tensor) -> Tensor:
    """Return the largest value of each channel, (n, channels)."""
    return x.amax(2)


def global_mean(x: Tensor) -> Tensor:
    """Return the mean of each channel, (n, channels)."""
    return x.mean(2)


def flat_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: Activation = "none",
    parameter: Parameter = None,
) -> Tensor:
    """Return activation(linear layer over a whole map): flatten and linear in one.

    Parameters
    ----------
    x : (n, channels, length)
    weight : (features, length, channels)
        Positions outermost, as the map lies in memory.
    """
    y = F.linear(x.transpose(1, 2).flatten(1), weight.flatten(1), bias)
    return activate(y, activation, parameter, inplace=not y.requires_grad)


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: Activation = "none",
    parameter: Parameter = None,
) -> Tensor:
    """Return activation(linear layer) of vectors (n, features)."""
    y = F.linear(x, weight, bias)
    return activate(y, activation, parameter, inplace=not y.requires_grad)
