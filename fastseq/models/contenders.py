"""Further networks of the challenge's top ten: Camformers, wztr, mt."""

import torch
from torch import Tensor, nn

from fastseq.errors import LengthError
from fastseq.models.blocks import (
    KERAS_SLOPE,
    BatchNorm1d,
    BodyAndHead,
    Conv1d,
    MaxPool1d,
    Parallel,
    Residual,
    keras_norm,
    task_names,
)
from fastseq.models.specs import Activation, InputSpec, TargetSpec


class Camformers(BodyAndHead):
    """Camformers (4th): six wide convolutions, every second one residual, dense layers.

    Parameters
    ----------
    length : int
    channels, kernel, pairs : int
        Width, kernel in bp, pairs of convolutions.
    features : int
        Width of the two dense layers.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        channels: int = 512,
        kernel: int = 10,
        pairs: int = 3,
        features: int = 256,
        dropout: float = 0.3,
        activation: Activation = "none",
    ):
        super().__init__()
        pool, stride = 10, 4
        if length < pool:
            raise LengthError(f"{length} bp; expected at least the pool of {pool}")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        layers: list[nn.Module] = []
        for pair in range(pairs):
            inputs = 4 if pair == 0 else channels
            layers.append(self._convolution(inputs, channels, kernel, dropout))
            # the last pair is pooled before its residual
            if pair == pairs - 1:
                layers.append(MaxPool1d(pool, stride))
            layers.append(Residual(self._convolution(channels, channels, kernel, dropout)))
        self.body = nn.Sequential(*layers)
        flat = channels * ((length - pool) // stride + 1)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, features),
            nn.ReLU(),
            nn.Linear(features, features),
            nn.ReLU(),
            nn.Linear(features, tasks),
        )

    @staticmethod
    def _convolution(inputs: int, outputs: int, kernel: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            Conv1d(inputs, outputs, kernel), BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)
        )


class SigmoidGELU(nn.Module):
    """x sigmoid(1.702 x), the cheap form of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.702 * x).sigmoid()


class Wztr(nn.Module):
    """wztr (5th): residual convolutions of four dilations at once, over both strands end to end.

    The input, padded with zeros to 142 bp, is followed by its own mirror image, which with the
    base order A C G T is its reverse complement. The team's code ends in a ReLU, their report
    does not; neither does this.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        padded: int = 142,
        stem: int = 1024,
        channels: int = 256,
        blocks: int = 6,
        repeats: int = 3,
        dilations: tuple[int, ...] = (1, 2, 4, 6),
        activation: Activation = "none",
    ):
        super().__init__()
        if length > padded:
            raise LengthError(f"{length} bp; expected at most the padded {padded}")
        self.input_spec = InputSpec(length, unknown="uniform")
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.padded = padded
        self.stem = nn.Sequential(
            *self._convolution(4, stem, 5), *self._convolution(stem, channels, 3)
        )
        hybrid = [
            layer
            for _ in range(blocks)
            for layer in (
                *[Residual(self._hybrid(channels, dilations)) for _ in range(repeats)],
                nn.AvgPool1d(2, ceil_mode=True),
            )
        ]
        self.body = nn.Sequential(*hybrid, nn.Flatten())
        left = 2 * padded
        for _ in range(blocks):
            left = -(-left // 2)
        self.head = nn.Sequential(
            nn.Linear(left * channels, channels),
            SigmoidGELU(),
            *self._dense(channels),
            *self._dense(channels),
            nn.Linear(channels, tasks),
        )

    @staticmethod
    def _convolution(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> list[nn.Module]:
        return [
            Conv1d(inputs, outputs, kernel, dilation=dilation), BatchNorm1d(outputs), nn.ReLU()
        ]  # fmt: skip

    def _hybrid(self, channels: int, dilations: tuple[int, ...]) -> Parallel:
        each = channels // len(dilations)
        return Parallel(
            *[nn.Sequential(*self._convolution(channels, each, 3, d)) for d in dilations]
        )

    @staticmethod
    def _dense(width: int) -> list[nn.Module]:
        return [nn.Linear(width, width), SigmoidGELU(), nn.Dropout(0.2)]

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (0, self.padded - x.shape[2]))
        both = torch.cat((x, x.flip(1, 2)), dim=2)
        return self.head(self.body(self.stem(both)))


class Mt(nn.Module):
    """mt (10th): two bidirectional GRUs, three convolutions, over both strands side by side.

    Tokens A C G T N and padding are six channels for each strand; the second strand is the
    complement, not reversed, whatever its name in the team's code. Slopes and norms are Keras's.
    """

    def __init__(self, *, length: int = 110, tasks: int = 1, padded: int = 142, hidden: int = 256):
        super().__init__()
        if length > padded:
            raise LengthError(f"{length} bp; expected at most the padded {padded}")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), "sigmoid")
        self.padded = padded
        self.recurrent = nn.GRU(12, hidden, 2, batch_first=True, bidirectional=True)
        self.body = nn.Sequential(
            nn.Conv1d(2 * hidden, 256, 6),
            nn.LeakyReLU(KERAS_SLOPE),
            nn.MaxPool1d(3),
            nn.Conv1d(256, 128, 3),
            nn.LeakyReLU(KERAS_SLOPE),
            nn.MaxPool1d(2),
            nn.Conv1d(128, 64, 3),
            nn.LeakyReLU(KERAS_SLOPE),
            nn.Flatten(),
        )
        flat = 64 * (((padded - 5) // 3 - 2) // 2 - 2)
        self.head = nn.Sequential(
            *self._dense(flat, 512),
            *self._dense(512, 32),
            nn.Linear(32, tasks),
        )

    @staticmethod
    def _dense(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, outputs), keras_norm(outputs), nn.LeakyReLU(KERAS_SLOPE)]

    def forward(self, x: Tensor) -> Tensor:
        unknown = 1 - x.sum(1, keepdim=True)
        nothing = torch.zeros_like(unknown)
        tokens = torch.cat((x, unknown, nothing, x.flip(1), unknown, nothing), dim=1)
        after = self.padded - x.shape[2]
        tokens = nn.functional.pad(tokens, (0, after))
        if after:
            tokens[:, [5, 11], -after:] = 1
        return self.head(self.body(self.recurrent(tokens.transpose(1, 2))[0].transpose(1, 2)))
