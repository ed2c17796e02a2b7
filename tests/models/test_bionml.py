"""BioNML's k-mer kernels and cross-attention."""

import torch
from torch.nn import functional as F

from fastseq.models.bionml import CrossLayer, kmer_kernels


def test_kernels_score_1_where_their_kmer_stands_and_less_elsewhere():
    kernels = kmer_kernels(3, 4)
    assert kernels.shape == (64, 4, 4)
    x = F.one_hot(torch.tensor([0, 1, 2, 3]), 4).T.float()  # ACGT
    scores = F.conv1d(x[None], kernels)[0, :, 0]
    assert scores.argmax() == 0 * 16 + 1 * 4 + 2
    torch.testing.assert_close(scores.max(), torch.tensor(1.0))
    off = torch.tensor(0.001 / 0.25).log2() / 6
    torch.testing.assert_close(scores[7], 2 / 3 + off)  # ACT: two fit, one does not


def test_queries_come_from_the_tokens_keys_and_values_from_the_first():
    torch.manual_seed(0)
    layer = CrossLayer(8, 2, 0.1).eval()
    x, first = torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    query = F.softsign(layer.query(layer.norm(x)))
    key, value = layer.key(layer.norm(first)), layer.value(layer.norm(first))
    heads = [
        (query[..., h] @ key[..., h].mT / 2).softmax(-1) @ value[..., h]
        for h in (slice(0, 4), slice(4, 8))
    ]
    y = x + layer.out(torch.cat(heads, -1))
    wide = layer.wide_norm(y)
    gate = layer.gate(wide)
    wanted = y + layer.back(layer.wide(wide) * gate * gate.sigmoid())
    torch.testing.assert_close(layer(x, first), wanted)
