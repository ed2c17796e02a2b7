"""Differences carried through a chain by PyTorch: works for every layer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastseq.lower import ops
from fastseq.lower.chain import HOMOGENEOUS, Chain, Step
from fastseq.lower.maps import Maps
from fastseq.lower.references import Reference
from fastseq.lower.sites import Sites
from fastseq.lower.vectors import vector_step
from fastseq.lower.window_layers import LAYERS, TO_VECTORS, Convolution, activated, stays_zero
from fastseq.lower.windows import Frame, Frames, Group, Window

# rows of the widest windows that run at once: 8 MB of 64 channels, where calls of PyTorch are few
# and the cache still helps (110 to 500 bases: a tenth faster than a quarter as many)
ROWS = 32768
# sites of several sequences that run at once: always as many, so that neighbours change no bit
SITES = 32


class TorchDeltas:
    """The chain over the edits of a few sequences at a time.

    Windows of a map have one shape where their sites' starts differ by a multiple of its stride.
    So sites run together until a step with a stride parts them, and differences of vectors, which
    have no windows, run together again.
    """

    def __init__(self, chain: Chain, table: Tensor) -> None:
        self.chain, self.table = chain, table
        self.layers = {
            number: Convolution(step, table)
            if step.function is ops.conv
            else partial(LAYERS[step.function], step)
            for number, step in enumerate(chain.steps)
            if step.function is ops.conv or step.function in LAYERS
        }
        readers: list[list[int]] = [[] for _ in chain.shapes]
        for number, step in enumerate(chain.steps):
            for value in step.inputs:
                readers[value].append(number)
        # steps over vectors that no map waits for
        self.late: set[int] = set()
        for number, step in reversed([*enumerate(chain.steps)]):
            if not step.length_in and not step.is_map and self.late.issuperset(readers[number + 1]):
                self.late.add(number)
        # values that windows end in, and after which step each other one is no longer read
        self.ends = sorted(
            value
            for value, numbers in enumerate(readers)
            if value - 1 not in self.late
            and (value in chain.outputs or not self.late.isdisjoint(numbers))
        )
        self.last = {
            value: max(numbers)
            for value, numbers in enumerate(readers)
            if numbers and value not in self.ends
        }

    def prepare(self, reference: Reference) -> Maps:
        """Return the reference maps that windows are taken from."""
        return Maps(self.chain, reference)

    def __call__(self, maps: Maps, sites: Sites, *, threads: int = 1) -> list[Tensor]:
        """Return the difference that every edit makes to every output of the chain.

        Returns
        -------
        list of float32, (edits, channels, length) or (edits, features)
            Edits in the order of `sites`, flat. PyTorch brings threads of its own, so that
            `threads` says nothing here.
        """
        chain, frames = self.chain, Frames(self.chain, sites.length)
        values = {i: torch.zeros(*sites.edit.shape, *chain.shapes[i]) for i in self.ends}
        for places in self._together(maps, sites, frames):
            group = Group(maps, frames, sites[places])
            start = _Run(self, group, places, {0: group.edited(self.table)})
            for run in start.to_the_end():
                for i, delta in run.dense():
                    values[i][torch.from_numpy(run.places)] = delta
        flat = {i: value.flatten(0, 1) for i, value in values.items()}
        for number in sorted(self.late):
            step = chain.steps[number]
            inputs = [flat[i] for i in step.inputs]
            flat[number + 1] = vector_step(maps.reference, sites.rows, number, step, inputs)
        return [flat[i] for i in chain.outputs]

    def _together(self, maps: Maps, sites: Sites, frames: Frames) -> Iterator[NDArray[np.int64]]:
        """Yield which sites begin together."""
        if len(maps.reference.codes) == 1:
            size = max(1, ROWS // (frames.widest * sites.alternatives))
            yield from np.array_split(np.arange(len(sites)), -(-len(sites) // size))
            return
        phase = sites.start % self.chain.period
        for one in np.unique(phase):
            same = np.flatnonzero(phase == one)
            for first in range(0, len(same), SITES):
                yield np.resize(same[first : first + SITES], SITES)


@dataclass(eq=False)
class _Run:
    """Sites that run together through the steps of a chain.

    Attributes
    ----------
    engine : TorchDeltas
    group : Group
    places : int64, (sites,)
        Which of the caller's sites they are.
    values : dict
        Differences that are still to be read: windows of a map, (edits, features) of vectors, or
        None where no site reaches them.
    period : int
        The sites' starts differ by multiples of it, as far as they are parted yet.
    """

    engine: TorchDeltas
    group: Group
    places: NDArray[np.int64]
    values: dict[int, Window | Tensor | None]
    period: int = 1

    def to_the_end(self, first: int = 0) -> Iterator["_Run"]:
        """Run the steps from one on; yield the groups of sites that came to their end."""
        for number in range(first, len(self.engine.chain.steps)):
            if number in self.engine.late:
                continue
            step = self.engine.chain.steps[number]
            inputs = [self.values[i] for i in step.inputs]
            if any(isinstance(w, Window) and not w.frame.whole for w in inputs):
                period = math.lcm(self.period, self.engine.chain.strides[number + 1] or 1)
                if period != self.period:
                    for part in self._parted(period):
                        yield from part.to_the_end(number)
                    return
            self.values[number + 1] = self._step(number, step, inputs)
            for value in {*step.inputs}:
                if self.engine.last.get(value) == number:
                    del self.values[value]
        yield self

    def dense(self) -> Iterator[tuple[int, Tensor]]:
        """Yield values without windows, (sites, alternatives, ...), where a site reaches them."""
        for i in self.engine.ends:
            value, shape = self.values[i], self.engine.chain.shapes[i]
            if isinstance(value, Window):
                yield i, self.group.widened(value, shape[1]).delta.mT
            elif value is not None:
                yield i, value.view(*self.group.shape, *shape)

    def _parted(self, period: int) -> Iterator["_Run"]:
        """Yield the sites whose starts differ by multiples of a period, with what they read."""
        phase = self.group.sites.start % period
        for one in np.unique(phase):
            part = np.flatnonzero(phase == one)
            apart = {*np.diff(part).tolist()} or {1}
            some = slice(part[0], part[-1] + 1, *apart) if len(apart) == 1 else part  # a view
            group = Group(self.group.maps, self.group.frames, self.group.sites[some])
            values = {i: self._part(i, value, some, group) for i, value in self.values.items()}
            yield _Run(self.engine, group, self.places[some], values, period)

    def _part(
        self,
        number: int,
        value: Window | Tensor | None,
        some: slice | NDArray[np.int64],
        group: Group,
    ) -> Window | Tensor | None:
        """Return some sites' differences of one value."""
        if isinstance(value, Window):
            frame = value.frame if value.frame.whole else group.frame(number)
            return Window(value.delta[some], frame)
        if value is None:
            return None
        return value.unflatten(0, self.group.shape)[some].flatten(0, 1)

    def _step(self, number: int, step: Step, inputs: list) -> Window | Tensor | None:
        if all(value is None for value in inputs):
            return None
        if step.function in HOMOGENEOUS or not step.length_in:
            return self._without_windows(number, step, inputs)
        group, length = self.group, step.shape[-1]
        if step.function in TO_VECTORS:
            delta = TO_VECTORS[step.function](step, group, inputs[0])
            return vector_step(group.maps.reference, group.sites.rows, number, step, [], delta)
        frame = group.frame(number + 1)
        if frame.width >= length or any(w is not None and w.frame.whole for w in inputs):
            inputs = [w and group.widened(w, step.length_in) for w in inputs]
            frame = Frame(0, length, 1, True)
        if frame.width <= 0:
            return None
        delta = self.engine.layers[number](group, number, inputs, frame)
        if step.activation != "none":
            delta = activated(step, group, number, delta, frame)
        elif not stays_zero(step):
            group.clear_outside(Window(delta, frame), length)
        return Window(delta, frame)

    def _without_windows(self, number: int, step: Step, inputs: list) -> Window | Tensor:
        """Run a step over vectors, or one that moves positions, on differences in full."""
        group, full = self.group, []
        for i, value in zip(step.inputs, inputs):
            if isinstance(value, Window):
                value = group.widened(value, step.length_in).delta.flatten(0, 1).mT
            full.append(self._zeros(i) if value is None else value)
        made = vector_step(group.maps.reference, group.sites.rows, number, step, full)
        if not step.is_map:
            return made
        delta = made.mT.contiguous().unflatten(0, group.shape)
        return Window(delta, Frame(0, step.shape[1], 1, True))

    def _zeros(self, number: int) -> Tensor:
        return torch.zeros(len(self.group.sites.rows), *self.engine.chain.shapes[number])
