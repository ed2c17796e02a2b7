"""What is done to rows on their way into the network: drawn, shifted, masked, turned, expanded."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.learn.recipes import Recipe
from fastseq.models.specs import InputSpec


def batches(
    codes: Codes,
    targets: np.ndarray,
    rows: np.ndarray,
    recipe: Recipe,
    spec: InputSpec,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield one epoch: model input and labels, batch by batch, in an order that ``rng`` draws.

    Parameters
    ----------
    codes : uint8, (n, length)
        Full-length input, flanks included.
    targets : float32, (n, tasks)
        In the head's units.
    rows : int64
        The rows of this fold.
    recipe : Recipe
        Its ``batch_size``, ``strands``, ``shift``, ``mask`` and ``label_noise``.
    spec : InputSpec
    rng : numpy.random.Generator
    weights : float, (len(rows),), optional
        Chance of each row to be drawn; every row once where not given.
    clusters : int, (n,), optional
        Rows of one cluster then come one after the other.

    Yields
    ------
    x : float32, (batch, channels, length); (2 * batch, ...) when conjoined, reverse strands last
    y : float32, (batch, tasks)
    groups : int64, (batch,)
        Which rows of the batch share a cluster; all differ where there are no clusters.
    """
    size = recipe.batch_size
    if weights is None:
        order = rng.permutation(rows)
    else:
        order = rng.choice(rows, len(rows), p=weights / weights.sum())
    if clusters is not None:
        _, member = np.unique(clusters[order], return_inverse=True)
        order = order[np.argsort(rng.permutation(member.max() + 1)[member], kind="stable")]
    spread = targets[rows].std() * recipe.label_noise
    last = batches_per_epoch(len(rows), recipe) - 1
    for step in range(last + 1):
        batch = order[step * size : None if step == last else (step + 1) * size]
        x, y = codes[batch], targets[batch]
        if recipe.shift:
            x = shift(x, rng.integers(-recipe.shift, recipe.shift + 1, len(x)))
        if recipe.mask:
            x[rng.random(x.shape, dtype=np.float32) < recipe.mask] = UNKNOWN
        if spread:
            y = y + rng.normal(0, spread, y.shape).astype(np.float32)
        groups = np.arange(len(batch))
        if clusters is not None:
            groups = np.unique(clusters[batch], return_inverse=True)[1]
        yield on_strands(x, recipe.strands, spec), torch.from_numpy(y), torch.from_numpy(groups)


def batches_per_epoch(rows: int, recipe: Recipe) -> int:
    """Return the batches of an epoch; a last one of less than half the size joins the one before.

    A batch of a few rows would have a poor batch norm.
    """
    return max((rows + recipe.batch_size // 2) // recipe.batch_size, 1)


def on_strands(codes: Codes, strands: str, spec: InputSpec) -> Tensor:
    """Return the model input: forward; the second half of the rows reversed; or both of each."""
    if strands == "forward":
        return spec.expand(codes)
    # rows come in random order, so which half is turned is a coin's toss for each
    half = 0 if strands == "conjoined" else len(codes) // 2
    forward = codes if strands == "conjoined" else codes[:half]
    parts = spec.expand(forward), spec.expand(codes[half:], "-")
    return torch.cat([part.transpose(1, 2) for part in parts]).transpose(1, 2)


def shift(codes: Codes, by: np.ndarray) -> Codes:
    """Return rows moved ``by[i]`` positions to the right, unknown where nothing came in.

    Parameters
    ----------
    codes : uint8, (n, length)
    by : int, (n,)
    """
    most = int(np.abs(by).max(initial=0))
    wide = np.pad(codes, ((0, 0), (most, most)), constant_values=UNKNOWN)
    return sliding_window_view(wide, codes.shape[1], axis=1)[np.arange(len(codes)), most - by]


def tail_weights(targets: np.ndarray, strength: float, *, stretches: int = 20) -> np.ndarray:
    """Return the chance of each row to be drawn: the inverse of how crowded its labels are.

    Parameters
    ----------
    targets : float, (n, tasks)
        The first task decides.
    strength : float
        0 draws evenly; 1 gives each of 20 equally wide stretches of label values the same share.
    """
    first = targets[:, 0]
    edges = np.linspace(first.min(), first.max(), stretches + 1)[1:-1]
    stretch = np.searchsorted(edges, first)
    crowd = np.bincount(stretch, minlength=stretches)[stretch]
    return crowd.astype(float) ** -strength
