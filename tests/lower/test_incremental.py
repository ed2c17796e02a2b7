import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastseq.lower.incremental import DeltaEngine
from tests.lower.networks import TABLE, networks
from tests.reference.effects import effects, substitutions


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequences(rows, length, seed=0, letters=5):
    codes = np.random.default_rng(seed).integers(0, letters, (rows, length), dtype=np.uint8)
    codes[-1, : length // 2] = 2  # repeats make ties
    return codes


def length_of(graph):
    return next(iter(graph.graph.nodes)).meta["shape"][1]


def compare(graph, codes, edits, engine=None):
    """Hold the engine to 1e-4 of the median effect, or to the float32 forward's own error."""
    engine = engine or DeltaEngine(graph, TABLE)
    ref, true = effects(graph, TABLE, codes, *edits)
    ref32, full = effects(graph, TABLE, codes, *edits, dtype=torch.float32)
    y, fast = engine.effects(codes, *edits)
    limit = np.abs(ref32 - ref).max() + 1e-5 * np.abs(ref).max()
    assert np.abs(y - ref).max() <= limit
    error, own = np.abs(fast - true).max(), np.abs(full - true).max()
    seen = np.abs(true[true != 0])
    assert error <= max(1e-4 * np.median(seen) if len(seen) else 0, 2 * own)
    return fast


@given(networks(walls=True), st.integers(0, 99))
def test_effects_equal_the_full_forward(graph, seed):
    codes = sequences(2, length_of(graph), seed)
    compare(graph, codes, substitutions(codes))


NATIVE = {"activations": ("none", "relu", "leaky_relu", "prelu"), "grouped": False}


@given(networks(**NATIVE), st.integers(0, 99))
def test_native_effects_equal_the_full_forward(graph, seed):
    codes = sequences(2, length_of(graph), seed)
    engine = DeltaEngine(graph, TABLE)
    assert not [reason for reason in engine.slow if "input" not in reason and "adds" not in reason]
    compare(graph, codes, substitutions(codes), engine)
