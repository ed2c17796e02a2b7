"""Networks of the TUM report, of enhancers, promoters and chromatin, step by step: plain and slow.

Weights are taken by the names of ours. BPNet's profile and counts equal, on shared weights, those
of the PyTorch implementation that its authors' ChromBPNet models are converted to.
"""

import torch
from torch.nn import functional as F

from tests.reference.networks import block, conv, linear, lstm, norm, simple_gate


def prelu(x, slope):
    return torch.where(x > 0, x, slope * x)


def layer(w, name, x):
    """Convolution, normalisation and PReLU of a TUM network."""
    return prelu(norm(w, f"{name}.1", conv(w, f"{name}.0", x)), w[f"{name}.2.weight"])


def tum_resnet(w, x):
    """Kernel 21, then three pairs of kernel 5: y = act(x + norm(conv(act(norm(conv x))))), pool."""
    x = layer(w, "stem", x)
    for pair in range(3):
        name = f"blocks.{pair}"
        y = layer(w, f"{name}.0.body.0", x)
        y = norm(w, f"{name}.0.body.2", conv(w, f"{name}.0.body.1", y))
        x = F.max_pool1d(prelu(x + y, w[f"{name}.1.weight"]), 2)
    return linear(w, "head.1", x.amax(2))


def tum_cnn(w, x):
    x = layer(w, "body.2", F.max_pool1d(layer(w, "body.0", x), 2))
    return linear(w, "head", x.amax(2))


def tum_classifier(w, x):
    x = layer(w, "body.0", x)
    for at in (2, 4, 6):
        x = layer(w, f"body.{at}", F.max_pool1d(x, 2))
    return linear(w, "head", x.amax(2))


def motif_cnn(w, x):
    """Keras's norms; an exponential, then rectifiers; no first pool."""
    for stage, pool in enumerate((1, 4, 4, 3)):
        x = norm(w, f"stages.{stage}.1", conv(w, f"stages.{stage}.0", x), 1e-3)
        x = F.max_pool1d(x.relu() if stage else x.exp(), pool)
    x = norm(w, "head.2", linear(w, "head.1", x.flatten(1)), 1e-3).relu()
    return linear(w, "head.5", x)


def deepstarr(w, x):
    """Four times convolution, Keras's norm, rectifier, pool; twice dense, norm, rectifier."""
    for stage in range(4):
        y = norm(w, f"body.{2 * stage}.1", conv(w, f"body.{2 * stage}.0", x), 1e-3)
        x = F.max_pool1d(y.relu(), 2)
    x = x.flatten(1)
    for at in (0, 4):
        x = norm(w, f"head.{at + 1}", linear(w, f"head.{at}", x), 1e-3).relu()
    return linear(w, "head.8", x)


def deepromoter(w, x):
    """Three convolutions at once, pooled by 6; a BiLSTM; dense layers; the logit of two classes."""
    parts = [
        F.max_pool1d(conv(w, f"body.0.branches.{at}.0", x).relu(), 6) for at in range(3)
    ]  # fmt: skip
    y = linear(w, "mix", lstm(w, "body.1.lstm", torch.cat(parts, 1)).mT)
    y = linear(w, "head.3", linear(w, "head.1", y.flatten(1)).relu())
    return y[:, 1:] - y[:, :1]


def bpnet_body(w, x):
    x = conv(w, "stem.0", x).relu()
    for at in range(4):
        x = x + conv(w, f"body.{at}.body.0", x, dilation=2 ** (at + 1)).relu()
    return x


def bpnet_counts(w, x):
    return linear(w, "counts.1", bpnet_body(w, x).mean(2))


def bpnet_profile(w, x):
    return conv(w, "profile", bpnet_body(w, x))


def basenji(w, x):
    """Pooled convolutions, then narrow dilated ones and wide ones of 1 bp, added."""
    x = F.max_pool1d(block(w, "body.0", x, F.relu), 2)
    for at in (2, 4):
        x = F.max_pool1d(block(w, f"body.{at}", x, F.gelu), 2)
    for at in range(4):
        name = f"body.{6 + at}.body"
        y = block(w, f"{name}.0", x, F.gelu, dilation=2**at)
        x = x + norm(w, f"{name}.1.1", conv(w, f"{name}.1.0", y))
    return conv(w, "head.1", F.gelu(x)).mean(2)


def legnet_mpra(w, x):
    """Depthwise blocks, each followed by a pool of 2, then a mapper and two dense layers."""
    x = block(w, "stem", x)
    for at in (0, 3):
        inner = f"body.{at}.body"
        y = block(w, f"{inner}.0", x)
        y = block(w, f"{inner}.1", y, groups=y.shape[1])
        y = block(w, f"{inner}.3", simple_gate(w, f"{inner}.2", y))
        x = F.max_pool1d(block(w, f"body.{at + 1}", torch.cat((x, y), 1)), 2)
    x = conv(w, "mapper.1", norm(w, "mapper.0", x)).mean(2)
    return linear(w, "head.3", F.silu(norm(w, "head.1", linear(w, "head.0", x))))
