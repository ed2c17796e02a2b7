"""The rows of a training, packed where the network runs, and batches of model input from them."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.models.specs import InputSpec
from fastseq.sequence.batches import PLACES, PackedRows


class Feed(Protocol):
    """Packed rows that are drawn from.

    Attributes
    ----------
    rows : PackedRows
    spec : InputSpec
    device : torch.device
        Where the batches come to be.
    """

    rows: PackedRows
    spec: InputSpec
    device: torch.device

    def batch(self, rows: np.ndarray, shift: np.ndarray | None, turned: tuple[int, ...]) -> Tensor:
        """Return the model input of chosen rows, float32 (copies * batch, channels, length).

        Parameters
        ----------
        rows : int64, (batch,)
        shift : int16, (batch,), or None
            Positions that each row moves to the right, unknown where nothing comes in.
        turned : tuple of int
            One copy of the batch for each: its rows from this one on are reverse complements.

        Notes
        -----
        Channels vary fastest in memory. The next batch may overwrite it.
        """
        ...


class HostFeed:
    """A feed in the memory of the CPU; batches of one size share a room that stays in the cache."""

    device = torch.device("cpu")

    def __init__(self, codes: Codes, spec: InputSpec):
        self.rows, self.spec = PackedRows.pack(codes), spec
        self._tables = spec.tables()
        self._shown, self._room = self._allot(0)

    def batch(self, rows: np.ndarray, shift: np.ndarray | None, turned: tuple[int, ...]) -> Tensor:
        n = len(rows)
        if len(self._room) != n * len(turned):
            self._shown, self._room = self._allot(n * len(turned))
        for copy, begin in enumerate(turned):
            out = self._room[copy * n : (copy + 1) * n]
            self.rows.gather(rows, self._tables, out, shift=shift, turned=begin)
        return self._shown

    def _allot(self, n: int) -> tuple[Tensor, np.ndarray]:
        """Return room for so many rows, as model input and as what is written to."""
        # PyTorch's memory begins at a cache line, which NumPy's need not
        room = torch.empty(n, self.rows.length, self.spec.channels)
        return room.transpose(1, 2), room.numpy()


class DeviceFeed:
    """A feed whose bits live on a device, where batches are unpacked, moved and expanded."""

    def __init__(self, codes: Codes, spec: InputSpec, device: torch.device):
        self.rows, self.spec, self.device = PackedRows.pack(codes), spec, device
        self._records = torch.from_numpy(self.rows.records).to(device)
        self._table = torch.from_numpy(spec.tables()[0]).to(device)

    def batch(self, rows: np.ndarray, shift: np.ndarray | None, turned: tuple[int, ...]) -> Tensor:
        codes = self._codes(torch.from_numpy(rows).to(self.device))
        if shift is not None:
            place = torch.arange(codes.shape[1], device=self.device)
            place = place - torch.from_numpy(shift).to(self.device)[:, None]
            inside = (place >= 0) & (place < codes.shape[1])
            moved = codes.gather(1, place.clamp(0, codes.shape[1] - 1))
            codes = torch.where(inside, moved, UNKNOWN)
        forward, reverse = self._table
        parts = [
            part
            for begin in turned
            for part in (forward[codes[:begin]], reverse[codes[begin:].flip(1)])
        ]
        return torch.cat(parts).transpose(1, 2)

    def _codes(self, rows: Tensor) -> Tensor:
        """Return the codes of chosen rows, int64 (batch, length)."""
        records, fours = self._records[rows], -(-self.rows.length // 4)
        places = torch.from_numpy(PLACES).to(self.device)
        codes = (records[:, :fours, None] >> places & 3).flatten(1)[:, : self.rows.length].long()
        if self.rows.unknown:
            places = torch.arange(8, dtype=torch.uint8, device=self.device)
            hidden = (records[:, fours + 1 :, None] >> places & 1).flatten(1)
            codes = codes.masked_fill(hidden[:, : self.rows.length] > 0, UNKNOWN)
        return codes


def feed(codes: Codes, spec: InputSpec, device: torch.device) -> Feed:
    """Return the rows packed on the device that trains on them.

    Parameters
    ----------
    codes : uint8, (n, length)
        Full-length input, flanks included; not kept.
    """
    return HostFeed(codes, spec) if device.type == "cpu" else DeviceFeed(codes, spec, device)
