"""What is done to rows on their way into the network: drawn, shifted, masked, turned, expanded."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fastseq.learn.feed import Feed
from fastseq.learn.recipes import Recipe

# near-copies that come together: their differences are seen, and a batch still holds many clusters
TOGETHER = 4


def batches(
    feed: Feed,
    targets: np.ndarray,
    rows: np.ndarray,
    recipe: Recipe,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    singletons: np.ndarray | None = None,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield one epoch: model input and labels, batch by batch, in an order that ``rng`` draws.

    Parameters
    ----------
    feed : Feed
        All rows, packed.
    targets : float32, (n, tasks)
        In the head's units.
    rows : int64
        The rows of this fold.
    recipe : Recipe
        Its ``batch_size``, ``strands``, ``shift``, ``mask`` and ``label_noise``.
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
    size, steps = recipe.batch_size, batches_per_epoch(len(rows), recipe)
    ends = [*range(size, steps * size, size), len(order)]
    alone, together = torch.arange(2 * size, device=feed.device), None
    if clusters is not None:
        order, together = _in_fours(order, clusters, rng)
        together = together.to(feed.device)
    y = targets[order]
    if recipe.label_noise:
        spread = targets[rows].std() * recipe.label_noise
        y = y + rng.normal(0, spread, y.shape).astype(np.float32)
    begins = [0, *ends[:-1]]
    sizes = [end - begin for begin, end in zip(begins, ends)]
    labels, moves = torch.from_numpy(y).to(feed.device).split(sizes), None
    if recipe.shift:
        most = min(recipe.shift, feed.rows.length)
        moves = rng.integers(-most, most + 1, len(order), np.int16)
    for begin, n, wanted in zip(begins, sizes, labels):
        end = begin + n
        drawn = order[begin:end]
        x = feed.batch(drawn, None if moves is None else moves[begin:end], _turned(recipe, n))
        if recipe.mask:
            hidden = rng.random((n, feed.rows.length), np.float32) < recipe.mask
            _hide(x, torch.from_numpy(hidden).to(feed.device), feed.spec.unknown)
        if singletons is not None:
            flags = torch.from_numpy(singletons[drawn]).to(feed.device)
            x[:, feed.spec.channel("singleton")] = flags.repeat(len(x) // n)[:, None]
        groups = alone[:n] if together is None else together[begin:end] - together[begin]
        yield x, wanted, groups


def batches_per_epoch(rows: int, recipe: Recipe) -> int:
    """Return the batches of an epoch; a last one of less than half the size joins the one before.

    A batch of a few rows would have a poor batch norm.
    """
    return max((rows + recipe.batch_size // 2) // recipe.batch_size, 1)


def _turned(recipe: Recipe, n: int) -> tuple[int, ...]:
    """Return from which row on a batch is reversed: none, the second half; or none, then all."""
    # rows come in random order, so which half is turned is a coin's toss for each
    return {"forward": (n,), "augment": (n // 2,), "conjoined": (n, 0)}[recipe.strands]


def _hide(x: Tensor, hidden: Tensor, unknown: str) -> None:
    """Make bases unknown, the same ones in both copies of a conjoined batch.

    Parameters
    ----------
    x : float32, (copies * batch, channels, length)
    hidden : bool, (batch, length)
    """
    if len(x) > len(hidden):
        hidden = torch.cat((hidden, hidden.flip(1)))
    x[:, :4].masked_fill_(hidden[:, None], 0.25 if unknown == "uniform" else 0.0)


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
