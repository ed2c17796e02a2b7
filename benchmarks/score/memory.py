"""How much memory scoring and mutagenesis take beside model and genome, for few rows and for many.

    python -m benchmarks.score.memory

Each run is a process of its own, whose peak is read when it ends. The first one scores a single
row: what libraries, genome and model take.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.run import save
from benchmarks.score.bench_variants import inputs
from fastseq import models

LENGTH = 40
MOST_MB, ALIKE = 300, 0.1
PEAK = """
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
SCORE = """
import sys, torch
from fastseq.score.variants import score_variants
torch.set_num_threads(1)
score_variants(sys.argv[1], sys.argv[2], sys.argv[3], output=sys.argv[4], device="cpu")
"""
MUTATE = """
import sys, numpy, torch
from fastseq.score.ism import saturation_mutagenesis
torch.set_num_threads(1)
codes = numpy.random.default_rng(0).integers(0, 4, (int(sys.argv[2]), 40), dtype=numpy.uint8)
saturation_mutagenesis(sys.argv[1], codes, output=sys.argv[3], shard=64, device="cpu")
"""


def scored(rows: int, model: Path, folder: Path) -> float:
    """Return the peak memory in MB of a process that scores so many variants into a folder."""
    fasta, vcf = inputs(rows, False)
    return peak(SCORE, model, vcf, fasta, folder / f"scores{rows}")


def mutated(rows: int, model: Path, folder: Path) -> float:
    """Return the peak memory in MB of a process that mutates so many sequences into shards."""
    return peak(MUTATE, model, rows, folder / f"maps{rows}")


def peak(code: str, *words: object) -> float:
    command = [sys.executable, "-c", code + PEAK, *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


# what is done, to what, and how many rows of it are few and many
WORK: tuple[tuple[Callable[[int, Path, Path], float], str, int, int], ...] = (
    (scored, "SNVs of a VCF into a folder of Parquet parts", 10_000, 1_000_000),
    (mutated, "sequences of 40 bp, every substitution, into shards of 64", 128, 12_800),
)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = models.build("tum_cnn", length=LENGTH, channels=8)
        model = models.save(network, folder / "model.safetensors")
        for work, kind, small, large in WORK:
            alone, few, many = (work(count, model, folder) for count in (1, small, large))
            for count, found in ((small, few), (large, many)):
                rows.append({
                    "figure": f"memory of {count:,} rows {work.__name__}, over what one takes",
                    "unit": "MB", "input": kind, "value": round(found - alone, 1),
                    "whole_process_mb": round(found, 1), "goal": MOST_MB,
                    "met": found - alone <= MOST_MB,
                })  # fmt: skip
            rows.append({
                "figure": f"{large:,} rows {work.__name__} take as much as {small:,}",
                "unit": "ratio of the processes", "input": kind, "value": round(many / few, 3),
                "goal": 1 + ALIKE, "met": abs(many / few - 1) <= ALIKE,
            })  # fmt: skip
    for row in rows:
        print(row["figure"], row["value"], row["unit"], "" if row["met"] else "MISSED")
    save("score.memory", rows, "python -m benchmarks.score.memory")


if __name__ == "__main__":
    main()
