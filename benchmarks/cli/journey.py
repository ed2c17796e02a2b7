"""The journey on real promoters and yeast variants, from the command line, and what came out.

    FASTSEQ_REAL_DATA=folder python -m benchmarks.cli.journey [--epochs 10] [--checkpoint FILE]

The folder is the one that tests/real/README.md describes. Results go to
``benchmarks/results/cli.journey.json``, with ``$FASTSEQ_REAL_DATA`` in place of the folder's path.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks.run import save

HELD_OUT = 20
COLUMNS = ["--sequence-column", "seq", "--target-column", "maude_expr", "--fold-column", "fold"]


def run(*words: str) -> dict:
    """Run one verb; return its command, exit code, CPU seconds and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "from fastseq.cli.main import main; main(prog_name='fastseq')"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    notes = [line for line in done.stderr.splitlines() if line.startswith("fastseq: ")]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "command": " ".join(["fastseq", *words]),
        "exit": done.returncode,
        "cpu_seconds": round(cpu, 1),
        "printed": done.stdout.strip(),
        "notes": [note.removeprefix("fastseq: ") for note in notes],
    }


def held_out(table: Path, target: Path) -> None:
    """Write the first held-out promoters as a table of their own."""
    with gzip.open(table, "rt") as lines:
        head, *rows = [line for at, line in enumerate(lines) if not at or "\tval\t" in line]
    target.write_text(head + "".join(rows[:HELD_OUT]))


def journey(data: Path, home: Path, epochs: int, checkpoint: str | None) -> Iterator[dict]:
    """Yield one row per step."""
    promoters = str(data / "dream" / "dream_mini.tsv.gz")
    vcf, fasta = (
        str(data / "yeast" / name) for name in ("sacCer3_sample_variants.vcf.gz", "sacCer3.fa.gz")
    )
    human = str(data / "human" / "1000G_hg38_chr21-22_AF0.3_sites.plaingzip.vcf.gz")
    model, held = checkpoint or str(home / "model.safetensors"), str(home / "held_out.tsv")
    if checkpoint is None:
        train = ["train", "--data", promoters, "--model", "tum_resnet", *COLUMNS]
        yield run(*train, "--epochs", str(epochs), "-o", model)
    learnt = json.loads(run("models", "explain", model, "--json")["printed"])
    history = learnt["training"]["history"]
    yield {"command": f"fastseq train: {learnt['name']}", "exit": 0, "history": history}
    yield run("evaluate", "-m", model, "--data", promoters, *COLUMNS, "--fold", "val", "--json")
    held_out(Path(promoters), Path(held))
    yield run("predict", "-m", model, held, "-o", str(home / "y.tsv"))
    yield run("ism", "-m", model, held, "-o", str(home / "ism.npz"))
    scores = str(home / "scores.tsv")
    common = ["score", "-m", model, "--fasta", fasta]
    row = run(*common, "--vcf", vcf, "-o", scores)
    effects = pd.read_csv(scores, sep="\t")["diff"].abs()
    yield row | {"median_effect": float(effects.median()), "largest_effect": float(effects.max())}
    yield run(*common, "--vcf", human, "-o", str(home / "human.tsv"))
    results = [model, str(home / "ism.npz"), scores]
    yield run("report", *results, "-o", str(home / "report.html"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cli.journey")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--checkpoint", help="go on with a trained model")
    options = parser.parse_args()
    data = os.environ.get("FASTSEQ_REAL_DATA")
    if not data:
        sys.exit("FASTSEQ_REAL_DATA is not set: tests/real/README.md says what the folder holds")
    with tempfile.TemporaryDirectory() as home:
        rows = list(journey(Path(data), Path(home), options.epochs, options.checkpoint))
    text = json.dumps(rows).replace(data, "$FASTSEQ_REAL_DATA").replace(home, "OUT")
    if options.checkpoint:
        text = text.replace(options.checkpoint, "model.safetensors")
    words = " ".join(["python -m benchmarks.cli.journey", *sys.argv[1:]])
    path = save("cli.journey", json.loads(text), words.replace(options.checkpoint or "\0", "FILE"))
    for row in json.loads(text):
        print(*row.values())
    print(path)


if __name__ == "__main__":
    main()
