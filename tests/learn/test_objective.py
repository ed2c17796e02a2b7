"""Auxiliary tasks: what they hide, what they change, and that they are learned."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fastseq.errors import OptionError
from fastseq.learn.objective import mutated, reconstruction
from fastseq.learn.train import train
from fastseq.models.registry import build

UNLOCK = {"length": 30, "padded": 30, "channels": 32, "layers": 1, "heads": 2, "head_width": 16,
          "expression_tokens": 2, "dropout": 0.0}  # fmt: skip
BUGF = {"length": 30, "channels": 32, "heads": 2, "inner": 32, "passes": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    # a repeat of two bases, so that a hidden one follows from its neighbours
    codes = np.tile(rng.integers(0, 4, (160, 2), dtype=np.uint8), (1, 15))
    return codes, np.isin(codes, (1, 2)).mean(1)


def one_hot(codes):
    return F.one_hot(torch.from_numpy(codes).long(), 4).float().transpose(1, 2)


def test_only_hidden_known_bases_count():
    x = one_hot(np.array([[0, 1, 2, 3]], np.uint8))
    x[0, :, 3] = 0  # unknown
    letters = torch.zeros(1, 4, 4)
    letters[0, 0, 0] = 100.0
    assert reconstruction(letters, x, torch.tensor([[True, False, False, True]])) < 1e-6
    even = reconstruction(letters, x, torch.tensor([[False, True, False, False]]))
    torch.testing.assert_close(even, torch.tensor(4.0).log())
    assert reconstruction(letters, x, torch.zeros(1, 4, dtype=torch.bool)) == 0


def test_mutated_bases_are_other_bases_and_flags_stay():
    torch.manual_seed(0)
    x = one_hot(np.random.default_rng(0).integers(0, 4, (50, 40), dtype=np.uint8))
    x[:, :, 7] = 0
    x = torch.cat((x, torch.ones(50, 1, 40)), dim=1)
    changed, where = mutated(x, 0.15)
    assert 0.1 < where.float().mean() < 0.2
    assert not where[:, 7].any()
    assert ((changed != x).any(1) == where).all()
    assert (changed.sum(1) == x.sum(1)).all()


def test_hidden_bases_cannot_be_seen():
    torch.manual_seed(0)
    model = build("unlock_dna", **UNLOCK).eval()
    x = one_hot(np.random.default_rng(0).integers(0, 4, (2, 30), dtype=np.uint8))
    hidden = torch.zeros(2, 30, dtype=torch.bool)
    hidden[:, 5] = True
    other = x.clone()
    other[:, :, 5] = x[:, :, 5].roll(1, dims=1)
    with torch.no_grad():
        for one, two in zip(model.reconstruct(x, hidden), model.reconstruct(other, hidden)):
            assert torch.equal(one, two)
        unhidden = model.reconstruct(x, torch.zeros_like(hidden))[0]
    torch.testing.assert_close(unhidden, model(x))
    assert model.reconstruct(x, hidden)[1].shape == (2, 30, 4)


@pytest.mark.parametrize(
    ("name", "sizes", "task"),
    [("unlock_dna", UNLOCK, "reconstruction"), ("bugf", BUGF, "mutation")],
)
def test_auxiliary_tasks_are_learned_beside_the_labels(rows, name, sizes, task):
    options = {"auxiliary": task, "epochs": 12, "lr": 3e-3, "batch_size": 40, "progress": False,
               "strands": "forward", "flanks": "none"}  # fmt: skip
    kept = {size: value for size, value in sizes.items() if size != "length"}
    result = train(name, rows, sizes=kept, **options)
    model, x = result.model, one_hot(rows[0])
    torch.manual_seed(0)
    with torch.no_grad():
        if task == "reconstruction":
            hidden = torch.rand(160, 30) < 0.05
            letters = model.reconstruct(x, hidden)[1]
            right = (letters.argmax(2) == x.argmax(1))[hidden].float().mean()
            assert right > 0.45  # by chance a quarter
        else:
            changed, where = mutated(x, 0.15)
            found = model.mutated(changed)
            assert found[where].mean() > found[~where].mean() + 0.1


def test_networks_without_the_head_are_refused(rows):
    with pytest.raises(OptionError, match=r"asks the network's reconstruct\(x\), which a TumCNN"):
        train("tum_cnn", rows, auxiliary="reconstruction", epochs=1, progress=False)
    with pytest.raises(OptionError, match="auxiliary='maps'"):
        train("tum_cnn", rows, auxiliary="maps", epochs=1, progress=False)
