"""Measured promoters, few rows and little time: the challenge's scores beside a plain loop's.

    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini short    # 3 seeds of both, report
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini long     # the best recipe, report
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini parts    # what each part gives
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini fastseq --seed 0 --cpu-seconds 60
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini report

A way of training gets a budget of CPU seconds (children included), or of wall seconds; a trial on
a part of the rows says how many epochs fit. Every run leaves its predictions of the validation fold
in ``$FASTSEQ_RUNS``, finished runs are not repeated, and ``report`` compares what lies there.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from benchmarks.learn import dream_report
from benchmarks.rivals import plain_torch
from fastseq.io.tables import read_table
from fastseq.learn.dataset import Labelled, read
from fastseq.learn.evaluate import dream_score
from fastseq.learn.recipes import recipe
from fastseq.learn.subsets import read_subsets
from fastseq.learn.train import train
from fastseq.score.predict import predict
from fastseq.sequence.encode import encode, reverse_complement

RUNS = Path(os.environ.get("FASTSEQ_RUNS", "dream-mini-runs"))
# 3 and 60 minutes of 2 cores
SHORT, LONG = 360, 7200
LENGTH = 110
# from the training set's bins to the test set's measurements, as the challenge's authors give it
BIN_SLOPE, BIN_OFFSET = 0.259, -2.87
# rows of the trial that tells what an epoch costs
TRIAL = 4096
# a forward costs a third of a training step
FORWARD = 1 / 3
MARGIN = 0.97


@dataclass(frozen=True)
class Way:
    """One way to train: networks of different seeds that share the budget; none: the plain loop.

    A k-mer ridge, which takes seconds, may join them, as one of four. ``extra`` adds the
    rows of the challenge's own training set that are at hand.
    """

    seconds: float
    networks: int = 0
    ridge: bool = False
    extra: bool = False
    options: dict[str, Any] = field(default_factory=dict)


# D2's ResNet, its quicker relative
RESNET = {
    "activation": "none", "act": "relu", "padded": False, "stem_pool": True, "pool": "both",
    "dropout": 0.25,
}  # fmt: skip
WAYS = {
    "plain": Way(SHORT),
    "fastseq": Way(SHORT, 3, True, options={"recipe": "promoters", "sizes": RESNET}),
    "best": Way(LONG, 9, True, options={"recipe": "promoters", "sizes": RESNET}),
}
# one network, a third of the short budget, one thing changed at a time
REFERENCE = {"recipe": "promoters", "sizes": RESNET}
PARTS: dict[str, dict[str, Any]] = {
    "reference": {},
    "without shifts": {"shift": 0},
    "weight decay of .01": {"weight_decay": 0.01},
    "without dropout": {"sizes": {"dropout": 0.0}},
    "none of these three": {"shift": 0, "weight_decay": 0.01, "sizes": {"dropout": 0.0}},
    "shifts of 8, weight decay of .3": {"shift": 8, "weight_decay": 0.3},
    "the report's layers": {
        "sizes": {"act": "prelu", "padded": True, "stem_pool": False, "pool": "max"}
    },
    "padded stem": {"sizes": {"padded": True}},
    "no pool behind the stem": {"sizes": {"stem_pool": False}},
    "maximum alone": {"sizes": {"pool": "max"}},
    "128 channels": {"sizes": {"channels": 128}},
    "float32": {"precision": "float32"},
    "mixup": {"regularise": "mixup"},
    "differences within clusters": {"within": 0.5},
    "clusters weighed down": {"cluster_weight": 0.3},
    "averaged weights": {"average": "ema"},
    "Huber loss": {"loss": "huber"},
    "both strands at once": {"strands": "conjoined"},
}
PART = "part "
for name, change in PARTS.items():
    sizes = {**RESNET, **change.get("sizes", {})}
    WAYS[PART + name] = Way(SHORT / 3, 1, options={**REFERENCE, **change, "sizes": sizes})
COMPARISONS = {
    "short": ("fastseq", "plain"),
    "long": ("best",),
    "parts": tuple(PART + name for name in PARTS),
}


def promoters() -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    """Return the table, its validation fold, and the subsets as rows of that fold."""
    folder = Path(os.environ["FASTSEQ_REAL_DATA"]) / "dream"
    table = read_table(folder / "dream_mini.tsv.gz")
    held = table[table["fold"] == "val"]
    subsets = read_subsets(folder / "dream_mini_subsets.json.gz", positions=held["pos"].to_numpy())
    return table, held, subsets


def challenge_rows() -> pd.DataFrame:
    """Return rows of the challenge's training set: noisier labels, brought to the table's scale.

    Only those of the table's length; none shares a 24-mer with the validation fold.
    """
    folder = Path(os.environ["FASTSEQ_REAL_DATA"]) / "dream"
    files = folder / "train_demo_6370.txt.gz", folder / "train_first1000.txt.gz"
    named = {"sep": "\t", "header": None, "names": ["seq", "bin"]}
    rows = pd.concat([pd.read_csv(file, **named) for file in files]).drop_duplicates("seq")
    rows = rows[rows["seq"].str.len() == LENGTH]
    # clusters of their own: numbers below 0 are free
    cluster = -1 - np.arange(len(rows))
    y = BIN_SLOPE * rows["bin"] + BIN_OFFSET
    return pd.DataFrame({"seq": rows["seq"], "maude_expr": y, "fold": "train", "cluster": cluster})


def ours(
    table: pd.DataFrame, way: Way, seed: int, seconds: float, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Return RC-averaged predictions of every member by name."""
    columns = ["seq", "maude_expr", "fold", "cluster"]
    parts = [table[columns], *([challenge_rows()] if way.extra else [])]
    rows = read(pd.concat(parts, ignore_index=True))
    held = table[table["fold"] == "val"]["seq"].tolist()
    begin, found = clock(), {}
    if way.ridge:
        fitted = train("kmer_ridge", rows, recipe="clusters", progress=False)
        found["ridge"] = predict(fitted.model, held, strands="both")
    options = {**way.options, "progress": False}
    share = (seconds - (clock() - begin)) / way.networks
    epochs = _epochs(rows, options, share, clock)
    print(f"{epochs} epochs a network fit into {seconds:.0f} s", flush=True)
    for number in range(seed * way.networks, (seed + 1) * way.networks):
        result = train("tum_resnet", rows, **{**options, "epochs": epochs, "seed": number})
        found[f"network {number}"] = predict(result.model, held, strands="both")
        print({key: round(value, 4) for key, value in result.best.items()}, flush=True)
    return found


def _epochs(rows: Labelled, options: dict, seconds: float, clock: Callable[[], float]) -> int:
    """Return how many epochs fit: a trial on a part of the rows, and what it leaves."""
    at, whole = np.flatnonzero(rows.fold == "train"), np.sum(rows.fold == "train")
    few = np.sort(np.random.default_rng(0).permutation(at)[:TRIAL])
    few = np.append(few, np.flatnonzero(rows.fold == "val")[: TRIAL // 8])
    part = Labelled(rows.codes[few], rows.targets[few], rows.tasks, rows.fold[few],
                    rows.cluster[few])  # fmt: skip
    stages = len(recipe(options.get("recipe", "default")).stages)
    begin, costs = clock(), []
    for _ in range(2):
        start = clock()
        train("tum_resnet", part, **{**options, "epochs": stages})
        costs.append((clock() - start) / stages)
    per_row = min(costs) / (TRIAL * (1 + FORWARD / 8))
    # both strands of the validation fold are predicted at the end
    held = len(rows) - whole
    left = seconds * MARGIN - (clock() - begin) - 2 * FORWARD * held * per_row
    return max(int(left / (per_row * (whole + FORWARD * held))), stages)


def plain(
    table: pd.DataFrame, seed: int, seconds: float, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Return RC-averaged predictions of the plain loop: one-cycle AdamW, RC augmentation, MSE.

    In float32 and the layout that is fastest there, conv2d over channels-last rows.
    """
    torch.manual_seed(seed)
    size, peak = 256, 5e-3
    seen, held = table[table["fold"] == "train"], table[table["fold"] == "val"]
    codes = encode(seen["seq"].tolist())
    labels = torch.tensor(seen["maude_expr"].to_numpy(), dtype=torch.float32)
    x = F.one_hot(torch.from_numpy(codes).long(), 4).float().transpose(1, 2).contiguous()
    net = plain_torch.ResNet(flat=True)
    opt = torch.optim.AdamW(net.parameters(), peak, weight_decay=0.01)

    def step(rows: torch.Tensor) -> None:
        batch = x[rows]
        turned = torch.rand(len(rows)) < 0.5
        batch[turned] = batch[turned].flip(1, 2)
        loss = F.mse_loss(net(batch)[:, 0], labels[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()

    # the trial leaves no trace: weights and optimizer are made anew
    begin, trial = clock(), TRIAL // size
    first = {name: value.clone() for name, value in net.state_dict().items()}
    for _ in range(2):
        start = clock()
        for at in range(trial):
            step(torch.arange(at * size, (at + 1) * size))
        cost = (clock() - start) / trial
    net.load_state_dict(first)
    opt = torch.optim.AdamW(net.parameters(), peak, weight_decay=0.01)
    left = seconds * MARGIN - (clock() - begin) - 2 * FORWARD * cost * len(held) / size
    batches = len(x) // size
    epochs = max(int(left / (cost * batches)), 1)
    print(f"{epochs} epochs fit into {seconds:.0f} s", flush=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, peak, total_steps=epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[: batches * size].split(size):
            step(rows)
            schedule.step()
    net.eval()
    codes = encode(held["seq"].tolist())
    answers = []
    with torch.no_grad():
        for strand in (codes, reverse_complement(codes)):
            hot = F.one_hot(torch.from_numpy(strand).long(), 4).float().transpose(1, 2)
            answers.append(torch.cat([net(part)[:, 0] for part in hot.split(512)]).numpy())
    return {"plain": np.mean(answers, axis=0)}


def run(name: str, way: Way, seed: int, budget: float, clock: str) -> None:
    """Train once, print the scores, keep the predictions; nothing where they are kept already."""
    target = RUNS / f"{name}.{seed}.npz"
    if target.exists():
        print(f"{target} is there already", flush=True)
        return
    table, held, subsets = promoters()
    RUNS.mkdir(exist_ok=True)
    now = {"cpu": time.process_time, "wall": time.perf_counter}
    begin = {kind: tick() for kind, tick in now.items()}
    if way.networks:
        members = ours(table, way, seed, budget, now[clock])
    else:
        members = plain(table, seed, budget, now[clock])
    spent = {kind: tick() - begin[kind] for kind, tick in now.items()}
    y_hat = dream_report.together(members)
    print(dream_score(held["maude_expr"].to_numpy(), y_hat, subsets), spent, sep="\n", flush=True)
    about = {"budget": f"{budget:g} {clock} seconds", **spent, "threads": torch.get_num_threads()}
    np.savez(target, about=json.dumps({**about, "extra": way.extra, **way.options}), **members)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*WAYS, *COMPARISONS, "report"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="of short and long")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-seconds", type=float, help="budget, children included")
    parser.add_argument("--wall-seconds", type=float, help="budget by the clock on the wall")
    parser.add_argument("--networks", type=int, help="that share the budget")
    parser.add_argument("--extra", action="store_true", help="the challenge's training rows too")
    parser.add_argument("--name", help="what the run is called; by default the way")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON: options of train")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    clock = "wall" if chosen.wall_seconds else "cpu"
    if chosen.what != "report":
        names = COMPARISONS.get(chosen.what, (chosen.what,))
        seeds = range(chosen.seeds) if chosen.what in COMPARISONS else [chosen.seed]
        for seed in seeds:
            for name in names:
                way = WAYS[name]
                options = {**way.options, **chosen.settings}
                networks = (chosen.networks or way.networks) if way.networks else 0
                extra = way.extra or chosen.extra
                way = replace(way, networks=networks, options=options, extra=extra)
                budget = chosen.wall_seconds or chosen.cpu_seconds or way.seconds
                run(chosen.name or name, way, seed, budget, clock)
    if chosen.what in (*COMPARISONS, "report"):
        dream_report.write(RUNS, *promoters()[1:])


if __name__ == "__main__":
    main()
