"""Random lowered graphs over the functions of `fastseq.lower.ops`."""

import torch
from hypothesis import strategies as st
from torch import fx, nn

from fastseq.lower import ops

TABLE = torch.cat([torch.eye(4), torch.full((1, 4), 0.25)])
aten = torch.ops.aten
# powers of powers leave the range of float32
ACTIVATIONS = tuple(name for name in ops.ACTIVATIONS if name != "exp")


class Network:
    """A graph being built, one call after the other."""

    def __init__(self, length, channels=4, seed=0):
        self.module = fx.GraphModule(nn.Module(), fx.Graph())
        self.graph = self.module.graph
        self.random = torch.Generator().manual_seed(seed)
        self.x = self.graph.placeholder("x")
        self.x.meta["shape"] = (channels, length)
        self.constants = 0

    def constant(self, value):
        name = f"w{self.constants}"
        self.constants += 1
        self.module.register_buffer(name, value)
        return self.graph.get_attr(name)

    def draw(self, *shape, scale=1.0):
        return torch.randn(*shape, generator=self.random) * scale

    def call(self, function, *args, **kwargs):
        """Add a call; tensors become constants, shapes are found by running it."""
        wrap = lambda a: self.constant(a) if isinstance(a, torch.Tensor) else a  # noqa: E731
        args, kwargs = [wrap(a) for a in args], {k: wrap(v) for k, v in kwargs.items()}
        node = self.graph.call_function(function, tuple(args), kwargs)
        output = self.graph.output(node)
        runner = _Shapes(self.module)
        runner.run(torch.zeros(2, *self.x.meta["shape"]))
        self.graph.erase_node(output)
        node.meta["shape"] = runner.shapes[node.name]
        return node

    def parameter(self, activation, channels):
        match activation:
            case "prelu":
                return self.draw(channels, scale=0.5)
            case "leaky_relu":
                return 0.1
            case "elu":
                return 1.0
        return None

    def conv(self, x, cout, kernel, activation="none", groups=1, skip=None, **sizes):
        cin = x.meta["shape"][0]
        weight = self.draw(
            cout, cin // groups, kernel, scale=(cin // groups * kernel) ** -0.5 * 1.4
        )
        parameter = self.parameter(activation, cout)
        return self.call(ops.conv, x, weight, self.draw(cout, scale=0.3), skip, groups=groups,
                         activation=activation, parameter=parameter, **sizes)  # fmt: skip

    def flat_linear(self, x, features, activation="none"):
        channels, length = x.meta["shape"]
        weight = self.draw(features, length, channels, scale=(length * channels) ** -0.5)
        parameter = self.parameter(activation, features)
        return self.call(ops.flat_linear, x, weight, self.draw(features), activation, parameter)

    def linear(self, x, features, activation="none"):
        (channels,) = x.meta["shape"]
        weight = self.draw(features, channels, scale=channels**-0.5)
        parameter = self.parameter(activation, features)
        return self.call(ops.linear, x, weight, self.draw(features), activation, parameter)

    def finish(self, answer):
        self.graph.output(answer)
        self.module.recompile()
        return self.module


class _Shapes(fx.Interpreter):
    def __init__(self, module):
        super().__init__(module)
        self.shapes = {}

    def run_node(self, node):
        result = super().run_node(node)
        self.shapes[node.name] = tuple(result.shape[1:]) if torch.is_tensor(result) else ()
        return result


@st.composite
def networks(draw, activations=ACTIVATIONS, grouped=True, walls=False, longest=60):
    """A random graph and its length."""
    length = draw(st.integers(9, longest))
    net = Network(length, seed=draw(st.integers(0, 9999)))
    x = net.x
    for _ in range(draw(st.integers(1, 5))):
        x = draw(layer(net, x, activations, grouped))
    if walls and draw(st.booleans()):
        gate = net.call(torch.sigmoid, x)
        x = net.call(torch.mul, x, gate)
        x = draw(layer(net, x, activations, grouped))
    head = draw(st.sampled_from(["max", "mean", "flat", "profile"]))
    if head == "profile":
        return net.finish(net.conv(x, 2, 1))
    x = net.flat_linear(x, 12, draw(st.sampled_from(activations))) if head == "flat" else net.call(
        ops.global_max if head == "max" else ops.global_mean, x)  # fmt: skip
    if draw(st.booleans()):
        x = net.linear(x, 7, draw(st.sampled_from(activations)))
    x = net.linear(x, draw(st.integers(1, 3)))
    return net.finish(net.call(aten.select.int, x, 1, 0) if draw(st.booleans()) else x)


@st.composite
def layer(draw, net, x, activations, grouped):
    channels, length = x.meta["shape"]
    activation = draw(st.sampled_from(activations))
    kinds = ["conv", "residual", "branches", "max", "mean", "activate", "crop"]
    kind = draw(st.sampled_from(kinds))
    if kind in ("max", "mean") and length >= 4:
        width = draw(st.integers(1, 4))
        stride = draw(st.integers(1, 4))
        before = draw(st.integers(0, width // 2))
        after = draw(st.integers(-1, width // 2))
        if kind == "max":
            return net.call(ops.max_pool, x, width, stride, before, after)
        count = (length + before + after - width) // stride + 1
        divisor = torch.randint(1, width + 1, (count,), generator=net.random).float()
        return net.call(ops.mean_pool, x, divisor, width, stride, before, after)
    if kind == "residual":
        kernel = draw(st.integers(1, 6))
        dilation = draw(st.sampled_from([d for d in (1, 2, 5) if d < max(2, length)]))
        halo = (kernel - 1) * dilation
        before = draw(st.integers(0, halo))
        sizes = dict(before=before, after=halo - before, dilation=dilation)
        if draw(st.booleans()):
            return net.conv(x, channels, kernel, activation, skip=x, **sizes)
        return net.call(ops.add, x, net.conv(x, channels, kernel, activation, **sizes))
    if kind == "branches":
        left = net.conv(x, 5, 3, activation, before=1, after=1)
        right = net.conv(x, 3, 4, "relu", before=1, after=2)
        return net.call(ops.concat, [left, right, x])
    if kind == "crop":
        ends = draw(st.integers(-2, 3)), draw(st.integers(-2, 3))
        return net.call(ops.zero_pad, x, *ends) if length > 6 else x
    if kind == "activate":
        return net.call(ops.activate, x, activation, net.parameter(activation, channels))
    groups = channels if grouped and draw(st.booleans()) else 1
    kernel = draw(st.integers(1, 7))
    dilation = draw(st.sampled_from([d for d in (1, 1, 2, 7, 16) if d < max(2, length)]))
    halo = (kernel - 1) * dilation
    short = max(0, halo + 3 - length)
    before = draw(st.integers((short + 1) // 2, max(halo // 2, (short + 1) // 2)))
    after = draw(st.integers((short + 1) // 2, max(halo, (short + 1) // 2)))
    wide = channels * draw(st.integers(1, 2)) if groups > 1 else 8
    return net.conv(x, wide, kernel, activation, groups,
                    stride=draw(st.integers(1, 3)), before=before, after=after,
                    dilation=dilation)  # fmt: skip
