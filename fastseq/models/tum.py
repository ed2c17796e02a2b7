"""The networks of the TUM report on the Random Promoter DREAM Challenge (Vynnyk et al. 2022)."""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from fastseq.errors import OptionError
from fastseq.models.blocks import (
    BatchNorm1d,
    BodyAndHead,
    Conv1d,
    GlobalMaxPool,
    MaxAndMean,
    MaxPool1d,
    PReLU,
    Residual,
    conv_norm_act,
    task_names,
)
from fastseq.models.specs import Activation, InputSpec, TargetSpec

ACTS: dict[str, type[nn.Module]] = {"prelu": PReLU, "relu": nn.ReLU, "silu": nn.SiLU}


class TumResNet(nn.Module):
    """Seven convolutions, the last six in three residual pairs, each followed by a max-pool.

    The report lists the kernels of six of the seven layers; 21 then six times 5 is our reading.
    Its head is a softplus, which suits labels above 0; ``activation="none"`` suits all others.

    Parameters
    ----------
    length : int
        Model input in bp; nothing in the network depends on it.
    tasks : int
        Outputs.
    channels, pairs, first_kernel, kernel : int
        Width, residual pairs, and the two kernel sizes in bp.
    act : {"prelu", "relu", "silu"}
        The report's PReLU; the others train 1.1x faster on a CPU.
    padded : bool
        The first convolution keeps the length, as in the report; otherwise it is computed only
        where all its bases are known, and the layers behind it have less to do.
    stem_pool : bool
        One more max-pool, before the first pair: less resolution, 1.6x the speed.
    pool : {"max", "both"}
        What the head sees of each channel: its maximum, or its maximum and its mean.
    dropout : float
        Dropped share of the pooled features; the report has none.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        channels: int = 64,
        pairs: int = 3,
        first_kernel: int = 21,
        kernel: int = 5,
        act: Literal["prelu", "relu", "silu"] = "prelu",
        padded: bool = True,
        stem_pool: bool = False,
        pool: Literal["max", "both"] = "max",
        dropout: float = 0.0,
        activation: Activation = "softplus",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        for name, value, choices in (("act", act, ACTS), ("pool", pool, ("max", "both"))):
            if value not in choices:
                raise OptionError(f"{name}={value!r}; expected one of {', '.join(choices)}")
        padding = "same" if padded else 0
        self.stem = nn.Sequential(
            Conv1d(4, channels, first_kernel, padding=padding, bias=False),
            BatchNorm1d(channels),
            ACTS[act](),
            *([MaxPool1d(2)] if stem_pool else []),
        )
        pair = partial(_pair, channels, kernel, ACTS[act])
        self.blocks = nn.Sequential(*[pair() for _ in range(pairs)])
        self.pool = GlobalMaxPool() if pool == "max" else MaxAndMean()
        features = channels if pool == "max" else 2 * channels
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, tasks))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(x))))


class TumCNN(BodyAndHead):
    """The report's baseline: two convolutions of kernels 21 and 5, pooled over the whole length."""

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        channels: int = 64,
        kernels: tuple[int, ...] = (21, 5),
        activation: Activation = "softplus",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.body = _stack(channels, kernels)
        self.head = nn.Linear(channels, tasks)


class TumClassifier(BodyAndHead):
    """The report's classifier: convolutions of 40 channels, dense to 19 expression bins.

    The value read off is the expected bin (our reading of the report).
    """

    def __init__(
        self,
        *,
        length: int = 110,
        bins: int = 19,
        channels: int = 40,
        kernels: tuple[int, ...] = (21, 5, 5, 5),
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(
            activation="expected_bin", bins=tuple(map(float, range(bins)))
        )
        self.body = _stack(channels, kernels)
        self.head = nn.Linear(channels, bins)


def _pair(channels: int, kernel: int, act: type[nn.Module]) -> nn.Sequential:
    """Return two convolutions around which the input is added, then a max-pool."""
    body = Residual(
        conv_norm_act(channels, channels, kernel, act),
        Conv1d(channels, channels, kernel, bias=False),
        BatchNorm1d(channels),
    )
    return nn.Sequential(body, act(), MaxPool1d(2))


def _stack(channels: int, kernels: tuple[int, ...]) -> nn.Sequential:
    """Return convolutions with a max-pool between any two, pooled over the length at the end."""
    layers: list[nn.Module] = [conv_norm_act(4, channels, kernels[0], PReLU)]
    for kernel in kernels[1:]:
        layers += [MaxPool1d(2), conv_norm_act(channels, channels, kernel, PReLU)]
    return nn.Sequential(*layers, GlobalMaxPool())
