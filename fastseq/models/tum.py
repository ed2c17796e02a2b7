"""The networks of the TUM report on the Random Promoter DREAM Challenge (Vynnyk et al. 2022)."""

from torch import Tensor, nn

from fastseq.models.blocks import (
    BatchNorm1d,
    Conv1d,
    GlobalMaxPool,
    MaxPool1d,
    PReLU,
    Residual,
    conv_norm_act,
    task_names,
)
from fastseq.models.specs import Activation, InputSpec, TargetSpec


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
        dropout: float = 0.0,
        activation: Activation = "softplus",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.stem = conv_norm_act(4, channels, first_kernel, PReLU)
        self.blocks = nn.Sequential(*[self._pair(channels, kernel) for _ in range(pairs)])
        self.pool = GlobalMaxPool()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, tasks))

    @staticmethod
    def _pair(channels: int, kernel: int) -> nn.Sequential:
        body = Residual(
            conv_norm_act(channels, channels, kernel, PReLU),
            Conv1d(channels, channels, kernel, bias=False),
            BatchNorm1d(channels),
        )
        return nn.Sequential(body, PReLU(), MaxPool1d(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(x))))


class TumCNN(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class TumClassifier(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def _stack(channels: int, kernels: tuple[int, ...]) -> nn.Sequential:
    """Return convolutions with a max-pool between any two, pooled over the length at the end."""
    layers: list[nn.Module] = [conv_norm_act(4, channels, kernels[0], PReLU)]
    for kernel in kernels[1:]:
        layers += [MaxPool1d(2), conv_norm_act(channels, channels, kernel, PReLU)]
    return nn.Sequential(*layers, GlobalMaxPool())
