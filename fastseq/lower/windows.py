"""Windows of differences: where they lie in a map, and which rows of references are under them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fastseq.lower.chain import Chain, Step
from fastseq.lower.maps import Maps
from fastseq.lower.sites import Sites


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
    """Differences of one map, (sites, alternatives, width, channels), and where they lie."""

    delta: Tensor
    frame: Frame

    def over(self, frame: Frame) -> Tensor:
        """Return the differences cut, or widened with zeros, to another frame."""
        mine = self.frame
        if (mine.start, mine.end) == (frame.start, frame.end):
            return self.delta
        return F.pad(self.delta, (0, 0, mine.start - frame.start, frame.end - mine.end))

    def add_to(self, sums: Tensor, frame: Frame) -> None:
        """Add the differences, in place, to windows that lie in another frame."""
        low = max(self.frame.start, frame.start)
        high = max(low, min(self.frame.end, frame.end))
        mine = self.delta[:, :, low - self.frame.start : high - self.frame.start]
        sums[:, :, low - frame.start : high - frame.start].add_(mine)


class Frames:
    """The frames of every map of a chain, for edits of one length that begin anywhere.

    Attributes
    ----------
    widest : int
        Positions of the widest window.
    """

    def __init__(self, chain: Chain, length: int) -> None:
        self._period, self._strides = chain.period, chain.strides
        start = np.arange(chain.period)
        ends = chain.windows(start, start + length, clip=False)
        self._ends = [e and [np.broadcast_to(x, len(start)).tolist() for x in e] for e in ends]
        self.widest = max(
            min(ends[1][0] - ends[0][0], shape[1])
            for ends, shape in zip(self._ends, chain.shapes)
            if ends is not None
        )

    def at(self, number: int, start: int) -> Frame:
        """Return the frame of a map whose first site begins at a base."""
        ends, stride = self._ends[number], self._strides[number]
        periods, phase = divmod(start, self._period)
        low, high = (e[phase] + periods * self._period // stride for e in ends)  # type: ignore[union-attr]
        return Frame(low, high, stride, False)


class Group:
    """Sites whose windows of a map have one shape, over the maps of their references.

    Where the sites of one reference are equally far apart, the rows under their windows are a
    strided view, without a gather.

    Attributes
    ----------
    maps : Maps
    sites : Sites
    shape : (sites, alternatives)
    first : int
        Where the first site begins.
    """

    def __init__(self, maps: Maps, frames: Frames, sites: Sites) -> None:
        self.maps, self.frames, self.sites = maps, frames, sites
        self.shape = (len(sites), sites.alternatives)
        self.first, self.apart = int(sites.start.min()), sites.apart
        self._offset = sites.start - self.first

    @property
    def old(self) -> Tensor:
        """The bases of the references, int64, (sites, 1, length)."""
        covered = self.sites.start[:, None] + np.arange(self.sites.length)
        old = self.maps.reference.codes[self.sites.row[:, None], covered]
        return torch.from_numpy(old).long()[:, None]

    @property
    def new(self) -> Tensor:
        """The bases that come in their place, int64, (sites, alternatives, length)."""
        return torch.from_numpy(self.sites.inserted).long()

    def edited(self, table: Tensor) -> Window:
        """Return the differences of the model's input, whose channels a table gives."""
        return Window(table[self.new] - table[self.old], self.frame(0))

    def frame(self, number: int) -> Frame:
        """Return where the windows of a map lie."""
        return self.frames.at(number, self.first)

    def starts(self, frame: Frame) -> NDArray[np.int64]:
        """Return where each site's window begins, int64, (sites,)."""
        return frame.start + (self._offset * 0 if frame.whole else self._offset // frame.stride)

    def under(self, rows: Tensor, frame: Frame) -> Tensor:
        """Return the rows of reference maps under windows, (sites, 1, width, channels)."""
        channels, long = rows.shape[1], len(rows) // len(self.maps.reference.codes)
        if self.apart < 0:
            every = rows.as_strided(
                (len(rows) - frame.width + 1, frame.width, channels), (channels, channels, 1)
            )
            at = (
                torch.from_numpy(self.sites.row) * long
                + torch.from_numpy(self.starts(frame))
                + self.maps.before
            )
            return every[at][:, None]
        apart = 0 if frame.whole else self.apart // frame.stride
        first = int(self.sites.row[0]) * long + frame.start + self.maps.before
        size = (len(self.sites), 1, frame.width, channels)
        return rows.as_strided(size, (apart * channels, 0, channels, 1), first * channels)

    def clear_outside(self, w: Window, length: int) -> None:
        """Put exact zeros where windows lie outside a map of some length."""
        starts = self.starts(w.frame)
        if w.frame.whole or (w.frame.start >= 0 and starts.max() + w.frame.width <= length):
            return
        position = starts[:, None] + np.arange(w.frame.width)
        inside = ((position >= 0) & (position < length)).astype(np.float32)
        w.delta.mul_(torch.from_numpy(inside)[:, None, :, None])

    def widened(self, w: Window, length: int) -> Window:
        """Return windows as the whole map, of some length, for every edit."""
        frame = w.frame
        if frame.whole:
            return w
        starts = self.starts(frame)
        before = max(0, -frame.start)
        rows = before + max(length, int(starts.max()) + frame.width)
        dense = torch.zeros(*self.shape, rows, w.delta.shape[3])
        places = torch.from_numpy((before + starts)[:, None] + np.arange(frame.width))
        dense.transpose(1, 2)[torch.arange(len(starts))[:, None], places] = w.delta.transpose(1, 2)
        return Window(dense[:, :, before : before + length], Frame(0, length, 1, True))
