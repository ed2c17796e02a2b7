"""Edits that have one length and one number of alternatives, site by site."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastseq.arrays import Codes


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

    @property
    def alternatives(self) -> int:
        """Edits at each site."""
        return self.inserted.shape[1]

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, part: slice | NDArray[np.int64]) -> "Sites":
        return Sites(self.row[part], self.start[part], self.inserted[part], self.edit[part])

    @property
    def rows(self) -> Tensor:
        """Which reference each edit belongs to, int64, (edits,)."""
        return torch.from_numpy(np.repeat(self.row, self.alternatives))

    @property
    def apart(self) -> int:
        """Bases from one site of one reference to the next; -1 where that differs."""
        steps = np.diff(self.start)
        if (self.row != self.row[0]).any() or (len(steps) and (steps != steps[0]).any()):
            return -1
        return int(steps[0]) if len(steps) else 0
