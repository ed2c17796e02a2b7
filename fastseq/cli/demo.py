"""The whole journey on data it makes, in a few minutes; it checks itself and ends in one report.

Simulated sequences with planted motifs -> a trained network -> predictions -> which bases matter
-> can the maps be trusted -> what variants do -> a page and ten lines. Public names only: a program
of one's own reads like this one.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import fastseq
from fastseq._lazy import load
from fastseq.cli import demo_page as page
from fastseq.cli.demo_genome import Genome, lay_out, write_vcf
from fastseq.cli.shared.verb import answer, note, quiet, verb
from fastseq.errors import FastseqError, UnreadableFileError
from fastseq.io.fasta import write_fasta
from fastseq.io.files import write_bytes
from fastseq.io.maps import Maps, write_maps
from fastseq.io.results import read_results
from fastseq.io.tables import write_table
from fastseq.learn.metrics import auroc
from fastseq.sequence.simulate import MotifTask
from fastseq.show.pages import of_history
from fastseq.show.report import report

if TYPE_CHECKING:
    import pandas as pd

MODEL = "tum_resnet"
MUTATED = 32
ATTRIBUTED = 500
LAID_OUT = 120


@dataclass(frozen=True)
class Check:
    """A figure that the demo promises."""

    what: str
    value: float
    least: float

    @property
    def kept(self) -> bool:
        """Whether the promise was kept; a figure that is not a number breaks it."""
        return bool(self.value >= self.least)

    def __str__(self) -> str:
        return f"{self.what} {self.value:.3g} ({'' if self.kept else 'NOT '}>= {self.least:g})"


@verb("demo")
@click.argument("folder", default="fastseq-demo")
@click.option("--seed", type=click.IntRange(0), default=22, show_default=True,
              help="Names every draw.")  # fmt: skip
def command(folder: str, seed: int) -> None:
    """Make data, train, explain, score variants and report, in FOLDER (fastseq-demo).

    Takes a few minutes. Exits with 1 when it falls short: a test AUROC below .90, mutagenesis
    peaks less than 3 times enriched in planted motifs, or effects of variants inside motifs not
    told from others (AUC below .8).

    \b
    Example:
      fastseq demo && xdg-open fastseq-demo/report.html
    """
    begin = time.perf_counter()
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnreadableFileError(f"{folder}: cannot be made: {error.strerror}") from error

    note("simulating sequences with planted motifs")
    task = fastseq.simulate_motif_task(seed=seed)
    note(f"training {MODEL} to tell core motifs from others")
    learnt = fastseq.train(
        MODEL, task, recipe="motif", seed=seed, path=home / "model.safetensors",
        progress=not quiet(),
    )  # fmt: skip
    y_hat, accuracy = predict(task, learnt.model, home)
    note(f"mutating every base of {MUTATED} held-out positives")
    mutated, rows, enriched = mutate(task, learnt.model, home)
    note(f"attributing {ATTRIBUTED} held-out positives, and asking whether to trust it")
    maps, snr, kld = explain(task, learnt.model, home, seed)
    note("scoring variants of a small genome")
    random = np.random.default_rng(seed)
    genome = lay_out(task, task.rows("test", label=1)[-LAID_OUT:], random)
    scores, inside = score(genome, learnt.model, home, random)
    told_apart = auroc(inside, abs(scores["diff"].to_numpy(float)))

    checks = [
        Check("test AUROC", accuracy, 0.9),
        Check("peaks in planted motifs, enriched", enriched, 3),
        Check("AUC of |effect| inside motifs", told_apart, 0.8),
    ]
    tested = task.rows("test")
    sections = [
        of_history("the network", learnt.history),
        page.predictions(task.labels[tested], y_hat, accuracy),
        page.mutagenesis(task, mutated, rows, enriched),
        page.saliency(task, maps, task.rows("test", label=1), snr, kld),
        page.variants(scores, genome.motifs, inside, told_apart),
    ]
    facts = [(check.what, check.value) for check in checks]
    facts += [("signal to noise", snr), ("KLD (nats)", kld.total), ("KLD, z", kld.null.z)]
    report(home / "report.html", "fastseq demo", sections, facts=facts)
    seconds = time.perf_counter() - begin
    answer(
        f"""fastseq demo, {seconds:.0f} s, in {home}/
data        {len(task.codes):,} sequences of {task.codes.shape[1]} bp, {len(task.spans):,} motifs
network     {MODEL}, best of {len(learnt.history)} epochs: model.safetensors
prediction  {checks[0]}: predictions.tsv
mutations   {checks[1]}: ism.npz
saliency    signal to noise {snr:.2f} in {ATTRIBUTED} sequences: saliency.npz
words       KLD {kld.total:.3f} nats, null {kld.null.total.mean():.3f}, z = {kld.null.z:.0f}
genome      {sum(map(len, genome.contigs.values())):,} bp: genome.fa, variants.vcf
variants    {len(scores):,} alleles, {checks[2]}: scores/
report      {home / "report.html"}""",
        folder=home, checks={check.what: check.value for check in checks},
        kept=[check.what for check in checks if check.kept], signal_to_noise=snr, kld=kld.total,
        alleles=len(scores), output=home / "report.html",
    )  # fmt: skip
    if short := [str(check) for check in checks if not check.kept]:
        raise FastseqError(f"the demo falls short: {'; '.join(short)}")


def predict(task: MotifTask, model: Any, home: Path) -> tuple[np.ndarray, float]:
    """Return the logits of the test fold and their AUROC."""
    rows = task.rows("test")
    y_hat = fastseq.predict(model, task.codes[rows], progress=not quiet())
    columns = {"name": _names(rows), "label": task.labels[rows], "y_hat": y_hat}
    write_table(load("pandas").DataFrame(columns), home / "predictions.tsv")
    return y_hat, auroc(task.labels[rows], y_hat)


def mutate(task: MotifTask, model: Any, home: Path) -> tuple[Maps, np.ndarray, float]:
    """Return effects of all substitutions, their rows, and how their peaks sit on motifs.

    The last is the share of planted positions among the 1 % with the largest effects, over their
    share among all.
    """
    rows = task.rows("test", label=1)[:MUTATED]
    found = fastseq.saturation_mutagenesis(model, task.codes[rows], progress=not quiet())
    maps = Maps(_names(rows), found.codes, found.effect, 0, "ism", found.tasks, found.y_ref)
    write_maps(home / "ism.npz", maps)
    largest = abs(found.effect[:, 0]).max(axis=1)
    planted = ~task.background_mask[rows]
    peaks = largest >= np.quantile(largest, 0.99)
    return maps, rows, planted[peaks].mean() / planted.mean()


def explain(task: MotifTask, model: Any, home: Path, seed: int) -> tuple[Maps, float, Any]:
    """Return saliency maps, their signal to noise and their k-mer divergence with its null."""
    rows = task.rows("test", label=1)[:ATTRIBUTED]
    found = fastseq.attribute(model, task.codes[rows], progress=not quiet())
    maps = Maps(_names(rows), found.codes, found.raw[:, None], 0, "saliency", (found.task,))
    write_maps(home / "saliency.npz", maps)
    masks = task.motif_mask[rows], task.background_mask[rows]
    snr = fastseq.signal_to_noise(found.codes, found.raw, *masks)
    kld = fastseq.kmer_kld(found.codes, found.hypothetical, null=20, seed=seed)
    return maps, snr, kld


def score(
    genome: Genome, model: Any, home: Path, random: np.random.Generator
) -> tuple["pd.DataFrame", np.ndarray]:
    """Return the scored variants of the genome, and which lie inside planted motifs."""
    write_fasta(home / "genome.fa", genome.contigs)
    write_bytes(home / "variants.vcf", write_vcf(genome, random).encode())
    fastseq.score_variants(
        model, home / "variants.vcf", home / "genome.fa", output=home / "scores",
        strands="both", shifts=(-1, 0, 1), overwrite=True, progress=not quiet(),
    )  # fmt: skip
    scores = read_results(home / "scores")
    return scores, scores["id"].str.startswith("inside").to_numpy(bool)


def _names(rows: np.ndarray) -> tuple[str, ...]:
    return tuple(f"seq{row}" for row in rows)
