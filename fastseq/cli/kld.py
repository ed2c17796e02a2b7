"""Whether attributions point at repeating words: k-mer divergence, its null, signal to noise."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli.kld_maps import Explained, gather
from fastseq.cli.shared.files import PICTURES, TABLES, OutputName
from fastseq.cli.shared.options import INTEGERS, output_option, running_options, seed_option
from fastseq.cli.shared.sequences import read_checked
from fastseq.cli.shared.verb import as_json, done, note, plain, quiet, verb
from fastseq.errors import OptionError
from fastseq.io.files import write_bytes
from fastseq.io.tables import write_table
from fastseq.reliability.result import KLDResult

METHODS = ("weighted", "thresholded")


def _weights(
    ctx: click.Context, param: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}; expected numbers such as 1,1,2") from error


@verb("kld", answers=True)
@click.argument("maps", nargs=-1, metavar="[MAPS.npz|.npy|.h5]...")
@output_option("-", "Where the result goes; a name ending in .json writes JSON.",
               endings=[".json", ".txt"])  # fmt: skip
@click.option("--seqs", metavar="FILE", help="Sequences of plain arrays, or to explain a model on.")
@click.option("-m", "--model", "models", multiple=True, metavar="FILE",
              help="Explain this checkpoint here; several are compared.")  # fmt: skip
@click.option("--attribution", type=click.Choice(["saliency", "ism"]), default="saliency",
              show_default=True, help="How --model is explained.")  # fmt: skip
@click.option("--ks", type=INTEGERS, default="3-8", show_default=True, help="k-mer lengths.")
@click.option(
    "--method", type=click.Choice([*METHODS, "both"]), default="weighted", show_default=True,
    help="Every window by its weight, or those above a quantile.",
)  # fmt: skip
@click.option("--score", "scores", type=click.Choice(["observed", "l2"]), multiple=True,
              default=["observed"], show_default=True,
              help="At the observed base, or over all four; twice for --method both.")  # fmt: skip
@click.option("--form", type=click.Choice(["instance", "product", "sequence_product"]),
              default="instance", show_default=True, help="How weights are pooled.")  # fmt: skip
@click.option("--weights", metavar="W,W,..", callback=_weights,
              help="Of each of --ks in the total; equal otherwise.")  # fmt: skip
@click.option("--prior", metavar="FILE",
              help="Sequences whose k-mers to compare with, not those explained.")  # fmt: skip
@click.option(
    "--pseudocount",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Added to --prior.",
)
@click.option("--quantile", type=click.FloatRange(0, 1), default=0.9, show_default=True,
              help="Of 'thresholded'.")  # fmt: skip
@click.option("--null", type=click.IntRange(0), default=20, show_default=True,
              help="Replicates that mean nothing.")  # fmt: skip
@click.option(
    "--null-kind", type=click.Choice(["swap", "shift", "permute", "composition"]), default="swap",
    show_default=True, help="What the replicates keep.",
)  # fmt: skip
@click.option("--task", metavar="NAME", help="Which answer, where there are several.")
@click.option("--key", metavar="NAME", help="Which array of a plain .npz or .h5.")
@click.option("--rows", type=click.IntRange(1), help="Only the first so many sequences.")
@click.option(
    "--motifs", metavar="BED", help="Where motifs are known to lie: adds the signal to noise."
)
@click.option("--per-sequence", "table", metavar="FILE", type=OutputName(TABLES),
              help="Also write each sequence's own divergence, as a table.")  # fmt: skip
@click.option("--plot", metavar="FILE", type=OutputName(PICTURES),
              help="Also draw it: .png, .svg or .pdf.")  # fmt: skip
@click.option("--sequence-column", metavar="NAME", help="Column of --seqs with the sequences.")
@click.option("--name-column", metavar="NAME", help="Column of --seqs with the names.")
@running_options
@seed_option
def command(
    maps: tuple[str, ...],
    models: tuple[str, ...],
    seqs: str | None,
    sequence_column: str | None,
    name_column: str | None,
    output: str,
    prior: str | None,
    motifs: str | None,
    table: str | None,
    plot: str | None,
    **options: Any,
) -> None:
    """Measure how consistently maps point at the same words; those of several models side by side.

    MAPS are files of 'attribute' or 'ism', or plain arrays (n, 4, length) or (n, length) of any
    program beside --seqs. Results compare only over the same sequences; the null tells what chance
    gives there.

    \b
    Example:
      fastseq attribute --model model.safetensors promoters.fa -o saliency.npz
      fastseq kld saliency.npz --null 100
      fastseq kld --model a.safetensors --model b.safetensors --seqs promoters.fa --method both
    """
    if not maps and not models:
        raise click.UsageError("name a file of maps, or a model with --model")
    named = seqs and read_checked(seqs, sequence_column, name_column, options["rows"])
    reading = ("rows", "key", "task", "precision", "device", "batch_size", "strands")
    how = {name: options.pop(name) for name in reading}
    how |= {"method": options.pop("attribution"), "progress": not quiet()}
    held = gather(maps, models, named or None, **how)
    if prior is not None:
        options["prior"] = read_checked(prior, sequence_column, name_column)[1]
    found = measure(held, per_sequence=table is not None, **options)
    rows = [{"maps": name, "method": result.method, **as_dict(result)} for name, result in found]
    if motifs is not None:
        mask = held.motif_mask(motifs)
        snr = {name: fastseq.signal_to_noise(held.codes, values, mask)
               for name, values in held.values.items()}  # fmt: skip
        for row in rows:
            row["snr"] = snr[row["maps"]]
    facts = rows[0] if len(rows) == 1 else {"results": rows}
    done(**facts, output=output, sequences=len(held.codes))
    text = json.dumps(plain(facts), indent=2) if output.endswith(".json") else in_words(found, rows)
    if output != "-" or not as_json():
        write_bytes(output, f"{text}\n".encode())
    if table is not None:
        write_table(load("pandas").DataFrame(by_sequence(held, found)), table)
    if plot is not None:
        draw(rows, plot)
    if output != "-":
        totals = ", ".join(f"{result.total:.4f}" for _, result in found)
        note(f"{output}: KLD {totals} over {len(held.codes):,} sequences")


def measure(
    held: Explained, *, method: str, scores: tuple[str, ...], **options: Any
) -> list[tuple[str, KLDResult]]:
    """Return every result with the name of its maps: map by map, method by method."""
    methods = METHODS if method == "both" else (method,)
    if len(scores) not in (1, len(methods)):
        raise OptionError(f"--score was given {len(scores)} times; expected once, or twice beside "
                          "--method both")  # fmt: skip
    score = scores * len(methods) if len(scores) == 1 else scores
    total = options["null"] * len(held.values) * len(methods)
    shown = bool(total) and not quiet()
    progress = load("fastseq.run.stream").progress_bar
    with progress(shown, total=total, desc="null", unit="replicate") as bar:
        found: Any = fastseq.kmer_kld(
            held.codes, held.values, method=methods, score=score, tick=bar.update, **options
        )
    return [(name, result) for name, by in found.items() for result in by.values()]


def as_dict(result: KLDResult) -> dict[str, Any]:
    """Return plain JSON values, the replicates of the null among them."""
    null = result.null
    draws = {} if null is None else {str(k): list(values) for k, values in null.per_k.items()}
    return result.to_dict() | ({"null_per_k": draws} if draws else {})


def in_words(found: list[tuple[str, KLDResult]], rows: list[dict[str, Any]]) -> str:
    """Return one result as it says itself, several as a table with what holds for all below."""
    if len(found) == 1:
        snr = rows[0].get("snr")
        return str(found[0][1]) + ("" if snr is None else f"\nSNR {snr:.4f}")
    ks = list(found[0][1].per_k)
    head = ["maps", "method", "KLD", *(f"k={k}" for k in ks)]
    head += ["p", "z"] * (found[0][1].null is not None) + ["SNR"] * ("snr" in rows[0])
    lines = [head]
    for (name, result), row in zip(found, rows):
        cells = [name, result.method, f"{result.total:.4f}"]
        cells += [f"{value:.4f}" for value in result.per_k.values()]
        if result.null is not None:
            cells += [f"{result.null.p:.3g}", f"{result.null.z:.1f}"]
        lines.append(cells + ([f"{row['snr']:.4f}"] if "snr" in row else []))
    widths = [max(map(len, column)) for column in zip(*lines)]
    texts = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines]
    texts += dict.fromkeys(result.metric for _, result in found)
    # one of each kind: what precedes the colon is the kind
    notes = {text.partition(":")[0]: text for _, result in found for text in result.warnings}
    return "\n".join([*texts, *(f"  note: {text}" for text in notes.values())])


def by_sequence(held: Explained, found: list[tuple[str, KLDResult]]) -> dict[str, Any]:
    """Return one row per map and sequence: maps, name, kld_3, kld_4, .."""
    columns = {
        "maps": np.repeat([name for name, _ in found], len(held.names)),
        "name": np.tile(np.array(held.names, object), len(found)),
    }
    own: list[Any] = [result.per_sequence for _, result in found]
    for k in found[0][1].per_k:
        columns[f"kld_{k}"] = np.concatenate([values[k] for values in own])
    return columns


def draw(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Draw one result as bars beside its null, several as lines."""
    show = load("fastseq.show")
    names = [f"{row['maps']}, {row['method']}" for row in rows]
    values = [{int(k): value for k, value in row["per_k"].items()} for row in rows]
    if len(rows) == 1:
        null = {int(k): np.array(draws) for k, draws in rows[0].get("null_per_k", {}).items()}
        figure = show.kld_bars(values[0], null or None, title=names[0])
    else:
        figure = show.kld_lines(dict(zip(names, values)))
    show.save(figure, path)
