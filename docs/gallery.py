"""The pictures of the gallery, from data made here: what each function of `fastseq.show` draws."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import fastseq
from fastseq import show
from fastseq.show.canvas import to_svg

K = range(3, 9)
MODELS = ("dream_rnn", "legnet", "tum_resnet", "deepstarr", "kmer_ridge")


def pictures() -> Iterator[str]:
    """Yield a heading, a line of what is taken, and the drawing, for each picture."""
    figures = drawn()
    left_out = {*show.__all__} - {"save", "to_svg"} - figures.keys()
    assert not left_out, f"not in the gallery: {left_out}"
    for name, (taken, figure) in figures.items():
        summary = (getattr(show, name).__doc__ or "").partition("\n")[0]
        svg = to_svg(figure).replace("<svg ", '<svg role="img" style="max-width: 100%" ', 1)
        # Markdown must not read the lines of a drawing
        flat = svg.replace("\n", " ")
        yield f"## {name}\n\n{summary} Takes {taken}.\n\n<div>{flat}</div>\n"


def drawn() -> dict[str, tuple[str, Any]]:
    """Return for each function what it takes, and a figure of it."""
    random = np.random.default_rng(22)
    task = fastseq.simulate_motif_task(200, length=120)
    row = int(task.rows("train", label=1)[0])
    codes, spans = task.codes[row], task.spans[task.spans["row"] == row]
    maps = _maps(codes, spans, random)
    named = spans[["start", "end", "motif"]].tolist()
    at = int(spans["start"][0]) + 4
    alt = codes.copy()
    alt[at] = (alt[at] + 2) % 4
    broken = maps.copy()
    broken[:, spans["start"][0] : spans["end"][0]] *= 0.1
    scores = maps[codes, np.arange(len(codes))], broken[alt, np.arange(len(codes))]
    return {
        "logos": (
            "the maps of `attribute`", show.logos(codes, maps, spans=named)),
        "ism_heatmap": (
            "the effects of `saturation_mutagenesis`",
            show.ism_heatmap(codes, maps - maps[codes, np.arange(len(codes))], spans=named)),
        "allele_logos": (
            "attributions of both haplotypes, and the hits of `motif_changes`",
            show.allele_logos(codes, alt, *scores, at=at, lost=named[:1])),
        **_of_variants(random),
        **_of_models(random),
        **_of_reliability(task, random),
        "network_diagram": (
            "what `fastseq.lower` returns",
            show.network_diagram(fastseq.lower(fastseq.models.build("tum_resnet", length=80)))),
    }  # fmt: skip


def _maps(codes: np.ndarray, spans: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return made-up hypothetical attributions, (4, l), high at the bases of planted motifs."""
    maps = random.normal(0, 0.12, (4, len(codes)))
    for span in spans:
        inside = np.arange(span["start"], span["end"])
        maps[codes[inside], inside] += random.gamma(4, 0.25, len(inside))
    return maps - maps.mean(axis=0)


def _of_variants(random: np.random.Generator) -> dict[str, tuple[str, Any]]:
    n = 60
    diff = random.standard_t(2, n) * 0.3
    y_ref = random.normal(2, 1, n)
    bases = np.array(list("ACGT"))
    ref = bases[random.integers(0, 4, n)].astype(object)
    alt = np.where(np.arange(n) % 7, bases[random.integers(0, 4, n)], ref + "GA")
    table = {"pos": np.sort(random.integers(1_000, 9_000, n)), "ref": ref, "alt": alt,
             "y_ref": y_ref, "y_alt": y_ref + diff, "diff": diff,
             "where": np.where(abs(diff) > 0.4, "inside motifs", "outside")}  # fmt: skip
    words = "the table of `score_variants`"
    return {
        "variant_lollipops": (
            words, show.variant_lollipops(table, spans=[(3000, 3200, "enhancer")])),
        "variant_effects": (words, show.variant_effects(table, group="where")),
    }  # fmt: skip


def _of_models(random: np.random.Generator) -> dict[str, tuple[str, Any]]:
    epochs = np.arange(1, 13)
    loss = 0.3 + np.exp(-epochs / 3)
    history = {"epoch": epochs, "loss": loss, "val_loss": loss + 0.02 * epochs**0.8 + 0.05,
               "val_pearson": 0.8 - 0.5 * np.exp(-epochs / 3)}  # fmt: skip
    y = random.normal(11, 3, 3_000).clip(0, 17)
    y_hat = 0.8 * y + random.normal(2.2, 1.4, len(y))
    folds = np.where(np.arange(len(y)) % 5, "train", "validation")
    classes = np.array(["low", "medium", "high"])[np.digitize(y[:400], [9, 12.5])]
    outputs = random.normal(size=(400, 6)) + (y[:400, None] - 11) * np.linspace(0.2, 1, 6)
    strength = np.linspace(0, 0.15, len(MODELS))
    subsets = {
        model: {subset: float(0.85 - low - 0.04 * at + random.normal(0, 0.02))
                for at, subset in enumerate(("all", "native", "random", "SNVs", "motif_tiling"))}
        for model, low in zip(MODELS, strength)
    }  # fmt: skip
    shared = random.normal(size=(1, 500))
    similar = np.corrcoef(
        shared + random.normal(size=(len(MODELS), 500)) * (0.4 + strength[:, None])
    )
    return {
        "training_curve": ("the history of `train`", show.training_curve(history)),
        "predicted_against_measured": (
            "two arrays", show.predicted_against_measured(y, y_hat)),
        "expression_densities": (
            "two arrays and folds", show.expression_densities(y, y_hat, folds)),
        "score_densities": (
            "predictions and classes", show.score_densities(outputs[:, -1], classes)),
        "embedding": (
            "answers or activations, labels and folds",
            show.embedding(outputs, classes, folds[:400], label="expression")),
        "subset_heatmap": (
            "scores by model and subset", show.subset_heatmap(subsets, label="r²")),
        "rank_distributions": (
            "the draws of `dream_score(...).bootstrap()`",
            show.rank_distributions(
                0.7 - strength + random.normal(0, 0.03, (2_000, len(MODELS))), MODELS,
                label="Pearson Score")),
        "correlation_matrix": (
            "a matrix and names", show.correlation_matrix(similar, MODELS, label="r")),
    }  # fmt: skip


def _of_reliability(task: Any, random: np.random.Generator) -> dict[str, tuple[str, Any]]:
    background = fastseq.count_kmers(task.codes, 5)
    attributed = background * random.gamma(20, 0.05, len(background))
    attributed[fastseq.count_kmers("ACCACGTGCTGGGGCGGGGC", 5) > 0] *= 6
    counts = {
        "planted motifs": fastseq.count_kmers(task.codes, 6),
        "shuffled": fastseq.count_kmers(fastseq.shuffle(task.codes, k=1)[:, 0], 6),
    }
    rising = np.array(K) ** 1.6
    grown = {"relu": dict(zip(K, 0.01 * rising)), "exponential": dict(zip(K, 0.02 * rising))}
    null = {k: random.normal(0.004 * k, 0.002, 20) for k in K}
    first = np.repeat(["relu", "exponential"], 40)
    kld = np.where(first == "relu", 0.1, 0.2) + random.normal(0, 0.02, 80)
    words = "divergences by length"
    return {
        "kmer_spectrum": ("counts of `count_kmers`", show.kmer_spectrum(counts)),
        "kmer_frequencies": (
            "two tables of k-mers", show.kmer_frequencies(attributed, background)),
        "kld_bars": (f"{words}, and their null", show.kld_bars(grown["exponential"], null)),
        "kld_lines": (f"{words} of several models", show.kld_lines(grown)),
        "length_weights": (
            "what `fit_length_weights` found",
            show.length_weights(
                dict(zip(K, (0.1, 0.14, 0.21, 0.22, 0.18, 0.15))), dict.fromkeys(K, 0.03), grown)),
        "kld_against_snr": (
            "two arrays and groups of models",
            show.kld_against_snr(kld, np.exp(9 * kld + random.normal(0, 0.3, 80)), first)),
    }  # fmt: skip
