"""Optimizers, and learning rates as functions of the step: a resumed run needs nothing else."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fastseq.errors import OptionError
from fastseq.learn.recipes import Stage

WARM_UP = 0.3
PLATEAU_EPOCHS = 2


class Lion(torch.optim.Optimizer):
    """Sign of an interpolated momentum, with decoupled weight decay (Chen et al. 2023)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state, (b1, b2) = self.state[weight], group["betas"]
                mean: Tensor = state.setdefault("mean", torch.zeros_like(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * mean.lerp(weight.grad, 1 - b1).sign_())
                mean.lerp_(weight.grad, 1 - b2)


def optimizer(stage: Stage, model: nn.Module) -> torch.optim.Optimizer:
    """Return the stage's optimizer; biases and norms are not decayed.

    Raises
    ------
    OptionError
        The stage names another optimizer.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    match stage.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, stage.lr)
        case "adam":
            return torch.optim.Adam(groups, stage.lr)
        case "sgd":
            return torch.optim.SGD(groups, stage.lr, stage.momentum, nesterov=stage.momentum > 0)
        case "rmsprop":
            return torch.optim.RMSprop(groups, stage.lr)
        case "radam":
            return torch.optim.RAdam(groups, stage.lr)
        case "adamax":
            return torch.optim.Adamax(groups, stage.lr)
        case "lion":
            return Lion(groups, stage.lr)
    raise OptionError(
        f"optimizer={stage.optimizer!r}; expected one of adamw, adam, sgd, rmsprop, "
        "radam, adamax, lion"
    )


def rate(stage: Stage, step: int, steps: int, figures: list[float]) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    stage : Stage
    step, steps : int
        Which step of the stage, out of how many.
    figures : list of float
        Validation figures of the stage's epochs so far, greater is better.

    Notes
    -----
    "one_cycle": cosine from lr / 25 to lr over the first 30 % of the steps, then down to
    lr / 250,000 (Smith & Topin 2018, PyTorch's constants). "noam": linear over the first tenth,
    then with the inverse root (Vaswani et al. 2017). "linear": down to lr / 100. "plateau":
    halved whenever 2 epochs bring no gain.
    """
    done = step / max(steps - 1, 1)
    match stage.schedule:
        case "constant":
            return stage.lr
        case "cosine":
            return stage.lr * _cosine(1.0, 0.0, done)
        case "one_cycle" if done < WARM_UP:
            return stage.lr * _cosine(1 / 25, 1.0, done / WARM_UP)
        case "one_cycle":
            return stage.lr * _cosine(1.0, 1 / 250_000, (done - WARM_UP) / (1 - WARM_UP))
        case "noam":
            warm = max(steps // 10, 1)
            return stage.lr * min((step + 1) / warm, math.sqrt(warm / (step + 1)))
        case "linear":
            return stage.lr * (1 - 0.99 * done)
        case "plateau":
            return stage.lr * 0.5 ** _stalls(figures)
    raise OptionError(
        f"schedule={stage.schedule!r}; expected one_cycle, cosine, plateau, noam, linear "
        "or constant"
    )


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _stalls(figures: list[float]) -> int:
    """Return how often ``PLATEAU_EPOCHS`` epochs in a row brought no gain."""
    best, waited, stalls = -math.inf, 0, 0
    for figure in figures:
        best, waited = (figure, 0) if figure > best else (best, waited + 1)
        if waited == PLATEAU_EPOCHS:
            stalls, waited = stalls + 1, 0
    return stalls


def sharpen(model: nn.Module, again: Callable[[], object], *, radius: float, gap: float) -> None:
    """Turn the gradients of a batch into those of the worst weights nearby (Foret et al. 2021).

    Parameters
    ----------
    model : nn.Module
        With gradients of the batch.
    again : callable
        Computes the gradients of the same batch anew; running statistics stand still meanwhile.
    radius : float
        How far up the gradient the weights are moved.
    gap : float
        GSAM (Zhuang et al. 2022): so much of what the first gradient has across the second is
        taken away, which closes the gap between the two losses.
    """
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    first = [grad.clone() for grad in _grads(weights)]
    kept = [weight.detach().clone() for weight in weights]
    norm = torch.stack([part.norm() for part in first]).norm()
    norms = [
        layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [layer.momentum for layer in norms]
    with torch.no_grad():
        for weight, part in zip(weights, first):
            weight.add_(part, alpha=float(radius / (norm + 1e-12)))
    for layer in norms:
        layer.momentum = 0.0
    try:
        again()
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, kept):
                weight.copy_(before)
        for layer, momentum in zip(norms, momenta):
            layer.momentum = momentum
    if gap:
        second = _grads(weights)
        along = torch.stack([(one * two).sum() for one, two in zip(first, second)]).sum()
        size = torch.stack([grad.square().sum() for grad in second]).sum()
        for one, two in zip(first, second):
            two.sub_(one - along / (size + 1e-12) * two, alpha=gap)


def _grads(weights: list[nn.Parameter]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]
