"""Differences carried through a chain by native code, all edits of a few sequences in one call."""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastseq._native import delta
from fastseq.lower import ops
from fastseq.lower.chain import HOMOGENEOUS, Chain, Step
from fastseq.lower.references import Reference, linear_part
from fastseq.lower.sites import Sites
from fastseq.lower.vectors import vector_step
from fastseq.threads import run

# windows of one chunk of sites: what fits the L2 cache beside the weights
SCRATCH_BYTES = 1 << 20
MOST_SITES = 32

ACTIVATIONS = {
    "none": 0, "relu": 1, "leaky_relu": 2, "prelu": 2, "elu": 3, "silu": 4, "sigmoid": 5, "tanh": 6,
    "gelu": 7, "softplus": 8, "exp": 9,
}  # fmt: skip
SLOPED = ("leaky_relu", "prelu", "elu")
KIND = {name: number for number, name in enumerate(delta.KINDS)}
NATIVE = {
    ops.conv: "conv",
    ops.flat_linear: "conv",
    ops.linear: "conv",
    ops.activate: "activate",
    ops.zero_pad: "activate",
    ops.shift: "activate",
    ops.add: "add",
    ops.concat: "concat",
    ops.max_pool: "max_pool",
    ops.mean_pool: "mean_pool",
    ops.global_mean: "mean_pool",
    ops.global_max: "global_max",
}
# layers that answer one position for a whole map
WHOLE = {ops.flat_linear, ops.global_mean, ops.global_max}
NEW_CHANNELS = {ops.conv, ops.flat_linear, ops.linear, ops.concat}


def refusals(chain: Chain) -> list[str]:
    """Return why a chain stays with PyTorch, as sentences; empty where native code runs it."""
    reasons = []
    reshaped = {i for i, step in enumerate(chain.steps, 1) if step.function in HOMOGENEOUS}
    for step in chain.steps:
        if step.function in HOMOGENEOUS:
            continue
        first = step.function is ops.conv and step.inputs == (0,)
        if step.activation not in ACTIVATIONS:
            reasons.append(f"{step.name}: ends in {step.activation}")
        elif not first and chain.bare.intersection(step.inputs):
            reasons.append(f"{step.name}: reads the input beside the first convolutions")
        elif step.length_in and reshaped.intersection(step.inputs):
            reasons.append(f"{step.name}: reads a map that is no layer's")
    if chain.bare.intersection(chain.outputs):
        reasons.append("the input itself is read behind the wall")
    return reasons or _layout_refusals(chain)


def _layout_refusals(chain: Chain) -> list[str]:
    layouts = _layouts(chain)
    sums = [step for step in chain.steps if step.is_map and step.function in (ops.add, ops.conv)]
    for step in sums:
        summands = [layouts[i] for i in step.inputs]
        if step.function is ops.conv:
            summands = [layouts[step.inputs[1]], _plain(step.shape[0])] if summands[1:] else []
        if summands and not np.array_equal(summands[0], summands[1]):
            return [f"{step.name}: adds maps whose channels lie differently"]
    return []


def _padded(channels: int) -> int:
    return -(-channels // delta.LANE) * delta.LANE


def _plain(channels: int) -> NDArray[np.int64]:
    return np.arange(channels)


def _layouts(chain: Chain) -> list[NDArray[np.int64]]:
    """Return where each channel of every value lies: side by side, save behind a concatenation."""
    layouts = [_plain(chain.shapes[0][0])]
    for step in chain.steps:
        if step.function is ops.concat and step.is_map:
            parts, at = [], 0
            for i in step.inputs:
                parts.append(layouts[i] + at)
                at += _width(layouts[i])
            layouts.append(np.concatenate(parts))
        elif step.function in NEW_CHANNELS or step.function in HOMOGENEOUS:
            layouts.append(_plain(step.shape[0] if step.shape else 0))
        else:
            layouts.append(layouts[step.inputs[0]])
    return layouts


def _width(layout: NDArray[np.int64]) -> int:
    """Return the padded number of channels of a layout."""
    return _padded(int(layout.max(initial=-1)) + 1)


def _native_steps(chain: Chain) -> set[int]:
    """Return the steps that native code carries: over maps, and layers over vectors behind."""
    native: set[int] = set()
    for number, step in enumerate(chain.steps):
        follows = step.function in (ops.linear, ops.activate) and step.inputs[0] - 1 in native
        if step.function not in HOMOGENEOUS and (step.length_in or follows):
            native.add(number)
    return native


def _late_sums(chain: Chain) -> dict[int, int]:
    """Return convolutions whose result only a sum reads, and the sums, which they then end in."""
    readers = [[n for n, step in enumerate(chain.steps) if value in step.inputs]
               for value in range(len(chain.steps) + 1)]  # fmt: skip
    sums = {}
    for number, step in enumerate(chain.steps):
        if step.function is not ops.conv or len(step.inputs) > 1 or step.inputs == (0,):
            continue
        if len(readers[number + 1]) != 1 or number + 1 in chain.outputs:
            continue
        (reader,) = readers[number + 1]
        if chain.steps[reader].function is ops.add and min(chain.steps[reader].inputs) <= number:
            sums[number] = reader
    return sums


def _blocks(weight: NDArray[np.float32], *, narrow: bool) -> NDArray:
    """Return weights (..., cin, cout) as blocks of 64 output channels, one after the other.

    Narrow ones are bfloat16, two input channels beside each other.
    """
    cuts = range(delta.BLOCK, weight.shape[-1], delta.BLOCK)
    blocks = np.split(weight, cuts, axis=-1)
    if not narrow:
        return np.concatenate([block.ravel() for block in blocks])
    pairs = [b.reshape(*b.shape[:-2], -1, 2, b.shape[-1]).swapaxes(-1, -2).ravel() for b in blocks]
    return torch.from_numpy(np.concatenate(pairs)).bfloat16().view(torch.int16).numpy()


def _numpy(x: Tensor) -> NDArray[np.float32]:
    return x.detach().to("cpu", torch.float32).numpy()


def _ungrouped(step: Step) -> NDArray[np.float32]:
    """Return a convolution's weights over all channels, with zeros between its groups."""
    weight, groups = _numpy(step.arguments["weight"]), step.arguments["groups"]
    if groups == 1:
        return weight
    each, group, taps = len(weight) // groups, *weight.shape[1:]
    whole = np.zeros((groups, each, groups, group, taps), np.float32)
    own = np.arange(groups)
    whole[own, :, own] = weight.reshape(groups, each, group, taps)
    return whole.reshape(len(weight), groups * group, taps)


@dataclass(frozen=True, eq=False)
class Prepared:
    """References as native code reads them: addresses and strides a step, and their arrays."""

    reference: Reference
    addresses: NDArray[np.int64]
    arrays: list[NDArray]


@dataclass(frozen=True, eq=False)
class _Geometry:
    """Where windows lie in the scratch for edits of one length and number of alternatives."""

    values: NDArray[np.int64]
    size: int
    words: int
    chunk: int


class NativeDeltas:
    """The chain in native code, save what PyTorch does to vectors behind it.

    Parameters
    ----------
    chain : Chain
        One that `refusals` takes.
    table : float32, (5, channels)
    narrow : bool
        Whether differences are bfloat16, with float32 sums and references.
    """

    def __init__(self, chain: Chain, table: Tensor, *, narrow: bool = False) -> None:
        self.chain, self.table, self.narrow = chain, table, narrow
        self._layouts = _layouts(chain)
        widths = [_width(layout) for layout in self._layouts]
        # values with channels added to them: their width, and where their own channels lie
        self._scattered = {
            value: (width, layout)
            for value, (width, layout) in enumerate(zip(widths, self._layouts))
            if len(layout) != width
        }
        self._held: list[NDArray] = []
        self._numbers = {0: 0}  # value of the chain -> native value
        self._sources = [0]  # native value -> value of the chain whose window it has
        self._widths = [_width(self._layouts[0])]
        self._rows: list[dict[str, int]] = []
        self._steps: list[tuple[str, int]] = []  # kind, step of the chain whose reference it reads
        self._late = _late_sums(chain)
        native = _native_steps(chain)
        for number in sorted(native - {*self._late.values()}):
            self._emit(number, chain.steps[number])
        assert self._rows, "a chain of no layer has nothing for native code; `refusals` says so"
        fields = [[row.get(name, 0) for name in delta.FIELDS] for row in self._rows]
        self._table = np.array(fields, np.int64).reshape(-1, len(delta.FIELDS))
        others = (step for i, step in enumerate(chain.steps) if i not in native)
        read = {*chain.outputs, *(value for step in others for value in step.inputs)}
        makers = {row["out"]: number for number, row in enumerate(self._rows)}
        # value of the chain that leaves native code -> native step that makes it
        self._leaving = {v: makers[self._numbers[v]] for v in sorted(read & {*self._numbers} - {0})}
        self._pool: list[tuple[NDArray, NDArray, NDArray]] = []
        self._geometry = lru_cache(self._new_geometry)

    def _hold(self, array: NDArray) -> int:
        """Keep an array and return its address."""
        self._held.append(np.ascontiguousarray(array))
        return self._held[-1].ctypes.data

    def _emit(self, number: int, step: Step) -> None:
        """Add the native steps of a step of the chain: one, save for a concatenation of many."""
        kind, inputs = NATIVE[step.function], [self._numbers[i] for i in step.inputs]
        value = self._late.get(number, number) + 1
        row = {
            "kernel": step.length_in if step.function in WHOLE else step.kernel,
            "stride": step.stride, "dilation": step.dilation, "before": step.before,
            "length_in": max(step.length_in, 1), "length": step.shape[1] if step.is_map else 1,
            "late": int(number in self._late),
        }  # fmt: skip
        if number in self._late:
            other = min(self.chain.steps[self._late[number]].inputs)
            inputs.append(self._numbers[other])
        if kind == "conv":
            kind = "stem" if step.inputs == (0,) else "conv"
            weight = self._stem(step) if kind == "stem" else self._conv(step)
            row |= {"weight": self._hold(weight), "diagonal": int(self._is_diagonal(step))}
        if step.activation != "none":
            row |= self._activation(number, step)
        while len(inputs) > 2:  # two at a time
            both = self._widths[inputs[0]] + self._widths[inputs[1]]
            inputs = [self._add_row(number, row, kind, inputs[:2], value, both), *inputs[2:]]
        width = _width(self._layouts[value])
        self._numbers[value] = self._add_row(number, row, kind, inputs, value, width)

    def _add_row(
        self, number: int, row: dict, kind: str, inputs: list[int], source: int, width: int
    ) -> int:
        """Add a native step and return its value, whose window is that of a value of the chain."""
        self._sources.append(source)
        self._widths.append(width)
        x, y, out = *(*inputs, -1)[:2], len(self._sources) - 1
        self._rows.append(
            {**row, "kind": KIND[kind], "x": x, "y": y, "out": out, "channels": width,
             "channels_in": self._widths[x]}
        )  # fmt: skip
        self._steps.append((kind, number))
        return out

    def _activation(self, number: int, step: Step) -> dict[str, int]:
        mode = ACTIVATIONS[step.activation]
        if step.activation not in SLOPED:
            return {"activation": mode}
        layout = self._layouts[number + 1]
        slope = np.zeros(_width(layout), np.float32)
        given = step.parameter
        slope[layout] = _numpy(given) if isinstance(given, Tensor) else given
        return {"activation": mode, "slope": self._hold(slope)}

    def _stem(self, step: Step) -> NDArray[np.float32]:
        """Return what a base adds in place of another: (5 old, 5 new, tap, channel)."""
        weight = torch.from_numpy(_ungrouped(step)).double()
        answer = torch.einsum("oct,ac->ato", weight, self.table.double()).numpy()
        table = np.zeros((5, 5, step.kernel, _padded(step.shape[0])), np.float32)
        table[..., : step.shape[0]] = answer[None] - answer[:, None]
        return table

    def _conv(self, step: Step) -> NDArray:
        """Return the weights of a convolution, or of a linear layer as one with one result."""
        if step.function is ops.conv:
            weight = _ungrouped(step)
        else:
            weight = _numpy(step.arguments["weight"])
            weight = weight.reshape(len(weight), max(step.length_in, 1), -1).transpose(0, 2, 1)
        layout, (features, _, kernel) = self._layouts[step.inputs[0]], weight.shape
        padded = np.zeros((kernel, _width(layout), _padded(features)), np.float32)
        padded[:, layout, :features] = weight.transpose(2, 1, 0)
        if not self._is_diagonal(step):
            return _blocks(padded, narrow=self.narrow)
        own = [slice(at, at + delta.BLOCK) for at in range(0, padded.shape[2], delta.BLOCK)]
        return np.concatenate([_blocks(padded[:, at, at], narrow=self.narrow) for at in own])

    def _is_diagonal(self, step: Step) -> bool:
        """Return whether groups stay within blocks of channels, which then read no others."""
        if step.arguments.get("groups", 1) == 1:
            return False
        channels_in, group = self.chain.shapes[step.inputs[0]][0], step.arguments["weight"].shape[1]
        side_by_side = np.array_equal(self._layouts[step.inputs[0]], _plain(channels_in))
        fits = channels_in == step.shape[0] and delta.BLOCK % group == 0
        return side_by_side and fits

    def _new_geometry(self, length: int, alternatives: int) -> _Geometry:
        """Give every value a place in the scratch: values share a place when they never meet."""
        starts = np.arange(self.chain.shapes[0][1] - length + 1)
        windows = self.chain.windows(starts, starts + length, clip=True)
        together = delta.ALTERNATIVES * 2 // alternatives  # rows of a convolution
        beyond = together - 1 if together > 2 else 0  # that may have no tap in the window
        count = len(self._sources)
        guard, last = np.zeros(count, np.int64), np.full(count, -1)
        at = {name: i for i, name in enumerate(delta.FIELDS)}
        for number, row in enumerate(self._table):
            x, y = row[at["x"]], row[at["y"]]
            last[x] = number
            if y >= 0:
                last[y] = number
            if row[at["kind"]] == KIND["conv"]:
                guard[x] = max(guard[x], beyond * row[at["stride"]])
        seen = (windows[value] for value in self._sources)
        widest = [int((ends[1] - ends[0]).max()) if ends else 1 for ends in seen]
        rows = np.array(widest) + 2 * guard
        sizes = rows * self._widths * alternatives
        words = rows * -(-np.array(self._widths) // 64)
        place, room = self._places(last, sizes, words)
        total = self._bytes * sum(size for size, _ in room)
        chunk = int(np.clip(SCRATCH_BYTES // max(1, total), 1, MOST_SITES))
        data = np.cumsum([0, *(chunk * size for size, _ in room)])
        masks = np.cumsum([0, *(chunk * size for _, size in room)])
        values = np.stack([self._widths, rows, guard, data[place], masks[place]], axis=1)
        size = self._bytes * (int(data[-1]) + delta.LANE)
        return _Geometry(values.astype(np.int64), size, int(masks[-1]), chunk)

    @property
    def _bytes(self) -> int:
        """Of one difference."""
        return 2 if self.narrow else 4

    def _places(
        self, last: NDArray, floats: NDArray, words: NDArray
    ) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
        """Return the place of every value, and the size of every place."""
        place = np.zeros(len(floats), np.int64)
        sizes: list[tuple[int, int]] = []
        free: list[int] = []
        out, x, y = (delta.FIELDS.index(name) for name in ("out", "x", "y"))
        for number, row in enumerate(self._table):
            if not free:
                free.append(len(sizes))
                sizes.append((0, 0))
            mine = place[row[out]] = free.pop()
            sizes[mine] = (
                max(sizes[mine][0], int(floats[row[out]])),
                max(sizes[mine][1], int(words[row[out]])),
            )
            done = {int(v) for v in (row[x], row[y]) if v > 0 and last[v] == number}
            free += [int(place[v]) for v in sorted(done)]
        return place, sizes or [(0, 0)]

    def prepare(self, reference: Reference) -> Prepared:
        """Return what each step reads of the reference."""
        addresses = np.zeros((len(self._steps), 2, 3), np.int64)
        held: list[NDArray] = []
        for i, (kind, number) in enumerate(self._steps):
            arrays = self._read(reference, kind, number)
            held += arrays
            addresses[i, 0, : len(arrays)] = [array.ctypes.data for array in arrays]
            addresses[i, 1, : len(arrays)] = [array[0].size for array in arrays]
        return Prepared(reference, addresses.reshape(-1, 6), held)

    def _read(self, reference: Reference, kind: str, number: int) -> list[NDArray]:
        """Return what a step reads, the references outermost."""
        step = self.chain.steps[number]
        if step.activation != "none":
            return [self._lines(reference.linear[number], number + 1)]
        if kind == "mean_pool":
            divisor = _numpy(step.arguments.get("divisor", torch.tensor([step.length_in])))
            return [np.resize(1 / divisor, (1, step.shape[1] if step.is_map else 1))]
        if kind not in ("max_pool", "global_max"):
            return []
        (x,) = step.inputs
        seen = self._lines(reference.values[x], x)
        if kind == "max_pool":
            return [seen, self._lines(reference.values[number + 1], number + 1)]
        count, length, channels = seen.shape
        prefix, suffix = np.empty((2, count, length + 1, channels), np.float32)
        prefix[:, 0], suffix[:, -1] = -np.inf, -np.inf
        np.maximum.accumulate(seen, axis=1, out=prefix[:, 1:])
        np.maximum.accumulate(seen[:, ::-1], axis=1, out=suffix[:, -2::-1])
        return [seen, prefix, suffix]

    def _lines(self, x: Tensor, value: int) -> NDArray[np.float32]:
        """Return maps (n, channels, length), or vectors, as rows of padded channels."""
        rows = _numpy(x.mT if x.ndim == 3 else x.unsqueeze(1))
        if value not in self._scattered:
            return np.ascontiguousarray(rows)
        width, layout = self._scattered[value]
        padded = np.zeros((*rows.shape[:2], width), np.float32)
        padded[:, :, layout] = rows
        return padded

    def __call__(self, prepared: Prepared, sites: Sites, *, threads: int = 1) -> list[Tensor]:
        """Return the difference that every edit makes to every output of the chain.

        Returns
        -------
        list of float32, (edits, channels, length) or (edits, features)
        """
        geometry = self._geometry(sites.length, sites.inserted.shape[1])
        outs = [self._room(value, sites.edit.size) for value in self._leaving]

        def some(first: int, last: int) -> None:
            self._run(prepared, sites[first:last], outs, first, geometry)

        run(some, len(sites.start), threads, multiple=geometry.chunk)
        return self._finish(prepared.reference, sites.rows, outs)

    def _room(self, value: int, edits: int) -> NDArray[np.float32]:
        """Return zeros for a value that leaves, (edits, length, channels)."""
        shape = self.chain.shapes[value]
        length = shape[1] if len(shape) == 2 else 1
        return np.zeros((edits, length, _width(self._layouts[value])), np.float32)

    def _run(
        self,
        prepared: Prepared,
        sites: Sites,
        outs: list[NDArray[np.float32]],
        first: int,
        geometry: _Geometry,
    ) -> None:
        """Fill the outs of consecutive sites; lets go of the interpreter lock."""
        where = np.zeros(len(self._steps), np.int64)
        for number, out in zip(self._leaving.values(), outs):
            where[number] = out[first * sites.inserted.shape[1] :].ctypes.data
        scratch = self._scratch(geometry)
        delta.run(
            self._table, geometry.values, prepared.addresses, where, prepared.reference.codes,
            np.ascontiguousarray(sites.row), np.ascontiguousarray(sites.start),
            np.ascontiguousarray(sites.inserted), *scratch, geometry.chunk, self.narrow,
        )  # fmt: skip
        self._pool.append(scratch)

    def _scratch(self, geometry: _Geometry) -> tuple[NDArray, NDArray, NDArray]:
        """Return memory for one call, used before where there is some large enough."""
        numbers = 2 * geometry.chunk * len(geometry.values)
        with suppress(IndexError):  # another thread may take the last
            data, masks, ranges = self._pool.pop()
            enough = len(data) >= geometry.size and len(masks) >= geometry.words
            if enough and len(ranges) >= numbers:
                return data, masks, ranges
        return (
            np.empty(geometry.size, np.uint8),
            np.empty(geometry.words + 1, np.uint64),
            np.empty(numbers, np.int64),
        )

    def _finish(
        self, reference: Reference, rows: Tensor, outs: list[NDArray[np.float32]]
    ) -> list[Tensor]:
        """Return the outputs of the chain, the steps over vectors done."""
        values: dict[int, Tensor] = {}
        for value, out in zip(self._leaving, outs):
            _, layout = self._scattered.get(value, (0, slice(None)))
            whole = torch.from_numpy(out[..., layout])
            values[value] = whole.mT if len(self.chain.shapes[value]) == 2 else whole.squeeze(1)
        for number, step in enumerate(self.chain.steps):
            if number + 1 in self._numbers or number in self._late:
                continue
            inputs = [values[i] for i in step.inputs]
            if step.function in HOMOGENEOUS:
                values[number + 1] = linear_part(step, inputs, bias=False)
            else:
                values[number + 1] = vector_step(reference, rows, number, step, inputs)
        return [values[i] for i in self.chain.outputs]
