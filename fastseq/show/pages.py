"""Files that the verbs wrote become the sections of a report."""

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastseq._lazy import load
from fastseq.errors import FormatError, MissingFileError
from fastseq.io.files import chunks
from fastseq.io.manifest import MANIFEST
from fastseq.io.map_shards import holds_shards, read_shards
from fastseq.io.maps import Maps, read_maps
from fastseq.io.results import read_results
from fastseq.io.tables import read_table
from fastseq.show.attributions import ism_heatmap, logos
from fastseq.show.comparison import correlation_matrix
from fastseq.show.kmers import kmer_spectrum
from fastseq.show.predictions import (
    embedding,
    expression_densities,
    predicted_against_measured,
    score_densities,
    training_curve,
)
from fastseq.show.reliability import kld_bars, kld_lines
from fastseq.show.report import MOST_ROWS, Section
from fastseq.show.studies import (
    is_evaluation,
    is_findings,
    is_model,
    of_evaluation,
    of_findings,
    of_study,
)
from fastseq.show.variants import variant_effects, variant_lollipops

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_VARIANTS_DRAWN = 2_000
MOST_CORRELATED = 30
MOST_FOLDS = 4
# t-SNE takes a second or two for so many rows; it comes with the extra [trees]
MOST_EMBEDDED = 1_000
HAS_TSNE = find_spec("sklearn") is not None


def sections_of(results: Sequence[str | PathLike[str]], *, examples: int = 6) -> list[Section]:
    """Return one section per result.

    Parameters
    ----------
    results : sequence of path
        Checkpoints, maps (.npz, or shards in a folder or Zarr group), tables, k-mer divergences
        (.json), folders of scores, folders of a study's models, or folders with any of these.
    examples : int
        So many sequences are drawn of each file of maps: those with the largest values.

    Raises
    ------
    MissingFileError
        There is no such file.
    FormatError
        A file that no verb wrote, or a folder without one that some did.
    """
    sections = []
    for path in map(Path, results):
        if not path.exists():
            raise MissingFileError(f"{path}: no such file or folder")
        if path.is_dir() and not (path / MANIFEST).exists():
            sections += _of_folder(path, examples)
            continue
        reader = _reader(path)
        if reader is None:
            raise FormatError(
                f"{path}: expected a checkpoint (.safetensors), maps (.npz), a table (.tsv, .csv, "
                ".parquet), a divergence (.json) or a folder of scores or maps"
            )
        sections.append(reader(path, examples))
    return sections


def _of_folder(path: Path, examples: int) -> list[Section]:
    """Return the sections of whatever a folder holds; the models of a study are one."""
    held = [file for file in sorted(path.iterdir()) if _reader(file) is not None]
    if not held:
        raise FormatError(f"{path}: holds nothing that a report could show")
    models = {
        file: model for file in held if file.suffix == ".json" and is_model(model := _parsed(file))
    }
    sections = [of_study(path.name, list(models.values()))] if models else []
    return sections + sections_of([file for file in held if file not in models], examples=examples)


def of_history(name: str, history: Sequence[dict[str, Any]]) -> Section:
    """Return how a training went."""
    best = max(history, key=lambda row: row.get("auroc", row.get("pearson", -row["loss"])))
    text = f"{len(history)} epochs; the checkpoint keeps epoch {best.get('epoch', len(history))}."
    figure = training_curve(history)
    return Section(
        f"Training of {name}", text, [("Loss and validation by epoch.", figure)], [("", history)]
    )


def of_maps(name: str, maps: Maps, examples: int = 6) -> Section:
    """Return logos and, for effects of mutations, heat maps of the most affected sequences."""
    strength = abs(maps.observed).sum(axis=(1, 2))
    chosen = np.sort(np.argsort(-strength, kind="stable")[:examples])
    figures = []
    for row, codes in zip(chosen, maps.span[chosen]):
        for task, task_name in enumerate(maps.tasks):
            of_task = f", {task_name}" if len(maps.tasks) > 1 else ""
            if maps.method == "ism":
                picture = ism_heatmap(codes, maps.values[row, task], start=maps.start)
            else:
                picture = logos(codes, maps.hypothetical[row, task], start=maps.start)
            figures.append((f"{maps.names[row]}{of_task}", picture))
    what = {
        "ism": "Effect of every substitution; the reference carries a dot, and the letters above "
        "are as tall as the mean loss when their base is changed.",
        "saliency": "Gradient of the score, corrected: the observed bases, then all four.",
    }.get(maps.method, "Attribution of the observed bases, then of all four.")
    shown = f"{len(chosen)} of {len(maps)} sequences, those with the largest values."
    return Section(f"{name}: which bases matter", f"{what}\n\n{shown}", figures)


def of_variants(name: str, table: "pd.DataFrame") -> Section:
    """Return effects of variants: contig by contig where few, ranked in any case."""
    value = next(column for column in table.columns if column.startswith("diff"))
    suffix = value.removeprefix("diff")
    size = abs(table[value].to_numpy(float))
    order = np.argsort(-np.where(np.isfinite(size), size, -1), kind="stable")
    scored = int(np.isfinite(size).sum())
    figures = []
    if scored:
        columns = {part: table[f"{part}{suffix}"] for part in ("y_ref", "y_alt", "diff")}
        picture = variant_effects(columns)
        figures.append(("Answers for both alleles, and effects by rank.", picture))
        strongest = table.iloc[order[: min(scored, MOST_VARIANTS_DRAWN)]]
        for chrom in strongest["chrom"].iloc[:200].value_counts().index[:3]:
            here = strongest[strongest["chrom"] == chrom]
            picture = variant_lollipops(here, value=value)
            figures.append((f"{chrom}: the {len(here):,} largest effects.", picture))
    left_out = "" if scored == len(table) else f" {len(table) - scored:,} have none; see status."
    text = f"{len(table):,} alleles, {scored:,} with an effect.{left_out}"
    return Section(
        f"{name}: variants", text, figures, [("By size of the effect.", table.iloc[order])]
    )


def _by_length(per_k: dict[str, float | None]) -> dict[int, float]:
    """Return values by length; what JSON cannot say is nan."""
    return {int(k): np.nan if value is None else value for k, value in per_k.items()}


def of_kld(name: str, found: dict[str, Any]) -> Section:
    """Return k-mer divergences beside their null."""
    per_k = _by_length(found["per_k"])
    null = {int(k): np.array(draws, float) for k, draws in found.get("null_per_k", {}).items()}
    rows = {"k": list(per_k), "KLD": list(per_k.values())}
    if null:
        rows["null, mean"] = [null[k].mean() for k in per_k]
        rows["null, largest"] = [null[k].max() for k in per_k]
    text = (
        "How far the k-mers that carry attribution are from those of the sequences. A map that "
        "points at repeating words lies far above its null, the same maps on other sequences."
    )
    figures = [("Divergence by k-mer length.", kld_bars(per_k, null or None))]
    return Section(f"{name}: k-mer divergence", text, figures, [("", rows)])


def of_klds(name: str, results: list[dict[str, Any]]) -> Section:
    """Return k-mer divergences of several models or metrics over the same sequences."""
    labels = [f"{found['maps']}, {found['method']}" for found in results]
    per_k = {label: _by_length(found["per_k"]) for label, found in zip(labels, results)}
    rows = {"maps": labels, "KLD": [found["total"] for found in results]}
    for k in results[0]["per_k"]:
        rows[f"k = {k}"] = [values[int(k)] for values in per_k.values()]
    text = "The same sequences, explained by each; compare within a metric only."
    figures = [("Divergence by k-mer length.", kld_lines(per_k))]
    return Section(f"{name}: k-mer divergences", text, figures, [("", rows)])


def of_predictions(name: str, table: "pd.DataFrame") -> Section:
    """Return predictions: against measurements where the table has them, else their density.

    A column ``fold`` sets the folds beside each other; three answers or more a row are drawn in
    the plane by t-SNE.
    """
    y_hat = table[next(column for column in table.columns if column.startswith("y_hat"))]
    y_hat = y_hat.to_numpy(float)
    figures: list[Any] = []
    measured = next((column for column in ("y", "label") if column in table.columns), None)
    if measured is None:
        figure = score_densities(y_hat, np.full(len(y_hat), "all"))
        caption = "Distribution of the predictions."
    elif set(table[measured].unique().tolist()) <= {0, 1}:
        figure = score_densities(y_hat, table[measured].to_numpy(int))
        caption = "Predictions by class."
    else:
        y_true = table[measured].to_numpy(float)
        figure = predicted_against_measured(y_true, y_hat)
        caption = "Predicted against measured."
        finite = np.isfinite(y_true) & np.isfinite(y_hat)
        folds = _folds(table[finite])
        densities = expression_densities(y_true[finite], y_hat[finite], folds)
        figures.append(("Kernel densities.", densities))
    figures.insert(0, (caption, figure))
    answers = [column for column in table.columns if column.startswith("y_hat_")]
    varied = len(table) > 2 and all(table[column].nunique() > 1 for column in answers)
    if varied and 2 <= len(answers) <= MOST_CORRELATED:
        names = [column.removeprefix("y_hat_").rpartition("/")[2] for column in answers]
        matrix = np.corrcoef(table[answers].to_numpy(float).T)
        figures.append(
            ("Correlation of the answers.", correlation_matrix(matrix, names, label="r"))
        )
    if varied and len(answers) > 2 and len(table) > 3 and measured is not None and HAS_TSNE:
        figures.append(_embedded(table, answers, measured))
    return Section(f"{name}: predictions", "", figures, [("", table)])


def _folds(table: "pd.DataFrame") -> np.ndarray | None:
    """Return the fold of each row, where these are few and none is too small for a density."""
    folds = table.get("fold")
    if folds is None or folds.nunique() > MOST_FOLDS or folds.value_counts().min() < 2:
        return None
    return folds.to_numpy(str)


def _embedded(table: "pd.DataFrame", answers: Sequence[str], measured: str) -> tuple[str, "Figure"]:
    """Return the answers of each row in the plane, coloured by what was measured."""
    some = table[np.isfinite(table[list(answers)].to_numpy(float)).all(axis=1)]
    if len(some) > MOST_EMBEDDED:
        some = some.sample(MOST_EMBEDDED, random_state=0)
    outputs = some[list(answers)].to_numpy(float)
    figure = embedding(outputs, some[measured].to_numpy(), _folds(some), label=measured)
    return f"{len(answers)} answers of {len(some):,} sequences by t-SNE.", figure


def of_kmers(name: str, table: "pd.DataFrame") -> Section:
    """Return the spectrum of counted k-mers, and the most frequent ones."""
    counts = table["count"].to_numpy()
    text = f"{len(counts):,} different k-mers, {counts.sum():,} in all."
    spectrum = ("How many k-mers occur how often.", kmer_spectrum({name: counts}))
    first = np.argsort(-counts, kind="stable")[:MOST_ROWS]
    return Section(f"{name}: k-mers", text, [spectrum], [("The most frequent.", table.iloc[first])])


def _reader(path: Path) -> Callable[[Path, int], Section] | None:
    """Return what reads such a file; None where nothing does."""
    if path.is_dir():
        if holds_shards(path):
            return lambda folder, examples: of_maps(folder.stem, read_shards(folder), examples)
        return _parts if (path / MANIFEST).exists() else None
    plain = path.name.removesuffix(".gz")
    readers = {
        ".safetensors": _checkpoint,
        ".npz": lambda file, examples: of_maps(file.stem, read_maps(file), examples),
        ".json": _json,
        ".tsv": _table,
        ".csv": _table,
        ".parquet": _table,
    }
    return readers.get(Path(plain).suffix)


def _checkpoint(path: Path, examples: int) -> Section:
    about = load("fastseq.models.checkpoints").describe(path)
    history = about.get("training", {}).get("history")
    if history:
        return of_history(path.stem, history)
    shown = {key: value for key, value in about.items() if not isinstance(value, dict)}
    table = {"": list(shown), "value": [str(value) for value in shown.values()]}
    return Section(f"Model {path.stem}", "It remembers no training.", tables=[("", table)])


def _parsed(path: Path) -> Any:
    try:
        return json.loads(b"".join(chunks(path)))
    except ValueError as error:
        raise FormatError(f"{path}: no JSON ({error})") from error


def _json(path: Path, examples: int) -> Section:
    found = _parsed(path)
    if is_model(found):
        return of_study(path.stem, [found])
    if is_findings(found):
        return of_findings(path.stem, found)
    if is_evaluation(found):
        return of_evaluation(path.stem, found)
    if isinstance(found, dict) and isinstance(found.get("results"), list):
        return of_klds(path.stem, found["results"])
    if not isinstance(found, dict) or "per_k" not in found:
        raise FormatError(f"{path}: expected the JSON of `fastseq kld`, `evaluate` or a study")
    return of_kld(path.stem, found)


def _table(path: Path, examples: int) -> Section:
    text = ["ref", "alt", "id", "name", "chrom", "kmer"]
    return _of_table(path.name, read_table(path, text=text))


def _parts(path: Path, examples: int) -> Section:
    return _of_table(path.name, read_results(path))


def _of_table(name: str, table: "pd.DataFrame") -> Section:
    """Return the section of a table, which its columns tell."""
    columns = [str(column) for column in table.columns]
    if any(column.startswith("diff") for column in columns) and "chrom" in columns:
        return of_variants(name, table)
    if columns == ["kmer", "count"]:
        return of_kmers(name, table)
    if any(column.startswith("y_hat") for column in columns):
        return of_predictions(name, table)
    return Section(name, f"{len(table):,} rows.", tables=[("", table)])
