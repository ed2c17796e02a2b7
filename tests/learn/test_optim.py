"""Sharpness-aware steps against their formula; schedules at their ends."""

import pytest
import torch
from torch import nn

from fastseq.learn.optim import rate, sharpen
from fastseq.learn.recipes import Stage


def test_the_gradient_is_that_of_the_worst_weights_nearby():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    model = nn.ParameterList([weight])

    def gradients():
        model.zero_grad()
        (weight**3).sum().backward()

    gradients()
    first = weight.grad.clone()
    sharpen(model, gradients, radius=0.1, gap=0.0)
    torch.testing.assert_close(weight.detach(), torch.tensor([3.0, 4.0], dtype=torch.float64))
    climbed = weight.detach() + 0.1 * first / first.norm()
    second = 3 * climbed**2
    torch.testing.assert_close(weight.grad, second)
    gradients()
    sharpen(model, gradients, radius=0.1, gap=0.5)
    across = first - (first @ second) / (second @ second) * second
    torch.testing.assert_close(weight.grad, second - 0.5 * across)


def test_running_statistics_stand_still_on_the_second_pass():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    x = torch.randn(8, 3)

    def gradients():
        model.zero_grad()
        model(x).square().sum().backward()

    gradients()
    before = model[1].running_mean.clone()
    sharpen(model, gradients, radius=0.5, gap=0.1)
    assert torch.equal(model[1].running_mean, before)
    assert model[1].momentum == 0.1


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [("constant", 1, 1), ("cosine", 1, 0), ("linear", 1, 0.01), ("one_cycle", 1 / 25, 4e-6),
     ("noam", 0.1, 10 ** -0.5)],
)  # fmt: skip
def test_schedules_begin_and_end_where_they_say(schedule, first, last):
    stage = Stage(1, lr=1.0, schedule=schedule)
    assert rate(stage, 0, 100, []) == pytest.approx(first)
    assert rate(stage, 99, 100, []) == pytest.approx(last, abs=1e-9)


def test_a_plateau_halves_after_two_epochs_without_gain():
    stage = Stage(9, lr=1.0, schedule="plateau")
    figures = [0.1, 0.2, 0.2, 0.1, 0.3, 0.3, 0.3]
    assert [rate(stage, 0, 9, figures[:n]) for n in range(8)] == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]
