"""Ridge regression on k-mer counts: no local minima, seconds to fit, and a partner for networks.

On few rows it errs elsewhere than a convolutional network does, so that their mean is better than
either; and a network that does not beat it has learned little.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._lazy import load
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import OptionError
from fastseq.models.blocks import task_names
from fastseq.models.specs import InputSpec, TargetSpec

ITERATIONS, TOLERANCE = 100, 1e-4
# added to the variance of a feature, so that rare k-mers are not blown up
LEAST_VARIANCE = 1e-3


class KmerRidge(nn.Module):
    """A linear model of k-mer counts, gapped k-mer counts, and 4-mer counts by section.

    A k-mer and its reverse complement are one feature, sections mirrored, so that both strands of
    a sequence have one answer. Windows with unknown bases count for nothing.

    Parameters
    ----------
    length : int
        Model input in bp.
    tasks : int
    k : tuple of int
        Lengths of the k-mers, at most 10.
    gaps : tuple of int
        Two 3-mers so many bases apart also make a feature.
    sections : int
        The sequence in so many parts, each with 4-mer counts of its own; an odd number, 1 for none.
    penalty : tuple of float
        Penalties on the squared weights of standardised features, in units of the rows' weight;
        the one with the lowest validation loss is kept.

    Raises
    ------
    OptionError
        A size is out of its range, or no window fits the length.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        k: tuple[int, ...] = (3, 4, 5, 6, 7),
        gaps: tuple[int, ...] = (1, 2, 3, 4, 5),
        sections: int = 5,
        penalty: tuple[float, ...] = (2.0, 4.0, 8.0),
    ):
        super().__init__()
        if not all(1 <= size <= 10 for size in k) or not all(gap >= 1 for gap in gaps):
            raise OptionError(f"k={k}, gaps={gaps}; expected k in 1..10 and gaps of 1 or more")
        if sections % 2 == 0:
            raise OptionError(f"sections={sections}; expected an odd number")
        if not penalty or min(penalty) <= 0:
            raise OptionError(f"penalty={penalty}; expected numbers above 0")
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(task_names(tasks))
        self.penalty = tuple(penalty)
        patterns = [(tuple(range(size)), 1) for size in k]
        patterns += [((0, 1, 2, 3 + gap, 4 + gap, 5 + gap), 1) for gap in gaps]
        patterns += [(tuple(range(4)), sections)] if sections > 1 else []
        self.patterns = [p for p in patterns if p[0][-1] < length]
        if not self.patterns:
            raise OptionError(f"no k-mer of k={k}, gaps={gaps} fits into {length} bp")
        sizes = [int(_shared(len(offsets), parts).max()) + 1 for offsets, parts in self.patterns]
        self.begins = np.cumsum([0, *sizes])
        # one more row, of zeros, for windows with unknown bases
        self.register_buffer("weight", torch.zeros(int(self.begins[-1]) + 1, tasks))
        self.register_buffer("bias", torch.zeros(tasks))

    def windows(self, codes: Codes) -> np.ndarray:
        """Return the feature of every window: int32 (n, windows of all patterns).

        Parameters
        ----------
        codes : uint8, (n, length)
        """
        columns = []
        for (offsets, parts), begin in zip(self.patterns, self.begins):
            count = codes.shape[1] - offsets[-1]
            word = np.zeros((len(codes), count), np.int32)
            unknown = np.zeros(word.shape, bool)
            for offset in offsets:
                base = codes[:, offset : offset + count]
                word = 4 * word + (base & 3)
                unknown |= base >= UNKNOWN
            # the section of a window's middle; with an odd number of them it mirrors exactly
            section = (2 * np.arange(count) + 1) * parts // (2 * count)
            feature = _shared(len(offsets), parts)[word, section] + np.int32(begin)
            columns.append(np.where(unknown, np.int32(self.begins[-1]), feature))
        return np.concatenate(columns, axis=1)

    def fit(
        self,
        codes: Codes,
        targets: np.ndarray,
        val_codes: Codes,
        val_targets: np.ndarray,
        *,
        seed: int = 0,
        weights: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Solve for the weights; return the penalty kept, training and validation losses.

        Parameters
        ----------
        codes, val_codes : uint8, (n, length)
        targets, val_targets : float, (n, tasks)
        seed : int
            Nothing here is drawn.
        weights : float, (n,), optional
            What each row counts.

        Notes
        -----
        Conjugate gradients on the normal equations of centred, scaled counts; the matrix is
        sparse and takes 8 bytes a window, about 8 KB for a row of 110 bp.
        """
        seen, held = self._counts(codes), self._counts(val_codes)
        each = np.ones(len(codes)) if weights is None else np.asarray(weights, float)
        each = (each / each.mean()).astype(np.float32)
        scale, best = _scale(seen), dict[str, float]()
        for penalty in self.penalty:
            solved = [_solve(seen, scale, y, each, penalty * len(codes)) for y in targets.T]
            beta = np.stack([weight for weight, _ in solved], axis=1)
            bias = np.array([bias for _, bias in solved])
            loss, val_loss = (
                float(np.square(counts @ beta + bias - wanted).mean())
                for counts, wanted in ((seen, targets), (held, val_targets))
            )
            if not best or val_loss < best["val_loss"]:
                best = {"penalty": penalty, "loss": loss, "val_loss": val_loss}
                self.weight[:] = torch.from_numpy(beta)
                self.bias[:] = torch.from_numpy(bias)
        return best

    def _counts(self, codes: Codes) -> Any:
        """Return the counts as a sparse float32 matrix (n, features)."""
        found = self.windows(codes)
        begins = np.arange(0, found.size + 1, found.shape[1])
        shape = len(codes), len(self.weight)
        # which takes a third of a second to import
        sparse = load("scipy.sparse")
        counts = sparse.csr_matrix((np.ones(found.size, np.float32), found.ravel(), begins), shape)
        counts.sum_duplicates()
        # the last feature stands for unknown bases: without counts its weight stays 0
        counts.data[counts.indices == shape[1] - 1] = 0
        return counts

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        codes = torch.where(x[:, :4].amax(1) > 0.5, x[:, :4].argmax(1), UNKNOWN).to(torch.uint8)
        found = torch.from_numpy(self.windows(codes.cpu().numpy())).to(x.device)
        return nn.functional.embedding_bag(found, self.weight, mode="sum") + self.bias


def _scale(counts: Any) -> np.ndarray:
    """Return 1 / sd of every feature, float32."""
    squares = np.bincount(counts.indices, counts.data**2, counts.shape[1]) / counts.shape[0]
    variance = squares - np.asarray(counts.mean(0)).ravel() ** 2
    return (1 / np.sqrt(np.maximum(variance, 0) + LEAST_VARIANCE)).astype(np.float32)


def _solve(
    counts: Any, scale: np.ndarray, y: np.ndarray, each: np.ndarray, penalty: float
) -> tuple[np.ndarray, float]:
    """Return weights and bias that minimise sum each (y - counts w - b)^2 + penalty |w sd|^2.

    ``scale`` is 1 / sd of the counts.
    """
    total = each.sum()
    mean = (counts.T @ each) / total
    centre = float((each * y).sum() / total)

    def back(residual: np.ndarray) -> np.ndarray:
        weighed = each * residual
        return scale * (counts.T @ weighed - mean * weighed.sum())

    w = np.zeros(counts.shape[1], np.float32)
    residual = back((y - centre).astype(np.float32))
    direction, now = residual.copy(), float(residual @ residual)
    enough = TOLERANCE**2 * now
    for _ in range(ITERATIONS):
        if now <= enough:
            break
        scaled = scale * direction
        ahead = back(counts @ scaled - mean @ scaled) + penalty * direction
        step = np.float32(now / float(direction @ ahead))
        w += step * direction
        residual -= step * ahead
        before, now = now, float(residual @ residual)
        direction = residual + np.float32(now / before) * direction
    w = scale * w
    return w, centre - float(mean @ w)


@lru_cache(maxsize=32)
def _shared(k: int, sections: int) -> np.ndarray:
    """Return the feature of each k-mer in each section, int32 (4^k, sections).

    A k-mer shares it with its reverse complement in the mirrored section.
    """
    words = np.arange(4**k)
    turned, rest = np.zeros_like(words), words.copy()
    for _ in range(k):
        turned, rest = 4 * turned + 3 - rest % 4, rest // 4
    part = np.arange(sections)
    here = words[:, None] * sections + part
    there = turned[:, None] * sections + sections - 1 - part
    _, feature = np.unique(np.minimum(here, there), return_inverse=True)
    return feature.reshape(here.shape).astype(np.int32)
