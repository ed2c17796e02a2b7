"""Regularisers: each changes what it says and nothing else."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from fastseq.errors import ModelError, OptionError
from fastseq.learn.regularise import REGULARISERS, regulariser
from fastseq.models.motif_cnn import MotifCNN

SIZES = {
    "length": 40, "channels": (4, 5), "kernels": (5, 3), "pools": (1, 4), "hidden": 6,
    "dropout": (0.0, 0.0, 0.0),
}  # fmt: skip


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MotifCNN(first="relu", **SIZES)


@pytest.fixture
def batch(model):
    codes = np.random.default_rng(0).integers(0, 4, (8, 40), dtype=np.uint8)
    return model.input_spec.expand(codes), torch.arange(8).remainder(2)[:, None].float()


class Recorder:
    """The plain loss, which remembers what it was given."""

    def __init__(self, model):
        self.model, self.seen = model, []

    def __call__(self, x, y):
        self.seen.append((x.detach().clone(), y.clone()))
        return nn.functional.binary_cross_entropy_with_logits(self.model(x), y)


@pytest.mark.parametrize("name", REGULARISERS)
def test_every_loss_has_gradients_and_leaves_no_trace(model, batch, name):
    step = regulariser(name, model)
    objective = Recorder(model)
    for epoch in (1, 10, 30):
        loss = step.loss(*batch, objective, epoch)
        assert loss.ndim == 0
        loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(module.training for module in model.modules())


def test_none_is_the_plain_loss(model, batch):
    objective = Recorder(model)
    loss = regulariser("none", model).loss(*batch, objective)
    assert loss == objective(*batch)
    assert torch.equal(objective.seen[0][0], batch[0])


def test_mixup_mixes_inputs_and_labels_alike(model, batch):
    x, y = batch
    y = torch.rand_like(y)
    objective = Recorder(model)
    torch.manual_seed(3)
    regulariser("mixup", model, alpha=1.0).loss(x, y, objective)
    mixed, labels = objective.seen[0]
    assert not torch.equal(mixed, x), "the partner is another row, not the row itself"
    torch.testing.assert_close(mixed.sum(1), torch.ones(8, 40))
    # whichever share and partner: x and y lie on the same segment
    for row in range(8):
        fits = []
        for other in range(8):
            direction = x[other] - x[row]
            share = ((mixed[row] - x[row]) * direction).sum() / (direction**2).sum().clamp(min=1e-9)
            close = torch.allclose(mixed[row], x[row] + share * direction, atol=1e-5)
            fits.append(
                close
                and torch.allclose(labels[row], y[row] + share * (y[other] - y[row]), atol=1e-5)
            )
        assert any(fits)


def test_mixup_keeps_conjoined_strands_together(model, batch):
    x, y = batch
    seen = []
    both = torch.cat([x, x + 100])
    torch.manual_seed(1)
    regulariser("mixup", model).loss(both, y, lambda x, y: seen.append(x) or x.sum())
    torch.testing.assert_close(seen[0][8:], seen[0][:8] + 100, atol=1e-4, rtol=1e-4)


def test_manifold_methods_draw_the_input_and_every_layer(model):
    torch.manual_seed(0)
    drawn = [regulariser("manifold_noise", model)._drawn_layer() for _ in range(60)]
    assert {None, *model.stages} == set(drawn)


@pytest.mark.parametrize("name", ["manifold_mixup", "manifold_noise"])
def test_manifold_methods_change_what_the_drawn_layer_hands_on(model, batch, name, monkeypatch):
    step = regulariser(name, model)
    model.eval()
    plain = model(batch[0])
    for layer in model.stages:
        monkeypatch.setattr(step, "_drawn_layer", lambda layer=layer: layer)
        objective, answers = Recorder(model), []
        torch.manual_seed(4)
        step.loss(*batch, lambda x, y, o=objective, a=answers: a.append(model(x)) or o(x, y))
        assert torch.equal(objective.seen[0][0], batch[0])
        assert not torch.allclose(answers[0], plain)


def test_noise_is_on_the_bases_only(model, batch):
    x, y = batch
    wide = torch.cat([x, torch.ones(8, 1, 40)], 1)
    seen = []
    regulariser("noise", model, sd=0.5).loss(wide, y, lambda x, y: seen.append(x) or x.sum())
    noise = seen[0] - wide
    assert noise[:, 4].abs().max() == 0
    assert 0.4 < noise[:, :4].std() < 0.6


def test_the_attack_raises_the_loss_inside_its_box(model, batch):
    step = regulariser("adversarial", model)
    objective = Recorder(model)
    state = copy.deepcopy(model.state_dict())
    attacked = step.attack(*batch, objective)
    assert (attacked - batch[0]).abs().max() <= 0.05 + 1e-6
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"the attack moved {name}"
    model.eval()
    assert objective(attacked, batch[1]) > objective(*batch)


def test_the_attack_sets_in_by_epoch(model, batch):
    for epoch, calls in ((5, 1), (6, 12), (20, 12), (21, 11)):
        objective = Recorder(model)
        regulariser("adversarial", model).loss(*batch, objective, epoch)
        assert len(objective.seen) == calls


def test_spectral_norm_is_the_largest_singular_value(model, batch):
    step = regulariser("spectral_norm", model, iterations=300)
    assert len(step.kernels) == 4
    for kernel in step.kernels:
        expected = torch.linalg.matrix_norm(kernel.flatten(1), 2)
        torch.testing.assert_close(step.singular_value(kernel), expected, rtol=1e-4, atol=1e-5)
    objective = Recorder(model)
    model.eval()
    penalty = step.loss(*batch, objective) - objective(*batch)
    expected = 1e-3 * sum(torch.linalg.matrix_norm(k.flatten(1), 2) ** 2 for k in step.kernels)
    torch.testing.assert_close(penalty, expected, rtol=1e-3, atol=1e-5)


def test_names_settings_and_layers_that_do_not_exist(model, batch):
    with pytest.raises(OptionError, match="none, mixup"):
        regulariser("dropout", model)
    with pytest.raises(OptionError, match="no setting 'alpha'"):
        regulariser("noise", model, alpha=1)
    with pytest.raises(OptionError, match="no setting 'loss'"):
        regulariser("noise", model, loss=1)
    with pytest.raises(OptionError, match="sd=-1"):
        regulariser("noise", model, sd=-1)
    bare = nn.Sequential(nn.Flatten(), nn.Linear(160, 1))
    with pytest.raises(ModelError, match="layers="):
        regulariser("manifold_noise", bare).loss(*batch, lambda x, y: bare(x).mean())
    named = regulariser("manifold_noise", bare, layers=[bare[0]])
    assert torch.isfinite(named.loss(*batch, lambda x, y: bare(x).mean()))
