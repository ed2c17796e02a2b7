"""The networks of the goals in plain eager PyTorch, nn.Conv1d and nothing else."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class ResNet(nn.Module):
    """D2's ResNet: 7 convolutions of 64 channels, three residual pairs, global max.

    ``flat`` gives it the layout that trains fastest: conv2d of one row, channels last.
    """

    def __init__(
        self,
        channels: int = 64,
        activation: type[nn.Module] = nn.PReLU,
        *,
        flat: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.stem = _layer(4, channels, 21, activation)
        self.pairs = nn.ModuleList(
            nn.Sequential(_layer(channels, channels, 5, activation),
                          nn.Conv1d(channels, channels, 5, padding=2), nn.BatchNorm1d(channels))
            for _ in range(3)
        )  # fmt: skip
        self.acts = nn.ModuleList(activation() for _ in range(3))
        self.pool = nn.MaxPool1d(2)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, 1))
        self.flat = flat
        if flat:
            _flatten(self)

    def forward(self, x: Tensor) -> Tensor:
        if self.flat:
            x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        for pair, act in zip(self.pairs, self.acts):
            x = self.pool(act(x + pair(x)))
        return self.head(x.flatten(2).amax(2))


class DeepStarr(nn.Module):
    """DeepSTARR-like: convolutions of 256-128-128-128 with pools, then dense layers."""

    def __init__(self, length: int = 249):
        super().__init__()
        widths, kernels = (4, 256, 128, 128, 128), (7, 3, 5, 3)
        self.body = nn.Sequential(*(
            nn.Sequential(_layer(a, b, k, nn.ReLU), nn.MaxPool1d(2))
            for a, b, k in zip(widths, widths[1:], kernels)
        ))  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(128 * (length // 16), 256), nn.BatchNorm1d(256), nn.ReLU(),
            nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class BPNet(nn.Module):
    """BPNet's trunk: a wide first convolution, dilated residual ones, a mean."""

    def __init__(self, channels: int = 64, layers: int = 8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(4, channels, 21, padding=10), nn.ReLU())
        self.dilated = nn.ModuleList(
            nn.Sequential(nn.Conv1d(channels, channels, 3, padding=2**i, dilation=2**i), nn.ReLU())
            for i in range(1, layers + 1)
        )
        self.head = nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.dilated:
            x = x + layer(x)
        return self.head(x.mean(2))


class LegNet(nn.Module):
    """LegNet as Prix Fixe trains it: EfficientNet-like blocks with squeeze-excite, 18 bins."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        sizes = (256, 128, 128, 64, 64, 64, 64)
        self.stem = nn.Sequential(nn.Conv1d(channels, 256, 7, padding=3, bias=False),
                                  nn.BatchNorm1d(256), nn.SiLU())  # fmt: skip
        self.blocks = nn.ModuleList(_Block(a, 4 * b) for a, b in pairwise(sizes))
        self.resize = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(2 * a, b, 7, padding=3, bias=False), nn.BatchNorm1d(b), nn.SiLU()
            )
            for a, b in pairwise(sizes)
        )
        self.mapper = nn.Conv1d(64, 18, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block, resize in zip(self.blocks, self.resize):
            x = resize(torch.cat([x, block(x)], 1))
        return self.mapper(x).mean(2)


class _Block(nn.Module):
    def __init__(self, outer: int, inner: int):
        super().__init__()
        self.expand = _bare(outer, inner, 1)
        self.spread = _bare(inner, inner, 7, groups=inner // 2)
        self.gate = nn.Sequential(nn.Linear(inner, outer // 4), nn.SiLU(),
                                  nn.Linear(outer // 4, inner), nn.Sigmoid())  # fmt: skip
        self.shrink = _bare(inner, outer, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.spread(self.expand(x))
        return self.shrink(y * self.gate(y.mean(2))[:, :, None])


def _flatten(net: nn.Module) -> None:
    """Put two-dimensional layers over one row in the place of one-dimensional ones."""
    for name, layer in net.named_children():
        match layer:
            case nn.Conv1d():
                kernel, padding = layer.kernel_size[0], layer.padding[0]
                new = nn.Conv2d(layer.in_channels, layer.out_channels, (1, kernel),
                                padding=(0, padding))  # fmt: skip
                setattr(net, name, new)
            case nn.BatchNorm1d():
                setattr(net, name, nn.BatchNorm2d(layer.num_features))
            case nn.MaxPool1d():
                setattr(net, name, nn.MaxPool2d((1, 2)))
            case _:
                _flatten(layer)


def _bare(inputs: int, outputs: int, kernel: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm1d(outputs),
        nn.SiLU(),
    )


def _layer(inputs: int, outputs: int, kernel: int, activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2),
        nn.BatchNorm1d(outputs),
        activation(),
    )


def calibrated(model: nn.Module, length: int, channels: int = 4) -> nn.Module:
    """Return the model in eval mode, its batch statistics moved by random sequences."""
    torch.manual_seed(0)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            bases = torch.randint(0, 4, (32, length))
            hot = nn.functional.one_hot(bases, channels).transpose(1, 2).float()
            model(hot)
    return model.eval()
