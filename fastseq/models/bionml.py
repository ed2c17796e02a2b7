"""BioNML (8th): thousands of motif and k-mer kernels, cross-attention back to their features."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.models.blocks import Conv1d, Parallel, Residual, check_heads, keras_norm, task_names
from fastseq.models.specs import Activation, InputSpec, TargetSpec

LAYER_EPS = 1e-6


class Swish(nn.Module):
    """x sigmoid(beta x), beta learned."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.beta * x).sigmoid()


class Scan(nn.Module):
    """Motif kernels on the sequence and on its reverse complement, k-mer kernels on the sequence.

    The features of the reverse complement stand in its own order, as the team has them.
    """

    def __init__(self, motifs: int, motif_length: int, kmers: tuple[int, ...]):
        super().__init__()
        longest = max(kmers)
        self.motif = Conv1d(4, motifs, motif_length, bias=False)
        self.kmer = Conv1d(4, sum(4**k for k in kmers), longest, bias=False)
        self.motif_swish, self.kmer_swish = Swish(), Swish()
        with torch.no_grad():
            self.kmer.weight.copy_(torch.cat([kmer_kernels(k, longest) for k in kmers]))

    def forward(self, x: Tensor) -> Tensor:
        both = [self.motif_swish(self.motif(strand)) for strand in (x, x.flip(1, 2))]
        return torch.cat((*both, self.kmer_swish(self.kmer(x))), dim=1)


def kmer_kernels(k: int, width: int) -> Tensor:
    """Return a kernel for every k-mer, (4**k, 4, width): 1 at a perfect match, in log2 odds.

    A base that fits counts 1/k, one that does not log2(.001 / .25) / 2 times as much.
    """
    words = torch.tensor([*product(range(4), repeat=k)])
    odds = torch.where(F.one_hot(words, 4) > 0, 2.0, torch.tensor(0.001 / 0.25).log2()) / (2 * k)
    return F.pad(odds.transpose(1, 2), (0, width - k))


class CrossLayer(nn.Module):
    """Attention from the tokens so far to the first ones, then SwiGLU; both pre-normed, added."""

    def __init__(self, channels: int, heads: int, dropout: float):
        super().__init__()
        check_heads(channels, heads)
        self.heads = heads
        self.norm, self.wide_norm = (nn.LayerNorm(channels, LAYER_EPS) for _ in range(2))
        self.query, self.key, self.value, self.out = (
            nn.Linear(channels, channels) for _ in range(4)
        )
        self.wide, self.gate, self.back = (nn.Linear(channels, channels) for _ in range(3))
        self.swish, self.dropout = Swish(), nn.Dropout(dropout)

    def forward(self, x: Tensor, first: Tensor) -> Tensor:
        kept = self.norm(first)
        parts = F.softsign(self.query(self.norm(x))), self.key(kept), self.value(kept)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.out(mixed))
        wide = self.wide_norm(x)
        gated = self.dropout(self.wide(wide) * self.swish(self.gate(wide)))
        return x + self.dropout(self.back(gated))


class BioNML(nn.Module):
    """A scan, three branches to 896 channels, twelve cross-attention layers under one token.

    Parameters
    ----------
    length : int
    motifs, motif_length : int
        Learned kernels, each on both strands.
    kmers : tuple of int
        Lengths of the k-mers that have a kernel each; the kernels begin as log odds and learn.
    channels : int
        Of the dense branch; two convolution branches of a half and a quarter stand beside it.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        motifs: int = 2048,
        motif_length: int = 10,
        kmers: tuple[int, ...] = (5, 6),
        channels: int = 512,
        layers: int = 12,
        heads: int = 16,
        features: int = 512,
        activation: Activation = "none",
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        scanned = 2 * motifs + sum(4**k for k in kmers)
        sides = channels // 2, channels // 4
        width = channels + sum(sides)
        self.scan = nn.Sequential(
            Scan(motifs, motif_length, kmers), keras_norm(scanned), Swish(), nn.Dropout(0.2)
        )
        self.branches = Parallel(
            nn.Sequential(Conv1d(scanned, channels, 1), keras_norm(channels), Swish()),
            *[
                nn.Sequential(
                    Conv1d(scanned, side, 1), keras_norm(side), Swish(),
                    Conv1d(side, side, 20), keras_norm(side), Swish(),
                )
                for side in sides
            ],
        )  # fmt: skip
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(0.06 * torch.randn(1, length + 1, width))
        self.layers = nn.ModuleList(CrossLayer(width, heads, 0.1) for _ in range(layers))
        self.norm = nn.LayerNorm(width, LAYER_EPS)
        inner = features // 2
        bottleneck = Residual(
            keras_norm(width), Swish(), nn.Linear(width, inner), keras_norm(inner), Swish(),
            nn.Linear(inner, width),
        )  # fmt: skip
        self.head = nn.Sequential(
            bottleneck, nn.Linear(width, features), nn.Linear(features, tasks)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.branches(self.scan(x)).transpose(1, 2)
        token = self.token.expand(x.shape[0], -1, -1)
        first = torch.cat((token, features), dim=1) + self.position
        tokens = first
        for layer in self.layers:
            tokens = layer(tokens, first)
        return self.head(self.norm(tokens)[:, 0])
