"""Unlock_DNA (3rd): a Macaron transformer over both strands, with pseudo-expression tokens."""

import torch
from torch import Tensor, nn

from fastseq.errors import LengthError
from fastseq.models.blocks import Conv1d, Transposed, task_names
from fastseq.models.dream import GatedFeedForward
from fastseq.models.specs import Activation, InputSpec, TargetSpec


class WideAttention(nn.Module):
    """Multi-head attention whose heads may together be wider than the model, as in Keras."""

    def __init__(self, channels: int, heads: int, head_width: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (
            nn.Linear(channels, heads * head_width) for _ in range(3)
        )
        self.out = nn.Linear(heads * head_width, channels)

    def forward(self, x: Tensor) -> Tensor:
        split = [
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        ]
        mixed = nn.functional.scaled_dot_product_attention(*split)
        return self.out(mixed.transpose(1, 2).flatten(2))


class MacaronLayer(nn.Module):
    """Half a feed-forward, separable convolution, attention, half a feed-forward."""

    def __init__(self, channels: int, heads: int, head_width: int, kernel: int, dropout: float):
        super().__init__()
        self.before = GatedFeedForward(channels, dropout=dropout)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        separable = nn.Sequential(
            Conv1d(channels, channels, kernel, groups=channels, bias=False),
            Conv1d(channels, channels, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.convolve = Transposed(separable)
        self.attention_norm = nn.LayerNorm(channels, eps=1e-6)
        self.attention = WideAttention(channels, heads, head_width)
        self.after = GatedFeedForward(channels, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.convolve(self.norm(x))
        x = self.attention_norm(x)
        x = x + self.attention(x)
        return x + 0.5 * self.after(x)


class UnlockDNA(nn.Module):
    """Both strands end to end as tokens, expression tokens beside them, four Macaron layers.

    The sequence is padded with unknown on both sides to ``padded`` bp and followed by its reverse
    complement; a token is a patch of 10 bases around its position. The mean over the expression
    tokens is the answer; `reconstruct` also gives the base scores of the auxiliary loss.
    """

    def __init__(
        self,
        *,
        length: int = 80,
        tasks: int = 1,
        padded: int = 100,
        channels: int = 512,
        layers: int = 4,
        heads: int = 8,
        head_width: int = 512,
        expression_tokens: int = 32,
        dropout: float = 0.1,
        activation: Activation = "none",
    ):
        super().__init__()
        if length > padded:
            raise LengthError(f"{length} bp; expected at most the padded {padded}")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.padded, self.expression_tokens = padded, expression_tokens
        self.patch = Conv1d(6, channels, 10)
        self.position = nn.Embedding(2 * padded, channels)
        self.strand = nn.Embedding(2, channels)
        self.expression = nn.Linear(1, channels)
        self.layers = nn.Sequential(
            *[MacaronLayer(channels, heads, head_width, 15, dropout) for _ in range(layers)]
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, tasks))
        self.nucleotides = nn.Linear(channels, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self._answer(self._tokens(x))

    def reconstruct(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores, and scores of the bases, with some of them read as the mask.

        Parameters
        ----------
        hidden : bool, (n, length)

        Returns
        -------
        float, (n, tasks) and (n, length, 4)
        """
        tokens, begin = self._tokens(x, hidden), self.expression_tokens + self._before(x)
        bases = self.nucleotides(tokens[:, begin : begin + x.shape[2]])
        return self._answer(tokens), bases[..., :4]

    def _answer(self, tokens: Tensor) -> Tensor:
        return self.head(tokens[:, : self.expression_tokens]).mean(1)

    def _before(self, x: Tensor) -> int:
        return (self.padded - x.shape[2]) // 2

    def _tokens(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        mask = torch.zeros_like(x[:, :1]) if hidden is None else hidden[:, None].to(x)
        # the sixth letter is the mask, which only training writes
        x = torch.cat((x * (1 - mask), mask), dim=1)
        before = self._before(x)
        x = nn.functional.pad(x, (before, self.padded - x.shape[2] - before))
        unknown = 1 - x.sum(1, keepdim=True)
        letters = torch.cat((x[:, :4], unknown, x[:, 4:]), dim=1)
        turned = torch.cat((letters[:, :4].flip(1, 2), letters[:, 4:].flip(2)), dim=1)
        both = torch.cat((letters, turned), dim=2)
        strand = self.strand.weight.repeat_interleave(self.padded, dim=0)
        tokens = self.patch(both).transpose(1, 2) + self.position.weight + strand
        expression = self.expression(x.new_zeros(x.shape[0], self.expression_tokens, 1))
        return self.layers(torch.cat((expression, tokens), dim=1))
