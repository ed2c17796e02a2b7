"""The challenge's reference model, a transformer among convolutions (Vaishnav et al. 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.models.blocks import BatchNorm1d, BiLSTM, Conv1d, Transposed, task_names
from fastseq.models.specs import Activation, InputSpec, TargetSpec


class BothStrands(nn.Module):
    """One set of kernels laid on both strands: their features, each normed, side by side.

    A kernel on the other strand is its own reverse complement on this one, so the features of
    both strands stand at the same positions.
    """

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.convolution = Conv1d(4, channels, kernel, bias=False)
        self.forward_norm, self.reverse_norm = BatchNorm1d(channels), BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        # the input turned over, convolved, and its features turned back
        turned = self.convolution(x.flip(1, 2)).flip(2)
        both = self.forward_norm(self.convolution(x)), self.reverse_norm(turned)
        return torch.cat([F.relu(strand) for strand in both], dim=1)


class AttentionBlock(nn.Module):
    """Attention and a narrow feed-forward, each added and normed after: (n, length, channels)."""

    def __init__(self, channels: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.wide = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Dropout(dropout)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels, eps=1e-6) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.attention(x, x, x, need_weights=False)[0]
        x = self.norms[0](x + self.dropout(mixed))
        return self.norms[1](x + self.wide(x))


class Vaishnav(nn.Module):
    """Kernels on both strands, a wide convolution, attention, a BiLSTM, dense layers.

    Sizes are those of the authors' shipped parameters for defined medium. The configuration that
    was trained anew for the challenge is not published.

    Parameters
    ----------
    length : int
    channels, hidden, kernel : int
        First kernels; features after them; bp of every kernel.
    aux, attention : int
        Further convolutions, and attention blocks.
    heads, inner, recurrent : int
        Attention heads, width of the feed-forward, units of the BiLSTM.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        channels: int = 256,
        hidden: int = 64,
        kernel: int = 30,
        aux: int = 1,
        attention: int = 2,
        heads: int = 8,
        inner: int = 8,
        recurrent: int = 8,
        dropout: float = 0.05,
        activation: Activation = "none",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.strands = BothStrands(channels, kernel)
        convolutions: list[nn.Module] = []
        for inputs in (2 * channels, *[hidden] * aux):
            convolutions += [
                Conv1d(inputs, hidden, kernel, bias=False),
                BatchNorm1d(hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.convolutions = nn.Sequential(*convolutions)
        self.attention = Transposed(
            nn.Sequential(
                *[AttentionBlock(hidden, heads, inner, dropout) for _ in range(attention)]
            )
        )
        self.recurrent = BiLSTM(hidden, recurrent)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * recurrent * length, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, tasks),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.attention(self.convolutions(self.strands(x)))
        return self.head(self.recurrent(features))
