"""tangermeme's saturation mutagenesis by windows: its private engine, capture not timed."""

from __future__ import annotations

import torch
from tangermeme.saturation_mutagenesis import _FastISM, _single_edits

BATCHES = (32, 128, 512)


class FastISM:
    """The fast path that `saturation_mutagenesis` takes for jobs above 30 seconds."""

    def __init__(self, model, hot, keep):
        """Capture a model for one-hot rows (n, 4, length); `keep` are the positions edited."""
        length = hot.shape[2]
        device = torch.device("cpu")
        self._engine = _FastISM(model, hot, None, 0, length, device, torch.float32, False)
        self._edits = []
        for row in hot:
            chars, positions = _single_edits(row, 0, length)[1:]
            mine = torch.isin(positions, torch.as_tensor(keep))
            self._edits.append((chars[mine], positions[mine]))

    def run(self, batch):
        """Return the answers of every mutant of every row."""
        with torch.no_grad():
            return [
                self._engine.predict_edits(i, chars, positions, batch)
                for i, (chars, positions) in enumerate(self._edits)
            ]
