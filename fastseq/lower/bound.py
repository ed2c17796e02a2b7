"""What edits cost at least: multiplications counted position by position, clipped at the ends."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from fastseq.lower import ops
from fastseq.lower.chain import Chain, Step
from fastseq.lower.probe import Operations


@dataclass(frozen=True)
class Bound:
    """Floating-point operations of convolutions and linear layers, a multiply-add counting 2.

    Attributes
    ----------
    full : float
        Of one forward pass.
    window : float
        Of one substitution, where every result that can change is computed anew; the mean over
        positions.
    delta : float
        Of one substitution, where only what changed is multiplied; the first layer is a table.
    suffix : float
        The part of both that runs in full, behind a wall.
    """

    full: float
    window: float
    delta: float
    suffix: float

    def gain(self, edits: int, *, window: bool = False) -> float:
        """Return how many times cheaper a sequence and its edits are than in full."""
        each = self.window if window else self.delta
        return (edits + 1) * self.full / (self.full + edits * each)

    def explain(self, edits: int, expected: float) -> list[str]:
        """Return the operations, and what so many edits of a sequence can win, as sentences."""
        return [
            f"forward {self.full / 1e6:.3g} MFLOP; a substitution at least "
            f"{self.window / 1e6:.3g} by windows, {self.delta / 1e6:.3g} by differences",
            f"{edits} edits of a sequence: at most {self.gain(edits, window=True):.3g}x by "
            f"windows, {self.gain(edits):.3g}x by differences, {expected:.3g}x expected",
        ]


def bound(graph: fx.GraphModule, chain: Chain, table: Tensor) -> Bound:
    """Return the operations of a lowered graph, and of substitutions along its chain.

    Notes
    -----
    A convolution's changed products are the pairs of a result and a tap that reads a position of
    the changed range. A range is a hull: what a dilation leaves unchanged inside it is counted.
    """
    channels, length = chain.shapes[0]
    x = table.new_zeros(1, channels, length)
    suffix = 0.0
    if chain.suffix is not None:
        suffix = _operations(
            chain.suffix, [x.new_zeros(1, *chain.shapes[i]) for i in chain.outputs]
        )
    starts = np.arange(length)
    windows = chain.windows(starts, starts + 1, clip=True)
    window = suffix
    for number, step in enumerate(chain.steps):
        low, high = windows[number + 1] or (0, 1)
        window += 2 * _products(step) * float(np.mean(high - low)) * _reads(step)
    delta = suffix + float(np.mean(operations_changed(chain, starts, starts + 1)))
    return Bound(_operations(graph, [x]), window, delta, suffix)


def operations_changed(
    chain: Chain, start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the operations of a chain on what changes with bases [start, end), float64 (e,)."""
    windows = chain.windows(start, end, clip=True)
    operations = np.zeros(len(start))
    for step in chain.steps:
        products = _products(step)
        if products and step.inputs == (0,):
            operations += step.kernel * step.shape[0] * (end - start)
        elif products:
            low, high = windows[step.inputs[0]] or (start * 0, start * 0 + 1)
            operations += 2 * products * _pairs(step, low, high)
    return operations


def _products(step: Step) -> float:
    """Return the multiplications of one tap at one position."""
    if step.function not in (ops.conv, ops.linear, ops.flat_linear):
        return 0.0
    weight = step.arguments["weight"]
    return weight.shape[0] * weight.shape[-1 if step.function is ops.flat_linear else 1]


def _reads(step: Step) -> int:
    """Return how many positions one result reads."""
    return step.length_in if step.function is ops.flat_linear else step.kernel


def _pairs(step: Step, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many pairs of a result and a tap read positions [low, high) of the input."""
    if step.function is not ops.conv:
        return high - low
    pairs = np.zeros(len(low), np.int64)
    for tap in range(step.kernel):
        shift = step.before - tap * step.dilation
        first = np.clip(-((-low - shift) // step.stride), 0, step.shape[1])
        last = np.clip((high - 1 + shift) // step.stride + 1, 0, step.shape[1])
        pairs += np.maximum(0, last - first)
    return pairs


def _operations(graph: fx.GraphModule, inputs: list[Tensor]) -> float:
    with Operations() as operations, torch.no_grad():
        graph(*inputs)
    return float(operations.count)
