"""Rows are shifted, turned and drawn as the recipe says, and none is lost."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastseq.learn import augment
from fastseq.learn.feed import HostFeed
from fastseq.learn.recipes import RECIPES, Recipe, Stage, recipe
from fastseq.models.specs import InputSpec


@given(st.integers(1, 300), st.integers(1, 64))
def test_every_row_comes_once_an_epoch(rows, size):
    codes = np.arange(2 * rows, dtype=np.uint8)[:, None] % 4 * np.ones((1, 3), np.uint8)
    labels = np.arange(2.0 * rows, dtype=np.float32)[:, None]
    chosen, rows_in_memory = np.arange(rows) * 2, HostFeed(codes, InputSpec(3))
    plan = Recipe(batch_size=size)
    found = list(augment.batches(rows_in_memory, labels, chosen, plan, np.random.default_rng(0)))
    assert len(found) == augment.batches_per_epoch(rows, plan)
    assert sorted(float(v) for _, y, _ in found for v in y) == labels[chosen][:, 0].tolist()
    assert all(len(x) == len(y) for x, y, _ in found)


@given(st.integers(1, 200), st.integers(0, 9))
def test_fours_are_of_one_cluster_and_no_row_is_lost(rows, seed):
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 12, rows)
    labels = np.arange(rows, dtype=np.float32)[:, None]
    found = list(
        augment.batches(HostFeed(np.zeros((rows, 3), np.uint8), InputSpec(3)), labels,
                        np.arange(rows), Recipe(batch_size=32), rng, None, clusters)
    )  # fmt: skip
    met = [int(v) for _, y, _ in found for v in y]
    assert sorted(met) == list(range(rows))
    for _, y, groups in found:
        who = clusters[y[:, 0].long().numpy()]
        for group in groups.unique():
            assert len(set(who[(groups == group).numpy()])) == 1
            assert (groups == group).sum() <= augment.TOGETHER


@pytest.mark.parametrize("strands", ["forward", "augment", "conjoined"])
def test_strands(strands):
    spec = InputSpec(6, strand_channel=True)
    codes = np.random.default_rng(0).integers(0, 4, (5, 6), dtype=np.uint8)
    labels = np.arange(5, dtype=np.float32)[:, None]
    plan = Recipe(strands=strands)
    (batch,) = augment.batches(
        HostFeed(codes, spec), labels, np.arange(5), plan, np.random.default_rng(0)
    )
    x, y, _ = batch
    drawn = codes[y[:, 0].long().numpy()]
    forward, turned = spec.expand(drawn), spec.expand(drawn, "-")
    expected = {
        "forward": forward,
        "augment": torch.cat((forward[:2], turned[2:])),
        "conjoined": torch.cat((forward, turned)),
    }[strands]
    assert (x == expected).all()


def test_masked_bases_are_unknown():
    codes = np.zeros((50, 40), np.uint8)
    labels, rng = np.zeros((50, 1), np.float32), np.random.default_rng(0)
    rows = HostFeed(codes, InputSpec(40))
    (batch,) = augment.batches(rows, labels, np.arange(50), Recipe(mask=0.25), rng)
    assert (batch[0].sum(1) == 0).float().mean() == pytest.approx(0.25, abs=0.04)
    assert not codes.any()


def test_clusters_are_met_equally_often():
    clusters = np.r_[np.zeros(90), np.arange(1, 11)].astype(int)
    assert augment.cluster_weights(clusters, 0.0).tolist() == [1.0] * 100
    weights = augment.cluster_weights(clusters, 1.0)
    assert weights[:90].sum() == pytest.approx(weights[99])


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


@pytest.mark.parametrize("strands", ["forward", "augment", "conjoined"])
def test_the_singleton_channel_follows_the_rows(strands):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (50, 12), dtype=np.uint8)
    targets = np.arange(50, dtype=np.float32)[:, None]
    singletons = (np.arange(50) % 3 == 0).astype(np.float32)
    spec = InputSpec(12, strand_channel=True, flag_channels=("other", "singleton"))
    plan = Recipe(batch_size=16, strands=strands, shift=1, mask=0.1)
    drawn = augment.batches(
        HostFeed(codes, spec), targets, np.arange(50), plan, rng, singletons=singletons
    )
    for x, y, _ in drawn:
        wanted = singletons[y[:, 0].long().numpy()]
        for copy in x.split(len(y)):
            assert (copy[:, 6] == torch.from_numpy(wanted)[:, None]).all()
            assert not copy[:, 5].any()
