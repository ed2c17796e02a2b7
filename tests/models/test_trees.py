"""Trees train, predict and save through the verbs of the networks."""

import numpy as np
import pytest
import torch

from fastseq.errors import CheckpointError, ModelError, OptionError
from fastseq.learn.train import train
from fastseq.models import checkpoints
from fastseq.models.registry import build
from fastseq.score.predict import predict

SMALL = {"leaves": 7, "rounds": 20, "k": (2, 3)}


@pytest.fixture(scope="module")
def rows():
    codes = np.random.default_rng(0).integers(0, 4, (600, 30), dtype=np.uint8)
    return codes, np.isin(codes, (1, 2)).mean(1) + 0.3 * (codes[:, 10] == 2)


@pytest.mark.parametrize("name", ["lightgbm", "random_forest"])
def test_trees_learn_and_survive_a_checkpoint(rows, name, tmp_path):
    codes, y = rows
    path = tmp_path / "t.safetensors"
    result = train(name, rows, sizes=SMALL, path=path, progress=False)
    assert result.best["pearson"] > 0.7
    answers = predict(result.model, codes[:50])
    np.testing.assert_array_equal(predict(checkpoints.load(path), codes[:50]), answers)
    assert np.corrcoef(answers, y[:50])[0, 1] > 0.7
    again = train(name, rows, sizes=SMALL, path=path, resume=True, progress=False)
    np.testing.assert_array_equal(predict(again.model, codes[:50]), answers)


def test_the_seed_decides(rows):
    one, two = (train("lightgbm", rows, sizes=SMALL, progress=False) for _ in range(2))
    x = one.model.input_spec.expand(rows[0][:9])
    assert torch.equal(one.model(x), two.model(x))


def test_two_tasks_and_classes(rows):
    codes, y = rows
    both = train("lightgbm", (codes, np.stack([y, -y], 1)), sizes=SMALL, progress=False)
    assert predict(both.model, codes[:5]).shape == (5, 2)
    classes = train("lightgbm", (codes, y > y.mean()), sizes=SMALL, progress=False)
    assert classes.model.target_spec.scale == "logit"
    assert classes.best["auroc"] > 0.8


def test_features_are_counts_bases_and_composition():
    codes = np.zeros((2, 30), np.uint8)
    codes[1, 3] = 4
    trees = build("lightgbm", length=30, k=(2,))
    seen = trees.features(codes)
    assert seen.shape == (2, 16 + 30 + 2)
    assert seen[:, 0].tolist() == [29, 27]
    assert np.isfinite(seen).all()
    windows = build("lightgbm", length=30, k=(2,), window=10, stride=10, bases=False)
    assert windows.features(codes).shape == (2, 3 * 16 + 2)


def test_what_trees_refuse(rows):
    with pytest.raises(ModelError, match="not grown yet"):
        build("lightgbm", length=30)(torch.zeros(1, 4, 30))
    with pytest.raises(OptionError, match="objective='l7'"):
        build("lightgbm", objective="l7")
    with pytest.raises(CheckpointError, match="cannot be read"):
        build("lightgbm").set_extra_state(torch.tensor([1, 2], dtype=torch.uint8))
