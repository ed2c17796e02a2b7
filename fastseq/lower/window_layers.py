"""What each layer over maps makes of windows of differences."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fastseq.lower import ops
from fastseq.lower.chain import Step
from fastseq.lower.maps import activate
from fastseq.lower.windows import Frame, Group, Window

# what a layer reads: None where no site reaches it
Inputs = Sequence[Window | None]


class Convolution:
    """A convolution of differences, and what adds to it.

    Parameters
    ----------
    step : Step
    table : float32, (5, channels)
        The model's input channels at each code.
    """

    def __init__(self, step: Step, table: Tensor) -> None:
        weight, groups = step.arguments["weight"], step.arguments["groups"]
        self.step, self.halo = step, (step.kernel - 1) * step.dilation
        self._plane = weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        # what substitutions add: (5 old, 5 new, kernel, cout)
        self._stem = None
        if step.inputs == (0,) and step.stride == step.dilation == groups == 1:
            taps = torch.einsum("oct,ac->ato", weight.flip(2), table)
            self._stem = (taps[None] - taps[:, None]).contiguous()

    def __call__(self, group: Group, number: int, inputs: Inputs, frame: Frame) -> Tensor:
        """Return differences in a frame, before the activation: a new tensor."""
        x, skip = inputs[0], inputs[1] if len(inputs) > 1 else None
        if x is None:
            return skip.over(frame).clone()  # type: ignore[union-attr]
        if self._stem is not None and x.frame.width == 1 and skip is None and not frame.whole:
            return self._stem[group.old, group.new].flatten(2, 3)
        reads = frame.read_by(self.step)
        before, after = x.frame.start - reads.start, reads.end - x.frame.end
        # a stride may skip changed positions at the ends; and oneDNN 3.x can read out of bounds
        # where a result lies in its padding alone
        fits = before == after and 0 <= before <= self.halo
        if fits and self.step.dilation <= x.frame.width:
            y = self._convolved(x.delta, before)
        else:
            y = self._convolved(x.over(reads), 0)
        if skip is not None:
            skip.add_to(y, frame)
        return y

    def _convolved(self, delta: Tensor, before: int) -> Tensor:
        """Return a convolution with as many zeros on both sides."""
        sites, alternatives, width, channels = delta.shape
        plane = delta.reshape(-1, 1, width, channels).permute(0, 3, 1, 2)
        y = F.conv2d(
            plane, self._plane, None, (1, self.step.stride), (0, before), (1, self.step.dilation),
            self.step.arguments["groups"],
        )  # fmt: skip
        return y.permute(0, 2, 3, 1).reshape(sites, alternatives, -1, y.shape[1])


def max_pool(step: Step, group: Group, number: int, inputs: Inputs, frame: Frame) -> Tensor:
    """Return what changes in the maxima of windows."""
    (x,), reads = inputs, frame.read_by(step)
    seen = group.under(group.maps.pooled(step), reads)
    seen = seen.expand(-1, group.shape[1], -1, -1).clone()
    x.add_to(seen, reads)  # type: ignore[union-attr]
    first, *others = _taps(step, seen, frame)
    y = torch.maximum(first, others[0]) if others else first
    for tap in others[1:]:
        torch.maximum(y, tap, out=y)
    return y.sub_(group.under(group.maps.value(number + 1), frame))


def mean_pool(step: Step, group: Group, number: int, inputs: Inputs, frame: Frame) -> Tensor:
    """Return what changes in the means of windows."""
    first, *others = _taps(step, inputs[0].over(frame.read_by(step)), frame)  # type: ignore[union-attr]
    return sum(others, first) * group.under(group.maps.share(number, step), frame)


def zero_pad(step: Step, group: Group, number: int, inputs: Inputs, frame: Frame) -> Tensor:
    """Return differences that moved, or lost what lies beyond the ends."""
    return inputs[0].over(frame.read_by(step)).clone()  # type: ignore[union-attr]


def side_by_side(step: Step, group: Group, number: int, inputs: Inputs, frame: Frame) -> Tensor:
    """Return what is added, concatenated, shifted or only activated."""
    channels = (group.maps.reference.values[i].shape[1] for i in step.inputs)
    parts = [
        torch.zeros(*group.shape, frame.width, c) if w is None else w.over(frame)
        for c, w in zip(channels, inputs)
    ]
    if step.function is ops.add:
        return parts[0] + parts[1]
    return torch.cat(parts, 3) if step.function is ops.concat else parts[0].clone()


LAYERS = {
    ops.max_pool: max_pool, ops.mean_pool: mean_pool, ops.zero_pad: zero_pad,
    ops.add: side_by_side, ops.concat: side_by_side, ops.activate: side_by_side,
    ops.shift: side_by_side,
}  # fmt: skip


def stays_zero(step: Step) -> bool:
    """Return whether a step without activation gives zeros outside its map by itself."""
    # maxima that see nothing of the map stay OUTSIDE
    plain_pool = step.function is ops.max_pool and step.kernel <= step.stride and step.before == 0
    return plain_pool or step.function in {ops.add, ops.concat, ops.shift}


def activated(step: Step, group: Group, number: int, delta: Tensor, frame: Frame) -> Tensor:
    """Return act(z + delta) - act(z) around the reference's z; `delta` is overwritten."""
    maps = group.maps
    if step.activation == "relu":
        # the same as max(min(z, 0) + delta, -max(z, 0)): a pass less
        below, floor = (group.under(rows, frame) for rows in maps.bent(number))
        return torch.maximum(delta.add_(below), floor, out=delta)
    delta = activate(delta.add_(group.under(maps.linear(number), frame)), step)
    return delta.sub_(group.under(maps.activated(number, step), frame))


def global_max(step: Step, group: Group, x: Window) -> Tensor:
    """Return the maxima of window, prefix and suffix, minus the reference's."""
    (number,), frame, row = step.inputs, x.frame, torch.from_numpy(group.sites.row)
    best = (x.delta + group.under(group.maps.value(number), frame)).amax(2)
    prefix, suffix = group.maps.edges(number)
    start = torch.from_numpy(group.starts(frame))
    left, right = (end.clamp(0, step.length_in) for end in (start, start + frame.width))
    rest = torch.maximum(prefix[row, left], suffix[row, right])[:, None]
    return (torch.maximum(best, rest) - suffix[row, :1]).flatten(0, 1)


def global_mean(step: Step, group: Group, x: Window) -> Tensor:
    """Return the sums of windows over the map's length."""
    return x.delta.sum(2).flatten(0, 1) / step.length_in


def flat_linear(step: Step, group: Group, x: Window) -> Tensor:
    """Return the linear layer of the changed positions alone."""
    weight = step.arguments["weight"].permute(1, 2, 0)
    if x.frame.whole:
        return x.delta.flatten(0, 1).flatten(1) @ weight.flatten(0, 1)
    out = []
    for start, delta in zip(group.starts(x.frame).tolist(), x.delta):
        low, high = max(0, start), max(0, min(step.length_in, start + x.frame.width))
        columns = delta[:, low - start : high - start].flatten(1)
        out.append(columns @ weight[low:high].flatten(0, 1))
    return torch.cat(out)


TO_VECTORS = {
    ops.global_max: global_max,
    ops.global_mean: global_mean,
    ops.flat_linear: flat_linear,
}


def _taps(step: Step, x: Tensor, frame: Frame) -> list[Tensor]:
    """Return what each tap of a pool sees, (sites, alternatives, width, channels)."""
    last = (frame.width - 1) * step.stride + 1
    return [x[:, :, tap : tap + last : step.stride] for tap in range(step.kernel)]
