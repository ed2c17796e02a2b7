"""The ops as PyTorch sees them: schemas, fakes, plain answers on the CPU, whole-graph capture."""

import pytest
import torch
from fastseq_kernels import block, conv, depthwise, first_conv, reference, squeeze_excite, window

from tests.kernels.inputs import normal, random_codes

X, WEIGHT, BIAS, GATE = normal(3, 21, 16), normal(5, 16, 24), normal(24), normal(3, 16)
CODES, FIRST = random_codes(3, 21), normal(5, 4, 24)
CALLS = [
    (conv.op, reference.conv1d, (X, WEIGHT, BIAS, None, normal(3, 21, 24), GATE),
     {"pad_left": 2, "pad_right": 2, "activation": "gelu", "pool": 2}),
    (conv.op, reference.conv1d, (X, WEIGHT), {"stride": 2}),
    (depthwise.op, reference.conv1d, (X, normal(5, 1, 16)), {"groups": 16, "dilation": 2}),
    (first_conv.op, reference.first_conv1d, (CODES, FIRST, BIAS),
     {"positions": 21, "first": -2, "unknown": 0.25, "pool": 3}),
    (squeeze_excite.squeeze_op, reference.squeeze, (X,), {"largest": True}),
    (squeeze_excite.excite_op, reference.excite,
     (GATE, normal(16, 4), normal(4), normal(6, 16), normal(16), normal(4, 4), None,
      normal(4, 7), normal(4, 7), normal(7, 2)), {}),
    (window.op, reference.window_conv1d,
     (normal(3, 2, 16), torch.tensor([-1, 0, 19]).int(), torch.tensor([0, 1, 0]).int(),
      normal(2, 21, 24), WEIGHT), {"length": 21, "pad_left": 2, "pool": 2}),
    (block.op, reference.residual_pair, (X, normal(2, 3, 16, 16), normal(2, 16)),
     {"activation": "relu", "pool": 2}),
    (squeeze_excite.pointwise_op, reference.pointwise, (X, GATE, None, X),
     {"activation": "relu"}),
]  # fmt: skip
NAMES = [call[0].name() for call in CALLS]


@pytest.mark.parametrize(("op", "twin", "tensors", "options"), CALLS, ids=NAMES)
def test_opcheck(op, twin, tensors, options):
    torch.library.opcheck(op, tensors, options)


@pytest.mark.parametrize(("op", "twin", "tensors", "options"), CALLS, ids=NAMES)
def test_on_the_cpu_an_op_is_its_reference(op, twin, tensors, options):
    assert torch.equal(op(*tensors, **options), twin(*tensors, **options))


@pytest.mark.parametrize(("op", "twin", "tensors", "options"), CALLS, ids=NAMES)
def test_the_meta_device_answers_with_the_shape(op, twin, tensors, options):
    there = [None if x is None else x.to("meta") for x in tensors]
    found, truth = op(*there, **options), op(*tensors, **options)
    assert (found.shape, found.dtype) == (truth.shape, truth.dtype)


def test_a_graph_holds_the_ops_whole():
    class Net(torch.nn.Module):
        def forward(self, codes):
            x = first_conv.op(codes, FIRST, BIAS, positions=codes.shape[1], first=-2)
            return conv.op(x, normal(1, 24, 8), activation="relu").amax(1)

    batch = torch.export.Dim("batch", min=2)
    graph = torch.export.export(Net(), (CODES,), dynamic_shapes=[{0: batch}])
    called = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert [name for name in called if name.startswith("fastseq")] == [
        "fastseq.first_conv1d.default", "fastseq.conv1d.default"
    ]  # fmt: skip
    more = random_codes(7, 21)
    assert torch.equal(graph.module()(more), Net()(more))


def test_gradients_are_refused():
    weight = WEIGHT.clone().requires_grad_()
    y = conv.op(X, weight)
    with pytest.raises(RuntimeError, match="fastseq::conv1d runs forward only"):
        y.sum().backward()
