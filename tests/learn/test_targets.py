"""The affine map brings every label into the head's reach, and comes undone on output."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import TargetError
from fastseq.learn import losses, targets
from fastseq.models.specs import TargetSpec

HEADS = [
    TargetSpec(activation=name) for name in ("none", "softplus", "exp", "sigmoid")
] + [TargetSpec(activation="expected_bin", bins=tuple(map(float, range(18))))]  # fmt: skip


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.activation)
@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=30))
def test_fitted_labels_are_within_reach(head, labels):
    y = np.array(labels, np.float32)[:, None]
    fitted = targets.fit_affine(head, y, binary=False)
    targets.check_reach(fitted, y, np.arange(len(y)))
    back = fitted.slope * fitted.invert(y) + fitted.offset
    np.testing.assert_allclose(back, y, atol=1e-4)


def test_labels_in_the_heads_own_units_keep_them():
    bins = HEADS[-1]
    y = np.linspace(0, 17, 50)[:, None]
    assert targets.fit_affine(bins, y, binary=False) == bins
    assert targets.fit_affine(HEADS[1], y, binary=False) == HEADS[1]
    assert targets.fit_affine(HEADS[0], np.array([[0.0], [1.0]]), binary=True).scale == "logit"


@pytest.mark.parametrize("head", HEADS[1:], ids=lambda head: head.activation)
def test_a_label_out_of_reach_names_its_row(head):
    y = np.full((4, 1), 0.5)
    y[2] = -3
    with pytest.raises(TargetError, match="row 30 has target -3.*1 of 4 rows"):
        targets.check_reach(head, y, np.array([10, 20, 30, 40]))


def test_bin_masses_are_those_of_a_normal_of_sd_a_half():
    head = HEADS[-1]
    y = torch.tensor([[7.3], [-4.0], [40.0]], dtype=torch.float64)
    mass = losses.bin_masses(y, head)
    draws = np.random.default_rng(0).normal(7.3, 0.5, 200_000).round()
    for value in (6, 7, 8, 9):
        assert mass[0, value].item() == pytest.approx((draws == value).mean(), abs=3e-3)
    torch.testing.assert_close(mass.sum(1), torch.ones(3, dtype=torch.float64))
    assert (mass[1].argmax(), mass[2].argmax()) == (0, 17)


@pytest.mark.parametrize("name", ["bins_kl", "focal", "mse", "huber", "l1"])
def test_losses_over_bins_are_least_at_the_label(name):
    head = HEADS[-1]
    y = torch.tensor([[7.0]])
    at = [losses.LOSSES[name](-(torch.arange(18.0) - b).square()[None], y, head) for b in range(18)]
    assert int(torch.cat(at).argmin()) == 7


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "poisson", "bce", "focal"])
def test_losses_come_one_a_row_with_a_gradient(name):
    raw = torch.randn(5, 2, requires_grad=True)
    head = TargetSpec(("a", "b"), "exp" if name == "poisson" else "none")
    loss = losses.choose(name, head)(raw, torch.randint(0, 2, (5, 2)).float(), head)
    assert loss.shape == (5,)
    loss.sum().backward()
    assert raw.grad.isfinite().all()


def test_the_loss_within_groups_sees_only_what_sets_rows_apart():
    head = TargetSpec()
    y = torch.tensor([[1.0], [2.0], [5.0], [9.0]])
    groups = torch.tensor([0, 0, 1, 2])
    assert (
        losses.within_groups(y + torch.tensor([[7.0], [7.0], [1.0], [3.0]]), y, groups, head) == 0
    )
    off = y + torch.tensor([[1.0], [-1.0], [5.0], [5.0]])
    assert losses.within_groups(off, y, groups, head).item() == pytest.approx(0.5)
