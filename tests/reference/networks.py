"""Published networks, layer after layer in PyTorch's plainest functions, from a state dict.

Each follows the layer list of its team's code; weights are taken by the names of ours.
"""

import torch
from torch.nn import functional as F


def conv(w, name, x, **options):
    """A convolution with padding as in Keras and PyTorch's "same"."""
    kernel = w[f"{name}.weight"]
    reach = options.get("dilation", 1) * (kernel.shape[2] - 1)
    x = F.pad(x, (reach // 2, reach - reach // 2))
    return F.conv1d(x, kernel, w.get(f"{name}.bias"), **options)


def norm(w, name, x, eps=1e-5):
    """Batch normalisation by the running statistics."""
    mean, var, scale, shift = (
        w[f"{name}.{part}"].view(1, -1, *[1] * (x.ndim - 2))
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * scale + shift


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def block(w, name, x, act=F.silu, **options):
    """Convolution, normalisation, activation."""
    return act(norm(w, f"{name}.1", conv(w, f"{name}.0", x, **options)))


def legnet_body(w, name, x, widths, gate):
    """Widen, grouped convolution, gate, narrow, concatenate, resize; for every width."""
    for at, width in enumerate(widths):
        inner = f"{name}.{2 * at}.body"
        y = block(w, f"{inner}.0", x)
        y = block(w, f"{inner}.1", y, groups=4 * width // 2)
        y = gate(w, f"{inner}.2", y)
        y = block(w, f"{inner}.3", y)
        x = block(w, f"{name}.{2 * at + 1}", torch.cat((x, y), 1))
    return x


def simple_gate(w, name, x):
    return (
        x
        * linear(w, f"{name}.expand", F.silu(linear(w, f"{name}.reduce", x.mean(2)))).sigmoid()[
            :, :, None
        ]
    )


def bilinear_gate(w, name, x):
    z = linear(w, f"{name}.reduce.2", F.silu(linear(w, f"{name}.reduce.0", x.mean(2))))
    core = torch.einsum(
        "r,ir,jr,kr->ijk", *(w[f"{name}.{part}"] for part in ("weight", "left", "right", "out"))
    )
    second = torch.einsum("ni,nj,ijk->nk", z, z, core) + w[f"{name}.bias"]
    return x * linear(w, f"{name}.expand", F.silu(torch.cat((z, second), 1))).sigmoid()[:, :, None]


def legnet(w, x, widths):
    x = legnet_body(w, "body", block(w, "stem", x), widths, bilinear_gate)
    return F.silu(conv(w, "head.0", x)).mean(2)


def two_kernels(w, name, x):
    return torch.cat([F.relu(conv(w, f"{name}.0.branches.{branch}.0", x)) for branch in (0, 1)], 1)


def lstm(w, name, x):
    """Both directions, cell by cell: input, forget, cell, output gates in PyTorch's order."""
    sides = []
    for suffix, rows in (("", x.unbind(2)), ("_reverse", x.flip(2).unbind(2))):
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        of_input, of_state, bias, more = (w[f"{name}.{part}_l0{suffix}"] for part in parts)
        state = cell = x.new_zeros(len(x), of_state.shape[1])
        states = []
        for row in rows:
            gates = row @ of_input.T + state @ of_state.T + bias + more
            enter, forget, new, out = gates.chunk(4, 1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = out.sigmoid() * cell.tanh()
            states.append(state)
        states = torch.stack(states, 2)
        sides.append(states.flip(2) if suffix else states)
    return torch.cat(sides, 1)


def dream_rnn(w, x):
    x = two_kernels(w, "first", x)
    x = two_kernels(w, "core.1", lstm(w, "core.0.lstm", x))
    return conv(w, "final.0", x).mean(2)


def dream_cnn(w, x):
    x = two_kernels(w, "first", x)
    x = legnet_body(w, "core", x, (128, 128, 64, 64, 64, 64), simple_gate)
    return conv(w, "final.0", x).mean(2)


def layer_norm(w, name, x):
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def feed_forward(w, name, x):
    out, gate = linear(w, f"{name}.widen", layer_norm(w, f"{name}.norm", x)).chunk(2, -1)
    return linear(w, f"{name}.narrow", out * gate * gate.sigmoid())


def attention(w, name, x, heads):
    parts = (x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"]).chunk(3, -1)
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    return linear(w, f"{name}.out_proj", (weights @ value).transpose(1, 2).flatten(2))


def dream_attn(w, x):
    x = block(w, "first", x).transpose(1, 2) + w["core.position.weight"][: x.shape[2]]
    for at in range(4):
        name = f"core.layers.{at}"
        x = x + 0.5 * feed_forward(w, f"{name}.before", x)
        h = layer_norm(w, f"{name}.norm", x)
        c = h.transpose(1, 2)
        deep = conv(w, f"{name}.convolve.body.layer.0", c, groups=c.shape[1])
        h = h + F.relu(conv(w, f"{name}.convolve.body.layer.1", deep)).transpose(1, 2)
        x = layer_norm(w, f"{name}.attention_norm", x + h)
        x = x + attention(w, f"{name}.attention", x, 4)
        x = x + 0.5 * feed_forward(w, f"{name}.after", x)
    return conv(w, "final.0", x.transpose(1, 2)).mean(2)


def bhi(w, x):
    x = two_kernels(w, "body.0", x)
    x = two_kernels(w, "body.1.1", lstm(w, "body.1.0.lstm", x)).flatten(1)
    x = F.relu(linear(w, "head.3", F.relu(linear(w, "head.1", x))))
    return linear(w, "head.5", x)


def camformers(w, x):
    """x = layer 1; x = layer 2 + x; and so on; a pool of 10, every 4, between layers 5 and 6."""
    for pair, (one, two) in enumerate(((0, 1), (2, 3), (4, 6))):
        x = block(w, f"body.{one}", x, F.relu)
        if pair == 2:
            x = F.max_pool1d(x, 10, 4)
        x = block(w, f"body.{two}.body", x, F.relu) + x
    x = F.relu(linear(w, "head.3", F.relu(linear(w, "head.1", x.flatten(1)))))
    return linear(w, "head.5", x)


def wztr(w, x, blocks, repeats):
    x = F.pad(x, (0, 142 - x.shape[2]))
    x = torch.cat((x, x.flip(1, 2)), 2)
    for at in (0, 3):
        x = F.relu(norm(w, f"stem.{at + 1}", conv(w, f"stem.{at}", x)))
    for at in range(blocks * (repeats + 1)):
        if at % (repeats + 1) == repeats:
            x = F.avg_pool1d(x, 2, ceil_mode=True)
            continue
        parts = [
            block(w, f"body.{at}.body.branches.{branch}", x, F.relu, dilation=dilation)
            for branch, dilation in enumerate((1, 2, 4, 6))
        ]
        x = x + torch.cat(parts, 1)
    x = x.flatten(1)
    for at in (0, 2, 5):
        x = linear(w, f"head.{at}", x)
        x = x * (1.702 * x).sigmoid()
    return linear(w, "head.8", x)
