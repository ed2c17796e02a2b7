"""Networks for enhancers, promoters and chromatin: DeepSTARR, DeePromoter, BPNet, Basenji."""

from typing import Literal

import torch
from torch import Tensor, nn

from fastseq.errors import LengthError, OptionError
from fastseq.models.blocks import (
    BatchNorm1d,
    BiLSTM,
    Conv1d,
    Exponential,
    GlobalMeanPool,
    MaxPool1d,
    Parallel,
    Residual,
    conv_norm_act,
    task_names,
)
from fastseq.models.specs import Activation, InputSpec, TargetSpec

ACTIVATIONS = {"relu": nn.ReLU, "exponential": Exponential}


class DeepSTARR(nn.Module):
    """DeepSTARR (de Almeida et al. 2022): four convolutions with pools, two dense layers."""

    def __init__(
        self,
        *,
        length: int = 249,
        tasks: int = 2,
        channels: tuple[int, ...] = (256, 60, 60, 120),
        kernels: tuple[int, ...] = (7, 3, 5, 3),
        features: int = 256,
        dropout: float = 0.4,
        activation: Activation = "none",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        names = ("developmental", "housekeeping") if tasks == 2 else task_names(tasks)
        self.target_spec = TargetSpec(names, activation, scale="log2")
        if length < 2 ** len(channels):
            raise LengthError(f"{length} bp; expected at least {2 ** len(channels)} to pool")
        layers: list[nn.Module] = []
        inputs = 4
        for outputs, kernel in zip(channels, kernels):
            layers += [conv_norm_act(inputs, outputs, kernel, nn.ReLU, bias=True), MaxPool1d(2)]
            inputs = outputs
        self.body = nn.Sequential(*layers, nn.Flatten())
        flat = inputs * (length // 2 ** len(channels))
        self.head = nn.Sequential(
            *_dense(flat, features, dropout),
            *_dense(features, features, dropout),
            nn.Linear(features, tasks),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def _dense(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]


class DeePromoter(nn.Module):
    """DeePromoter (Oubounyt et al. 2019): parallel convolutions, BiLSTM, dense layers.

    Layers and sizes are those of the PyTorch port. Its two classes end in a softmax before a
    cross entropy that holds another; here the one logit of the positive class comes out, the
    difference of the two scores, which the same weights give.

    Parameters
    ----------
    length : int
        At least the pool of 6; what does not fill the last pool is left out, as in the port.
    classes : int
        2 for one logit; 1 for one number.
    """

    def __init__(
        self,
        *,
        length: int = 300,
        classes: int = 2,
        kernels: tuple[int, ...] = (27, 14, 7),
        pool: int = 6,
        dropout: float = 0.5,
    ):
        super().__init__()
        if classes not in (1, 2):
            raise OptionError(f"classes={classes}; expected 2 (a logit) or 1 (a number)")
        if length < pool:
            raise LengthError(f"{length} bp; expected at least the pool of {pool}")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(scale="logit" if classes == 2 else "linear")
        branches = [
            nn.Sequential(Conv1d(4, 4, k), nn.ReLU(), MaxPool1d(pool), nn.Dropout(dropout))
            for k in kernels
        ]
        width = 4 * len(kernels)
        self.body = nn.Sequential(Parallel(*branches), BiLSTM(width, width))
        self.mix = nn.Linear(2 * width, width)
        flat = width * (length // pool)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(flat, flat), nn.ReLU(), nn.Linear(flat, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        scores = self.head(self.mix(self.body(x).transpose(1, 2)))
        return scores if scores.shape[1] == 1 else scores[:, 1:] - scores[:, :1]


class BPNet(nn.Module):
    """BPNet (Avsec et al. 2021): dilated residual convolutions, a profile and a count head.

    ``forward`` answers with the head that ``head`` names; `both` with the two of them.

    Parameters
    ----------
    tasks : int
        Tracks (strands) of the profile.
    head : {"counts", "profile"}
        log counts, (n, tasks); or profile logits, (n, tasks, length).
    """

    def __init__(
        self,
        *,
        length: int = 2114,
        tasks: int = 1,
        channels: int = 64,
        layers: int = 8,
        first_kernel: int = 21,
        profile_kernel: int = 75,
        first_activation: Literal["relu", "exponential"] = "relu",
        head: Literal["counts", "profile"] = "counts",
    ):
        super().__init__()
        if head not in ("counts", "profile"):
            raise OptionError(f"head={head!r}; expected 'counts' or 'profile'")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(
            task_names(tasks), scale="ln" if head == "counts" else "logit"
        )
        self.answers = head
        self.stem = nn.Sequential(
            Conv1d(4, channels, first_kernel), ACTIVATIONS[first_activation]()
        )
        self.body = nn.Sequential(
            *[
                Residual(Conv1d(channels, channels, 3, dilation=2**i), nn.ReLU())
                for i in range(1, layers + 1)
            ]
        )
        self.profile = Conv1d(channels, tasks, profile_kernel)
        self.counts = nn.Sequential(GlobalMeanPool(), nn.Linear(channels, tasks))

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(self.stem(x))
        return self.counts(features) if self.answers == "counts" else self.profile(features)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return profile logits (n, tasks, length) and log counts (n, tasks)."""
        features = self.body(self.stem(x))
        return self.profile(features), self.counts(features)


class Basenji(nn.Module):
    """A Basenji-like trunk (Kelley et al. 2018): pooled convolutions, dilated residual ones.

    Parameters
    ----------
    bins : int
        1 for one number a task; otherwise so many equal stretches, (n, tasks, bins).
    """

    def __init__(
        self,
        *,
        length: int = 2048,
        tasks: int = 1,
        channels: int = 64,
        pools: int = 3,
        dilated: int = 4,
        bins: int = 1,
        first_activation: Literal["relu", "exponential"] = "relu",
        activation: Activation = "softplus",
    ):
        super().__init__()
        if length % (2**pools * bins):
            raise LengthError(
                f"{length} bp do not fall into {bins} bins after {pools} pools; expected a "
                f"multiple of {2**pools * bins}"
            )
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation, scale="counts")
        self.bins = bins
        first = ACTIVATIONS[first_activation]
        layers = [conv_norm_act(4, channels, 15, first), MaxPool1d(2)]
        for _ in range(pools - 1):
            layers += [conv_norm_act(channels, channels, 5, nn.GELU), MaxPool1d(2)]
        for i in range(dilated):
            narrow = nn.Sequential(
                Conv1d(channels, channels // 2, 3, dilation=2**i, bias=False),
                BatchNorm1d(channels // 2),
                nn.GELU(),
            )
            layers.append(Residual(narrow, conv_norm_act(channels // 2, channels, 1, nn.Identity)))
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.GELU(), Conv1d(channels, tasks, 1))

    def forward(self, x: Tensor) -> Tensor:
        tracks = self.head(self.body(x))
        if self.bins == 1:
            return tracks.mean(-1)
        return torch.stack([part.mean(-1) for part in tracks.chunk(self.bins, -1)], dim=-1)
