"""Rows are shifted, turned and drawn as the recipe says, and none is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.learn import augment
from fastseq.learn.recipes import RECIPES, Recipe, Stage, recipe
from fastseq.models.specs import InputSpec
from fastseq.sequence.encode import reverse_complement


@given(st.integers(1, 300), st.integers(1, 64))
def test_every_row_comes_once_an_epoch(rows, size):
    codes = np.arange(2 * rows, dtype=np.uint8)[:, None] % 4 * np.ones((1, 3), np.uint8)
    labels = np.arange(2.0 * rows, dtype=np.float32)[:, None]
    chosen = np.arange(rows) * 2
    plan = Recipe(batch_size=size)
    found = list(
        augment.batches(codes, labels, chosen, plan, InputSpec(3), np.random.default_rng(0))
    )
    assert len(found) == augment.batches_per_epoch(rows, plan)
    assert sorted(float(v) for _, y, _ in found for v in y) == labels[chosen][:, 0].tolist()
    assert all(len(x) == len(y) for x, y, _ in found)


def test_clusters_come_together():
    rows, clusters = np.arange(60), np.arange(60) % 20
    labels = clusters[:, None].astype(np.float32)
    found = list(
        augment.batches(np.zeros((60, 3), np.uint8), labels, rows, Recipe(batch_size=30),
                        InputSpec(3), np.random.default_rng(0), None, clusters)
    )  # fmt: skip
    order = np.concatenate([y[:, 0] for _, y, _ in found])
    assert (np.diff(order) != 0).sum() == 19
    for _, y, groups in found:
        assert len(set(zip(y[:, 0].tolist(), groups.tolist()))) == len(set(groups.tolist())) == 10


@given(st.integers(-5, 5), st.integers(0, 9))
def test_shift_moves_and_fills_with_unknown(by, seed):
    codes = np.random.default_rng(seed).integers(0, 4, (4, 12), dtype=np.uint8)
    moved = augment.shift(codes, np.array([0, by, -by, by]))
    for row, k in zip(range(4), (0, by, -by, by)):
        expected = np.full(12, 4)
        expected[max(k, 0) : 12 + min(k, 0)] = codes[row, max(-k, 0) : 12 - max(k, 0)]
        np.testing.assert_array_equal(moved[row], expected)


def test_strands():
    spec = InputSpec(6, strand_channel=True)
    codes = np.random.default_rng(0).integers(0, 4, (5, 6), dtype=np.uint8)
    turned = spec.expand(reverse_complement(codes))
    both = augment.on_strands(codes, "conjoined", spec)
    assert (both[:5] == spec.expand(codes)).all()
    assert (both[5:, :4] == turned[:, :4]).all()
    half = augment.on_strands(codes, "augment", spec)
    assert (half[:2] == spec.expand(codes[:2])).all()
    assert (half[2:, :4] == turned[2:, :4]).all()
    assert half[:, 4, 0].tolist() == [0, 0, 1, 1, 1]


def test_tails_are_drawn_more_often():
    y = np.r_[np.zeros(90), np.ones(10)][:, None]
    assert augment.tail_weights(y, 0.0).tolist() == [1.0] * 100
    weights = augment.tail_weights(y, 1.0)
    assert weights[:90].sum() == pytest.approx(weights[90:].sum())


def test_recipes_print_and_change():
    assert recipe("tum").epochs == 15
    changed = recipe("tum", epochs=30, lr=0.1, batch_size=7)
    assert [stage.epochs for stage in changed.stages] == [10, 10, 10]
    assert {stage.lr for stage in changed.stages} == {0.1}
    assert changed.batch_size == 7
    assert "weight_decay=0.01" in str(RECIPES["default"])
    assert recipe(Recipe((Stage(1), Stage(3))), epochs=2).epochs == 2
