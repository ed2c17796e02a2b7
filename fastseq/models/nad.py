"""NAD (5th): embedded 5-mers, a pyramid of convolutions, a transformer on each of its levels."""

import math

import torch
from torch import Tensor, nn

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import LengthError, OptionError
from fastseq.models.blocks import BatchNorm1d, Conv1d, Residual, task_names
from fastseq.models.specs import Activation, InputSpec, TargetSpec

K, HALVINGS = 5, 3
# the challenge's core of 80 bp, behind 17 constant ones
CORE_START, CORE = 17, 80


class RelativeBias(nn.Module):
    """A learned bias a head for each stretch of distances, as in T5: (heads, length, length)."""

    def __init__(self, heads: int, scale: float, buckets: int = 32, furthest: int = 128):
        super().__init__()
        self.scale, self.buckets, self.furthest = scale, buckets, furthest
        self.bias = nn.Embedding(buckets, heads)

    def forward(self, length: int) -> Tensor:
        at = torch.arange(length, device=self.bias.weight.device)
        offset = at[:, None] - at
        half = self.buckets // 2
        exact, distance = half // 2, offset.abs()
        # distances below 8 have a bucket each, those beyond share buckets that widen
        log = (distance.clamp(min=1) / exact).log() / math.log(self.furthest / exact)
        far = (exact + (log * (half - exact)).long()).clamp(max=half - 1)
        bucket = torch.where(distance < exact, distance, far) + half * (offset < 0)
        return self.bias(bucket).permute(2, 0, 1) * self.scale


class BiasedAttention(nn.Module):
    """Attention without biases in its layers, plus a bias on its logits: (n, length, channels)."""

    def __init__(self, channels: int, heads: int, head_width: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (
            nn.Linear(channels, heads * head_width, bias=False) for _ in range(3)
        )
        self.out = nn.Linear(heads * head_width, channels, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        split = [
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        ]
        mixed = nn.functional.scaled_dot_product_attention(*split, attn_mask=bias)
        return self.out(mixed.transpose(1, 2).flatten(2))


class SandwichLayer(nn.Module):
    """Attention and feed-forward, each normed before and after, each added."""

    def __init__(self, channels: int, heads: int, head_width: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(4))
        self.attention = BiasedAttention(channels, heads, head_width)
        self.wide = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        before, after, wide_before, wide_after = self.norms
        x = x + after(self.attention(before(x), bias))
        return x + wide_after(self.wide(wide_before(x)))


class LevelTransformer(nn.Module):
    """The answer of one level: layers, norm, mean over positions, one linear output a task."""

    def __init__(self, channels: int, layers: int, heads: int, head_width: int, tasks: int):
        super().__init__()
        self.bias = RelativeBias(heads, head_width**0.5)
        self.layers = nn.ModuleList(
            SandwichLayer(channels, heads, head_width) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, tasks)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias(x.shape[1])
        for layer in self.layers:
            x = layer(x, bias)
        return self.out(self.norm(x).mean(1))


class NAD(nn.Module):
    """GloVe vectors of 5-mers, five convolution blocks, and on four scales a transformer.

    The mean of the four scales is the answer. The vectors are no parameters: `prepare` fits them
    to sequences, which `fastseq.train` does before the first step.

    Parameters
    ----------
    length : int
    start, tokens : int, optional
        First position and number of the 5-mers' centres. By default the challenge's core of 80 bp
        after 17, where the input is that long, otherwise as many as fit; a multiple of 8.
    widths : tuple of int
        Channels of the five blocks; the last is the transformers' width.
    embedding : int
        Length of a 5-mer's vector.
    depths : tuple of int
        Layers of the transformers, from the coarsest scale to the finest.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        start: int | None = None,
        tokens: int | None = None,
        widths: tuple[int, ...] = (128, 160, 192, 224, 256),
        embedding: int = 128,
        depths: tuple[int, ...] = (3, 3, 2, 2),
        heads: int = 8,
        head_width: int = 64,
        activation: Activation = "none",
    ):
        super().__init__()
        whole = length >= CORE_START + CORE + K // 2
        self.start = (CORE_START if whole else K // 2) if start is None else start
        room = length - self.start - K // 2
        self.tokens = (CORE if whole else room // 8 * 8) if tokens is None else tokens
        if not 0 < self.tokens <= room or self.tokens % 8 or self.start < K // 2:
            raise LengthError(
                f"{self.tokens} 5-mers around position {self.start} and on in {length} bp; "
                "expected a positive multiple of 8 that fits with 2 bp on either side"
            )
        if len(widths) != HALVINGS + 2 or len(depths) != HALVINGS + 1:
            raise OptionError(
                f"{len(widths)} widths and {len(depths)} depths; expected {HALVINGS + 2} and "
                f"{HALVINGS + 1}"
            )
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks), activation)
        self.vectors: Tensor
        self.register_buffer("vectors", torch.randn(4**K, embedding) / embedding**0.5)
        ends, strides = (embedding, *widths), (1, 1, *[2] * HALVINGS)
        self.blocks = nn.ModuleList(map(_block, ends, widths, strides))
        deepest = widths[-1]
        self.laterals = nn.ModuleList(Conv1d(width, deepest, 1) for width in widths[:0:-1])
        self.raises = nn.ModuleList(
            nn.ConvTranspose1d(deepest, deepest, 3, 2, padding=1, output_padding=1)
            for _ in range(HALVINGS)
        )
        sizes = [self.tokens >> halving for halving in range(HALVINGS - 1, -1, -1)]
        self.mixers = nn.ModuleList(map(_over_positions, sizes))
        self.scales = nn.ModuleList(
            LevelTransformer(deepest, depth, heads, head_width, tasks) for depth in depths
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self._embed(x)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        level = self.laterals[0](features.pop())
        answers = [self.scales[0](level.transpose(1, 2))]
        for up, side, mix, scale in zip(
            self.raises, self.laterals[1:], self.mixers, self.scales[1:]
        ):
            level = up(level) + side(features.pop())
            answers.append(scale(mix(level.transpose(1, 2))))
        return torch.stack(answers).mean(0)

    def prepare(self, codes: Codes) -> None:
        """Fit the vectors to full-length sequences, in place."""
        reach = slice(self.start - K // 2, self.start + self.tokens + K // 2)
        self.vectors.copy_(glove(codes[:, reach], self.vectors.shape[1]))

    def _embed(self, x: Tensor) -> Tensor:
        """Return the vectors of the 5-mers, (n, embedding, tokens); zeros where a base is unknown.

        The product of five one-hot rows is the one-hot row of the 5-mer, and has a gradient.
        """
        first = self.start - K // 2
        kmers = x[:, :, first : first + self.tokens]
        for offset in range(1, K):
            base = x[:, :, first + offset : first + offset + self.tokens]
            kmers = (kmers[:, :, None] * base[:, None]).flatten(1, 2)
        return (kmers.transpose(1, 2) @ self.vectors).transpose(1, 2)


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Return convolution, norm, ELU, and two residual pairs of the same."""

    def convolution(inputs: int, stride: int = 1) -> list[nn.Module]:
        return [
            Conv1d(inputs, outputs, 3, stride=stride, padding=1, bias=False), BatchNorm1d(outputs)
        ]  # fmt: skip

    pairs = [
        layer
        for _ in range(2)
        for layer in (Residual(*convolution(outputs), nn.ELU(), *convolution(outputs)), nn.ELU())
    ]
    return nn.Sequential(*convolution(inputs, stride), nn.ELU(), *pairs)


def _over_positions(positions: int) -> nn.Sequential:
    """Return a convolution along the channels, one kernel a position: (n, positions, channels)."""
    return nn.Sequential(
        nn.Conv1d(positions, positions, 3, padding=1, groups=positions),
        nn.BatchNorm1d(positions),
        nn.ELU(),
    )


def glove(codes: Codes, width: int, *, window: int = 10, steps: int = 100, seed: int = 0) -> Tensor:
    """Return a vector for every 5-mer, from which others stand near it (Pennington et al. 2014).

    Parameters
    ----------
    codes : uint8, (n, length)
    width : int
    window : int
        Furthest neighbour, in bp; one at distance d counts 1/d.
    steps : int
        Of Adam over the whole table of pairs.

    Returns
    -------
    float32, (1024, width)
        The sum of a 5-mer's vectors as word and as context.
    """
    kmers, known = _kmers(codes)
    together = torch.zeros(4**K * 4**K)
    for apart in range(1, min(window, kmers.shape[1] - 1) + 1):
        both = known[:, apart:] & known[:, :-apart]
        pair = (kmers[:, apart:] * 4**K + kmers[:, :-apart])[both]
        together += torch.bincount(pair, minlength=len(together)) / apart
    count = together.view(4**K, 4**K)
    count = count + count.T
    weight, log = (count / 100).clamp(max=1) ** 0.75, count.clamp(min=1e-9).log()
    draw = torch.Generator().manual_seed(seed)
    halves = [torch.rand(4**K, width + 1, generator=draw).sub_(0.5) / width for _ in range(2)]
    for half in halves:
        half.requires_grad_()
    opt = torch.optim.Adam(halves, 0.05)
    with torch.enable_grad():
        for _ in range(steps):
            word, context = halves
            guess = word[:, :-1] @ context[:, :-1].T + word[:, -1:] + context[:, -1]
            opt.zero_grad()
            (weight * (guess - log).square()).mean().backward()
            opt.step()
    return torch.stack([half.detach()[:, :-1] for half in halves]).sum(0)


def _kmers(codes: Codes) -> tuple[Tensor, Tensor]:
    """Return the number of every 5-mer, int64 (n, length - 4), and where it has no unknown base."""
    windows = torch.from_numpy(codes).long().unfold(1, K, 1)
    places = 4 ** torch.arange(K - 1, -1, -1)
    return (windows * places).sum(-1), (windows != UNKNOWN).all(-1)
