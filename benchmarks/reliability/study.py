"""Do k-mer divergences rank models as signal to noise does? Train a grid of them and see.

D4 is the document whose claim this tests: that an attribution-weighted divergence over several
lengths ("enhanced") tells how far a model's maps can be trusted, better than the thresholded one.

    python -m benchmarks.reliability.study                  # small grid, CPU
    python -m benchmarks.reliability.study --grid full --device cuda
    python -m benchmarks.reliability.study --table models140.csv      # no training

Every model leaves one JSON file in the output folder; a second call goes on where the first one
stopped. The report and the figures are written from all files that are there.

Found on 140 trained models of the same task (``$FASTSEQ_REAL_DATA/kld/models140.csv``, 1,000
sequences each; ``findings/models140.json``), as Spearman correlation with SNR and 95 % intervals:

- D4's figures are .868 for the enhanced metric and .587 for the thresholded one. Here the weighted
  metric has .93 [.90, .95] and the thresholded one .88 [.84, .90] over all models, but that is
  mostly the gap between first activations: within rectified models it is .66 against .54 (no
  difference is shown), within exponential ones .79 against .58 (+.21 [.08, .34]). Weighting by
  attribution helps; the size of the gain that D4 states is seen only there.
- Of the 103 models with an AUROC of .97 or more, as D4 chose its own, the gain is +.03 over all (no
  difference is shown), +.00 within rectified and +.21 [.01, .41] within exponential ones.
- Several lengths against k = 6 alone: -.002 over all, -.02 and +.01 within the groups; with weights
  fitted on the very models they are judged on, as D4 fits them, -.002, +.03 and +.01. Over all
  models these weights come out flat (.16 to .17). Nothing is gained that a user would notice.
- Which score is better depends on the activation: the observed base by .17 for rectified models,
  the norm over four bases by .06 for exponential ones.
- Accuracy does say something about reliability among exponential models (AUROC against SNR .75),
  nothing among rectified ones (-.09).

The small grid (84 models of AUROC .72 to .87, about six minutes on one core, intervals over 28
configurations; ``findings/small.json``) trains too briefly to settle the claim: weighted against
thresholded is +.21 [-.09, .50] over all, -.14 [-.53, .36] within rectified models and +.39
[-.08, .79] within exponential ones, none of which shows a difference. Fitted weights lean on short
lengths there (.25 at k = 3, .06 at k = 8), and make up for what uniform weights lose to k = 6 alone
within rectified models (+.08 against -.24). The full grid has not run.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.reliability import figures, report
from fastseq.learn import dataset, metrics
from fastseq.learn.loop import Run
from fastseq.learn.recipes import Recipe, Stage
from fastseq.learn.regularise import REGULARISERS, regulariser
from fastseq.models import registry
from fastseq.reliability.kld import kmer_kld
from fastseq.reliability.snr import by_sequence
from fastseq.score.attribute import attribute
from fastseq.score.predict import predict
from fastseq.sequence.simulate import MOTIF_COUNTS, MotifTask, simulate_motif_task

KS = (3, 4, 5, 6, 7, 8)
VARIANTS = {
    "instance observed": {},
    "instance l2": {"score": "l2"},
    "product observed": {"form": "product"},
    "sequence_product observed": {"form": "sequence_product"},
    "thresholded l2": {"method": "thresholded", "score": "l2"},
}
# the same variants in the table of 140 trained models
TABLE = {
    "instance observed": "inst_obs",
    "instance l2": "inst_l2",
    "product observed": "prodG_obs",
    "sequence_product observed": "prodS_obs",
    "thresholded l2": "thr_l2",
}


@dataclass(frozen=True)
class Configuration:
    """What makes one model differ from another."""

    first: str
    batch_norm: bool
    regulariser: str
    trial: int

    @property
    def name(self) -> str:
        """A file name; models that differ in the trial alone share the part before the dot."""
        norm = "bn" if self.batch_norm else "nobn"
        return f"{self.first}-{norm}-{self.regulariser}.{self.trial}"


@dataclass(frozen=True)
class Grid:
    """Which models, on how much data, for how long."""

    trials: int
    n: int
    epochs: int
    negatives: str
    lr: float = 3e-3
    batch_size: int = 64
    schedule: str = "one_cycle"
    patience: int = 0
    # of the attack; the small grid cannot afford ten steps
    attack: tuple[tuple[str, int], ...] = ()
    regularisers: tuple[str, ...] = tuple(REGULARISERS)
    sequences: int = 1000  # positives of the test split that maps are made of
    length: int = 200
    motifs: tuple[tuple[int, float], ...] = tuple(MOTIF_COUNTS.items())

    def task(self) -> MotifTask:
        """Return the sequences of this grid."""
        return simulate_motif_task(
            self.n, self.length, negatives=self.negatives, motif_counts=dict(self.motifs)
        )

    def __iter__(self) -> Iterator[Configuration]:
        # trials outermost: a run that is cut short is still balanced
        for trial in range(self.trials):
            for name in self.regularisers:
                for batch_norm in (True, False):
                    for first in ("relu", "exponential"):
                        yield Configuration(first, batch_norm, name, trial)


GRIDS = {
    "tiny": Grid(1, 150, 1, "document", regularisers=("none", "mixup"), sequences=15),
    # shorter sequences with fewer motifs: networks that learn something in seconds
    "small": Grid(
        3, 6000, 4, "document", lr=4e-3, batch_size=32, length=100, motifs=((2, 0.5), (3, 0.5)),
        attack=(("clean_epochs", 2), ("mixed_epochs", 3), ("steps", 3), ("step", 0.02)),
    ),
    # 392 models: D4's 390 are those of 2 x 2 x 7 x 14 that ended
    "full": Grid(14, 20_000, 100, "authors", lr=1e-3, batch_size=100, schedule="plateau",
                 patience=10),
}  # fmt: skip


def train(
    configuration: Configuration, grid: Grid, task: MotifTask, device: str
) -> tuple[torch.nn.Module, list[dict]]:
    """Return one trained model of the grid and its history."""
    seed = configuration.trial
    torch.manual_seed(seed)
    model = registry.build(
        "motif_cnn",
        length=task.codes.shape[1],
        first=configuration.first,
        batch_norm=configuration.batch_norm,
    )
    rows, train_rows, val_rows = dataset.split(dataset.read(task))
    stage = Stage(grid.epochs, "adam", grid.lr, grid.schedule, 0.0)
    recipe = Recipe(
        (stage,), loss="bce", batch_size=grid.batch_size, strands="forward", clip=0,
        patience=grid.patience,
    )  # fmt: skip
    run = Run(model.to(device), rows, train_rows, val_rows, recipe, True, seed)
    settings = dict(grid.attack) if configuration.regulariser == "adversarial" else {}
    run.regulariser = regulariser(configuration.regulariser, model, **settings)
    run.fit()
    return model.eval(), run.history


def measure(model: torch.nn.Module, task: MotifTask, sequences: int) -> dict:
    """Return AUROC on the test split, and SNR and every KLD of its positives."""
    test = task.rows("test")
    model = model.cpu()
    logits = predict(model, task.codes[test])
    rows = task.rows("test", label=1)[:sequences]
    maps = attribute(model, task.codes[rows], "saliency").raw
    snr = by_sequence(task.codes[rows], maps, task.motif_mask[rows], task.background_mask[rows])
    kld = {name: kmer_kld(task.codes[rows], maps, ks=KS, **how) for name, how in VARIANTS.items()}
    return {
        "auroc": float(metrics.auroc(task.labels[test].astype(float), logits)),
        "snr": snr.mean,
        "snr_without_noise": snr.n_without_noise,
        "n": len(rows),
        "kld": {name: {str(k): v for k, v in found.per_k.items()} for name, found in kld.items()},
    }


def run(grid: Grid, folder: Path, *, device: str, share: tuple[int, int], minutes: float) -> int:
    """Train and measure what is missing in the folder; return how many models are left."""
    folder.mkdir(parents=True, exist_ok=True)
    task = grid.task()
    todo = [c for c in grid if not (folder / f"{c.name}.json").exists()]
    todo, left, begin = todo[share[0] :: share[1]], 0, time.monotonic()
    for at, configuration in enumerate(todo):
        if time.monotonic() - begin > 60 * minutes:
            left = len(todo) - at
            break
        clock = time.process_time()
        model, history = train(configuration, grid, task, device)
        row = asdict(configuration) | {"name": configuration.name}
        row |= measure(model, task, grid.sequences)
        row |= {"epochs": len(history), "cpu_seconds": round(time.process_time() - clock, 1)}
        temporary = folder / f".{configuration.name}.{os.getpid()}"
        temporary.write_text(json.dumps(row, indent=1) + "\n")
        temporary.replace(folder / f"{configuration.name}.json")
        print(
            f"{at + 1}/{len(todo)} {row['name']}: AUROC {row['auroc']:.3f}, SNR {row['snr']:.2f}",
            file=sys.stderr,
        )
    return left


def read_folder(folder: Path) -> list[dict]:
    """Return the models of a folder, by name."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.*.json"))]


def read_table(path: Path) -> list[dict]:
    """Return the models of a table with columns such as ``inst_obs_6``."""
    with path.open(newline="") as stream:
        return [
            {
                "name": row["model"], "first": row["activation"],
                "auroc": float(row["auroc"]), "snr": float(row["snr_raw"]), "n": 1000,
                "kld": {
                    name: {str(k): float(row[f"{column}_{k}"]) for k in KS}
                    for name, column in TABLE.items()
                },
            }
            for row in csv.DictReader(stream)
        ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the study from a prompt."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.study")
    parser.add_argument("--grid", choices=GRIDS, default="small")
    parser.add_argument("--out", type=Path, help="folder of the models (study-GRID)")
    parser.add_argument("--table", type=Path, help="report on a table of models, train nothing")
    parser.add_argument(
        "--least-auroc", type=float, default=0.0, help="leave less accurate models out (D4: .97)"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--share", default="0/1", help="this process's part, such as 0/2")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    options = parser.parse_args(arguments)
    folder = options.out or Path(f"study-{options.table.stem if options.table else options.grid}")
    if options.table:
        models = read_table(options.table)
        folder.mkdir(parents=True, exist_ok=True)
        title = f"{len(models)} trained models of {options.table.name}"
    else:
        torch.set_num_threads(1)
        part, parts = map(int, options.share.split("/"))
        grid = GRIDS[options.grid]
        left = run(
            grid, folder, device=options.device, share=(part, parts), minutes=options.minutes
        )
        models = read_folder(folder)
        title = (
            f"{len(models)} of {sum(1 for _ in grid)} models of the {options.grid} grid: "
            f"{grid.n} x {grid.length}, negatives of the {grid.negatives}, at most {grid.epochs} "
            "epochs"
        )
        if left:
            print(f"{left} models left; run the same command again", file=sys.stderr)
    if options.least_auroc:
        models = [model for model in models if model["auroc"] >= options.least_auroc]
        title += f"; {len(models)} with an AUROC of {options.least_auroc:g} or more"
    found = report.write(models, title, folder, ks=KS)
    figures.draw(models, found, folder, ks=KS)
    print(report.text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
