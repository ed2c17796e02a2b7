"""Variant scoring: the host side alone, and end to end with a small residual network."""

import tempfile
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.run import Case, Rival
from fastseq import models
from fastseq.io.fasta import Genome, write_fasta
from fastseq.io.variants import VariantInput, read_variants
from fastseq.run.views import Views
from fastseq.score.columns import variant_columns
from fastseq.score.scorer import Scorer
from fastseq.score.variants import score_blocks, scorer
from fastseq.sequence.alleles import OK

try:
    from benchmarks.rivals import pysam_windows
except ModuleNotFoundError:
    pysam_windows = None

LENGTH = 110
CONTIG = 2_000_000


@lru_cache
def inputs(records: int, indels: bool) -> tuple[Path, Path]:
    """Write a genome of one contig and a sites-only VCF into a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="fastseq-bench-"))
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 4, CONTIG).astype(np.uint8)
    write_fasta(folder / "g.fa", {"chr1": codes})
    text = "".join("ACGT"[code] for code in codes)
    columns = "CHROM POS ID REF ALT QUAL FILTER INFO".replace(" ", "\t")
    lines = [f"##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#{columns}\n"]
    for at in np.sort(rng.integers(0, CONTIG - 50, records)).tolist():
        ref = text[at : at + (1 + at % 7 if indels and at % 5 == 0 else 1)]
        alt = "CGTA"["ACGT".index(ref[0])] if at % 5 or not indels else ref[0] + "GATTACA"[: at % 7]
        if alt != ref:
            lines.append(f"chr1\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")
    (folder / "v.vcf").write_text("".join(lines))
    return folder / "g.fa", folder / "v.vcf"


def host(genome: Genome, vcf: Path, columns: bool) -> int:
    """Do all that is not the model: parse, check, normalise, cut windows, make edits."""
    run = Scorer([], genome, Views(), LENGTH, LENGTH // 2)
    rows = 0
    for block, places in VariantInput(vcf).blocks(genome):
        found = run.resolve(block, places)
        run.reference_rows(block, found, np.flatnonzero(found.status == OK))
        if columns:
            variant_columns(block, found)
        rows += len(block)
    return rows


def end_to_end(run: Scorer, vcf: Path) -> int:
    return sum(part.num_rows for part in score_blocks(run, VariantInput(vcf)))


def eager(module: torch.nn.Module, rows: int, batch: int) -> None:
    """Run the network as it is on input made beforehand: no other work."""
    x = torch.zeros(batch, 4, LENGTH)
    with torch.inference_mode():
        for _ in range(0, rows, batch):
            module(x)


def cases(size: str) -> Iterator[Case]:
    torch.set_num_threads(1)
    records = 1_000_000 if size == "full" else 2_000
    yield from host_cases(records, indels=False)
    yield from host_cases(records, indels=True)
    yield from readers(records)
    yield model_case(3_000 if size == "full" else 100)


def host_cases(records: int, indels: bool) -> Iterator[Case]:
    fasta, vcf = inputs(records, indels)
    genome = Genome.open(fasta)
    rows = host(genome, vcf, False)
    name = "host side, 20 % indels" if indels else "host side, SNVs"
    kind = f"{rows:,} sites without samples, plain text"
    note = "parse, REF check, normal form, windows, edits; one thread"
    run = partial(host, genome, vcf, False)
    yield Case(name, run, rows, "variants", kind, goal=1e6, note=note)
    run = partial(host, genome, vcf, True)
    yield Case(f"{name}, with the table's columns", run, rows, "variants", kind, goal=1e6)


def readers(records: int) -> Iterator[Case]:
    # a tenth of the records: the rivals take their time
    fasta, vcf = inputs(records // 10, False)
    genome = Genome.open(fasta)
    rows = read(vcf)
    kind = f"{rows:,} SNVs without samples, plain text"
    windows, sites = [], []
    if pysam_windows:
        run = partial(pysam_windows.windows, str(vcf), str(fasta), LENGTH)
        windows = [Rival("pysam and strings", run, "pysam", goal=10)]
        sites = [Rival("pysam", partial(pysam_windows.sites, str(vcf)), "pysam")]
    run = partial(host, genome, vcf, False)
    yield Case("host side beside pysam", run, rows, "variants", kind, windows)
    yield Case("read sites", partial(read, vcf), rows, "variants", kind, sites)
    yield Case("read a FASTA", partial(Genome.open, fasta), CONTIG, "bp", "plain, 60 bp a line")


def read(vcf: Path) -> int:
    return sum(map(len, read_variants(vcf)))


def model_case(records: int) -> Case:
    fasta, vcf = inputs(records, False)
    module = models.build("tum_resnet", length=LENGTH).eval()
    run = scorer(module, fasta, device="cpu")
    rows = end_to_end(run, vcf)
    plan, codes = run.plans[0], run.genome.windows(0, np.arange(2 * rows), LENGTH)
    rivals = [
        Rival(f"two forwards in PyTorch, batch {batch}", partial(eager, module, 2 * rows, batch),
              "torch", goal=1.3)
        for batch in (64, 256)
    ]  # fmt: skip
    rivals.append(Rival("two forwards of the plan", partial(plan.predict, codes), goal=1.3))
    name = "end to end on a CPU, ResNet 110 bp"
    return Case(name, partial(end_to_end, run, vcf), rows, "variants", f"{rows:,} SNVs", rivals)
