"""What is done to rows on their way into the network: drawn, shifted, masked, turned, expanded."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fastseq.arrays import UNKNOWN, Codes
from fastseq.learn.recipes import Recipe
from fastseq.models.specs import InputSpec

# near-copies that come together: their differences are seen, and a batch still holds many clusters
TOGETHER = 4


def batches(
    codes: Codes,
    targets: np.ndarray,
    rows: np.ndarray,
    recipe: Recipe,
    spec: InputSpec,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    singletons: np.ndarray | None = None,
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
        Rows of one cluster then come four by four.
    singletons : float32, (n,), optional
        Values of the singleton channel; 0 where not given.

    Yields
    ------
    x : float32, (batch, channels, length); (2 * batch, ...) when conjoined, reverse strands last
        In memory that the next batch overwrites.
    y : float32, (batch, tasks)
    groups : int64, (batch,)
        Which rows of the batch came together; all differ where there are no clusters.
    """
    order = rng.permutation(rows) if weights is None else _drawn(rows, weights, rng)
    together = torch.arange(len(order))
    if clusters is not None:
        order, together = _in_fours(order, clusters, rng)
    y = targets[order]
    if recipe.label_noise:
        spread = targets[rows].std() * recipe.label_noise
        y = y + rng.normal(0, spread, y.shape).astype(np.float32)
    labels, moves = torch.from_numpy(y), None
    if recipe.shift:
        most = min(recipe.shift, codes.shape[1])
        moves = rng.integers(-most, most + 1, len(order), np.int16)
    codes = np.ascontiguousarray(codes)
    size, steps = recipe.batch_size, batches_per_epoch(len(rows), recipe)
    ends = [*range(size, steps * size, size), len(order)]
    copies = 2 if recipe.strands == "conjoined" else 1
    largest = int(np.diff([0, *ends]).max())
    room = torch.empty(copies * largest, codes.shape[1], spec.channels)
    for begin, end in zip([0, *ends], ends):
        batch, by = order[begin:end], None if moves is None else moves[begin:end]
        source = codes
        if recipe.mask:
            source, batch = _masked(codes[batch], recipe.mask, rng), np.arange(len(batch))
        x = _on_strands(source, batch, by, recipe.strands, spec, room)
        if singletons is not None:
            flags = torch.from_numpy(singletons[order[begin:end]]).repeat(copies)
            x[:, spec.channel("singleton")] = flags[:, None]
        yield x, labels[begin:end], together[begin:end] - together[begin]


def batches_per_epoch(rows: int, recipe: Recipe) -> int:
    """Return the batches of an epoch; a last one of less than half the size joins the one before.

    A batch of a few rows would have a poor batch norm.
    """
    return max((rows + recipe.batch_size // 2) // recipe.batch_size, 1)


def _on_strands(
    codes: Codes,
    rows: np.ndarray,
    shift: np.ndarray | None,
    strands: str,
    spec: InputSpec,
    room: Tensor,
) -> Tensor:
    """Return the model input: forward; the second half of the rows reversed; or both of each."""
    n = len(rows)
    # rows come in random order, so which half is turned is a coin's toss for each
    turned = n if strands == "forward" else n // 2
    if strands != "conjoined":
        return spec.expand_rows(codes, rows, shift=shift, turned=turned, out=room[:n])
    for at, turned in ((0, n), (n, 0)):
        spec.expand_rows(codes, rows, shift=shift, turned=turned, out=room[at : at + n])
    return room[: 2 * n].transpose(1, 2)


def _masked(codes: Codes, share: float, rng: np.random.Generator) -> Codes:
    codes[rng.random(codes.shape, dtype=np.float32) < share] = UNKNOWN
    return codes


def _drawn(rows: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(rows, len(rows), p=weights / weights.sum())


def _in_fours(
    order: np.ndarray, clusters: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Tensor]:
    """Return the rows in an order where up to four of a cluster follow each other, and which do."""
    _, member = np.unique(clusters[order], return_inverse=True)
    by_cluster = np.argsort(member, kind="stable")
    sizes = np.bincount(member)
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    first = np.flatnonzero(place % TOGETHER == 0)
    fours = np.diff(np.append(first, len(order)))
    drawn = rng.permutation(len(first))
    together = np.repeat(np.arange(len(first)), fours[drawn])
    inner = np.arange(len(order)) - np.repeat(np.cumsum(fours[drawn]) - fours[drawn], fours[drawn])
    return order[by_cluster][first[drawn][together] + inner], torch.from_numpy(together)


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


def cluster_weights(clusters: np.ndarray, strength: float) -> np.ndarray:
    """Return the chance of each row to be drawn: the inverse of how many near-copies it has.

    Parameters
    ----------
    clusters : int, (n,)
    strength : float
        0 draws evenly; 1 gives each cluster the same share, however many rows it has.
    """
    _, member = np.unique(clusters, return_inverse=True)
    return np.bincount(member)[member].astype(float) ** -strength
