"""Differences carried through a chain by PyTorch: works for every layer."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fastseq.arrays import Codes
from fastseq.lower import ops
from fastseq.lower.chain import HOMOGENEOUS, Chain, Step
from fastseq.lower.references import STRAIGHT, Reference, linear_part

# outside the map: act(OUTSIDE + d) - act(OUTSIDE) is exactly 0 for every activation and any d
# below 1e22, and no maximum ever picks it
OUTSIDE = -1e30
# rows of all windows of a call: 8192 x 64 channels x 4 bytes is 2 MB, about the L2 cache
ROWS = 8192
# vectors that a linear layer takes at once, and sites of several sequences: always as many, so that
# neighbours change no bit; whole registers, because PyTorch rounds the remainder another way
VECTORS, SITES = 64, 32
# their results are zero wherever their inputs are
STAY_ZERO = {ops.add, ops.concat}


@dataclass(frozen=True, eq=False)
class Sites:
    """Edits of a few sequences that have one length and one number of alternatives.

    Attributes
    ----------
    row : int64, (sites,)
        Which reference each belongs to.
    start : int64, (sites,)
    inserted : uint8, (sites, alternatives, length)
    edit : int64, (sites, alternatives)
        Which edit of the caller's each is.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    inserted: Codes
    edit: NDArray[np.int64]

    @property
    def length(self) -> int:
        """Bases that each edit replaces."""
        return self.inserted.shape[2]

    def __getitem__(self, part: slice | NDArray[np.int64]) -> "Sites":
        return Sites(self.row[part], self.start[part], self.inserted[part], self.edit[part])

    @property
    def rows(self) -> Tensor:
        """Which reference each edit belongs to, int64, (edits,)."""
        return torch.from_numpy(np.repeat(self.row, self.inserted.shape[1]))


def vector_step(
    reference: Reference,
    rows: Tensor,
    number: int,
    step: Step,
    inputs: list[Tensor],
    delta: Tensor | None = None,
) -> Tensor:
    """Return the differences of a step over vectors, from those of its inputs or before its end."""
    count, short = len(rows), -len(rows) % VECTORS
    exact = step.activation in STRAIGHT  # rounded alike wherever a vector stands
    if delta is not None:
        delta = delta if exact else F.pad(delta, (0, 0, 0, short))
    elif step.function is ops.linear and count:
        delta = _multiplied(F.pad(inputs[0], (0, 0, 0, short)), step.arguments["weight"])
    else:
        delta = linear_part(step, [F.pad(x, (0, 0, 0, short)) for x in inputs], bias=False)
    if step.activation == "none":
        return delta[:count]
    delta = delta[:count] if exact else delta
    z = reference.linear[number]
    z = z if len(z) == 1 else z[rows if exact else F.pad(rows, (0, short))]
    before = ops.activate(z, step.activation, step.parameter)  # type: ignore[arg-type]
    moved = ops.activate(delta + z, step.activation, step.parameter, inplace=True)  # type: ignore[arg-type]
    return moved.sub_(before)[:count]


def _multiplied(x: Tensor, weight: Tensor) -> Tensor:
    """Return vectors times the transpose of a weight, `VECTORS` of them at a time."""
    # a strided input would be multiplied by another routine, with other last bits
    x, out = x.contiguous(), x.new_empty(len(x), len(weight))
    for part, answers in zip(x.split(VECTORS), out.split(VECTORS)):
        torch.mm(part, weight.mT, out=answers)
    return out


class Frame(NamedTuple):
    """Where the windows of a map lie: the first site's at [start, end), the others behind it.

    Windows as wide as the map are the whole map for every site.
    """

    start: int
    end: int
    stride: int  # bases from one position to the next
    whole: bool

    @property
    def width(self) -> int:
        """Positions of one window."""
        return self.end - self.start

    def read_by(self, step: Step) -> "Frame":
        """Return the positions that a step reads to answer for this frame."""
        halo = (step.kernel - 1) * step.dilation
        start = self.start * step.stride - step.before
        end = (self.end - 1) * step.stride - step.before + halo + 1
        return Frame(start, end, max(1, self.stride // step.stride), self.whole)


class Window(NamedTuple):
    """Differences of one map, (edits, width, channels), and where they lie."""

    delta: Tensor
    frame: Frame

    def over(self, frame: Frame) -> Tensor:
        """Return the differences cut, or widened with zeros, to another frame."""
        mine = self.frame
        if (mine.start, mine.end) == (frame.start, frame.end):
            return self.delta
        return F.pad(self.delta, (0, 0, mine.start - frame.start, frame.end - mine.end))


class TorchDeltas:
    """The chain over the edits of a few sequences at a time.

    Sites whose starts differ by a multiple of the chain's period have windows of one shape. Where
    they are also equally far apart, windows of the references are strided views, without a gather.
    """

    def __init__(self, chain: Chain, table: Tensor) -> None:
        self.chain, self.table = chain, table
        self._planes = {
            number: step.arguments["weight"].unsqueeze(2)
            for number, step in enumerate(chain.steps)
            if step.function is ops.conv
        }
        self.stems = {
            number: _stem(step, table)
            for number, step in enumerate(chain.steps)
            if step.function is ops.conv
            and step.inputs == (0,)
            and step.stride == step.dilation == step.arguments["groups"] == 1
        }

    def convolved(self, number: int, step: Step, delta: Tensor, halo: int) -> Tensor:
        """Return a convolution of differences (edits, width, channels), zeros on both sides."""
        return F.conv2d(
            delta.mT.unsqueeze(2), self._planes[number], None, (1, step.stride), (0, halo),
            (1, step.dilation), step.arguments["groups"],
        ).squeeze(2).mT  # fmt: skip

    def prepare(self, reference: Reference) -> "Maps":
        """Return the reference maps that windows are taken from."""
        return Maps(self.chain, reference)

    def __call__(self, maps: "Maps", sites: Sites, *, threads: int = 1) -> list[Tensor]:
        """Return the difference that every edit makes to every output of the chain.

        Returns
        -------
        list of float32, (edits, channels, length) or (edits, features)
            Edits in the order of `sites`, flat. PyTorch brings threads of its own, so that
            `threads` says nothing here.
        """
        chain, alternatives = self.chain, sites.inserted.shape[1]
        out = [torch.zeros(sites.edit.size, *chain.shapes[i]) for i in chain.outputs]
        widest = max(
            min(int(ends[1] - ends[0]), shape[1])
            for ends, shape in zip(chain.windows(0, sites.length, clip=False), chain.shapes)
            if ends is not None
        )
        alone = len(maps.reference.codes) == 1
        size = max(1, ROWS // (widest * alternatives)) if alone else SITES
        phase = sites.start % chain.period
        for residue in np.unique(phase):
            same = np.flatnonzero(phase == residue)
            for first in range(0, len(same), size):
                part = same[first : first + size]
                rows = (part[:, None] * alternatives + np.arange(alternatives)).ravel()
                filled = part if alone else np.resize(part, SITES)
                for dense, delta in zip(out, _Pass(self, maps, sites[filled]).outputs()):
                    if delta is not None:
                        dense[torch.from_numpy(rows)] = delta[: len(rows)]
        return out


def _stem(step: Step, table: Tensor) -> Tensor:
    """Return what substitutions add to a convolution: (5 old, 5 new, kernel, cout)."""
    answer = torch.einsum("oct,ac->ato", step.arguments["weight"].flip(2), table)
    return (answer[None] - answer[:, None]).contiguous()


class Maps:
    """Reference maps as rows with margins on both sides, each made when first read.

    The rows of one sequence stand behind those of the one before.
    """

    def __init__(self, chain: Chain, reference: Reference) -> None:
        self.reference = reference
        self._rows: dict[tuple[str, int], Tensor] = {}
        self._edges: dict[int, tuple[Tensor, Tensor]] = {}
        ends = chain.windows(0, chain.shapes[0][1], clip=False)
        beyond = [(-e[0], e[1] - s[1]) for e, s in zip(ends, chain.shapes) if e is not None]
        # a pool reads up to a window more than it answers for
        extra = max((step.kernel + step.stride for step in chain.steps), default=0)
        self.before = max(0, *(int(before) for before, _ in beyond)) + extra
        self._after = max(0, *(int(after) for _, after in beyond)) + extra

    def value(self, number: int) -> Tensor:
        """Return a value of the chain."""
        return self._kept(("value", number), self.reference.values[number], OUTSIDE)

    def linear(self, number: int) -> Tensor:
        """Return what stands before the activation of a step."""
        return self._kept(("linear", number), self.reference.linear[number], OUTSIDE)

    def activated(self, number: int, step: Step) -> Tensor:
        """Return the activation of `linear`, margins included."""
        key = ("activated", number)
        if key not in self._rows:
            self._rows[key] = _activate(self.linear(number).clone(), step)
        return self._rows[key]

    def share(self, number: int, step: Step) -> Tensor:
        """Return the inverse divisors of a mean pool, (rows, 1)."""
        inverse = (1 / step.arguments["divisor"]).expand(
            len(self.reference.codes), 1, step.shape[1]
        )
        return self._kept(("share", number), inverse, 0.0)

    def pooled(self, step: Step) -> Tensor:
        """Return what a pool of maxima reads, without what it drops at the end."""
        (number,) = step.inputs
        reads = (step.shape[1] - 1) * step.stride + step.kernel - step.before
        if reads >= step.length_in:
            return self.value(number)
        seen = self.reference.values[number][:, :, :reads]
        return self._kept(("pooled", number), seen, OUTSIDE, step.length_in - reads)

    def edges(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the maxima before and from every position of a map, (rows, length + 1, c)."""
        if number not in self._edges:
            rows = self.reference.values[number].mT
            edge = torch.full((len(rows), 1, rows.shape[2]), OUTSIDE)
            prefix = torch.cat([edge, rows.cummax(1)[0]], 1)
            suffix = torch.cat([rows.flip(1).cummax(1)[0].flip(1), edge], 1)
            self._edges[number] = prefix, suffix
        return self._edges[number]

    def first(self, rows: Tensor, row: Any) -> Any:
        """Return where position 0 of sequences stands in the rows of a map."""
        return row * (len(rows) // len(self.reference.codes)) + self.before

    def _kept(self, key: tuple[str, int], x: Tensor, fill: float, dropped: int = 0) -> Tensor:
        if key not in self._rows:
            after = self._after + dropped
            padded = F.pad(x.mT, (0, 0, self.before, after), value=fill)
            self._rows[key] = padded.contiguous().flatten(0, 1)
        return self._rows[key]


def _is_plain_pool(step: Step) -> bool:
    """Return whether maxima outside a map see nothing of the map, so that they stay OUTSIDE."""
    return step.function is ops.max_pool and step.kernel <= step.stride and step.before == 0


def _activate(rows: Tensor, step: Step) -> Tensor:
    """Return the activation of a step over (..., channels); `rows` may be overwritten."""
    if step.activation == "prelu":  # which wants channels second
        x = rows.reshape(-1, rows.shape[-1])
        return F.prelu(x, step.parameter).view(rows.shape)  # type: ignore[arg-type]
    return ops.activate(rows, step.activation, step.parameter, inplace=True)  # type: ignore[arg-type]


class _Pass:
    """One run of sites through all steps."""

    def __init__(self, engine: TorchDeltas, maps: Maps, sites: Sites) -> None:
        self.chain, self.engine, self.maps = engine.chain, engine, maps
        self.count, self.alternatives = sites.edit.shape
        self.row, self.rows = torch.from_numpy(sites.row), sites.rows
        first, self.only = int(sites.start.min()), int(sites.row[0])
        self.offset = sites.start - first
        apart = {*np.diff(sites.start).tolist()} if not np.diff(sites.row).any() else {0, 1}
        # bases from one site of a reference to the next; negative where that differs
        self.jump = min(apart, default=0) if len(apart) < 2 else -1
        end = first + sites.length
        self.ranges = self.chain.windows(first, end, clip=False)
        covered = sites.start[:, None] + np.arange(sites.length)
        old = maps.reference.codes[sites.row[:, None], covered]
        self.old = torch.from_numpy(old).long()[:, None]
        self.new = torch.from_numpy(sites.inserted).long()
        delta = (engine.table[self.new] - engine.table[self.old]).flatten(0, 1)
        self.values: list[Window | Tensor | None] = [Window(delta, Frame(first, end, 1, False))]

    def outputs(self) -> list[Tensor | None]:
        """Return each output's differences, None where no site reaches it."""
        for number, step in enumerate(self.chain.steps):
            self.values.append(self._step(number, step, [self.values[i] for i in step.inputs]))
        return [self._dense(self.values[i], self.chain.shapes[i]) for i in self.chain.outputs]

    def _dense(self, value: Window | Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
        return self._widened(value, shape).delta.mT if isinstance(value, Window) else value

    def _step(self, number: int, step: Step, inputs: list) -> Window | Tensor | None:
        if all(value is None for value in inputs):
            return None
        if step.function in HOMOGENEOUS:
            return self._homogeneous(step, inputs[0])
        if not step.length_in:
            return self._vector(number, step, inputs)
        if step.function is ops.global_max:
            return self._global_max(step, inputs[0])
        if step.function is ops.global_mean:
            return inputs[0].delta.sum(1) / step.length_in
        if step.function is ops.flat_linear:
            delta = self._flat_linear(step, inputs[0])
            return vector_step(self.maps.reference, self.rows, number, step, [], delta)
        start, end = (int(position) for position in self.ranges[number + 1])  # type: ignore[union-attr]
        frame = Frame(start, end, self.chain.strides[number + 1], False)
        if frame.width >= step.shape[1] or any(w is not None and w.frame.whole for w in inputs):
            shapes = [self.chain.shapes[i] for i in step.inputs]
            inputs = [w and self._widened(w, shape) for w, shape in zip(inputs, shapes)]
            frame = Frame(0, step.shape[1], 1, True)
        if frame.width <= 0:
            return None
        delta = self._map(number, step, inputs, frame)
        if step.activation == "none":
            if step.function not in STAY_ZERO and not _is_plain_pool(step):
                self._inside(delta, frame, step.shape[1])
            return Window(delta, frame)
        return Window(self._activated(number, step, delta, frame), frame)

    def _homogeneous(self, step: Step, value: Window | Tensor) -> Window | Tensor:
        dense = self._dense(value, self.chain.shapes[step.inputs[0]])
        made = linear_part(step, [dense], bias=False)  # type: ignore[list-item]
        if not step.is_map:
            return made
        return Window(made.mT.contiguous(), Frame(0, step.shape[1], 1, True))

    def _map(self, number: int, step: Step, inputs: list, frame: Frame) -> Tensor:
        """Return what the linear part of a step gives in a frame: a new tensor."""
        if step.function is ops.conv:
            return self._conv(number, step, inputs, frame)
        if step.function is ops.max_pool:
            return self._max_pool(number, step, inputs[0], frame)
        if step.function is ops.mean_pool:
            x = inputs[0].over(frame.read_by(step)).mT
            sums = ops.mean_pool(x, x.new_ones(frame.width), step.kernel, step.stride).mT
            self._sites(sums).mul_(self._view(self.maps.share(number, step), frame))
            return sums
        if step.function is ops.zero_pad:
            return inputs[0].over(frame.read_by(step)).clone()
        parts = [
            torch.zeros(self.count * self.alternatives, frame.width, self.chain.shapes[i][0])
            if w is None
            else w.over(frame)
            for i, w in zip(step.inputs, inputs)
        ]
        if step.function is ops.add:
            return parts[0] + parts[1]
        return torch.cat(parts, 2) if step.function is ops.concat else parts[0].clone()

    def _conv(self, number: int, step: Step, inputs: list, frame: Frame) -> Tensor:
        x, skip = inputs[0], inputs[1] if len(inputs) > 1 else None
        if x is None:
            return inputs[1].over(frame).clone()
        stem = self.engine.stems.get(number)
        if stem is not None and x.frame.width == 1 and skip is None and not frame.whole:
            return stem[self.old, self.new].flatten(0, 2)
        reads = frame.read_by(step)
        before, after = x.frame.start - reads.start, reads.end - x.frame.end
        delta = x.delta
        halo = (step.kernel - 1) * step.dilation
        # a stride may skip changed positions at the ends; and oneDNN 3.x can read out of bounds
        # where a result lies in its padding alone
        if min(before, after) < 0 or max(before, after) > halo or step.dilation > x.frame.width:
            delta, before, after = x.over(reads), 0, 0
        if before == after:
            y = self.engine.convolved(number, step, delta, before)
        else:
            y = linear_part(step, [delta.mT], bias=False, before=before, after=after).mT
        if skip is not None:
            y[:, skip.frame.start - frame.start : skip.frame.end - frame.start].add_(skip.delta)
        return y

    def _max_pool(self, number: int, step: Step, x: Window, frame: Frame) -> Tensor:
        reads, delta = frame.read_by(step), self._sites(x.delta)
        seen = self._view(self.maps.pooled(step), reads)
        first, end = x.frame.start - reads.start, x.frame.end - reads.start
        if (first, end) == (0, reads.width):
            seen = seen + delta
        elif first >= 0 and end <= reads.width:
            seen = seen.repeat(1, self.alternatives, 1, 1)
            seen[:, :, first:end].add_(delta)
        else:
            seen = seen + self._sites(x.over(reads))
        last = (frame.width - 1) * step.stride + 1
        taps = [seen[:, :, tap : tap + last : step.stride] for tap in range(step.kernel)]
        y = torch.maximum(taps[0], taps[min(1, step.kernel - 1)])
        for tap in taps[2:]:
            torch.maximum(y, tap, out=y)
        return y.sub_(self._view(self.maps.value(number + 1), frame)).flatten(0, 1)

    def _activated(self, number: int, step: Step, delta: Tensor, frame: Frame) -> Tensor:
        """Return act(z + delta) - act(z) around the cached z; `delta` is overwritten."""
        self._sites(delta).add_(self._view(self.maps.linear(number), frame))
        delta = _activate(delta, step)
        self._sites(delta).sub_(self._view(self.maps.activated(number, step), frame))
        return delta

    def _inside(self, delta: Tensor, frame: Frame, length: int) -> None:
        """Put exact zeros where a window lies outside the map."""
        if frame.whole:
            return
        starts = self._starts(frame)
        if frame.start >= 0 and starts.max() + frame.width <= length:
            return
        position = starts[:, None] + np.arange(frame.width)
        inside = ((position >= 0) & (position < length)).astype(np.float32)
        self._sites(delta).mul_(torch.from_numpy(inside)[:, None, :, None])

    def _starts(self, frame: Frame) -> NDArray[np.int64]:
        """Return where each site's window begins, int64, (sites,)."""
        return frame.start + (self.offset * 0 if frame.whole else self.offset // frame.stride)

    def _view(self, rows: Tensor, frame: Frame) -> Tensor:
        """Return windows of a reference map, (sites, 1, width, channels); a view where it can."""
        channels = rows.shape[1]
        if self.jump < 0:
            every = rows.as_strided(
                (len(rows) - frame.width + 1, frame.width, channels), (channels, channels, 1)
            )
            at = self.maps.first(rows, self.row) + torch.from_numpy(self._starts(frame))
            return every[at][:, None]
        first = self.maps.first(rows, self.only) + frame.start
        jump = 0 if frame.whole else self.jump // frame.stride
        return rows.as_strided(
            (self.count, 1, frame.width, channels),
            (jump * channels, 0, channels, 1),
            first * channels,
        )

    def _sites(self, delta: Tensor) -> Tensor:
        """Return differences as (sites, alternatives, ...)."""
        return delta.unflatten(0, (self.count, self.alternatives))

    def _widened(self, w: Window, shape: tuple[int, ...]) -> Window:
        """Return a window as the whole map of every edit."""
        frame, (channels, length) = w.frame, shape
        if frame.whole:
            return w
        starts = self._starts(frame)
        before = max(0, -frame.start)
        rows = before + max(length, int(starts.max()) + frame.width)
        dense = torch.zeros(self.count, self.alternatives, rows, channels)
        places = torch.from_numpy((before + starts)[:, None] + np.arange(frame.width))
        each = torch.arange(self.count)[:, None]
        dense.transpose(1, 2)[each, places] = self._sites(w.delta).transpose(1, 2)
        delta = dense[:, :, before : before + length].flatten(0, 1)
        return Window(delta, Frame(0, length, 1, True))

    def _global_max(self, step: Step, x: Window) -> Tensor:
        """Return the maximum of window, prefix and suffix, minus the reference's."""
        frame, length = x.frame, step.length_in
        seen = self._view(self.maps.value(step.inputs[0]), frame)
        best = (self._sites(x.delta) + seen).amax(2)
        prefix, suffix = self.maps.edges(step.inputs[0])
        start, row = torch.from_numpy(self._starts(frame)), self.row
        left, right = start.clamp(0, length), (start + frame.width).clamp(0, length)
        rest = torch.maximum(prefix[row, left], suffix[row, right])[:, None]
        return (torch.maximum(best, rest) - suffix[row, :1]).flatten(0, 1)

    def _flat_linear(self, step: Step, x: Window) -> Tensor:
        """Return the linear layer of the changed positions alone."""
        weight = step.arguments["weight"].permute(1, 2, 0)
        if x.frame.whole:
            return x.delta.flatten(1) @ weight.flatten(0, 1)
        out = []
        for start, delta in zip(self._starts(x.frame).tolist(), self._sites(x.delta)):
            low, high = max(0, start), max(0, min(step.length_in, start + x.frame.width))
            columns = delta[:, low - start : high - start].flatten(1)
            out.append(columns @ weight[low:high].flatten(0, 1))
        return torch.cat(out)

    def _vector(self, number: int, step: Step, inputs: list[Tensor | None]) -> Tensor:
        full = [
            torch.zeros(self.count * self.alternatives, *self.chain.shapes[i])
            if value is None
            else value
            for i, value in zip(step.inputs, inputs)
        ]
        return vector_step(self.maps.reference, self.rows, number, step, full)
