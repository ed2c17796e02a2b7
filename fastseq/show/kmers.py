"""Words of sequences: their spectrum, and which are carried by attributions more than by chance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastseq._lazy import load
from fastseq.arrays import check
from fastseq.errors import ShapeError
from fastseq.sequence.kmers import kmer_names
from fastseq.show.canvas import BLUE, GREY, ORANGE, palette, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def kmer_spectrum(counts: Mapping[str, np.ndarray], *, title: str = "") -> "Figure":
    """Return how many different k-mers occur how often, a line for each set of sequences.

    Parameters
    ----------
    counts : mapping of name to int, (kmers,)
        Occurrences of each k-mer, such as ``count_kmers(seqs, k)`` or the counts of
        ``output="pairs"``; those that do not occur are left out.

    Raises
    ------
    ShapeError
        No set, or one in which no k-mer occurs.
    """
    if not counts:
        raise ShapeError("no counts; expected at least one set of sequences")
    figure, (axes,) = panels(1, width=5.5, height=3.2)
    lines = ["-", "--", "-.", ":"] * len(counts)
    for (name, values), color, line in zip(counts.items(), palette(len(counts)), lines):
        values = check("counts", values, "n", dtype=("i", "u"))
        occurring = values[values > 0]
        if not len(occurring):
            raise ShapeError(f"{name}: no k-mer occurs")
        times, kmers = _binned(occurring)
        axes.plot(times, kmers, line, color=color, label=f"{name} ({len(occurring):,} k-mers)")
    axes.set(xscale="log", yscale="log", xlabel="occurrences", ylabel="different k-mers per count")
    axes.legend(frameon=False)
    axes.set_title(title, fontsize="medium")
    return figure


def kmer_frequencies(
    attributed: np.ndarray, background: np.ndarray, *, top: int = 12, title: str = ""
) -> "Figure":
    """Return k-mer frequencies under attribution against those of the sequences.

    Parameters
    ----------
    attributed : float or int, (4**k,)
        Weight of each k-mer by attribution, or its count where attribution is high; indexed as
        ``count_kmers`` does, and normalised here.
    background : float or int, (4**k,)
        Count of each k-mer in the sequences.
    top : int
        So many k-mers with the largest shares of the divergence are named, and ranked beside.

    Raises
    ------
    ShapeError
        Lengths that differ or are no power of four, or a table that sums to 0.

    Notes
    -----
    A k-mer's share of KL(attributed || background) is p ln(p / q); the shares sum to the KLD.
    """
    p = check("attributed", attributed, "kmers", dtype=("f", "i", "u")).astype(float)
    q = check("background", background, "kmers", dtype=("f", "i", "u"), kmers=len(p)).astype(float)
    k = round(np.log(max(len(p), 1)) / np.log(4))
    if 4**k != len(p) or k < 1:
        raise ShapeError(f"{len(p)} k-mers; expected a power of 4")
    if not (p.sum() > 0 and q.sum() > 0):
        raise ShapeError("a table of k-mers sums to 0; there is nothing to compare")
    p, q = p / p.sum(), q / q.sum()
    both = (p > 0) & (q > 0)
    share = np.zeros(len(p))
    share[both] = p[both] * np.log(p[both] / q[both])
    words = np.array(kmer_names(k))
    order = np.argsort(-share, kind="stable")[: min(top, len(p))]
    figure, (scatter, bars) = panels(1, 2, width=9, height=3.4)
    style = {"markersize": 3, "rasterized": True, "linestyle": ""}
    rest = np.setdiff1d(np.flatnonzero(both), order)
    scatter.plot(q[rest], p[rest], "o", color=GREY, alpha=0.5, **style)
    ends = [min(p[both].min(), q[both].min()), max(p[both].max(), q[both].max())]
    scatter.plot(ends, ends, color="black", linewidth=0.8, linestyle="--")
    scatter.plot(q[order], p[order], "o", color=ORANGE, label="named beside", **style)
    scatter.legend(frameon=False)
    scatter.set(xscale="log", yscale="log", xlabel="frequency in the sequences",
                ylabel="frequency by attribution")  # fmt: skip
    for axis in (scatter.xaxis, scatter.yaxis):
        axis.set_minor_formatter(load("matplotlib.ticker").NullFormatter())
    at = np.arange(len(order))
    bars.barh(at, share[order], color=BLUE)
    bars.set_yticks(at, words[order], family="monospace", fontsize="small")
    bars.invert_yaxis()
    bars.set(xlabel=f"share of {share.sum():.3g} nats")
    figure.suptitle(title, fontsize="medium")
    return figure


def _binned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return occurrences and how many k-mers have them: one by one to 32, then in even steps."""
    steps = np.geomspace(33, max(int(values.max()), 33) + 1, 60).astype(int)
    edges = np.unique(np.r_[np.arange(1, 33), steps])
    ends = np.r_[edges, edges[-1] + 1]
    kmers, _ = np.histogram(values, ends)
    shown = kmers > 0
    return edges[shown], (kmers / np.diff(ends))[shown]
