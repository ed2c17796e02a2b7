"""Effects of edits on a GPU: windows of many mutants through each kernel launch."""

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from fastseq_kernels import reference
from numpy.typing import NDArray
from torch import Tensor, fx

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.lower import chain as chains
from fastseq.lower import ops, spans
from fastseq.lower.bound import Bound, bound
from fastseq.lower.chain import HOMOGENEOUS, Step
from fastseq.lower.incremental import MOVED, Cost
from fastseq.lower.kernels import FILES, Precision

# mutants of one launch, and rows whose references are held at once: a launch fills the chip, and
# neither takes more than a few hundred MB for the networks of the zoo
MUTANTS, ROWS = 1 << 14, 256
# bases an edit may change: windows hang over the ends of a map, so wide ones cost more than it does
WIDEST = 32
# a row of a window is multiplied once for each tap, as in a full pass, but most rows hold less than
# a block: half the speed is a guess until a GPU has timed it
WINDOW_RATE = 0.5


class Window(NamedTuple):
    """Differences of one map, (mutants, width, channels), from position ``start`` of each on."""

    delta: Tensor
    start: Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """One launch: a convolution and the steps behind it that it takes in.

    Attributes
    ----------
    number, last : int
        Its step, and the last step that it takes in.
    step : Step
    skip : int, optional
        The value that is added.
    skip_first : bool
        Before the activation rather than behind it.
    pool : int
    """

    number: int
    last: int
    step: Step
    skip: int | None
    skip_first: bool
    pool: int


class WindowEngine:
    """A lowered graph over edits, each layer one launch for all mutants.

    The same differences as `fastseq.lower.incremental.DeltaEngine` carries, of as many mutants and
    sequences as fit, wherever their edits stand.

    Parameters
    ----------
    graph : fx.GraphModule
        Calls of `fastseq.lower.ops`, in float32, on the device.
    table : float32, (5, channels)
        The model's input channels at each code.
    precision : {"float32", "tf32", "float16", "bfloat16"}
        Of differences: bfloat16 is stored as such, float16 as float32 multiplied in tf32, for
        differences may be smaller than float16 can hold. References are float32.
    device : torch.device

    Attributes
    ----------
    reasons : list of str
        Why differences cannot be carried here; empty where they can.
    shape : tuple of int
        Of one answer.
    """

    def __init__(
        self, graph: fx.GraphModule, table: Tensor, precision: Precision, device: torch.device
    ) -> None:
        for file in (*FILES, "window"):
            load(f"fastseq_kernels.{file}")
        self._graph, self.device = graph, device
        self.chain = chains.read(graph)
        self.table = table.to(device)
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.precision = "tf32" if precision in ("tf32", "float16") else "float32"
        (answer,) = next(iter(reversed(graph.graph.nodes))).args
        self.shape: tuple[int, ...] = tuple(answer.meta["shape"])
        self.layers, self.reasons = _layers(self.chain)

    def effects(
        self,
        codes: Codes,
        row: NDArray[np.int64],
        start: NDArray[np.int64],
        inserted: Codes,
        offsets: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the graph's answer on each sequence, and what each edit changes.

        Parameters and shapes as for `DeltaEngine.effects`.
        """
        answers = np.empty((len(codes), *self.shape), np.float32)
        deltas = np.zeros((len(row), *self.shape), np.float32)
        found = spans.changed(codes, row, start, inserted, offsets)
        with torch.inference_mode():
            for first in range(0, len(codes), ROWS):
                letters = torch.from_numpy(codes[first : first + ROWS].copy()).to(self.device)
                values, linear = self._references(letters)
                answers[first : first + ROWS] = self._answer(values).cpu().numpy()
                mine = np.flatnonzero((found.row >= first) & (found.row < first + ROWS))
                for width in np.unique(found.width[mine]):
                    same = mine[found.width[mine] == width]
                    for part in np.split(same, range(MUTANTS, len(same), MUTANTS)):
                        some = found.take(part)
                        words = some.words(codes, inserted)
                        given = (torch.from_numpy(a).to(self.device)
                                 for a in (some.row - first, some.begin, words))  # fmt: skip
                        effect = self._effects(letters, values, linear, *given)
                        deltas[some.edit] = effect.float().cpu().numpy()
        return answers, deltas

    def _references(self, letters: Tensor) -> tuple[list[Tensor], dict[int, Tensor]]:
        """Return every value of the chain, maps (n, length, channels), and what stands before
        each step's activation."""
        values, linear = [self.table[letters.int()]], {}
        for number, step in enumerate(self.chain.steps):
            inputs = [values[i] for i in step.inputs]
            if step.function is ops.conv:
                beside = inputs[1] if len(inputs) > 1 else None
                linear[number] = self._conv(step, inputs[0], beside)
                values.append(_activated(linear[number], step))
            elif step.function in (ops.linear, ops.flat_linear):
                linear[number] = _dot(inputs[0].flatten(1), step, bias=True)
                values.append(ops.activate(linear[number], step.activation, step.parameter))  # type: ignore[arg-type]
            elif step.function is ops.activate:
                linear[number] = inputs[0]
                values.append(ops.activate(inputs[0], step.activation, step.parameter))  # type: ignore[arg-type]
            else:
                values.append(_plain(step, inputs))
        return values, linear

    def _conv(self, step: Step, x: Tensor, beside: Tensor | None) -> Tensor:
        given = step.arguments
        return torch.ops.fastseq.conv1d(
            x, reference.pack(given["weight"]), given["bias"], None, beside, residual_first=True,
            stride=1, dilation=step.dilation, pad_left=step.before, pad_right=given["after"],
        )  # fmt: skip

    def _answer(self, values: list[Tensor]) -> Tensor:
        answer = values[self.chain.outputs[0]]
        return answer.mT if answer.ndim == 3 else answer

    def _effects(
        self, letters: Tensor, values: list[Tensor], linear: dict[int, Tensor], row: Tensor,
        start: Tensor, words: Tensor,
    ) -> Tensor:  # fmt: skip
        """Return what mutants of one number of bases change; made here from one row of codes."""
        at = start[:, None] + torch.arange(words.shape[1], device=self.device)
        changed = self.table[words.int()] - self.table[letters[row[:, None], at].int()]
        found: dict[int, Window | Tensor] = {0: Window(changed.to(self.dtype), start.int())}
        inside = {n for layer in self.layers.values() for n in range(layer.number + 1,
                                                                     layer.last + 1)}  # fmt: skip
        for number, step in enumerate(self.chain.steps):
            if number in inside and number not in self.layers:
                continue
            inputs = [found.get(i) for i in step.inputs]
            if number in self.layers:
                layer = self.layers[number]
                found[layer.last + 1] = self._layer(layer, found, values, linear, row)
            elif step.function is ops.global_max:
                found[number + 1] = _largest(inputs[0], values[step.inputs[0]], row)  # type: ignore[arg-type]
            elif step.function is ops.global_mean:
                found[number + 1] = inputs[0].delta.float().sum(1) / step.length_in  # type: ignore[union-attr]
            elif step.function in (ops.linear, ops.flat_linear, ops.activate):
                delta = inputs[0]
                if isinstance(delta, Window):
                    delta = _dense(delta, step.length_in).flatten(1)
                if step.function is not ops.activate:
                    delta = _dot(delta, step, bias=False)  # type: ignore[arg-type]
                z = linear[number][row]
                found[number + 1] = ops.activate(z + delta, step.activation, step.parameter) - (  # type: ignore[arg-type]
                    ops.activate(z, step.activation, step.parameter)  # type: ignore[arg-type]
                )
            else:
                found[number + 1] = _plain(step, inputs)  # type: ignore[arg-type]
        out = self.chain.outputs[0]
        answer = found[out]
        if isinstance(answer, Window):
            return _dense(answer, self.chain.shapes[out][1]).mT
        return answer

    def _layer(
        self, layer: Layer, found: dict, values: list[Tensor], linear: dict[int, Tensor],
        row: Tensor,
    ) -> Window:  # fmt: skip
        step, x = layer.step, found[layer.step.inputs[0]]
        skip = None if layer.skip is None else found[layer.skip]
        behind = skip is not None and not layer.skip_first and layer.pool > 1
        weight = reference.pack(step.arguments["weight"]).to(self.dtype)
        activation, slope = _named(step)
        delta = torch.ops.fastseq.window_conv1d(
            x.delta, x.start, row.int(), linear[layer.number], weight, slope,
            None if skip is None else skip.delta, None if skip is None else skip.start,
            values[layer.skip] if behind else None, length=step.length_in,  # type: ignore[index]
            dilation=step.dilation, pad_left=step.before, activation=activation,
            residual_first=layer.skip_first, pool=layer.pool, precision=self.precision,
        )  # fmt: skip
        first = reference.window_start(x.start, step.kernel, step.dilation, step.before, layer.pool)
        return Window(delta, first)

    @cached_property
    def bound(self) -> Bound:
        """What a forward pass and an edit cost at least, in operations."""
        return bound(self._graph, self.chain, self.table.cpu())

    def cost(
        self, edits: float, sequences: float = inf, span: tuple[int, int] | None = None
    ) -> Cost:
        """Return what one sequence with so many edits costs, in full and here, in operations."""
        full, each = self.bound.full, self.bound.window / WINDOW_RATE
        if span and span[1] - span[0] > WIDEST:
            each = full
        return Cost((edits + 1) * full, 2 * full + edits * each)

    def pays(self, start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which edits run as differences, bool (e,): those that change few bases."""
        return size <= WIDEST

    def explain(self, edits: int) -> list[str]:
        """Return how so many edits of a sequence run, and what they can win at most."""
        return [
            *self.bound.explain(edits, self.cost(edits).gain),
            f"windows of differences in Triton, {len(self.layers)} launches for {MUTANTS} mutants; "
            "what is expected is a guess, not yet timed on a GPU",
            f"edits that change more than {WIDEST} bp run in full{MOVED}",
        ]


def _layers(chain: chains.Chain) -> tuple[dict[int, Layer], list[str]]:
    """Return the launches by step number, and why there are none."""
    users: dict[int, list[int]] = {i: [] for i in range(len(chain.steps) + 1)}
    for number, step in enumerate(chain.steps):
        for i in step.inputs:
            users[i].append(number)
    for i in chain.outputs:
        users[i].append(-1)
    reasons, layers = list(chain.walls), {}
    taken: set[int] = set()
    for number, step in enumerate(chain.steps):
        if number in taken:
            continue
        if step.function is ops.conv:
            layers[number] = layer = _with_followers(chain, users, number)
            taken.update(range(number + 1, layer.last + 1))
            continue
        reasons += _refusal(step)
    for number in layers:
        reasons += _refusal(chain.steps[number])
    return layers, reasons


def _with_followers(chain: chains.Chain, users: dict[int, list[int]], number: int) -> Layer:
    """Return a convolution with the sum and the pool that alone follow it."""
    step, last = chain.steps[number], number
    skip = step.inputs[1] if len(step.inputs) > 1 else None
    first, pool = skip is not None, 1
    following = users[last + 1]
    if skip is None and following == [last + 1] and chain.steps[last + 1].function is ops.add:
        others = [i for i in chain.steps[last + 1].inputs if i != last + 1]
        if others:
            (skip,), last = others, last + 1
    following = users[last + 1]
    if following == [last + 1] and chain.steps[last + 1].function is ops.max_pool:
        pooled = chain.steps[last + 1]
        side_by_side = pooled.stride == pooled.kernel and pooled.before == 0
        if side_by_side and pooled.shape[1] == pooled.length_in // pooled.kernel:
            pool, last = pooled.kernel, last + 1
    return Layer(number, last, step, skip, first, pool)


def _refusal(step: Step) -> list[str]:
    """Return why no window passes a step that no launch takes in."""
    kind = step.function
    if kind is ops.conv:
        if step.stride != 1 or step.arguments["groups"] != 1:
            return [f"{step.name} has a stride or groups, which windows on a GPU do not pass"]
        if _named(step)[0] == "":
            return [f"{step.name} ends in an activation that no kernel has: {step.activation}"]
        return []
    vectors = kind is ops.linear or kind in HOMOGENEOUS or kind is ops.activate
    if vectors and not step.length_in:
        return []
    if kind in (ops.global_max, ops.global_mean, ops.flat_linear):
        return []
    return [f"{step.name} is no part of a convolution, and windows on a GPU pass nothing else"]


def _named(step: Step) -> tuple[str, Tensor | None]:
    """Return a step's activation as the kernels name it, "" for none such, and its slopes."""
    name, parameter = step.activation, step.parameter
    if name == "leaky_relu":
        return "prelu", torch.tensor([float(parameter)], device=step.arguments["weight"].device)  # type: ignore[arg-type]
    if name not in reference.ACTIVATIONS or (name == "elu" and parameter != 1):
        return "", None
    return name, parameter if name == "prelu" else None  # type: ignore[return-value]


def _activated(z: Tensor, step: Step) -> Tensor:
    name, slope = _named(step)
    return torch.ops.fastseq.pointwise(z, None, slope, activation=name)


def _dot(x: Tensor, step: Step, *, bias: bool) -> Tensor:
    """Return a linear layer's products, the same bits in any batch."""
    weight = step.arguments["weight"].flatten(1).T[None].contiguous()
    shift = step.arguments["bias"] if bias else None
    return torch.ops.fastseq.conv1d(x.float()[None], weight, shift)[0]


def _plain(step: Step, inputs: list[Tensor]) -> Tensor:
    """Return a step over whole maps (n, length, channels) or vectors."""
    x = inputs[0]
    if step.function is ops.add:
        return x + inputs[1]
    if step.function is ops.max_pool:
        width, kept = step.kernel, step.shape[1]
        return x[:, : kept * width].unflatten(1, (kept, width)).amax(2)
    if step.function is ops.global_max:
        return x.amax(1)
    if step.function is ops.global_mean:
        return torch.ops.fastseq.squeeze(x)
    return step.function(x, *step.arguments["rest"])


def _positions(window: Window, length: int) -> tuple[Tensor, Tensor]:
    """Return each window's positions, int64 and clipped to the map, and which lie inside."""
    width = window.delta.shape[1]
    at = window.start.long()[:, None] + torch.arange(width, device=window.start.device)
    return at.clamp(0, length - 1), (at >= 0) & (at < length)


def _dense(window: Window, length: int) -> Tensor:
    """Return windows as whole maps, float32; what hangs over the ends is zero already."""
    at, _ = _positions(window, length)
    delta = window.delta.float()
    whole = delta.new_zeros(len(delta), length, delta.shape[2])
    return whole.scatter_add_(1, at[:, :, None].expand_as(delta), delta)


def _largest(window: Window, value: Tensor, row: Tensor) -> Tensor:
    """Return the maximum over window, what stands before and behind it, minus the reference's."""
    length, width = value.shape[1], window.delta.shape[1]
    at, inside = _positions(window, length)
    seen = (window.delta.float() + value[row[:, None], at]).masked_fill(
        ~inside[:, :, None], -torch.inf
    )
    edge = torch.full_like(value[:, :1], -torch.inf)
    before = torch.cat([edge, value.cummax(1).values], 1)
    behind = torch.cat([value.flip(1).cummax(1).values.flip(1), edge], 1)
    left = window.start.long().clamp(0, length)
    right = (window.start.long() + width).clamp(0, length)
    rest = torch.maximum(before[row, left], behind[row, right])
    return torch.maximum(seen.amax(1), rest) - value.amax(1)[row]
