"""Maps over sequences as results: what was computed, what each base is worth, how it is kept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes
from fastseq.io.maps import Maps, write_maps, write_modisco
from fastseq.run.precision import PrecisionReport
from fastseq.score.gradients import float_one_hot


class Mapped(ABC):
    """A result with a value for each letter and position of its sequences."""

    codes: Codes

    @abstractmethod
    def _maps(self, names: tuple[str, ...]) -> Maps: ...

    def maps(self, names: Sequence[str] | None = None) -> Maps:
        """Return what was computed as maps with names; numbers where not given.

        Raises
        ------
        ShapeError
            There are more or fewer names than sequences.
        """
        return self._maps(tuple(map(str, range(len(self.codes)) if names is None else names)))

    def save(self, path: str | PathLike[str], *, names: Sequence[str] | None = None) -> None:
        """Write the maps as an .npz file that `fastseq kld` and `fastseq report` read.

        Raises
        ------
        ShapeError
            There are more or fewer names than sequences.
        UnreadableFileError
            The folder does not take files.
        """
        write_maps(path, self.maps(names))


@dataclass(frozen=True, eq=False)
class ISMResult(Mapped):
    """Effects of all single-base substitutions in a span.

    Attributes
    ----------
    codes : uint8, (n, length)
        The sequences as given.
    start, end : int
        The mutated span, 0-based, half-open, counted in what the caller gave.
    tasks : tuple of str
    y_ref : float32, (n, tasks)
    effect : float32, (n, tasks, 4, end - start)
        y_alt - y_ref for A C G T at each position, carried as deltas; 0 at the observed base.
    precision : PrecisionReport or None
        What a reduced precision cost, on a sample; None in float32.
    """

    codes: Codes
    start: int
    end: int
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]
    precision: PrecisionReport | None = None

    @property
    def y_alt(self) -> NDArray[np.float32]:
        """Answers of the mutants, float32, (n, tasks, 4, end - start)."""
        return self.y_ref[:, :, None, None] + self.effect

    @property
    def observed(self) -> NDArray[np.bool_]:
        """One-hot of the span, bool, (n, 4, end - start); all false at unknown bases."""
        span = self.codes[:, self.start : self.end]
        return span[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Positions without an observed base, bool, (n, end - start)."""
        return self.codes[:, self.start : self.end] >= UNKNOWN

    @property
    def hypothetical(self) -> NDArray[np.float32]:
        """Effect minus its mean over the four letters (the identity's 0 included)."""
        return self.effect - self.effect.mean(2, keepdims=True)

    @property
    def attributions(self) -> NDArray[np.float32]:
        """Hypothetical at the observed base, float32, (n, tasks, end - start).

        That is -3/4 of the mean effect of the three alternatives; 0 at unknown bases.
        """
        return (self.hypothetical * self.observed[:, None]).sum(2)

    def to_tangermeme(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return y_ref (n, tasks) and y_alt (n, 4, positions, tasks), tangermeme's axis order."""
        return self.y_ref, self.y_alt.transpose(0, 2, 3, 1)

    def _maps(self, names: tuple[str, ...]) -> Maps:
        return Maps(names, self.codes, self.effect, self.start, "ism", self.tasks, self.y_ref)


@dataclass(frozen=True, eq=False)
class Attributions(Mapped):
    """Attribution maps of one task.

    Attributes
    ----------
    codes : uint8, (n, length)
        The sequences as given.
    raw : float32, (n, 4, length)
        The map as computed: the gradient, the effects of mutations, or what each letter would
        contribute beyond the baselines.
    method, task : str
    missing : float32, (n,), or None
        Of integrated gradients and DeepLIFT/SHAP: the score, minus the baselines' mean score, minus
        the contributions of the observed bases. 0 where the map is complete.
    """

    codes: Codes
    raw: NDArray[np.float32]
    method: str
    task: str
    missing: NDArray[np.float32] | None = None

    @property
    def hypothetical(self) -> NDArray[np.float32]:
        """Raw minus its mean over the four letters, float32, (n, 4, length).

        One-hot input lives on a simplex, and the part of a gradient that points off it means
        nothing (Majdandzic et al. 2023, gradient correction).
        """
        return self.raw - self.raw.mean(1, keepdims=True)

    @property
    def observed(self) -> NDArray[np.float32]:
        """Hypothetical at the observed base, float32, (n, length); 0 at unknown bases."""
        return (self.hypothetical * float_one_hot(self.codes)).sum(1)

    @property
    def contributions(self) -> NDArray[np.float32]:
        """Raw at the observed base, float32, (n, length): what adds up to the score."""
        return (self.raw * float_one_hot(self.codes)).sum(1)

    @property
    def attributions(self) -> NDArray[np.float32]:
        """The same as `observed`, the name other results use."""
        return self.observed

    def save_modisco(self, folder: str | PathLike[str]) -> None:
        """Write ``ohe.npz`` and ``shap.npz``, which TF-MoDISco-lite reads.

        See `fastseq.io.maps.write_modisco`.
        """
        write_modisco(folder, [self.maps()], len(self.codes))

    def _maps(self, names: tuple[str, ...]) -> Maps:
        raw = self.raw[:, None]
        return Maps(names, self.codes, raw, 0, self.method, (self.task,), missing=self.missing)
