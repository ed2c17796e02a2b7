"""The sections of the demo's report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastseq import show
from fastseq.io.maps import Maps
from fastseq.sequence.simulate import MotifTask
from fastseq.show.canvas import Span
from fastseq.show.report import Section

SHOWN = 4


def planted_spans(task: MotifTask, row: Any) -> list[Span]:
    """Return the planted motifs of a row as (start, end, name)."""
    spans = task.spans[task.spans["row"] == row]
    return spans[["start", "end", "motif"]].tolist()


def predictions(labels: np.ndarray, y_hat: np.ndarray, auroc: float) -> Section:
    """Return the held-out predictions by class."""
    text = (
        f"{len(labels):,} sequences that the network never saw: it tells those with core motifs "
        f"from the others with an AUROC of {auroc:.3f}."
    )
    figure = show.score_densities(y_hat, np.where(labels == 1, "core motifs", "other motifs"))
    return Section("Predictions", text, [("Logits of the test fold by class.", figure)])


def mutagenesis(task: MotifTask, maps: Maps, rows: np.ndarray, enriched: float) -> Section:
    """Return heat maps of saturation mutagenesis with the planted motifs shaded."""
    text = (
        "Every base of held-out positives was changed to every other one. The positions with the "
        f"largest effects (the top 1 %) lie in planted motifs {enriched:.1f} times as often as "
        "positions at large. Shaded: where motifs were planted."
    )
    figures = [
        (
            f"{maps.names[at]}: effect of each substitution on the logit.",
            show.ism_heatmap(
                maps.codes[at], maps.values[at, 0], spans=planted_spans(task, rows[at])
            ),
        )
        for at in range(SHOWN)
    ]
    return Section("What every mutation does", text, figures)


def saliency(task: MotifTask, maps: Maps, rows: np.ndarray, snr: float, kld: Any) -> Section:
    """Return logos of corrected gradients, signal to noise, and k-mer divergence with its null."""
    text = (
        "The gradient of the logit, corrected by its mean over the four letters. At planted motifs "
        f"it is {snr:.1f} times as high as at its largest false peaks (signal to noise, mean of "
        f"{len(maps):,} sequences).\n\n"
        "The weighted k-mer divergence needs no planted truth: it asks whether attribution falls "
        f"on the same words again and again. {kld.total:.3f} nats against "
        f"{kld.null.total.mean():.3f} of the same maps on other sequences "
        f"(z = {kld.null.z:.0f})."
    )
    figures = [("Weighted k-mer divergence.", show.kld_bars(kld.per_k, kld.null.per_k))]
    strongest = np.argsort(-abs(maps.observed[:, 0]).sum(axis=1), kind="stable")[:SHOWN]
    figures += [
        (
            f"{maps.names[at]}: observed and hypothetical attributions.",
            show.logos(
                maps.codes[at], maps.hypothetical[at, 0], spans=planted_spans(task, rows[at])
            ),
        )
        for at in strongest
    ]
    return Section("Can the explanation be trusted", text, figures)


def variants(
    scores: Any, motifs: Mapping[str, Sequence[Span]], inside: np.ndarray, auc: float
) -> Section:
    """Return variant effects inside and outside motifs, a stretch of lollipops, and the table."""
    text = (
        f"{len(scores):,} alleles of a VCF against a small genome of held-out positives. The size "
        f"of the effect tells variants inside planted motifs from those outside with an AUC of "
        f"{auc:.3f}."
    )
    grouped = scores.assign(where=np.where(inside, "inside motifs", "outside motifs"))
    first = scores["chrom"].iloc[0]
    stretch = scores[(scores["chrom"] == first) & (scores["pos"] <= 1200)]
    spans = [span[:2] for span in motifs[first] if span[1] <= stretch["pos"].max() + 50]
    order = np.argsort(-abs(scores["diff"].to_numpy(float)), kind="stable")
    effects = show.variant_effects(grouped, group="where")
    along = show.variant_lollipops(stretch, spans=spans)
    figures = [
        ("Effects inside and outside planted motifs.", effects),
        (f"The first of {first}; shaded: planted motifs.", along),
    ]
    table = scores.iloc[order]
    return Section("What variants do", text, figures, [("By size of the effect.", table)])
