"""BUGF (9th): one transformer layer used sixteen times over, with ALiBi and a mutation head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.models.blocks import Conv1d, check_heads
from fastseq.models.specs import InputSpec, TargetSpec


class SharedLayer(nn.Module):
    """Attention with symmetric ALiBi, its answer gated, then SwiGLU; both pre-normed, added."""

    def __init__(self, channels: int, heads: int, inner: int, clip: int, dropout: float):
        super().__init__()
        check_heads(channels, heads)
        self.heads, self.clip = heads, clip
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, 3 * channels, bias=False)
        self.gate = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.wide_norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, 2 * inner)
        self.narrow = nn.Linear(inner, channels)
        self.dropout = nn.Dropout(dropout)
        # the layer begins as attention alone, gated evenly by sigmoid(1)
        for layer, bias in ((self.gate, 1.0), (self.narrow, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.mix(normed).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self._alibi(x.shape[1]).to(x)
        )
        mixed = self.out(mixed.transpose(1, 2).flatten(2)) * self.gate(normed).sigmoid()
        x = x + self.dropout(mixed)
        wide, gate = self.widen(self.wide_norm(x)).chunk(2, dim=-1)
        return x + self.narrow(self.dropout(wide * F.silu(gate)))

    def _alibi(self, length: int) -> Tensor:
        """Return (heads, length, length): minus slope times the distance, clipped."""
        at = torch.arange(length)
        distance = (at[:, None] - at).abs().clamp(max=self.clip)
        slopes = 2.0 ** (-8 * torch.arange(1, self.heads + 1) / self.heads)
        return -slopes[:, None, None] * distance


class BUGF(nn.Module):
    """Tokens, a positional convolution, sixteen passes through one layer, a mean, 18 bins."""

    def __init__(
        self,
        *,
        length: int = 110,
        bins: int = 18,
        channels: int = 512,
        heads: int = 16,
        inner: int = 2048,
        passes: int = 16,
        clip: int = 40,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(
            activation="expected_bin", bins=tuple(map(float, range(bins)))
        )
        self.passes = passes
        self.embedding = nn.Embedding(6, channels)
        self.position = Conv1d(channels, channels, 7, groups=channels)
        self.layer = SharedLayer(channels, heads, inner, clip, dropout)
        self.head = nn.Linear(channels, bins)
        self.mutation = nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._features(x).mean(1))

    def mutated(self, x: Tensor) -> Tensor:
        """Return a logit a position, whether it was mutated: the auxiliary task, (n, length)."""
        return self.mutation(self._features(x)).squeeze(-1)

    def _features(self, x: Tensor) -> Tensor:
        # one-hot times table: the gradient of a token is that of its one-hot row
        letters = torch.cat((x, 1 - x.sum(1, keepdim=True)), dim=1).transpose(1, 2)
        tokens = letters @ self.embedding.weight[:5]
        tokens = tokens + self.position(tokens.transpose(1, 2)).transpose(1, 2)
        for _ in range(self.passes):
            tokens = self.layer(tokens)
        return tokens
