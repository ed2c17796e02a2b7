"""Whether attributions point at repeating words: k-mer divergence, its null, signal to noise."""

import json
from typing import Any

import click
import numpy as np

import fastseq
from fastseq.cli.options import INTEGERS, json_option, note, output_option, seed_option, verb
from fastseq.errors import FormatError, OptionError
from fastseq.io.bed import read_bed
from fastseq.io.files import write_bytes
from fastseq.io.maps import Maps, read_maps


@verb("kld")
@click.argument("maps", metavar="MAPS.npz")
@output_option("-", "Where the result goes; a name ending in .json writes JSON.")
@click.option("--ks", type=INTEGERS, default="3-8", show_default=True, help="k-mer lengths.")
@click.option(
    "--method", type=click.Choice(["weighted", "thresholded"]), default="weighted",
    show_default=True, help="Every window by its weight, or those above a quantile.",
)  # fmt: skip
@click.option("--score", type=click.Choice(["observed", "l2"]), default="observed",
              show_default=True, help="At the observed base, or over all four.")  # fmt: skip
@click.option("--null", default=20, show_default=True, help="Replicates that mean nothing.")
@click.option(
    "--null-kind", type=click.Choice(["swap", "shift", "permute", "composition"]), default="swap",
    show_default=True, help="What the replicates keep.",
)  # fmt: skip
@click.option("--task", metavar="NAME", help="Which answer, where the maps hold several.")
@click.option(
    "--motifs", metavar="BED", help="Where motifs are known to lie: adds the signal to noise."
)
@seed_option
@json_option
def command(
    maps: str, output: str, task: str | None, motifs: str | None, as_json: bool, **options: Any
) -> None:
    """Measure how consistently the maps of 'attribute' or 'ism' point at the same words.

    Compare results only at equal numbers of sequences; the null tells what chance gives there.

    \b
    Example:
      fastseq attribute --model model.safetensors promoters.fa -o saliency.npz
      fastseq kld saliency.npz --null 100
    """
    held = read_maps(maps)
    number = _task(held, task)
    values = held.values[:, number]
    result: Any = fastseq.kmer_kld(held.span, values, **options)
    found = result.to_dict()
    if result.null is not None:
        found["null_per_k"] = {str(k): list(draws) for k, draws in result.null.per_k.items()}
    text = str(result)
    if motifs is not None:
        mask = motif_mask(held, motifs)
        found["snr"] = fastseq.signal_to_noise(held.span, values, mask)
        text += f"\nSNR {found['snr']:.4f}"
    if as_json or output.endswith(".json"):
        text = json.dumps(found, indent=2)
    write_bytes(output, f"{text}\n".encode())
    if output != "-":
        note(f"{output}: KLD {result.total:.4f} over {len(held):,} sequences")


def motif_mask(maps: Maps, bed: str) -> np.ndarray:
    """Return bool (n, span): the stretches of a BED file whose contigs are sequence names."""
    rows = {name: row for row, name in enumerate(maps.names)}
    mask = np.zeros(maps.span.shape, bool)
    for chrom, start, end in read_bed(bed):
        if chrom in rows:
            first = max(start - maps.start, 0)
            last = None if end is None else max(end - maps.start, 0)
            mask[rows[chrom], first:last] = True
    if not mask.any():
        raise FormatError(f"{bed}: none of its intervals lies in the {len(maps):,} sequences")
    return mask


def _task(maps: Maps, task: str | None) -> int:
    if task is None and len(maps.tasks) == 1:
        return 0
    if task in maps.tasks:
        return maps.tasks.index(task)
    raise OptionError(f"the maps hold {', '.join(maps.tasks)}: choose one with --task")
