"""The challenge's other networks, step by step as their teams' code runs.

Weights are taken by the names of ours. Features stand last, (n, length, features), wherever a team
used Keras.
"""

import math

import torch
from torch.nn import functional as F

from tests.reference.networks import linear, lstm, norm


def same(w, name, x, dilation=1):
    """A convolution over (n, length, features) as a sum over the taps of its kernel."""
    kernel = w[f"{name}.weight"]
    taps = kernel.shape[2]
    before = dilation * (taps - 1) // 2
    padded = F.pad(x, (0, 0, before, dilation * (taps - 1) - before))
    parts = (
        padded[:, tap * dilation : tap * dilation + x.shape[1]] @ kernel[:, :, tap].T
        for tap in range(taps)
    )
    return sum(parts) + w.get(f"{name}.bias", 0)


def keras_norm(w, name, x):
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    return (x - mean) * torch.rsqrt(var + 1e-3) * w[f"{name}.weight"] + w[f"{name}.bias"]


def layer_norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def attend(query, key, value, heads, bias=None):
    """Softmax attention, head by head, of (n, length, heads * width)."""
    mixed = []
    for head, (q, k, v) in enumerate(zip(*(p.chunk(heads, -1) for p in (query, key, value)))):
        logits = q @ k.mT / math.sqrt(q.shape[-1])
        if bias is not None:
            logits = logits + bias[head]
        mixed.append(logits.softmax(-1) @ v)
    return torch.cat(mixed, -1)


def nad(w, x, depths=(3, 3, 2, 2), heads=8):
    """NAD. The network equals the team's own, with x_transformers 0.28.4, on shared weights."""
    bases, kmers = x.argmax(1), 4 ** torch.arange(4, -1, -1)
    words = torch.stack([(bases[:, at - 2 : at + 3] * kmers).sum(1) for at in range(17, 97)], 1)
    y = w["vectors"][words].mT
    levels = []
    for at in range(5):
        name = f"blocks.{at}"
        y = F.conv1d(y, w[f"{name}.0.weight"], stride=1 if at < 2 else 2, padding=1)
        y = F.elu(norm(w, f"{name}.1", y))
        for pair in (3, 5):
            inner = F.elu(norm(w, f"{name}.{pair}.body.1", _conv3(w, f"{name}.{pair}.body.0", y)))
            inner = norm(w, f"{name}.{pair}.body.4", _conv3(w, f"{name}.{pair}.body.3", inner))
            y = F.elu(inner + y)
        levels.append(y)
    levels = levels[:0:-1]
    sides = [
        F.conv1d(level, w[f"laterals.{at}.weight"], w[f"laterals.{at}.bias"])
        for at, level in enumerate(levels)
    ]
    down, tokens = sides[0], [sides[0].mT]
    for at, side in enumerate(sides[1:]):
        name = f"raises.{at}"
        down = F.conv_transpose1d(down, w[f"{name}.weight"], w[f"{name}.bias"], 2, 1, 1) + side
        name, y = f"mixers.{at}", down.mT
        y = F.conv1d(y, w[f"{name}.0.weight"], w[f"{name}.0.bias"], padding=1, groups=y.shape[1])
        tokens.append(F.elu(norm(w, f"{name}.1", y)))
    answers = [
        _level(w, f"scales.{at}", y, depth, heads)
        for at, (y, depth) in enumerate(zip(tokens, depths))
    ]
    return sum(answers) / 4


def _conv3(w, name, x):
    return F.conv1d(x, w[f"{name}.weight"], padding=1)


def _level(w, name, x, depth, heads):
    """Layers of attention and feed-forward, normed before and after, under T5's biases."""
    width = w[f"{name}.layers.0.attention.query.weight"].shape[0] // heads
    bias = torch.stack([
        torch.stack([_t5(w[f"{name}.bias.bias.weight"], j - i) for j in range(x.shape[1])])
        for i in range(x.shape[1])
    ]).permute(2, 0, 1) * width**0.5  # fmt: skip
    for at in range(depth):
        layer = f"{name}.layers.{at}"
        y = layer_norm(w, f"{layer}.norms.0", x, 1e-5)
        parts = (linear(w, f"{layer}.attention.{part}", y) for part in ("query", "key", "value"))
        y = linear(w, f"{layer}.attention.out", attend(*parts, heads, bias))
        x = x + layer_norm(w, f"{layer}.norms.1", y, 1e-5)
        y = F.gelu(linear(w, f"{layer}.wide.0", layer_norm(w, f"{layer}.norms.2", x, 1e-5)))
        x = x + layer_norm(w, f"{layer}.norms.3", linear(w, f"{layer}.wide.2", y), 1e-5)
    return linear(w, f"{name}.out", layer_norm(w, f"{name}.norm", x, 1e-5).mean(1))


def _t5(table, offset):
    """The bias of a key so far to the right of its query: 32 buckets, furthest 128."""
    bucket, away = 16 * (offset > 0), abs(offset)
    if away < 8:
        return table[bucket + away]
    return table[bucket + min(8 + int(math.log(away / 8) / math.log(16) * 8), 15)]


def bugf(w, x, heads=16, passes=16):
    """BUGF, with its mutation head. Both equal the team's own on shared weights."""
    tokens = torch.where(x.sum(1) > 0, x.argmax(1), 4)
    y = w["embedding.weight"][tokens]
    kernel = w["position.weight"]
    padded = F.pad(y, (0, 0, 3, 3))
    y = y + w["position.bias"] + sum(
        padded[:, tap : tap + y.shape[1]] * kernel[:, 0, tap] for tap in range(7)
    )  # fmt: skip
    at = torch.arange(y.shape[1])
    distance = (at - at[:, None]).abs().clip(max=40)
    start = 2 ** (-(2 ** -(math.log2(heads) - 3)))
    slopes = torch.tensor([start ** (1 + head) for head in range(heads)])
    bias = -slopes[:, None, None] * distance
    for _ in range(passes):
        h = layer_norm(w, "layer.norm", y, 1e-5)
        query, key, value = linear(w, "layer.mix", h).chunk(3, -1)
        mixed = linear(w, "layer.out", attend(query, key, value, heads, bias))
        y = y + linear(w, "layer.gate", h).sigmoid() * mixed
        h = linear(w, "layer.widen", layer_norm(w, "layer.wide_norm", y, 1e-5))
        out, gate = h.chunk(2, -1)
        y = y + linear(w, "layer.narrow", out * F.silu(gate))
    return linear(w, "head", y.mean(1)), linear(w, "mutation", y)[..., 0]


def gru(w, name, x, layer, suffix):
    """One direction of a GRU over (n, length, features), reset after the product, as in Keras."""
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    of_input, of_state, bias, state_bias = (w[f"{name}.{part}_l{layer}{suffix}"] for part in parts)
    state, states = x.new_zeros(len(x), of_state.shape[1]), []
    for row in (x.flip(1) if suffix else x).unbind(1):
        reset, update, new = (row @ of_input.T + bias).chunk(3, 1)
        reset_h, update_h, new_h = (state @ of_state.T + state_bias).chunk(3, 1)
        keep = (update + update_h).sigmoid()
        fresh = (new + (reset + reset_h).sigmoid() * new_h).tanh()
        state = keep * state + (1 - keep) * fresh
        states.append(state)
    states = torch.stack(states, 1)
    return states.flip(1) if suffix else states


def mt(w, x, padded=142):
    """mt: letters A C G T N P of the strand, then of its complement; Keras's slopes of .3."""
    rows = []
    for row in x.argmax(1):
        letters = [*row.tolist(), *[5] * (padded - len(row))]
        other = [3 - letter if letter < 4 else letter for letter in letters]
        hot = torch.eye(6, dtype=x.dtype)
        rows.append(torch.cat((hot[letters], hot[other]), 1))
    y = torch.stack(rows)
    for layer in (0, 1):
        y = torch.cat([gru(w, "recurrent", y, layer, side) for side in ("", "_reverse")], 2)
    y = y.mT
    for at, pool in ((0, 3), (3, 2), (6, 1)):
        y = F.leaky_relu(F.conv1d(y, w[f"body.{at}.weight"], w[f"body.{at}.bias"]), 0.3)
        y = F.max_pool1d(y, pool)
    y = y.flatten(1)
    for at in (0, 3):
        y = F.leaky_relu(keras_norm(w, f"head.{at + 1}", linear(w, f"head.{at}", y)), 0.3)
    return linear(w, "head.6", y)


def high_schoolers(w, x, heads=8):
    """High Schoolers: exponential kernels on both strands, attention pools, Enformer's layer."""
    kernel, bias = w["stages.0.0.convolution.weight"], w["stages.0.0.convolution.bias"]
    both = torch.cat((kernel, kernel.flip(1, 2)))
    y = same({"k.weight": both, "k.bias": torch.cat((bias, bias))}, "k", x.mT)
    y = keras_norm(w, "stages.0.1", y).exp()
    y = _window_attention(w, "stages.0.6", _widening(w, "stages.0.3", y, (2, 4, 8)), 4)
    y = keras_norm(w, "stages.1.2", same(w, "stages.1.0", y).relu()).relu()
    y = _window_attention(w, "stages.1.6", _widening(w, "stages.1.4", y, (2,)), 4)
    y = keras_norm(w, "stages.2.1", same(w, "stages.2.0", y)).relu()
    y = _window_attention(w, "stages.2.5", _widening(w, "stages.2.3", y, (2,)), 2)
    y = y + _enformer_attention(w, "transformer.0.body.0", y, heads)
    y = layer_norm(w, "transformer.1", y, 1e-3)
    y = y + linear(w, "transformer.2.body.3", linear(w, "transformer.2.body.0", y).relu())
    y = layer_norm(w, "transformer.3", y, 1e-3).flatten(1)
    for at in (1, 5):
        y = keras_norm(w, f"head.{at + 1}", linear(w, f"head.{at}", y)).relu()
    return linear(w, "head.9", y)


def _widening(w, name, x, dilations):
    y = keras_norm(w, f"{name}.body.1", same(w, f"{name}.body.0", x))
    for at, dilation in enumerate(dilations):
        y = same(w, f"{name}.body.{4 + 4 * at}", y.relu(), dilation)
        y = keras_norm(w, f"{name}.body.{5 + 4 * at}", y)
    return (x + y).relu()


def _window_attention(w, name, x, window):
    """Windows weighed by a softmax along their positions; what does not fill one is cut."""
    found = []
    for begin in range(0, x.shape[1] - window + 1, window):
        part = x[:, begin : begin + window]
        found.append((part * (part @ w[f"{name}.weigh.weight"].T).softmax(1)).sum(1))
    return torch.stack(found, 1)


def _enformer_attention(w, name, x, heads):
    """Enformer's attention, one query and one key at a time."""
    length, width = x.shape[1], x.shape[2] // heads
    query, key, value = (linear(w, f"{name}.{part}", x) for part in ("query", "key", "value"))
    rows = torch.stack([_distance(away, length, x.shape[2] // 6) for away in range(-20, 21)])
    densities = rows[:, 4 * (x.shape[2] // 6) :].abs()
    rows[:, 4 * (x.shape[2] // 6) :] /= densities[21 - length : 20 + length].max()
    rows = linear(w, f"{name}.distance", rows.to(x))
    heads_out = []
    for head in range(heads):
        at = slice(head * width, (head + 1) * width)
        logits = x.new_zeros(len(x), length, length)
        for i in range(length):
            for j in range(length):
                q = query[:, i, at] / math.sqrt(width)
                content = ((q + w[f"{name}.content_bias"][head]) * key[:, j, at]).sum(1)
                by = (q + w[f"{name}.distance_bias"][head]) @ rows[20 + j - i, at]
                logits[:, i, j] = content + by
        heads_out.append(logits.softmax(-1) @ value[..., at])
    return linear(w, f"{name}.out", torch.cat(heads_out, -1))


def _distance(away, length, features):
    """Exponentials, central masks and gamma densities (not yet scaled), each with a signed copy."""
    far, sign = float(abs(away)), float((away > 0) - (away < 0))
    highest = math.log2(length)
    halves = [2 ** (3 + (highest - 3) * at / max(features - 1, 1)) for at in range(features)]
    exponential = [math.exp(-math.log(2) / half * far) for half in halves]
    central = [float(2 ** (at + 1) - 1 > far) for at in range(features)]
    density = []
    for at in range(features):
        first = length / features
        mean = first + (length - first) * at / max(features - 1, 1)
        sd = length / (2 * features)
        shape, rate = (mean / sd) ** 2, mean / sd**2
        log = (shape - 1) * math.log(far) if far else (0.0 if shape == 1 else -math.inf)
        density.append(math.exp(log - rate * far - math.lgamma(shape) + shape * math.log(rate)))
    parts = [(part, [sign * value for value in part]) for part in (exponential, central, density)]
    return torch.tensor([value for pair in parts for one in pair for value in one])


def swish(w, name, x):
    return x * (w[f"{name}.beta"] * x).sigmoid()


def bionml(w, x, heads, layers):
    """BioNML: kernels over both strands, three branches, cross-attention to the first features."""
    strand, other = x.mT, x.flip(1, 2).mT
    motifs = [
        swish(w, "scan.0.motif_swish", same(w, "scan.0.motif", one)) for one in (strand, other)
    ]
    kmers = swish(w, "scan.0.kmer_swish", same(w, "scan.0.kmer", strand))
    y = swish(w, "scan.2", keras_norm(w, "scan.1", torch.cat((*motifs, kmers), -1)))
    dense = _swished(w, "branches.branches.0", y)
    sides = [_swished(w, f"branches.branches.{at}", _swished(w, f"branches.branches.{at}", y), 3)
             for at in (1, 2)]  # fmt: skip
    features = torch.cat((dense, *sides), -1)
    token = w["token"].expand(len(x), 1, -1)
    first = torch.cat((token, features), 1) + w["position"]
    y = first
    for at in range(layers):
        name = f"layers.{at}"
        asks, kept = (layer_norm(w, f"{name}.norm", part, 1e-6) for part in (y, first))
        query = F.softsign(linear(w, f"{name}.query", asks))
        mixed = attend(
            query, linear(w, f"{name}.key", kept), linear(w, f"{name}.value", kept), heads
        )
        y = y + linear(w, f"{name}.out", mixed)
        wide = layer_norm(w, f"{name}.wide_norm", y, 1e-6)
        gate = swish(w, f"{name}.swish", linear(w, f"{name}.gate", wide))
        y = y + linear(w, f"{name}.back", linear(w, f"{name}.wide", wide) * gate)
    y = layer_norm(w, "norm", y, 1e-6)[:, 0]
    h = linear(w, "head.0.body.2", swish(w, "head.0.body.1", keras_norm(w, "head.0.body.0", y)))
    h = linear(w, "head.0.body.5", swish(w, "head.0.body.4", keras_norm(w, "head.0.body.3", h)))
    return linear(w, "head.2", linear(w, "head.1", y + h))


def _swished(w, name, x, at=0):
    y = keras_norm(w, f"{name}.{at + 1}", same(w, f"{name}.{at}", x))
    return swish(w, f"{name}.{at + 2}", y)


def vaishnav(w, x, heads=8):
    """The reference model: rectified queries, keys, values and answers of its attention."""
    kernel = w["strands.convolution.weight"]
    both = {"f.weight": kernel, "r.weight": kernel.flip(1, 2)}
    y = torch.cat([
        keras_norm(w, f"strands.{norm_of}", same(both, name, x.mT)).relu()
        for name, norm_of in (("f", "forward_norm"), ("r", "reverse_norm"))
    ], -1)  # fmt: skip
    for at in (0, 3):
        y = keras_norm(w, f"convolutions.{at + 1}", same(w, f"convolutions.{at}", y)).relu()
    for at in (0, 1):
        name = f"attention.layer.{at}"
        parts = (
            linear(w, f"{name}.attention.{part}", y).relu() for part in ("query", "key", "value")
        )
        mixed = linear(w, f"{name}.attention.out", attend(*parts, heads)).relu()
        y = layer_norm(w, f"{name}.norms.0", y + mixed, 1e-14)
        h = linear(w, f"{name}.wide.2", linear(w, f"{name}.wide.0", y).relu())
        y = layer_norm(w, f"{name}.norms.1", y + h, 1e-14)
    y = lstm(w, "recurrent.lstm", y.mT).flatten(1)
    y = linear(w, "head.5", linear(w, "head.2", y).relu()).relu()
    return linear(w, "head.8", y)


def unlock_dna(w, x, heads, layers, padded=100, tokens=32):
    """Unlock_DNA: letters A C G T N M of both strands end to end, patches of 10, Macaron layers."""
    rows = []
    before = (padded - x.shape[2]) // 2
    for row in x.argmax(1).tolist():
        letters = [*[4] * before, *row]
        letters += [4] * (padded - len(letters))
        other = [3 - letter if letter < 4 else 4 for letter in letters[::-1]]
        rows.append(torch.eye(6, dtype=x.dtype)[letters + other])
    y = same(w, "patch", torch.stack(rows)) + w["position.weight"]
    y = y + w["strand.weight"][torch.arange(2 * padded) // padded]
    expression = w["expression.bias"].expand(len(x), tokens, -1)
    y = torch.cat((expression, y), 1)
    for at in range(layers):
        name = f"layers.{at}"
        y = y + _swiglu(w, f"{name}.before", y) / 2
        h = layer_norm(w, f"{name}.norm", y, 1e-6)
        deep = w[f"{name}.convolve.layer.0.weight"]
        padding = F.pad(h, (0, 0, 7, 7))
        h = sum(padding[:, tap : tap + h.shape[1]] * deep[:, 0, tap] for tap in range(15))
        y = y + same(w, f"{name}.convolve.layer.1", h).relu()
        y = layer_norm(w, f"{name}.attention_norm", y, 1e-6)
        parts = (linear(w, f"{name}.attention.{part}", y) for part in ("query", "key", "value"))
        y = y + linear(w, f"{name}.attention.out", attend(*parts, heads))
        y = y + _swiglu(w, f"{name}.after", y) / 2
    return linear(w, "head.1", y[:, :tokens]).mean(1), linear(w, "nucleotides", y[:, tokens:])


def _swiglu(w, name, x):
    out, gate = linear(w, f"{name}.widen", layer_norm(w, f"{name}.norm", x, 1e-6)).chunk(2, -1)
    return linear(w, f"{name}.narrow", out * F.silu(gate))
