"""Variant scoring: the host side alone, and end to end with a small residual network."""

import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from benchmarks.run import Case, Rival
from fastseq import models
from fastseq.io.fasta import Genome, write_fasta
from fastseq.io.variants import VariantInput, read_variants
from fastseq.lower.ensemble import lower
from fastseq.run.views import Views
from fastseq.score.columns import variant_columns
from fastseq.score.parts import score_blocks
from fastseq.score.scorer import Scorer
from fastseq.score.setting import scorer
from fastseq.score.variants import score_variants
from fastseq.sequence.alleles import OK

LENGTH = 110
CONTIG = 2_000_000
# who else builds windows of variants; those that are not here are named in the row
PEERS = {
    "pysam and strings": ("pysam_windows", "pysam"),
    "tangermeme": ("tangermeme_variants", "tangermeme"),
    "gReLU": ("grelu", "gReLU"),
    "variant-scorer": ("variant_scorer", None),
}
YEAST_SNVS = 3 * 12_157_105


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
    # some peers stop at a window that leaves the contig
    for at in np.sort(rng.integers(LENGTH, CONTIG - LENGTH, records)).tolist():
        ref = text[at : at + (1 + at % 7 if indels and at % 5 == 0 else 1)]
        alt = "CGTA"["ACGT".index(ref[0])] if at % 5 or not indels else ref[0] + "GATTACA"[: at % 7]
        if alt != ref:
            lines.append(f"chr1\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")
    (folder / "v.vcf").write_text("".join(lines))
    # tangermeme asks for FORMAT, too
    nine = [line.replace("\n", "\t.\n") for line in lines[1:]]
    (folder / "nine.vcf").write_text(lines[0] + "".join(nine))
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
    yield model_case(3_000 if size == "full" else 100)
    yield from saturation_cases(1_000 if size == "full" else 20)
    yield from host_cases(records, indels=False)
    yield from host_cases(records, indels=True)
    yield from readers(records)
    if size == "full":
        yield workers_case(120_000)


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
    nine = vcf.with_name("nine.vcf")
    windows, absent = peers(nine, fasta)
    sites = []
    if any(rival.package == "pysam" for rival in windows):
        run = import_module("benchmarks.rivals.pysam_windows").sites
        sites = [Rival("pysam", partial(run, str(vcf)), "pysam")]
    run = partial(host, genome, nine, False)
    yield Case("host side beside peers", run, rows, "variants", kind, windows, note=absent)
    yield Case("read sites", partial(read, vcf), rows, "variants", kind, sites)
    yield Case("read a FASTA", partial(Genome.open, fasta), CONTIG, "bp", "plain, 60 bp a line")


def peers(vcf: Path, fasta: Path) -> tuple[list[Rival], str]:
    """Return the peers that import here, and a sentence about those that do not."""
    found, absent = [], []
    for name, (module, package) in PEERS.items():
        try:
            run = import_module(f"benchmarks.rivals.{module}").windows
        except ImportError as error:
            absent.append(f"{name} does not import here: {error}")
            continue
        found.append(Rival(name, partial(run, str(vcf), str(fasta), LENGTH), package, goal=10))
    return found, "; ".join(absent)


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


def saturation_cases(positions: int) -> Iterator[Case]:
    """Every SNV of a slice, from which the yeast genome's 36 million follow."""
    fasta, _ = inputs(2_000, False)
    module = models.build("tum_resnet", length=LENGTH).eval()
    plan, genome = lower(module, length=LENGTH, device="cpu"), Genome.open(fasta)
    for tile in (1, LENGTH // 2):
        run = scorer(plan, genome, tile=tile)
        source = VariantInput(saturate=f"chr1:100001-{100_000 + positions}")
        name = f"every SNV, {'centred' if tile == 1 else f'tiles of {tile}'}, ResNet 110 bp"
        call = partial(saturated, run, source)
        rows = call()
        begin = time.process_time()
        call()
        hours = (time.process_time() - begin) / rows * YEAST_SNVS / 3600
        note = f"the yeast genome's {YEAST_SNVS / 1e6:.1f} M SNVs take {hours:.2f} core hours"
        yield Case(name, call, rows, "variants", f"{positions:,} positions", note=note)


def saturated(run: Scorer, source: VariantInput) -> int:
    return sum(part.num_rows for part in score_blocks(run, source))


def workers_case(records: int) -> Case:
    """Return two workers beside one; a figure only on two idle cores."""
    fasta, vcf = inputs(records, False)
    model = models.save(models.build("tum_resnet", length=LENGTH), vcf.with_name("m.safetensors"))

    def run(workers: int) -> None:
        options = {"overwrite": True, "workers": workers, "shard": 1_000, "device": "cpu"}
        score_variants(model, vcf, fasta, output=vcf.with_name(f"out{workers}"), **options)

    rival = Rival("one process", partial(run, 1), goal=1.8)
    note = "two processes, their start included; wall clock, so only on two idle cores"
    kind = f"{records:,} SNVs in {records // 1_000} parts"
    return Case(
        "two workers", partial(run, 2), records, "variants", kind, [rival], clock="wall", note=note
    )
