"""Codes through one call on a device: few batch shapes, captured; copies that overlap the work."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from threading import Lock
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import FastseqWarning

# a layer's widest activation may take a quarter of L2: its input and its output stay there
L2_SHARE = 4
# micro-batches in one captured launch, so that a launch lasts about a millisecond
AT_ONCE = 16
# smaller batches, for answers that somebody waits for
RUNGS = (1, 32, 256)


class Event(Protocol):
    """A point in a stream's work."""

    def record(self) -> None:
        """Stand behind all that the current stream was given so far."""

    def wait(self) -> None:
        """Let the current stream wait for that."""

    def synchronize(self) -> None:
        """Wait for it here."""


class Passed:
    """The event of a device that works while it is called."""

    def record(self) -> None: ...
    def wait(self) -> None: ...
    def synchronize(self) -> None: ...


def event(device: torch.device) -> Event:
    """Return an event of a device."""
    return torch.cuda.Event() if device.type == "cuda" else Passed()


def on(device: torch.device) -> AbstractContextManager:
    """Make a device the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def aside(device: torch.device) -> Callable[[], AbstractContextManager]:
    """Return what makes a stream for copies the current one."""
    if device.type != "cuda":
        return nullcontext
    stream = torch.cuda.Stream(device)
    return lambda: torch.cuda.stream(stream)


def fitting(device: torch.device, floats: int, bytes_each: int) -> int:
    """Return the power of two of sequences whose widest activation, of so many numbers, fits L2."""
    l2 = (
        torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 1 << 22
    )
    return 1 << max(l2 // L2_SHARE // (floats * bytes_each), 1).bit_length() - 1


def captured(call: Callable[[Tensor], Tensor], example: Tensor) -> Callable[[], Tensor]:
    """Return ``call(example)`` as one launch, to be repeated on what ``example`` then holds.

    A CUDA graph where there is CUDA: a network of twenty kernels is launched for the price of one.
    The answer is written to the same place each time.
    """
    if example.device.type != "cuda":
        return lambda: call(example)
    here, side = torch.cuda.current_stream(), torch.cuda.Stream(example.device)
    side.wait_stream(here)
    with torch.cuda.stream(side):
        call(example)  # compiles the kernels, which a capture cannot
    here.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # another thread may use the device meanwhile
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        answer = call(example)

    def replay() -> Tensor:
        graph.replay()
        return answer

    return replay


class Lane:
    """A buffer here and one on the device; codes travel between them while others are worked on."""

    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        pinned = device.type == "cuda"
        self.here = torch.full((rows, width), UNKNOWN, dtype=torch.uint8, pin_memory=pinned)
        self.there = torch.empty((rows, width), dtype=torch.uint8, device=device)
        self.arrived, self.free = event(device), event(device)


class Runner:
    """One call over any number of rows of codes, in batches of a few fixed shapes.

    Rows past the last are unknown bases. Two lanes take turns: while a batch is worked on, the next
    is on its way, and the one after is written to pinned memory. Safe for several threads, one of
    which runs at a time.

    Parameters
    ----------
    call : callable
        uint8 codes (rows, width) on the device to float32 (rows, ...) there.
    width : int
    sizes : tuple of int
        Batch shapes, ascending; each is captured when first used.
    device : torch.device
    """

    def __init__(
        self,
        call: Callable[[Tensor], Tensor],
        width: int,
        sizes: tuple[int, ...],
        device: torch.device,
    ) -> None:
        self._call, self.sizes, self.device = call, sizes, device
        self._lanes = [Lane(sizes[-1], width, device) for _ in range(2)]
        self._aside = aside(device)
        self._input = torch.full((sizes[-1], width), UNKNOWN, dtype=torch.uint8, device=device)
        self._ready: dict[int, Callable[[], Tensor]] = {}
        self._lock = Lock()

    def batches(self, rows: int) -> Iterator[tuple[slice, int]]:
        """Yield rows and the shape they run in: the smallest that holds what is left."""
        first = 0
        while first < rows:
            left = rows - first
            size = next((size for size in self.sizes if size >= left), self.sizes[-1])
            yield slice(first, first + min(size, left)), size
            first += size

    def __call__(self, codes: Codes) -> NDArray[np.float32]:
        """Return the call's answers to rows of codes, uint8 (n, width)."""
        answers = None
        with self._lock, on(self.device), torch.inference_mode():
            for number, (rows, size) in enumerate(self.batches(len(codes))):
                lane = self._lanes[number % 2]
                self._send(lane, codes[rows], size)
                lane.arrived.wait()
                self._input[:size].copy_(lane.there[:size])
                lane.free.record()
                answer = self._launch(size)
                if answers is None:
                    answers = answer.new_empty(len(codes), *answer.shape[1:])
                answers[rows] = answer[: rows.stop - rows.start]
            return self._launch(self.sizes[0])[:0].cpu().numpy() if answers is None else (
                answers.cpu().numpy()
            )  # fmt: skip

    def _send(self, lane: Lane, codes: Codes, size: int) -> None:
        lane.free.synchronize()
        lane.here.numpy()[: len(codes)] = codes
        lane.here[len(codes) : size] = UNKNOWN
        with self._aside():
            lane.there[:size].copy_(lane.here[:size], non_blocking=True)
            lane.arrived.record()

    def _launch(self, size: int) -> Tensor:
        batch = self._input[:size]
        if size not in self._ready:
            try:
                self._ready[size] = captured(self._call, batch)
            except RuntimeError as error:
                told = str(error).partition("\n")[0]
                message = f"each kernel is launched on its own, for a capture failed: {told}"
                warnings.warn(message, FastseqWarning, stacklevel=4)
                self._ready[size] = partial(self._call, batch)
        return self._ready[size]()


def unpacked(data: Tensor, length: int) -> Tensor:
    """Return the codes of rows at two bits a base, uint8 (n, length); none is unknown.

    Parameters
    ----------
    data : uint8, (n, bytes of a row)
        Four bases a byte, the first in the low bits.
    """
    shifts = torch.arange(0, 8, 2, dtype=torch.uint8, device=data.device)
    return ((data[:, :, None] >> shifts) & 3).flatten(1)[:, :length].contiguous()


def in_parts(call: Callable[[Tensor], Tensor], size: int) -> Callable[[Tensor], Tensor]:
    """Return a call that takes a large batch as several that fit the cache."""

    def parts(codes: Tensor) -> Tensor:
        return torch.cat([call(part) for part in codes.split(size)])

    return parts
