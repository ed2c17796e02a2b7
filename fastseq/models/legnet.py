"""LegNet, winner of the Random Promoter DREAM Challenge, and its descendants.

Penzar et al. 2023 (doi 10.1093/bioinformatics/btad457). The body is a chain of EfficientNetV2-like
blocks: widen by 1x1, grouped convolution, squeeze-excite, narrow, set beside the input, resize.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.models.blocks import (
    BatchNorm1d,
    ConcatResidual,
    Conv1d,
    GlobalMeanPool,
    MaxPool1d,
    SqueezeExcite,
    conv_norm_act,
    task_names,
)
from fastseq.models.specs import InputSpec, TargetSpec

WIDTHS = (128, 128, 64, 64, 64, 64)
AUTOSOME_ORDER = "AGCT"


class BilinearSqueezeExcite(nn.Module):
    """Squeeze-excite whose gate also sees products of the squeezed features.

    The bilinear map z, z -> out is a CP tensor of half the full size:
    out_k = bias_k + sum_r weight_r (z . left_r) (z . right_r) out_kr.
    """

    def __init__(self, channels: int, reduced: int):
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Linear(channels, reduced), nn.SiLU(), nn.Linear(reduced, reduced)
        )
        half = reduced // 2
        rank = round(reduced * reduced * half / 2 / (2 * reduced + half))
        self.weight = nn.Parameter(torch.ones(rank))
        self.left = nn.Parameter(torch.empty(reduced, rank))
        self.right = nn.Parameter(torch.empty(reduced, rank))
        self.out = nn.Parameter(torch.empty(half, rank))
        self.bias = nn.Parameter(torch.zeros(half))
        self.expand = nn.Linear(reduced + half, channels)
        for factor in (self.left, self.right, self.out):
            # the product of three factors over `rank` terms has the authors' sd of .00075
            nn.init.normal_(factor, std=(0.00075 / rank**0.5) ** (1 / 3))

    def forward(self, x: Tensor) -> Tensor:
        z = self.reduce(x.mean(-1))
        products = (z @ self.left) * (z @ self.right) * self.weight
        bilinear = F.linear(products, self.out, self.bias)
        gate = self.expand(F.silu(torch.cat((z, bilinear), dim=1))).sigmoid()
        return x * gate.unsqueeze(-1)


def inverted(
    channels: int, inner: int, kernel: int, group: int, gate: type[nn.Module], squeezed: int
) -> nn.Sequential:
    """Return widen, grouped convolution of ``group`` channels each, gate, narrow."""
    return nn.Sequential(
        conv_norm_act(channels, inner, 1),
        conv_norm_act(inner, inner, kernel, groups=inner // group),
        gate(inner, squeezed),
        conv_norm_act(inner, channels, 1),
    )


def effnet_body(
    inputs: int,
    widths: tuple[int, ...] = WIDTHS,
    *,
    kernel: int = 7,
    group: int = 2,
    squeeze: int = 4,
    widen_by_output: bool = True,
    gate: type[nn.Module] = SqueezeExcite,
    pool: bool = False,
) -> nn.Sequential:
    """Return LegNet's chain of blocks, from ``inputs`` channels to the last of ``widths``.

    The gate squeezes to a block's input channels over ``squeeze``.
    """
    layers: list[nn.Module] = []
    for outputs in widths:
        inner = 4 * (outputs if widen_by_output else inputs)
        layers += [
            ConcatResidual(inverted(inputs, inner, kernel, group, gate, inputs // squeeze)),
            conv_norm_act(2 * inputs, outputs, kernel),
        ]
        if pool:
            layers.append(MaxPool1d(2))
        inputs = outputs
    return nn.Sequential(*layers)


class LegNet(nn.Module):
    """LegNet over 18 expression bins: 57 bp of plasmid, 80 variable bp and 13 bp in the challenge.

    Parameters
    ----------
    length : int
        Model input in bp; nothing in the network depends on it.
    stem, widths, kernel : int, tuple of int, int
    group : int
        Channels of each group of the inner convolution; 1 is depthwise.
    widen_by_output : bool
        The inner width is four times the block's output, as in the winner, or its input.
    bilinear, mapper_act : bool
        The winner's gate, and its activation of the bin scores before they are averaged.
    strand_channel, singleton_channel : bool
        The winner's fifth and sixth channels; the latter is 0 in prediction.
    unknown : {"uniform", "zero"}
    """

    def __init__(
        self,
        *,
        length: int = 150,
        bins: int = 18,
        stem: int = 256,
        widths: tuple[int, ...] = WIDTHS,
        kernel: int = 7,
        group: int = 2,
        widen_by_output: bool = True,
        bilinear: bool = True,
        mapper_act: bool = True,
        strand_channel: bool = True,
        singleton_channel: bool = True,
        unknown: Literal["zero", "uniform"] = "uniform",
    ):
        super().__init__()
        flags = ("singleton",) if singleton_channel else ()
        self.input_spec = InputSpec(
            length,
            base_order=AUTOSOME_ORDER,
            unknown=unknown,
            strand_channel=strand_channel,
            flag_channels=flags,
        )
        self.target_spec = TargetSpec(
            activation="expected_bin", bins=tuple(map(float, range(bins)))
        )
        self.stem = conv_norm_act(self.input_spec.channels, stem, kernel)
        self.body = effnet_body(
            stem,
            tuple(widths),
            kernel=kernel,
            group=group,
            widen_by_output=widen_by_output,
            gate=BilinearSqueezeExcite if bilinear else SqueezeExcite,
        )
        mapper = [Conv1d(widths[-1], bins, 1)] + ([nn.SiLU()] if mapper_act else [])
        self.head = nn.Sequential(*mapper, GlobalMeanPool())
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)))


def legnet_optimized(*, length: int = 150, singleton_channel: bool = True) -> LegNet:
    """Return the authors' later variant: depthwise, widened by input, plain squeeze-excite."""
    return LegNet(
        length=length,
        group=1,
        widen_by_output=False,
        bilinear=False,
        mapper_act=False,
        singleton_channel=singleton_channel,
    )


def legnet_prixfixe(*, length: int = 150, singleton_channel: bool = True) -> LegNet:
    """Return LegNet as rebuilt in the Prix Fixe framework; unknown bases are zeros there."""
    return LegNet(
        length=length,
        bilinear=False,
        mapper_act=False,
        singleton_channel=singleton_channel,
        unknown="zero",
    )


class LegNetMPRA(nn.Module):
    """LegNet for human MPRA (Agarwal et al. 2025): pooled blocks, one regression a task."""

    def __init__(
        self,
        *,
        length: int = 230,
        tasks: int = 1,
        stem: int = 64,
        widths: tuple[int, ...] = (80, 96, 112, 128),
        kernel: int = 11,
        inner_kernel: int = 9,
        features: int = 256,
    ):
        super().__init__()
        self.input_spec = InputSpec(length, unknown="uniform")
        self.target_spec = TargetSpec(task_names(tasks), scale="log2")
        self.stem = conv_norm_act(4, stem, kernel)
        self.body = effnet_body(
            stem,
            tuple(widths),
            kernel=inner_kernel,
            group=1,
            squeeze=1,
            widen_by_output=False,
            pool=True,
        )
        self.mapper = nn.Sequential(
            BatchNorm1d(widths[-1]), Conv1d(widths[-1], features, 1), GlobalMeanPool()
        )
        self.head = nn.Sequential(
            nn.Linear(features, features),
            BatchNorm1d(features),
            nn.SiLU(),
            nn.Linear(features, tasks),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.mapper(self.body(self.stem(x))))


def initialise(model: nn.Module) -> None:
    """Give convolutions sd sqrt(2 / (kernel * outputs)) and linear layers sd .001, biases 0."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d):
            nn.init.normal_(
                layer.weight, std=(2 / (layer.kernel_size[0] * layer.out_channels)) ** 0.5
            )
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.001)
        if isinstance(layer, (nn.Conv1d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
