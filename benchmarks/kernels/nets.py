"""Four networks of the zoo as lists of steps, run two ways over the same weights.

`Plain` is what a user has: nn.Conv1d, BatchNorm1d, activation, on NCL one-hot, and what a plan is
made of. `Flat` is PyTorch's best: normalisation folded, conv2d on channels-last.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.kernels.shapes import EAGER


@dataclass(frozen=True)
class Step:
    """A convolution with what surrounds it; ``kernel=0`` computes a squeeze-excite gate."""

    kernel: int
    c_out: int
    activation: str = "none"
    dilation: int = 1
    depthwise: bool = False
    save: bool = False  # keep this step's input for a later residual or concatenation
    residual: str = ""  # add what was kept: "before" or "after" the activation
    concat: bool = False  # set the answer beside what was kept
    pool: int = 1


@dataclass(frozen=True)
class Net:
    """Steps from one-hot to features, then linear layers."""

    name: str
    length: int
    steps: tuple[Step, ...]
    gather: str  # how positions end: "max", "mean" or "flatten"
    head: tuple[int, ...]

    def inputs(self) -> list[int]:
        """Return each step's input channels, and the features' after the last."""
        channels, kept, found = 4, 0, []
        for step in self.steps:
            found.append(channels)
            kept = channels if step.save else kept
            channels = step.c_out if step.kernel else channels
            channels += kept if step.concat else 0
        return [*found, channels]

    def features(self) -> int:
        """Return the width of what the linear layers see."""
        length = self.length
        for step in self.steps:
            length //= step.pool
        return self.inputs()[-1] * (length if self.gather == "flatten" else 1)

    def small(self) -> "Net":
        """Return the same network with a quarter of the channels and a short input."""
        steps = tuple(replace(step, c_out=max(1, step.c_out // 4)) for step in self.steps)
        return replace(self, length=30 + self.length // 20, steps=steps)

    def operations(self) -> float:
        """Return multiplications and additions of one sequence's convolutions."""
        total, length = 0.0, self.length
        for step, c_in in zip(self.steps, self.inputs()):
            total += 2.0 * length * step.kernel * step.c_out * (1 if step.depthwise else c_in)
            length //= step.pool
        return total


def resnet() -> Net:
    pair = (Step(5, 64, "prelu", save=True), Step(5, 64, "prelu", residual="before", pool=2))
    return Net("TUM ResNet 110 bp", 110, (Step(21, 64, "prelu"), *pair * 3), "max", (1,))


def deepstarr() -> Net:
    widths = (7, 256), (3, 60), (5, 60), (3, 120)
    steps = tuple(Step(kernel, c_out, "relu", pool=2) for kernel, c_out in widths)
    return Net("DeepSTARR 249 bp", 249, steps, "flatten", (256, 256, 2))


def bpnet() -> Net:
    dilated = tuple(Step(3, 64, "relu", 2**i, save=True, residual="after") for i in range(1, 9))
    return Net("BPNet trunk 2,114 bp", 2114, (Step(21, 64, "relu"), *dilated), "mean", (1,))


def legnet() -> Net:
    steps, c_in = [Step(7, 256, "silu")], 256
    for c_out in (128, 128, 64, 64, 64, 64):
        inner = 4 * c_in
        steps += [Step(1, inner, "silu", save=True), Step(7, inner, "silu", depthwise=True),
                  Step(0, c_in // 4), Step(1, c_in, "silu", concat=True),
                  Step(7, c_out, "silu")]  # fmt: skip
        c_in = c_out
    return Net("LegNet optimised 150 bp", 150, (*steps, Step(1, 18)), "mean", (18,))


class Plain(nn.Module):
    """The network as its author would write it: (n, 4, length) float one-hot in, NCL throughout."""

    def __init__(self, net: Net):
        super().__init__()
        self.net = net
        self.convs, self.norms, self.gates = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.slopes = nn.ParameterList()
        for step, c_in in zip(net.steps, net.inputs()):
            if not step.kernel:
                self.gates.append(nn.Sequential(nn.Linear(c_in, step.c_out), nn.SiLU(),
                                                nn.Linear(step.c_out, c_in)))  # fmt: skip
                continue
            groups = c_in if step.depthwise else 1
            self.convs.append(nn.Conv1d(c_in, step.c_out, step.kernel, bias=False, groups=groups,
                                        dilation=step.dilation, padding="same"))  # fmt: skip
            self.norms.append(nn.BatchNorm1d(step.c_out))
            self.slopes.append(nn.Parameter(torch.full((1,), 0.25)))
        widths = [net.features(), *net.head]
        self.head = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for norm in self.norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        kept, gate = x, None
        convs, gates = zip(self.convs, self.norms, self.slopes), iter(self.gates)
        for step in self.net.steps:
            if not step.kernel:
                gate = next(gates)(x.mean(-1)).sigmoid()
                continue
            convolution, norm, slope = next(convs)
            kept = x if step.save else kept
            x, gate = (x if gate is None else x * gate[..., None]), None
            x = self.finish(norm(convolution(x)), kept, step, slope)
        return self.end(x)

    def finish(self, x: Tensor, kept: Tensor, step: Step, slope: Tensor) -> Tensor:
        """Return the step's activation, residual, concatenation and pool."""
        x = x + kept if step.residual == "before" else x
        x = EAGER[step.activation](x, slope)
        x = x + kept if step.residual == "after" else x
        x = torch.cat([kept, x], 1) if step.concat else x
        if step.pool == 1:
            return x
        return F.max_pool1d(x, step.pool) if x.ndim == 3 else F.max_pool2d(x, (1, step.pool))

    def end(self, x: Tensor) -> Tensor:
        """Return the head's answer over NCL or channels-last features."""
        x = x.flatten(2)
        x = {
            "max": lambda: x.amax(-1),
            "mean": lambda: x.mean(-1),
            "flatten": lambda: x.flatten(1),
        }[self.net.gather]()
        for i, layer in enumerate(self.head):
            x = layer(x) if i == 0 else layer(x.relu())
        return x

    @torch.no_grad()
    def folded(self) -> list[tuple[Tensor, Tensor]]:
        """Return each convolution's weight and bias with its normalisation inside."""
        found = []
        for convolution, norm in zip(self.convs, self.norms):
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            shift = norm.bias - norm.running_mean * scale
            found.append((convolution.weight * scale[:, None, None], shift))
        return found


class Flat(nn.Module):
    """The same answers by conv2d on channels-last, normalisation folded."""

    def __init__(self, plain: Plain):
        super().__init__()
        self.plain, self.net = plain, plain.net
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for weight, bias in plain.folded():
            flat = weight[:, :, None].contiguous(memory_format=torch.channels_last)
            self.weights.append(nn.Parameter(flat))
            self.biases.append(nn.Parameter(bias))

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, None].contiguous(memory_format=torch.channels_last)
        kept, gate, gates = x, None, iter(self.plain.gates)
        convs = zip(self.weights, self.biases, self.plain.slopes)
        for step in self.net.steps:
            if not step.kernel:
                gate = next(gates)(x.mean((-2, -1))).sigmoid()
                continue
            weight, bias, slope = next(convs)
            kept = x if step.save else kept
            x, gate = (x if gate is None else x * gate[..., None, None]), None
            groups = x.shape[1] // weight.shape[1]
            x = F.conv2d(x, weight, bias, 1, "same", (1, step.dilation), groups)
            x = self.plain.finish(x, kept, step, slope)
        return self.plain.end(x)


NETS = [resnet(), deepstarr(), bpnet(), legnet()]
