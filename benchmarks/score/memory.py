"""How much memory scoring takes beside genome and model, for ten thousand rows and for a million.

    python -m benchmarks.score.memory

Each run is a process of its own, whose peak is read when it ends. The first one scores a single
variant: what libraries, genome and model take.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.run import save
from benchmarks.score.bench_variants import inputs
from fastseq import models

ROWS = (1, 10_000, 1_000_000)
LENGTH = 40
MOST_MB, ALIKE = 300, 0.1
CODE = """
import resource, sys, torch
from fastseq.score.variants import score_variants
torch.set_num_threads(1)
score_variants(sys.argv[1], sys.argv[2], sys.argv[3], output=sys.argv[4], device="cpu")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(rows: int, model: Path, folder: Path) -> float:
    """Return the peak memory in MB of a process that scores so many rows into a folder."""
    fasta, vcf = inputs(rows, False)
    output = folder / f"scores{rows}"
    words = [sys.executable, "-c", CODE, model, vcf, fasta, output]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = models.build("tum_cnn", length=LENGTH, channels=8)
        model = models.save(network, folder / "model.safetensors")
        alone, few, many = (peak(rows, model, folder) for rows in ROWS)
    rows, kind = [], "SNVs of a VCF into a folder of Parquet parts"
    for count, found in zip(ROWS[1:], (few, many)):
        rows.append({
            "figure": f"memory over genome, model and libraries, {count:,} rows", "unit": "MB",
            "input": kind, "value": round(found - alone, 1),
            "whole_process_mb": round(found, 1), "goal": MOST_MB, "met": found - alone <= MOST_MB,
        })  # fmt: skip
    rows.append({
        "figure": "a million rows take as much as ten thousand", "unit": "ratio of the processes",
        "input": kind,
        "value": round(many / few, 3), "goal": 1 + ALIKE, "met": abs(many / few - 1) <= ALIKE,
    })  # fmt: skip
    for row in rows:
        print(row["figure"], row["value"], row["unit"], "" if row["met"] else "MISSED")
    save("score.memory", rows, "python -m benchmarks.score.memory")


if __name__ == "__main__":
    main()
