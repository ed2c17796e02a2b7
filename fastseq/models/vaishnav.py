"""The challenge's reference model, a transformer among convolutions (Vaishnav et al. 2022)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.models.blocks import BiLSTM, Conv1d, Transposed, check_heads, keras_norm, task_names
from fastseq.models.specs import Activation, InputSpec, TargetSpec

# the square of Keras's smallest number, as the authors' layer norm adds it
LAYER_EPSILON = 1e-14


class BothStrands(nn.Module):
    """One set of kernels laid on both strands: their features, each normed, side by side.

    A kernel on the other strand is its own reverse complement on this one, so the features of
    both strands stand at the same positions. An even kernel reaches one base further to the right,
    whichever strand it is on, as the authors have it.
    """

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.convolution = Conv1d(4, channels, kernel, bias=False, padding=0)
        self.forward_norm, self.reverse_norm = keras_norm(channels), keras_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        reach = self.convolution.kernel_size[0] - 1
        x = F.pad(x, (reach // 2, reach - reach // 2))
        # the input turned over, convolved, and its features turned back
        turned = self.convolution(x.flip(1, 2)).flip(2)
        both = self.forward_norm(self.convolution(x)), self.reverse_norm(turned)
        return torch.cat([F.relu(strand) for strand in both], dim=1)


class RectifiedAttention(nn.Module):
    """Multi-head attention whose queries, keys, values and answer are rectified."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            nn.Linear(channels, channels) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            F.relu(part(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return F.relu(self.out(mixed.transpose(1, 2).flatten(2)))


class AttentionBlock(nn.Module):
    """Attention and a narrow feed-forward, each added and normed after: (n, length, channels)."""

    def __init__(self, channels: int, heads: int, inner: int, dropout: float):
        super().__init__()
        self.attention = RectifiedAttention(channels, heads)
        self.wide = nn.Sequential(
            nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Dropout(dropout)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels, eps=LAYER_EPSILON) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](x + self.dropout(self.attention(x)))
        return self.norms[1](x + self.wide(x))


class Vaishnav(nn.Module):
    """Kernels on both strands, a wide convolution, attention, a BiLSTM, dense layers.

    Sizes are those of the authors' shipped parameters for defined medium. The configuration that
    was trained anew for the challenge is not published. The gates of the authors' LSTM are hard
    sigmoids, the default of TensorFlow 1; these are sigmoids.

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
                keras_norm(hidden),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*convolutions)
        self.attention = Transposed(
            nn.Sequential(
                *[AttentionBlock(hidden, heads, inner, dropout) for _ in range(attention)]
            )
        )
        self.recurrent = BiLSTM(hidden, recurrent)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
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
