"""Signal to noise of attribution maps where the truth is known, as tfomics computes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fastseq.arrays import UNKNOWN, Attributions, Text, check, whole
from fastseq.errors import MapError, OptionError
from fastseq.reliability.tables import as_array, codes_beside
from fastseq.sequence.encode import Ragged
from fastseq.sequence.motifs import INFORMATIVE_BITS, Motif

COMPATIBLE = ("tfomics",)
# the four channels of a corrected map sum to 0 up to rounding of float32, or of float16
_SUMS_TO_ZERO = 1e-3


@dataclass(frozen=True, eq=False)
class SignalToNoise:
    """Signal and noise of each sequence.

    Attributes
    ----------
    mean : float
        Mean of the ratios that are kept; NaN where none is.
    ratios, signal, noise : float64, (n,)
        inf where there is no noise, NaN where there is no motif or no background.
    n_kept, n_without_noise, n_without_truth : int
        Rows in the mean; rows of infinite ratio and rows without motif or background, left out.
    """

    mean: float
    ratios: np.ndarray = field(repr=False)
    signal: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    n_kept: int
    n_without_noise: int
    n_without_truth: int


def signal_to_noise(
    seqs: Text | Ragged,
    attributions: Attributions,
    motif_mask: np.ndarray,
    background_mask: np.ndarray | None = None,
    *,
    top: int = 10,
    compat: str | None = None,
) -> float:
    """Return the mean ratio of attribution inside motifs to the highest ones outside.

    Parameters
    ----------
    seqs : sequences
        n sequences: the positives of the test split, where this stands beside published figures.
    attributions : float, (n, 4, length) or (n, length)
        Uncorrected gradients of the logit, or their signed value at the observed base.
    motif_mask, background_mask : bool or 0 / 1, (n, length)
        Where the truth lies and where noise is looked for; the complement where not given.
        `masks_from_spans` makes both from planted motifs, `masks_from_information` from the bits
        of the matrices behind them; `MotifTask` has both.
    top : int
        Noise is the mean of the ``top`` largest background scores, none below 0.
    compat : "tfomics", optional
        Give sequences with fewer than ``top`` positive background scores a ratio of 0 and keep
        them, as the original does.

    Returns
    -------
    float
        Mean of the per-sequence ratios; `by_sequence` gives the ratios and what was left out.

    Raises
    ------
    OptionError
        Corrected maps, or an option outside its choices.
    ShapeError, MapError
        Arrays that do not fit; maps that are not finite, named by row.

    Notes
    -----
    For each sequence: the mean score at motif positions, over the mean of max(0, score) at the
    ``top`` highest background positions; then the mean of these ratios (Koo & Ploenzke 2021, as
    `signal_noise_stats` of their tfomics computes it). Without any noise a ratio is infinite,
    counted and left out; a sequence without motif or background has none.

    Examples
    --------
    >>> scores = np.full((1, 20), 0.5)
    >>> scores[0, :5] = 2
    >>> float(signal_to_noise(["ACGTA" * 4], scores, np.arange(20)[None] < 5))
    4.0
    """
    return by_sequence(seqs, attributions, motif_mask, background_mask, top=top, compat=compat).mean


def by_sequence(
    seqs: Text | Ragged,
    attributions: Attributions,
    motif_mask: np.ndarray,
    background_mask: np.ndarray | None = None,
    *,
    top: int = 10,
    compat: str | None = None,
) -> SignalToNoise:
    """Return signal, noise and ratio of each sequence; `signal_to_noise` explains and raises."""
    top = whole("top", top, 1)
    if compat is not None and compat not in COMPATIBLE:
        raise OptionError(f"compat={compat!r}; expected one of {', '.join(COMPATIBLE)} or None")
    scores = _signed_scores(seqs, attributions)
    n, length = scores.shape
    axes, integers = {"n": n, "l": length}, ("b", "i", "u")
    motif = check("motif_mask", motif_mask, "n l", dtype=integers, **axes) != 0
    background = ~motif
    if background_mask is not None:
        background = check("background_mask", background_mask, "n l", dtype=integers, **axes) != 0
        if (both := (motif & background).any(1)).any():
            raise OptionError(f"row {both.argmax()}: a position is both motif and background")

    inside = motif.sum(1)
    signal = np.divide(
        np.where(motif, scores, 0).sum(1), inside, out=np.full(n, np.nan), where=inside > 0
    )
    outside = np.where(background, scores, -np.inf)
    largest = -np.partition(-outside, top - 1, axis=1)[:, :top] if length > top else outside
    found = np.isfinite(largest).sum(1)
    noise = np.divide(np.maximum(largest, 0).sum(1), found, out=np.full(n, np.nan), where=found > 0)
    known = (inside > 0) & (found > 0)
    if compat == "tfomics":
        few = ((outside > 0).sum(1) < top) | ~known
        ratios = np.divide(signal, noise, out=np.zeros(n), where=~few)
        kept = np.ones(n, bool)
    else:
        ratios = np.divide(signal, noise, out=np.where(known, np.inf, np.nan), where=noise > 0)
        kept = np.isfinite(ratios)
    return SignalToNoise(
        mean=float(ratios[kept].mean()) if kept.any() else float("nan"),
        ratios=ratios,
        signal=signal,
        noise=noise,
        n_kept=int(kept.sum()),
        n_without_noise=int((known & ~kept).sum()),
        n_without_truth=int((~known & ~kept).sum()),
    )


def masks_from_spans(
    spans: np.ndarray, n: int, length: int, *, motifs: Sequence[Motif] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return bool (n, length) masks of motif and background.

    Parameters
    ----------
    spans : structured with fields row, start, end, or int (s, 3)
        Half-open; parts beyond the sequence are cut off.
    n, length : int
        Shape of the set.
    motifs : sequence of Motif
        The matrices that the spans' fields motif (a name) and strand ("+" or "-") speak of: then
        only their columns of more than 0.1 bit are motif, and the others neither, as
        `masks_from_information` has it.

    Raises
    ------
    OptionError
        A row outside the set, or a span of no matrix or of another width.
    """
    spans, n, length = np.asarray(spans), whole("n", n), whole("length", length)
    if motifs:
        return masks_from_information(_information(spans, motifs, n, length))
    if {"row", "start", "end"} <= set(spans.dtype.names or ()):
        spans = np.stack([spans[name] for name in ("row", "start", "end")], axis=-1)
    spans = check("spans", spans, "s 3", dtype=("i", "u"))
    if len(spans) and not (spans[:, 0].min() >= 0 and spans[:, 0].max() < n):
        raise OptionError(f"spans name rows up to {spans[:, 0].max()}; there are {n}")
    steps = np.zeros((n, length + 1), np.int64)
    rows, starts, ends = spans[:, 0], *spans[:, 1:].clip(0, length).T
    np.add.at(steps, (rows, starts), 1)
    np.add.at(steps, (rows, ends), -1)
    motif = steps.cumsum(1)[:, :-1] > 0
    return motif, ~motif


def _information(spans: np.ndarray, motifs: Sequence[Motif], n: int, length: int) -> np.ndarray:
    """Return float64 (n, length): bits of the matrix planted at each position, 0 elsewhere."""
    fields = ("row", "start", "end", "motif", "strand")
    if not set(fields) <= set(spans.dtype.names or ()):
        raise OptionError(f"spans with motifs= need the fields {', '.join(fields)}")
    bits = {}
    for motif in motifs:
        bits[motif.name, "+"] = motif.information()
        bits[motif.name, "-"] = motif.reverse_complement().information()
    out = np.zeros((n, length))
    for at, (row, start, end, name, strand) in enumerate(spans[list(fields)].tolist()):
        columns = bits.get((name, strand))
        if columns is None or len(columns) != end - start:
            found = "no such matrix" if columns is None else f"a matrix of {len(columns)} columns"
            raise OptionError(f"span {at} is {end - start} bp of {name} on {strand!r}: {found}")
        if not (0 <= row < n and start >= 0 and end <= length):
            raise OptionError(
                f"span {at} is row {row}, [{start}, {end}); there are {n} rows of {length} bp"
            )
        out[row, start:end] = columns
    return out


def masks_from_information(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bool (n, length) masks of motif and background from bits of the true matrix.

    Columns of more than 0.1 bit are motif, those at the sequence's minimum background; what lies
    between is neither.
    """
    information = check("information", information, "n l", dtype="f")
    background = information == information.min(1, keepdims=True, initial=np.inf)
    motif = information > INFORMATIVE_BITS
    return motif, background & ~motif


def _signed_scores(seqs: Text | Ragged, attributions: Attributions) -> np.ndarray:
    """Return float64 (n, length): the gradient at the observed base, 0 at unknown ones."""
    maps = as_array("attributions", getattr(attributions, "raw", attributions))
    if maps.ndim not in (2, 3):
        check("attributions", maps, "n 4 l")
    codes = codes_beside(seqs, maps)
    n, length = codes.shape
    axes = "n l" if maps.ndim == 2 else "n 4 l"
    maps = check("attributions", maps, axes, dtype="f", n=n, l=length)
    with np.errstate(over="ignore", invalid="ignore"):
        bad = ~np.isfinite(np.abs(maps).sum(tuple(range(1, maps.ndim)), dtype=np.float64))
    if bad.any():
        raise MapError(
            f"the attribution map of row {bad.argmax()} holds NaN, infinity or values whose sum "
            "overflows; expected finite numbers"
        )
    if maps.ndim == 2:
        return maps.astype(np.float64)
    size = np.abs(maps).max(initial=0)
    if size and np.abs(maps.sum(1, dtype=np.float64)).max() <= _SUMS_TO_ZERO * size:
        raise OptionError(
            "these maps are gradient-corrected (their four channels sum to 0); signal_to_noise is "
            "defined on the gradients as computed: pass Attributions.raw"
        )
    observed = np.take_along_axis(maps, np.minimum(codes, 3)[:, None], axis=1)[:, 0]
    return np.where(codes == UNKNOWN, 0, observed.astype(np.float64))
