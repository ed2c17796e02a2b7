"""PyTorch's attention layer with the axes of sequences first throughout, as rules want them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F


@contextmanager
def sequences_first(module: nn.Module) -> Iterator[None]:
    """Let the attention layers of a module that need no mask or weights run as `attend`.

    Their own code puts positions before sequences, and its linear layers over both as one axis.
    """
    layers = [part for part in module.modules() if type(part) is nn.MultiheadAttention]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(
    layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, *args: Any,
    **options: Any,
) -> Any:  # fmt: skip
    masks = options.get("attn_mask"), options.get("key_padding_mask"), options.get("is_causal")
    plain = not args and not any(mask is not None and mask is not False for mask in masks)
    usual = layer.batch_first and layer.bias_k is None and not layer.add_zero_attn
    alike = layer.in_proj_weight is not None and query.ndim == 3
    if plain and usual and alike and options.get("need_weights") is False:
        return attend(layer, query, key, value), None
    return type(layer).forward(layer, query, key, value, *args, **options)


def attend(layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what an attention layer gives for (n, length, channels) without masks."""
    weights = layer.in_proj_weight.chunk(3)
    biases = (None,) * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
    q, k, v = (
        F.linear(x, weight, bias).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip((query, key, value), weights, biases)
    )
    mixed = F.scaled_dot_product_attention(q, k, v)
    return layer.out_proj(mixed.transpose(1, 2).flatten(2))
