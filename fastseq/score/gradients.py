"""Gradients of a task's score at any input between baselines and sequences."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastseq._lazy import load
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import ModelError, OptionError
from fastseq.lower.plan import Plan
from fastseq.models.blocks import BiLSTM, Exponential, GlobalMaxPool, MaxAndMean, SqueezeExcite
from fastseq.models.specs import Strand
from fastseq.sequence.encode import one_hot
from fastseq.sequence.shuffle import shuffle

Baseline: TypeAlias = Literal["zeros", "uniform", "shuffle"]


class TaskScore(nn.Module):
    """One task's score before the activation, of one-hot A C G T on the + strand.

    Parameters
    ----------
    plan : Plan
    task : int
    strand : {"+", "-"}
        What the model reads; input and task are the + strand's all the same.

    Notes
    -----
    (n, 4, length) -> (n, 1). A position whose planes add up to less than 1 is unknown by the
    rest, and profiles are summed over their positions.
    """

    def __init__(self, plan: Plan, task: int, strand: Strand) -> None:
        super().__init__()
        exchange = plan.target_spec.strand_exchange
        self.task = exchange[task] if strand == "-" and exchange else task
        self.module, self.target_spec, self.turned = plan.module, plan.target_spec, strand == "-"
        self.table: Tensor
        # a copy: the spec may have kept one that was made in inference mode
        self.register_buffer("table", plan.input_spec.table(strand).to(plan.device).clone())

    def forward(self, x: Tensor) -> Tensor:
        if self.turned:
            x = x.flip(1, 2)
        unknown = 1 - x.sum(1, keepdim=True)
        planes = torch.cat([x, unknown], 1).mT @ self.table
        score = self.target_spec.score(self.module(planes.mT).float())[:, self.task]
        return score.flatten(1).sum(1, keepdim=True) if score.ndim > 1 else score[:, None]


def check_gradient(plan: Plan) -> None:
    """Raise a ModelError where a model's answer has no gradient, as trees' and counts of k-mers."""
    nothing = torch.zeros(1, 4, plan.input_spec.length, device=plan.device, requires_grad=True)
    with torch.enable_grad():
        found = TaskScore(plan, 0, "+")(nothing)
    if not found.requires_grad:
        raise ModelError(
            f"{type(plan.module).__name__} answers without a gradient; method='ism' needs none"
        )


def float_one_hot(codes: Codes) -> NDArray[np.float32]:
    """Return one-hot as networks read it, float32, (n, 4, length); unknown bases are zero."""
    return np.asarray(one_hot(codes, dtype="float32"), np.float32)


def kinds_of_baselines(given: Baseline | Sequence[Baseline]) -> tuple[Baseline, ...]:
    """Return the kinds of baselines asked for.

    Raises
    ------
    OptionError
        There is no such kind, or none at all.
    """
    kinds = (given,) if isinstance(given, str) else tuple(given)
    if not kinds or not {*kinds} <= {*get_args(Baseline)}:
        raise OptionError(f"baselines={given!r}; expected 'zeros', 'uniform', 'shuffle' or several")
    return kinds


def baselines(
    kinds: Sequence[Baseline], codes: Codes, plan: Plan, n: int, *, seed: int, row_offset: int
) -> NDArray[np.float32]:
    """Return what sequences are compared with, float32, (rows, baselines, 4, length).

    Parameters
    ----------
    kinds : sequence of {"zeros", "uniform", "shuffle"}
        No base at all, a quarter of each, or ``n`` dinucleotide shuffles of the variable part.
    codes : uint8, (rows, length)
        Full model input.
    """
    spec, found = plan.input_spec, []
    for kind in kinds:
        if kind == "shuffle":
            shuffled = shuffle(spec.variable_part(codes), 2, n, seed=seed, row_offset=row_offset)
            flat = spec.place(shuffled.reshape(-1, spec.variable))
            found.append(float_one_hot(flat).reshape(len(codes), n, 4, spec.length))
        else:
            # an unknown base stays one, so that nothing is lost there
            fill = np.where(codes < UNKNOWN, 0.0 if kind == "zeros" else 0.25, 0.0)
            found.append(np.repeat(fill[:, None, None].astype(np.float32), 4, axis=2))
    return np.concatenate(found, axis=1)


def smooth_grad(
    score: TaskScore, plan: Plan, codes: Codes, n: int, noise: float, *, seed: int, row_offset: int
) -> NDArray[np.float32]:
    """Return the mean gradient over ``n`` draws of Gaussian noise on the one-hot input."""
    hot = float_one_hot(codes)
    total = np.zeros_like(hot)
    streams = [np.random.default_rng([seed, row_offset + row]) for row in range(len(codes))]
    for _ in range(n):
        draw = np.stack([stream.normal(0, noise, hot.shape[1:]) for stream in streams])
        total += _gradient(score, plan, hot + draw.astype(np.float32))
    return total / np.float32(n)


def integrated_gradients(
    score: TaskScore, plan: Plan, codes: Codes, base: NDArray[np.float32], steps: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what each letter would contribute, (n, 4, length), and what is missing, (n,).

    Parameters
    ----------
    codes : uint8, (n, length)
    base : float32, (n, baselines, 4, length)
    steps : int
        Points of the Gauss-Legendre rule on each path.

    Notes
    -----
    Sundararajan et al. 2017, averaged over baselines: the path's mean gradient at a letter minus
    what it is at the baseline's. At the observed letters these add up to the score minus the mean
    score of the baselines, save what is missing.
    """
    hot = float_one_hot(codes)
    places, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros_like(hot)
    for one in np.moveaxis(base, 1, 0):
        mean = np.zeros_like(hot)
        for place, weight in zip((places + 1) / 2, weights / 2):
            between = (one + place * (hot - one)).astype(np.float32)
            mean += np.float32(weight) * _gradient(score, plan, between)
        total += mean - (one * mean).sum(1, keepdims=True)
    contributions = total / np.float32(base.shape[1])
    return contributions, _missing(score, plan, hot, base, contributions)


def deeplift_shap(
    score: TaskScore, plan: Plan, codes: Codes, base: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what `integrated_gradients` returns, by tangermeme's DeepLIFT/SHAP."""
    tangermeme = load("tangermeme.deep_lift_shap")
    hot = float_one_hot(codes)

    with warnings.catch_warnings():
        # all-zero columns are the model's N here, and a baseline of its own
        warnings.filterwarnings("ignore", message=".*one-hot encoded")
        contributions = tangermeme.deep_lift_shap(
            score.eval(), torch.from_numpy(hot), target=0, hypothetical=True,
            references=torch.from_numpy(base), n_shuffles=base.shape[1],
            batch_size=plan.micro_batch, device=str(plan.device), random_state=0,
            only_warn=True, additional_nonlinear_ops=_rules(score, tangermeme),
        ).numpy()  # fmt: skip
    return contributions, _missing(score, plan, hot, base, contributions)


def _rules(score: TaskScore, tangermeme: Any) -> dict[type[nn.Module], Callable[..., Any]]:
    """Return how tangermeme is to pass our layers, and those made from torch's.

    It looks a layer up by its very class. What gates or recurs has no rule of its own and takes
    its mean gradient along the way from the baseline.
    """

    def global_max(module: Any, into: Any, out: tuple[Tensor]) -> Any:
        pool: Any = nn.MaxPool1d(module.input.shape[-1])
        pool.input, pool.output = module.input, module.output[..., None]
        return tangermeme._maxpool(pool, into, (out[0][..., None],))

    along = tangermeme.integrated_gradients_op()
    known = tangermeme._build_nonlinear_ops(
        {Exponential: tangermeme._nonlinear, GlobalMaxPool: global_max}
        | dict.fromkeys((MaxAndMean, SqueezeExcite, BiLSTM), along)
    )
    kinds = {type(module) for module in score.modules()}
    found = {kind: next((known[c] for c in kind.__mro__ if c in known), None) for kind in kinds}
    return {kind: rule for kind, rule in found.items() if rule is not None}


def _missing(
    score: TaskScore,
    plan: Plan,
    hot: NDArray[np.float32],
    base: NDArray[np.float32],
    contributions: NDArray[np.float32],
) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [score(part).cpu().numpy()[:, 0] for _, part in _batches(plan, hot)]
        flat = base.reshape(-1, *base.shape[2:])
        others = [score(part).cpu().numpy()[:, 0] for _, part in _batches(plan, flat)]
    start = np.concatenate([*others, np.zeros(0, np.float32)]).reshape(base.shape[:2]).mean(1)
    return np.concatenate([*parts, start[:0]]) - start - (contributions * hot).sum((1, 2))


def _gradient(score: TaskScore, plan: Plan, x: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty(x.shape, np.float32)
    for rows, part in _batches(plan, x):
        part.requires_grad_(True)
        # cuDNN refuses a backward pass through a recurrent layer in eval mode
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            (grad,) = torch.autograd.grad(score(part).sum(), part)
        out[rows] = grad.cpu().numpy()
    return out


def _batches(plan: Plan, x: NDArray[np.float32]) -> Iterator[tuple[slice, Tensor]]:
    for first in range(0, len(x), plan.micro_batch):
        rows = slice(first, min(first + plan.micro_batch, len(x)))
        yield rows, torch.from_numpy(x[rows]).to(plan.device)
