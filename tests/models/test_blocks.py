"""The channels-last layers give the numbers of PyTorch's own one-dimensional layers."""

import pytest
import torch
from torch import nn

from fastseq.models import blocks


@pytest.mark.parametrize("kernel", [1, 2, 5, 6, 21])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 3])
def test_conv_equals_torch(kernel, dilation, groups):
    x = torch.randn(3, 6, 37)
    ours = blocks.Conv1d(6, 12, kernel, dilation=dilation, groups=groups)
    reach = dilation * (kernel - 1)
    padded = nn.functional.pad(x, (reach // 2, reach - reach // 2))
    theirs = nn.functional.conv1d(padded, ours.weight, ours.bias, dilation=dilation, groups=groups)
    torch.testing.assert_close(ours(x), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [4, 5, 11])
def test_pool_and_norm_equal_torch(length):
    x = torch.randn(3, 6, length)
    torch.testing.assert_close(blocks.MaxPool1d(2)(x), nn.MaxPool1d(2)(x))
    torch.testing.assert_close(
        blocks.MaxPool1d(3, 2, padding=1)(x), nn.MaxPool1d(3, 2, padding=1)(x)
    )
    torch.testing.assert_close(blocks.BatchNorm1d(6)(x), nn.BatchNorm1d(6)(x))


def test_activations_stay_channels_last():
    net = nn.Sequential(blocks.conv_norm_act(4, 8, 5, blocks.PReLU), blocks.MaxPool1d(2))
    assert net(torch.randn(2, 4, 10)).stride() == (5 * 8, 1, 8)


def test_prelu_has_torch_gradients():
    x = torch.randn(3, 6, 11, requires_grad=True)
    ours, theirs = blocks.PReLU().train(), nn.PReLU()
    weight = torch.randn(3, 6, 11)
    for layer in (ours, theirs):
        (layer(x) * weight).sum().backward()
        layer.seen, x.grad = x.grad.clone(), None
    torch.testing.assert_close(ours.seen, theirs.seen)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-5, atol=1e-5)
