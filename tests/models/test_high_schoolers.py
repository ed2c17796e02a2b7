"""Distances, pools and strands of the High Schoolers' network against the published formulas."""

import torch
from torch.nn import functional as F

from fastseq.models.high_schoolers import AttentionPool, RelativeAttention, SharedStrands


def shifted(x):
    """Enformer's relative shift of (.., length, 2 length - 1), by padding and reshaping."""
    *rest, rows, columns = x.shape
    x = torch.cat((torch.zeros_like(x[..., :1]), x), -1).reshape(*rest, columns + 1, rows)
    return x[..., 1:, :].reshape(*rest, rows, columns)[..., : (columns + 1) // 2]


def test_attention_by_distance_is_enformers():
    torch.manual_seed(0)
    layer = RelativeAttention(24, 4, 5).eval()
    x = torch.randn(2, 5, 24)

    def heads(y):
        return y.reshape(*y.shape[:-1], 4, 6).transpose(-2, -3)

    query = heads(layer.query(x)) / 6**0.5
    content = (query + layer.content_bias) @ heads(layer.key(x)).mT
    distance = (query + layer.distance_bias) @ heads(layer.distance(layer.basis)).mT
    weights = (content + shifted(distance)).softmax(-1)
    mixed = (weights @ heads(layer.value(x))).transpose(1, 2).reshape(2, 5, 24)
    torch.testing.assert_close(layer(x), layer.out(mixed))


def test_the_basis_is_even_and_odd_in_the_distance():
    basis = RelativeAttention(24, 4, 5).basis
    assert basis.shape == (9, 24)
    even = torch.cat([basis[:, i : i + 4] for i in (0, 8, 16)], 1)
    odd = torch.cat([basis[:, i + 4 : i + 8] for i in (0, 8, 16)], 1)
    torch.testing.assert_close(even, even.flip(0))
    torch.testing.assert_close(odd, -odd.flip(0))
    assert (basis[4, 8:12] == 1).all()


def test_pools_weigh_their_window_and_cut_the_rest():
    torch.manual_seed(0)
    pool = AttentionPool(3, 4)
    x = torch.randn(2, 3, 11)
    window = x[1, :, 4:8].T
    wanted = (window * (window @ pool.weigh.weight.T).softmax(0)).sum(0)
    found = pool(x)
    assert found.shape == (2, 3, 2)
    torch.testing.assert_close(found[1, :, 1], wanted)


def test_the_other_strands_kernels_are_reverse_complements():
    layer = SharedStrands(3, 5)
    x = torch.randn(2, 4, 20)
    one = layer.convolution
    both = torch.cat((one.weight, one.weight.flip(1, 2)))
    wanted = F.conv1d(x, both, one.bias.repeat(2), padding=2)
    torch.testing.assert_close(layer(x), wanted)
