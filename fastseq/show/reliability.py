"""Can the explanations be trusted: divergences and their null, length weights, KLD against SNR."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from fastseq.arrays import check
from fastseq.errors import ShapeError
from fastseq.show.canvas import BLUE, GREY, palette, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def kld_bars(
    per_k: Mapping[int, float], null: Mapping[int, np.ndarray] | None = None, *, title: str = ""
) -> "Figure":
    """Return the divergence of each k-mer length as bars beside its null.

    Parameters
    ----------
    per_k : mapping of int to float
        Divergence in nats by k.
    null : mapping of int to float, (draws,), optional
        The same of attributions that know nothing; drawn as mean and range.
    """
    figure, (axes,) = panels(1, width=4.8, height=2.8)
    ks = sorted(per_k)
    at = np.arange(len(ks))
    width = 0.38 if null else 0.7
    axes.bar(
        at - (width / 2 if null else 0), [per_k[k] for k in ks], width, color=BLUE, label="KLD"
    )
    if null:
        draws = [np.atleast_1d(np.asarray(null[k], float)) for k in ks]
        # a length without any attributed word has no number
        draws = [draw[np.isfinite(draw)] if np.isfinite(draw).any() else draw for draw in draws]
        mean = np.array([draw.mean() for draw in draws])
        low = mean - [draw.min() for draw in draws]
        high = [draw.max() for draw in draws] - mean
        axes.bar(at + width / 2, mean, width, yerr=[low, high], color=GREY, capsize=2, label="null")
        axes.legend(frameon=False)
    axes.set_xticks(at, [str(k) for k in ks])
    axes.set(xlabel="k", ylabel="KLD (nats)")
    axes.set_title(title, fontsize="medium")
    return figure


def kld_lines(per_k: Mapping[str, Mapping[int, float]], *, title: str = "") -> "Figure":
    """Return the divergence of several models, or by several metrics, as lines over k.

    Parameters
    ----------
    per_k : mapping of name to (mapping of int to float)
        Divergence in nats by k.
    """
    figure, (axes,) = panels(1, width=5.6, height=3.2)
    for (name, values), color in zip(per_k.items(), palette(len(per_k))):
        ks = sorted(values)
        axes.plot(ks, [values[k] for k in ks], "o-", color=color, label=name)
    axes.set_xticks(sorted({k for values in per_k.values() for k in values}))
    axes.set(xlabel="k", ylabel="KLD (nats)")
    axes.legend(frameon=False, fontsize="small")
    axes.set_title(title, fontsize="medium")
    return figure


def length_weights(
    weights: Mapping[int, float],
    sd: Mapping[int, float] | None = None,
    per_k: Mapping[str, Mapping[int, float]] | None = None,
    *,
    title: str = "",
) -> "Figure":
    """Return the weight of each word length, and beside it how KLD grows with the length.

    Parameters
    ----------
    weights : mapping of int to float
        Such as ``fit_length_weights(...).weights``; the dotted line is equal weights.
    sd : mapping of int to float, optional
        Its spread over subsets, drawn as whiskers.
    per_k : mapping of name to (mapping of int to float), optional
        KLD by length of models or groups of models, for the second panel.
    """
    ks = sorted(weights)
    at = np.arange(len(ks))
    wide = bool(per_k)
    figure, axes = panels(1, 1 + wide, width=8 if wide else 4.5, height=2.8)
    whiskers = None if sd is None else [sd[k] for k in ks]
    axes[0].bar(at, [weights[k] for k in ks], 0.7, yerr=whiskers, color=BLUE, capsize=2)
    axes[0].axhline(1 / len(ks), color="black", linewidth=0.8, linestyle=":", label="equal")
    axes[0].set_xticks(at, [str(k) for k in ks])
    axes[0].set(xlabel="k", ylabel="length weight")
    axes[0].margins(y=0.2)
    axes[0].legend(frameon=False)
    for (name, values), color in zip((per_k or {}).items(), palette(len(per_k or {}))):
        axes[1].plot(sorted(values), [values[k] for k in sorted(values)], "o-", color=color,
                     label=name)  # fmt: skip
    if wide:
        axes[1].set(xlabel="k", ylabel="KLD (nats)")
        axes[1].legend(frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def kld_against_snr(
    kld: np.ndarray,
    snr: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    label: str = "KLD (nats)",
    title: str = "",
) -> "Figure":
    """Return models as points of divergence and signal to noise, Spearman's rho by group.

    Parameters
    ----------
    kld, snr : float, (models,)
        Models without both are left out; where all SNR are above 0 their axis is logarithmic.
    groups : (models,), optional
        Such as the first activation; pooling unlike groups can turn a correlation round.

    Raises
    ------
    ShapeError
        Numbers of models that differ, or no model with both.
    """
    x = check("kld", kld, "m", dtype="f")
    y = check("snr", snr, "m", dtype="f", m=len(x))
    groups = np.full(len(x), "models") if groups is None else check("groups", groups, "m", m=len(x))
    kept = np.isfinite(x) & np.isfinite(y)
    if not kept.any():
        raise ShapeError("no model has both a finite KLD and a finite SNR")
    names = np.unique(groups[kept])
    figure, (axes,) = panels(1, width=5, height=3.4)
    for name, color, marker in zip(names, palette(len(names)), "o^sDvP<>" * len(names)):
        of = kept & (groups == name)
        constant = of.sum() < 3 or np.ptp(x[of]) == 0 or np.ptp(y[of]) == 0
        rho = "" if constant else f", ρ = {spearmanr(x[of], y[of]).statistic:.2f}"
        axes.scatter(
            x[of], y[of], s=22, marker=marker, color=color, alpha=0.75, linewidths=0,
            label=f"{name} (n = {of.sum()}{rho})",
        )  # fmt: skip
    if (y[kept] > 0).all() and np.ptp(y[kept]):
        axes.set_yscale("log")
    axes.set(xlabel=label, ylabel="signal to noise")
    axes.legend(frameon=False)
    axes.set_title(title, fontsize="medium")
    return figure
