"""Losses by name: each takes scores before the activation and labels in the head's own units.

A loss returns one number a row, ``(n,)``, so that rows may be weighted.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fastseq.errors import OptionError
from fastseq.models.specs import TargetSpec

Loss = Callable[[Tensor, Tensor, TargetSpec], Tensor]

# BPNet's weight of the counts beside the profile
COUNTS_WEIGHT = 10.0


def mse(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the squared error of the activated answer."""
    return _rows((_answer(raw, spec) - target).square())


def l1(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the absolute error of the activated answer."""
    return _rows((_answer(raw, spec) - target).abs())


def huber(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the Huber error, quadratic up to 1 and linear beyond."""
    return _rows(F.huber_loss(_answer(raw, spec), target, reduction="none"))


def smooth_l1(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the absolute error, quadratic below .1."""
    error = F.smooth_l1_loss(_answer(raw, spec), target, beta=0.1, reduction="none")
    return _rows(error)


def poisson(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the Poisson negative log likelihood of counts, without its constant."""
    if spec.activation == "exp":
        return _rows(raw.exp() - target * raw)
    return _rows(F.poisson_nll_loss(_answer(raw, spec), target, False, reduction="none"))


def bce(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return the binary cross entropy of the logits; labels anywhere in 0..1."""
    return _rows(F.binary_cross_entropy_with_logits(raw, target, reduction="none"))


def focal(raw: Tensor, target: Tensor, spec: TargetSpec, gamma: float = 2.0) -> Tensor:
    """Return the focal loss (Lin et al. 2017): cross entropy, easy rows counted less.

    Over bins the label is its nearest bin; over one logit a task it is 0 or 1.
    """
    if spec.activation == "expected_bin":
        bins = torch.as_tensor(spec.bins, device=raw.device)
        nearest = (target - bins).abs().argmin(1)
        log_p = raw.log_softmax(1).gather(1, nearest[:, None])
        return _rows(-((1 - log_p.exp()) ** gamma) * log_p)
    entropy = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
    return _rows((1 - (-entropy).exp()) ** gamma * entropy)


def bins_kl(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return KL(label || prediction) over bins, the label smoothed to a Normal of sd .5.

    The winner's loss (LegNet): the mass of Normal(y, .5) between the midpoints of neighbouring
    bins, the outer two open-ended. The paper's text says variance .5; its code, and this, sd .5.
    """
    smooth = bin_masses(target, spec)
    log_p = raw.log_softmax(1)
    return (torch.xlogy(smooth, smooth) - smooth * log_p).sum(1)


def profile(raw: Tensor, target: Tensor, spec: TargetSpec) -> Tensor:
    """Return BPNet's loss (Avsec et al. 2021) of profiles and their counts.

    -log Multinomial(target | shape, counts) + 10 (ln(1 + counts) - ln(1 + expected counts))^2, a
    track at a time, the mean over tracks.

    Parameters
    ----------
    raw : float, (n, tasks, positions)
        Log of the expected counts.
    target : float, (n, tasks, positions)
        Counts; what is no whole number counts as its gamma function says.
    """
    counts = target.sum(-1)
    shape = (target * raw.log_softmax(-1)).sum(-1)
    ways = (counts + 1).lgamma() - (target + 1).lgamma().sum(-1)
    # softplus of the log is ln(1 + expected counts)
    off = counts.log1p() - F.softplus(raw.logsumexp(-1))
    return _rows(COUNTS_WEIGHT * off.square() - shape - ways)


def within_groups(raw: Tensor, target: Tensor, groups: Tensor, spec: TargetSpec) -> Tensor:
    """Return the mean squared error of what sets rows apart from the mean of their group.

    Parameters
    ----------
    groups : int64, (n,)
        0, 1, ...; a row alone in its group adds nothing.
    """
    error = _answer(raw, spec) - target
    rows = torch.bincount(groups)[:, None]
    mean = torch.zeros(len(rows), error.shape[1], device=error.device)
    mean = mean.index_add(0, groups, error) / rows
    return (error - mean[groups]).square().mean()


def bin_masses(target: Tensor, spec: TargetSpec, sd: float = 0.5) -> Tensor:
    """Return the mass of Normal(target, sd) in each bin: ``(n, 1)`` to ``(n, bins)``."""
    bins = torch.as_tensor(spec.bins, dtype=target.dtype, device=target.device)
    edges = (bins[1:] + bins[:-1]) / 2
    below = torch.special.ndtr((edges - target) / sd)
    ends = torch.zeros_like(target), torch.ones_like(target)
    return torch.cat((ends[0], below, ends[1]), dim=1).diff(dim=1)


LOSSES: dict[str, Loss] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "smooth_l1": smooth_l1,
    "poisson": poisson,
    "bce": bce,
    "focal": focal,
    "bins_kl": bins_kl,
    "profile": profile,
}


def choose(name: str, spec: TargetSpec) -> Loss:
    """Return the loss of that name, once it is shown to suit the head.

    Raises
    ------
    OptionError
        No such loss, or one that cannot read this head's scores.
    """
    if name not in LOSSES:
        raise OptionError(f"loss={name!r}; expected one of {', '.join(LOSSES)}")
    over_bins = spec.activation == "expected_bin"
    if name == "bins_kl" and not over_bins:
        raise OptionError(f"loss='bins_kl' needs a head of bins; this one is {spec.activation!r}")
    if name == "profile" and spec.activation != "exp":
        raise OptionError(
            "loss='profile' reads logs of expected counts at every position: take bpnet with "
            "head='both', or loss='poisson'"
        )
    if name in ("bce", "focal") and spec.activation not in ("none", "sigmoid", "expected_bin"):
        raise OptionError(
            f"loss={name!r} reads logits; this head ends in {spec.activation}: build it with "
            "activation='none' or take loss='mse'"
        )
    if name == "bce" and over_bins:
        raise OptionError("loss='bce' reads one logit a task; this head has bins: take 'bins_kl'")
    return LOSSES[name]


def _answer(raw: Tensor, spec: TargetSpec) -> Tensor:
    return spec.activate(spec.score(raw))


def _rows(per_task: Tensor) -> Tensor:
    return per_task.flatten(1).mean(1)
