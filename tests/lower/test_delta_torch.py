import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fastseq.lower.capture import capture
from fastseq.lower.chain import read
from fastseq.lower.incremental import DeltaEngine
from fastseq.lower.sites import Sites
from fastseq.lower.windows import Frame, Frames, Window
from tests.lower.networks import TABLE, networks
from tests.reference.effects import effects, substitutions


class Returning(nn.Module):
    """Branches whose strides do not divide each other, and a vector that becomes a map again."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv1d(4, 12, 5, padding=2), nn.Conv1d(12, 8, 3, padding=1)
        self.halves, self.thirds = nn.MaxPool1d(2), nn.AvgPool1d(3)
        self.dense, self.again = nn.Linear(12, 10), nn.Conv1d(10, 6, 3, padding=1)
        self.head = nn.Linear(6 + 8 + 12, 2)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        y = torch.relu(self.dense(x.amax(2))).unsqueeze(2)
        y = torch.relu(self.again(y)).amax(2)
        z = torch.tanh(self.inner(self.halves(x))).mean(2)
        return self.head(torch.cat([y, z, self.thirds(x).amax(2)], 1))


@pytest.mark.parametrize("share", [1.0, 0.2, 0.02])  # evenly spaced, scattered, sequences together
def test_sites_part_where_strides_do(share):
    torch.manual_seed(1)
    graph = capture(Returning().eval(), 4, 41)
    codes = np.random.default_rng(0).integers(0, 5, (3, 41), dtype=np.uint8)
    row, start, inserted, _ = substitutions(codes)
    some = np.random.default_rng(1).random(len(row)) <= share
    edits = row[some], start[some], inserted[some], np.arange(some.sum() + 1)
    _, true = effects(graph, TABLE, codes, *edits)
    _, fast = DeltaEngine(graph, TABLE, native=False).effects(codes, *edits)
    assert np.abs(fast - true).max() <= 1e-4 * np.median(np.abs(true[true != 0]))


@given(networks(), st.integers(1, 5), st.integers(0, 60))
def test_frames_are_the_windows_of_the_chain(graph, length, start):
    chain = read(graph)
    frames = Frames(chain, length)
    windows = chain.windows(start, start + length, clip=False)
    for number, ends in enumerate(windows):
        if ends is not None:
            frame = frames.at(number, start)
            assert (frame.start, frame.end) == tuple(int(end) for end in ends)


def test_windows_are_cut_and_widened():
    x = torch.arange(1.0, 5).view(1, 1, 4, 1)
    window = Window(x, Frame(2, 6, 1, False))
    assert window.over(Frame(0, 5, 1, False)).flatten().tolist() == [0, 0, 1, 2, 3]
    assert window.over(Frame(3, 7, 1, False)).flatten().tolist() == [2, 3, 4, 0]
    sums = torch.ones(1, 1, 3, 1)
    window.add_to(sums, Frame(4, 7, 1, False))
    assert sums.flatten().tolist() == [4, 5, 1]
    for elsewhere in (Frame(6, 9, 1, False), Frame(8, 11, 1, False), Frame(-3, 0, 1, False)):
        window.add_to(sums, elsewhere)
    assert sums.flatten().tolist() == [4, 5, 1]


@pytest.mark.parametrize(
    ("row", "start", "apart"),
    [([0], [7], 0), ([0, 0], [3, 7], 4), ([0, 0, 0], [3, 7, 9], -1), ([0, 1], [3, 7], -1)],
)
def test_sites_know_how_far_they_are_apart(row, start, apart):
    words = np.zeros((len(row), 3, 1), np.uint8)
    edit = np.arange(3 * len(row)).reshape(-1, 3)
    sites = Sites(np.array(row), np.array(start), words, edit)
    assert (len(sites), sites.alternatives, sites.length) == (len(row), 3, 1)
    assert sites.apart == apart
    assert sites.rows.tolist() == [r for r in row for _ in range(3)]
