"""First, core and final blocks of the challenge's winners, and the networks they combine to.

Rafi et al. 2024 (doi 10.1038/s41587-024-02414-w), the Prix Fixe framework: any first block goes
with any core and any final. DREAM-CNN, -RNN and -Attn are the best of these, BHI the runner-up.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.errors import OptionError
from fastseq.models.blocks import (
    BiLSTM,
    BodyAndHead,
    Conv1d,
    GlobalMeanPool,
    Parallel,
    Residual,
    Transposed,
    conv_norm_act,
    task_names,
)
from fastseq.models.legnet import AUTOSOME_ORDER, effnet_body
from fastseq.models.specs import Activation, InputSpec, TargetSpec

First = Literal["autosome", "bhi"]
Core = Literal["autosome", "bhi", "unlock_dna"]
Final = Literal["bins", "regression"]


def two_kernels(inputs: int, each: int, kernels: tuple[int, int] = (9, 15)) -> nn.Sequential:
    """Return BHI's pair of parallel convolutions, side by side in the channels."""
    branches = [
        nn.Sequential(Conv1d(inputs, each, kernel), nn.ReLU(), nn.Dropout(0.2))
        for kernel in kernels
    ]
    return nn.Sequential(Parallel(*branches))


class GatedFeedForward(nn.Module):
    """LN, then x_1 * silu(x_2) of a widening to ``mult`` channels, then back: (n, length, c)."""

    def __init__(self, channels: int, mult: int = 4, dropout: float = 0.1):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, mult * channels, bias=False)
        self.narrow = nn.Linear(mult * channels // 2, channels, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out, gate = self.widen(self.norm(x)).chunk(2, dim=-1)
        return self.dropout(self.narrow(self.dropout(out * F.silu(gate))))


class ConformerLayer(nn.Module):
    """Unlock_DNA's layer: half a feed-forward, convolution, attention, half a feed-forward."""

    def __init__(self, channels: int, heads: int, kernel: int = 15, dropout: float = 0.1):
        super().__init__()
        self.before = GatedFeedForward(channels, dropout=dropout)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        convolution = nn.Sequential(
            Conv1d(channels, channels, kernel, groups=channels, bias=False),
            Conv1d(channels, channels, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.convolve = Residual(Transposed(convolution))
        self.attention_norm = nn.LayerNorm(channels, eps=1e-6)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.after = GatedFeedForward(channels, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.convolve(self.norm(x))
        x = self.attention_norm(x)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return x + 0.5 * self.after(x)


class Conformer(nn.Module):
    """Learned positions and a stack of `ConformerLayer`, over (n, channels, length)."""

    def __init__(self, channels: int, length: int, layers: int = 4, heads: int = 4):
        super().__init__()
        self.position = nn.Embedding(length, channels)
        self.layers = nn.Sequential(*[ConformerLayer(channels, heads) for _ in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.transpose(1, 2) + self.position.weight[: x.shape[2]]
        return self.layers(tokens).transpose(1, 2)


class PooledHead(nn.Module):
    """1x1 convolution, mean over positions, one linear output, for each task on its own."""

    def __init__(self, channels: int, tasks: int, features: int = 256):
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(Conv1d(channels, features, 1), GlobalMeanPool(), nn.Linear(features, 1))
            for _ in range(tasks)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.heads], dim=1)


class Dream(nn.Module):
    """A first, a core and a final block.

    Parameters
    ----------
    length : int
        Model input in bp; only the unlock_dna core depends on it.
    first : {"autosome", "bhi"}
        One convolution of 7 to 256 channels; or two of 9 and 15 to 160 each.
    core : {"autosome", "bhi", "unlock_dna"}
        LegNet's blocks; BiLSTM and convolutions; Conformer layers.
    final : {"bins", "regression"}
        18 expression bins; or one number a task.
    tasks, bins : int
    strand_channel, singleton_channel : bool
        The fifth and sixth channels of the challenge; human and fly models have only the fifth.
    """

    def __init__(
        self,
        *,
        length: int = 150,
        first: First = "autosome",
        core: Core = "autosome",
        final: Final = "bins",
        tasks: int = 1,
        bins: int = 18,
        strand_channel: bool = True,
        singleton_channel: bool = True,
    ):
        super().__init__()
        self.input_spec = InputSpec(
            length,
            base_order=AUTOSOME_ORDER,
            strand_channel=strand_channel,
            flag_channels=("singleton",) if singleton_channel else (),
        )
        self.first, channels = self._first(first, self.input_spec.channels)
        self.core, channels = self._core(core, channels, length)
        if final == "bins":
            values = tuple(map(float, range(bins)))
            self.target_spec = TargetSpec(activation="expected_bin", bins=values)
            self.final = nn.Sequential(Conv1d(channels, bins, 1), GlobalMeanPool())
        elif final == "regression":
            self.target_spec = TargetSpec(task_names(tasks))
            self.final = PooledHead(channels, tasks)
        else:
            raise _unknown("final", final, "bins, regression")

    @staticmethod
    def _first(name: str, inputs: int) -> tuple[nn.Module, int]:
        match name:
            case "autosome":
                return conv_norm_act(inputs, 256, 7), 256
            case "bhi":
                return two_kernels(inputs, 160), 320
        raise _unknown("first", name, "autosome, bhi")

    @staticmethod
    def _core(name: str, channels: int, length: int) -> tuple[nn.Module, int]:
        match name:
            case "autosome":
                return effnet_body(channels), 64
            case "bhi":
                return recurrent(channels), 320
            case "unlock_dna":
                return Conformer(channels, length), channels
        raise _unknown("core", name, "autosome, bhi, unlock_dna")

    def forward(self, x: Tensor) -> Tensor:
        return self.final(self.core(self.first(x)))


def recurrent(channels: int) -> nn.Sequential:
    """Return BHI's core: a BiLSTM, then its pair of convolutions, to 320 channels."""
    return nn.Sequential(BiLSTM(channels, 320), two_kernels(640, 160), nn.Dropout(0.5))


def dream_cnn(
    *,
    length: int = 150,
    final: Final = "bins",
    tasks: int = 1,
    strand_channel: bool = True,
    singleton_channel: bool = True,
) -> Dream:
    """Return DREAM-CNN: BHI's first block, LegNet's core."""
    return Dream(
        first="bhi",
        core="autosome",
        length=length,
        final=final,
        tasks=tasks,
        strand_channel=strand_channel,
        singleton_channel=singleton_channel,
    )


def dream_rnn(
    *,
    length: int = 150,
    final: Final = "bins",
    tasks: int = 1,
    strand_channel: bool = True,
    singleton_channel: bool = True,
) -> Dream:
    """Return DREAM-RNN: BHI's first block and core."""
    return Dream(
        first="bhi",
        core="bhi",
        length=length,
        final=final,
        tasks=tasks,
        strand_channel=strand_channel,
        singleton_channel=singleton_channel,
    )


def dream_attn(
    *,
    length: int = 150,
    final: Final = "bins",
    tasks: int = 1,
    strand_channel: bool = True,
    singleton_channel: bool = True,
) -> Dream:
    """Return DREAM-Attn: LegNet's first block, Unlock_DNA's core."""
    return Dream(
        first="autosome",
        core="unlock_dna",
        length=length,
        final=final,
        tasks=tasks,
        strand_channel=strand_channel,
        singleton_channel=singleton_channel,
    )


class BHI(BodyAndHead):
    """BHI's DeepGXP, second in the challenge: convolutions, BiLSTM, convolutions, dense layers."""

    def __init__(self, *, length: int = 110, tasks: int = 1, activation: Activation = "none"):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.body = nn.Sequential(two_kernels(4, 256), recurrent(512))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(320 * length, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, tasks),
        )


def _unknown(what: str, name: str, choices: str) -> OptionError:
    return OptionError(f"{what}={name!r}; expected one of {choices}")
