"""TF-MoDISco-lite reads what `save_modisco` writes and finds the motif that the maps point at."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import fastseq

MODISCO = [sys.executable, "-c", "from modiscolite.cli import cli; cli()", "motifs"]
MOTIF, LENGTH, ROWS = "TTGACTCATT", 120, 300


def test_the_motif_of_the_maps_is_found(tmp_path):
    pytest.importorskip("modiscolite", reason="modisco-lite is not installed")
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (ROWS, LENGTH), dtype=np.uint8)
    word = fastseq.encode(MOTIF)
    for row in codes:
        at = rng.integers(10, LENGTH - 20)
        row[at : at + len(word)] = word
    model = nn.Sequential(nn.Conv1d(4, 1, len(word)), nn.Softplus(), nn.Flatten(),
                          nn.Linear(LENGTH - len(word) + 1, 1))  # fmt: skip
    with torch.no_grad():
        model[0].weight.copy_(2 * torch.from_numpy(fastseq.one_hot(word, dtype="float32")))
        model[0].bias.fill_(-17.0)
        model[3].weight.fill_(1.0)
    maps = fastseq.attribute(model, codes, "ism")
    maps.save_modisco(tmp_path)
    words = ["-s", "ohe.npz", "-a", "shap.npz", "-n", "2000", "-w", LENGTH, "-o", "found.h5"]
    ended = subprocess.run(
        [*MODISCO, *map(str, words)], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    with h5py.File(tmp_path / "found.h5") as found:
        pattern = found["pos_patterns/pattern_0/sequence"][:]
    letters = "".join("ACGT"[base] for base in pattern.argmax(1))
    both = letters + " " + fastseq.reverse_complement(letters)
    assert MOTIF[1:-1] in both, both
