"""Networks for enhancers, promoters and chromatin: DeepSTARR, DeePromoter, BPNet, Basenji."""

from copy import copy
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from fastseq.errors import LengthError, OptionError
from fastseq.models.blocks import (
    KERAS_EPSILON,
    BatchNorm1d,
    BiLSTM,
    BodyAndHead,
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

# what BPNet's heads answer with
ProfileHead: TypeAlias = Literal["counts", "profile", "both"]
HEADS = {
    "counts": TargetSpec(scale="ln"),
    "profile": TargetSpec(scale="logit"),
    "both": TargetSpec(activation="exp", scale="counts"),
}


class DeepSTARR(BodyAndHead):
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
        if len(channels) != len(kernels):
            raise OptionError(
                f"{len(channels)} channels and {len(kernels)} kernels; expected as many of each"
            )
        if length < 2 ** len(channels):
            raise LengthError(f"{length} bp; expected at least {2 ** len(channels)} to pool")
        layers: list[nn.Module] = []
        inputs = 4
        for outputs, kernel in zip(channels, kernels):
            norm = BatchNorm1d(outputs, KERAS_EPSILON)
            layers += [
                nn.Sequential(Conv1d(inputs, outputs, kernel), norm, nn.ReLU()), MaxPool1d(2)
            ]  # fmt: skip
            inputs = outputs
        self.body = nn.Sequential(*layers, nn.Flatten())
        flat = inputs * (length // 2 ** len(channels))
        self.head = nn.Sequential(
            *_dense(flat, features, dropout),
            *_dense(features, features, dropout),
            nn.Linear(features, tasks),
        )


def _dense(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    norm = BatchNorm1d(outputs, KERAS_EPSILON)
    return [nn.Linear(inputs, outputs), norm, nn.ReLU(), nn.Dropout(dropout)]


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

    Each track has a profile and counts of its own, as in the paper. ``forward`` answers with what
    ``head`` names; the weights serve all three, see `answering`.

    Parameters
    ----------
    length : int
    profile : int, optional
        Positions in the middle that the profile and the counts are of; all where not given. Counts
        see half a profile kernel more on either side.
    tasks : int
        Tracks (strands) of the profile.
    head : {"counts", "profile", "both"}
        log counts, (n, tasks); profile logits, (n, tasks, profile); or the log of the expected
        counts of each position, (n, tasks, profile), whose exponentials are the answer.
    """

    def __init__(
        self,
        *,
        length: int = 2114,
        profile: int | None = None,
        tasks: int = 1,
        channels: int = 64,
        layers: int = 8,
        first_kernel: int = 21,
        profile_kernel: int = 75,
        first_activation: Literal["relu", "exponential"] = "relu",
        head: ProfileHead = "counts",
    ):
        super().__init__()
        _check_head(head)
        if profile is not None and not 0 < profile <= length:
            raise LengthError(f"profile={profile} of {length} bp; expected 1 to {length}")
        self.input_spec = InputSpec(length)
        self.target_spec = replace(HEADS[head], tasks=task_names(tasks))
        self.answers = head
        self.window, self.counted = _middles(length, profile or length, profile_kernel // 2)
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
        if self.answers == "counts":
            return self.counts(features[..., self.counted])
        profile = self.profile(features)[..., self.window]
        if self.answers == "profile":
            return profile
        counts = self.counts(features[..., self.counted])
        return profile.log_softmax(-1) + counts[..., None]

    def answering(self, head: ProfileHead) -> "BPNet":
        """Return the network with these very weights, answering with another head.

        Effects and maps of counts, or of a profile's shape, are those of such a network.
        """
        _check_head(head)
        twin: Any = copy(self)
        meant = HEADS[head]
        twin.answers, twin.sizes = head, {**getattr(self, "sizes", {}), "head": head}
        twin.target_spec = replace(self.target_spec, activation=meant.activation, scale=meant.scale)
        return twin


def _check_head(head: str) -> None:
    if head not in HEADS:
        raise OptionError(f"head={head!r}; expected one of {', '.join(HEADS)}")


def _middles(length: int, profile: int, reach: int) -> tuple[slice, slice]:
    """Return the positions of the profile, and those that its counts see."""
    start = (length - profile) // 2
    end = start + profile
    return slice(start, end), slice(max(start - reach, 0), min(end + reach, length))


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
