"""A divergence with everything that must be known before it is compared with another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastseq.errors import OptionError
from fastseq.reliability.nulls import Null
from fastseq.reliability.tables import Metric

SCORE_WORDS = {
    "observed": "|{}gradient| at the observed base",
    "l2": "norm of the {}gradient over the four bases",
    "given": "given scores (n, length)",
}
# fewer windows than this many a k-mer, and chance alone gives a thresholded KLD of tenths
_WINDOWS_PER_KMER = 10


@dataclass(frozen=True, eq=False)
class KLDResult:
    """A k-mer Kullback-Leibler divergence and which one it is.

    Attributes
    ----------
    per_k : dict of int to float
        KL(attributed || prior) in nats for each length.
    total : float
        Their sum under ``weights``.
    weights : dict of int to float
        Sums to 1.
    null : Null or None
        Replicates under maps that mean nothing.
    n, length : int
        Sequences and bp.
    n_kmers : dict of int to int
        Windows that carry the distribution: all of them, or the attributed ones.
    n_silent : int
        Rows whose map attributes nothing (zero everywhere, or flat under a threshold); they still
        count in the prior.
    per_sequence : dict of int to float64 (n,), or None
        The divergence of each row's own weights from the pooled prior.
    method, score, form, prior : str
        As asked for; score is "given" where ready scores came in.
    """

    per_k: dict[int, float]
    total: float
    weights: dict[int, float]
    null: Null | None
    n: int
    length: int
    n_kmers: dict[int, int]
    n_silent: int
    method: str
    score: str
    form: str
    prior: str
    settings: dict[str, object]
    per_sequence: dict[int, np.ndarray] | None = field(default=None, repr=False)

    @property
    def metric(self) -> str:
        """Which metric this is, in one sentence."""
        ks = ", ".join(map(str, self.per_k))
        corrected = "corrected " if self.settings["correct"] else ""
        score = SCORE_WORDS[self.score].format(corrected)
        if self.method == "thresholded":
            how = (
                f"thresholded: k-mers of blocks above the {self.settings['quantile']} quantile of "
                f"each sequence, {self.settings['buffer']} bases added to the right"
            )
        else:
            how = f"attribution-weighted, {self.form} form"
        return f"k-mer KLD, {how}; score {score}; k = {ks}; against {self.prior}; nats"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must not overlook in these numbers."""
        found = [f"raw KLD depends on the number of sequences: compare only at n = {self.n}"]
        if len(self.per_k) > 1:
            longest = max(self.per_k)
            share = self.weights[longest] * self.per_k[longest] / self.total if self.total else 0
            part = f"k = {longest} makes {100 * share:.0f} % of this total"
            found.append(f"raw KLD grows with k: {part if math.isfinite(share) else 'see per_k'}")
        empty = [k for k, value in self.per_k.items() if math.isnan(value)]
        if empty:
            ks = ", ".join(map(str, empty))
            found.append(f"no window carries attribution at k = {ks}: the divergence is nan")
        few = [k for k, count in self.n_kmers.items() if count < _WINDOWS_PER_KMER * 4**k]
        if few:
            level = " (a shuffled map can outrank a good one)" * (self.method == "thresholded")
            found.append(
                f"fewer than {_WINDOWS_PER_KMER} windows a k-mer at k = "
                f"{', '.join(map(str, few))}: finite-sample bias{level}; judge by null="
            )
        if self.n_silent:
            found.append(f"{self.n_silent} maps are zero or flat and attribute nothing")
        return tuple(found)

    @property
    def excess(self) -> dict[int, float]:
        """Observed minus the mean of the null, per length: nearly free of finite-sample bias."""
        if self.null is None:
            raise OptionError("excess needs replicates; pass null=100 to kmer_kld")
        return {k: value - float(self.null.per_k[k].mean()) for k, value in self.per_k.items()}

    def _key(self) -> tuple:
        data = (self.n, self.length, self.method, self.score, self.form, self.prior)
        lengths = (tuple(self.per_k), tuple(self.weights.values()))
        return (*data, *lengths, tuple(self.settings.items()))

    def _comparable(self, other: "KLDResult") -> float:
        if self._key() == other._key():
            return other.total
        names = ("n", "length", "method", "score", "form", "prior", "ks", "weights", "settings")
        differ = [
            f"{name} ({ours} against {theirs})"
            for name, ours, theirs in zip(names, self._key(), other._key())
            if ours != theirs
        ]
        raise OptionError(
            f"these two KLD differ in {'; '.join(differ)} and cannot be compared; "
            "compute both on sequences of equal number and length, with the same options"
        )

    def __lt__(self, other: "KLDResult") -> bool:
        """Compare totals of the same metric at the same n; refuse anything else."""
        return self.total < self._comparable(other)

    def __gt__(self, other: "KLDResult") -> bool:
        """Compare totals of the same metric at the same n; refuse anything else."""
        return self.total > self._comparable(other)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        null = self.null and {
            "kind": self.null.kind, "replicates": len(self.null.total),
            "p": self.null.p, "z": self.null.z, "against": str(self.null),
            "mean": float(self.null.total.mean()),
            "p_per_k": _text_keys(self.null.p_per_k), "z_per_k": _text_keys(self.null.z_per_k),
        }  # fmt: skip
        return {
            "metric": self.metric,
            "total": self.total,
            "per_k": _text_keys(self.per_k),
            "weights": _text_keys(self.weights),
            "n": self.n,
            "length": self.length,
            "n_kmers": _text_keys(self.n_kmers),
            "n_silent": self.n_silent,
            "null": null,
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """Say the numbers, the metric and the caveats."""
        lines = [f"KLD {self.total:.4f}  ({self.metric})"]
        for k, value in self.per_k.items():
            beside = ""
            if self.null is not None:
                beside = (
                    f"  null {self.null.per_k[k].mean():.4f}  p = {self.null.p_per_k[k]:.3g}"
                    f"  z = {self.null.z_per_k[k]:.1f}"
                )
            lines.append(f"  k = {k}  {value:.4f}  weight {self.weights[k]:.3f}{beside}")
        lines += [f"  {self.null}"] if self.null is not None else []
        return "\n".join(lines + [f"  note: {warning}" for warning in self.warnings])


def describe(metric: Metric) -> dict[str, object]:
    """Return the settings that decide whether two results may be compared."""
    settings: dict[str, object] = {"correct": metric.correct}
    if metric.method == "thresholded":
        settings |= {"quantile": metric.quantile, "buffer": metric.buffer}
    return settings


def _text_keys(table: Mapping[int, float]) -> dict[str, float]:
    return {str(k): value for k, value in table.items()}
