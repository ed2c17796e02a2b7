"""The networks of the motif task: exponential or rectified first layer, with or without BatchNorm.

Deep and shallow convolutional networks of Koo & Ploenzke 2021 and Majdandzic et al. 2022, whose
attribution maps the reliability metrics were made for.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from fastseq.errors import LengthError, OptionError
from fastseq.models.blocks import (
    KERAS_EPSILON,
    BatchNorm1d,
    Conv1d,
    Exponential,
    MaxPool1d,
    task_names,
)
from fastseq.models.specs import InputSpec, TargetSpec

FIRST = {"exponential": Exponential, "relu": nn.ReLU}

# two convolutions; the first pool spans 50 bp, so that a filter has to be a whole motif
SHALLOW = {
    "channels": (24, 48), "kernels": (19, 3), "pools": (50, 2), "dropout": (0.1, 0.2, 0.5),
}  # fmt: skip


class MotifCNN(nn.Module):
    """Convolutions, each with BatchNorm, activation, dropout and max-pool, then two dense layers.

    The defaults are the baseline with five hidden layers of the regularisation study; `SHALLOW`
    holds the sizes of the shallow one. `forward` returns the logit.

    Parameters
    ----------
    length : int
        Model input in bp.
    tasks : int
        Logits.
    channels, kernels, pools : tuple of int
        One entry a convolution; a pool of 1 is none.
    hidden : int
        Units of the first dense layer.
    first : {"exponential", "relu"}
        First activation; all later ones are rectifiers.
    batch_norm : bool
        BatchNorm before every activation.
    dropout : tuple of float
        One entry a convolution and one for the dense layer.

    Raises
    ------
    OptionError
        Tuples that differ in size, or an unknown activation.
    LengthError
        An input that the pools leave nothing of.
    """

    def __init__(
        self,
        *,
        length: int = 200,
        tasks: int = 1,
        channels: Sequence[int] = (24, 32, 48, 64),
        kernels: Sequence[int] = (19, 7, 5, 5),
        pools: Sequence[int] = (1, 4, 4, 3),
        hidden: int = 96,
        first: Literal["exponential", "relu"] = "exponential",
        batch_norm: bool = True,
        dropout: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5),
    ):
        super().__init__()
        if first not in FIRST:
            raise OptionError(f"first={first!r}; expected one of {', '.join(FIRST)}")
        if not len(channels) == len(kernels) == len(pools) == len(dropout) - 1:
            raise OptionError(
                f"{len(channels)} channels, {len(kernels)} kernels, {len(pools)} pools and "
                f"{len(dropout)} dropouts; expected as many of each, and one dropout more"
            )
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), "none", "logit")
        positions = length
        self.stages = nn.Sequential()
        for i, (width, kernel, pool) in enumerate(zip(channels, kernels, pools)):
            layers: list[nn.Module] = [Conv1d(channels[i - 1] if i else 4, width, kernel)]
            layers += [BatchNorm1d(width, eps=KERAS_EPSILON)] if batch_norm else []
            layers += [FIRST[first]() if i == 0 else nn.ReLU(), nn.Dropout(dropout[i])]
            layers += [MaxPool1d(pool)] if pool > 1 else []
            self.stages.append(nn.Sequential(*layers))
            positions //= pool
        if positions < 1:
            raise LengthError(f"pools {tuple(pools)} leave nothing of {length} bp")
        dense: list[nn.Module] = [nn.Flatten(), nn.Linear(channels[-1] * positions, hidden)]
        dense += [BatchNorm1d(hidden, eps=KERAS_EPSILON)] if batch_norm else []
        dense += [nn.ReLU(), nn.Dropout(dropout[-1]), nn.Linear(hidden, tasks)]
        self.head = nn.Sequential(*dense)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(x))
