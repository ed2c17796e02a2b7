"""The small ResNet on measured promoters: the challenge's scores beside a plain loop's.

    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini fastseq --seed 0
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini plain --seed 0
    FASTSEQ_REAL_DATA=... python -m benchmarks.learn.dream_mini report

Each run leaves its predictions of the validation fold in ``$FASTSEQ_RUNS``; ``report`` reads them,
compares by bootstraps of whole clusters and writes ``benchmarks/results/learn.dream_mini.json``.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.rivals import plain_torch
from benchmarks.run import save
from fastseq.io.tables import read_table
from fastseq.learn.evaluate import DreamScore, dream_score
from fastseq.learn.subsets import read_subsets
from fastseq.learn.train import train
from fastseq.score.predict import predict
from fastseq.sequence.encode import encode, reverse_complement

RUNS = Path(os.environ.get("FASTSEQ_RUNS", "dream-mini-runs"))
DRAWS = 1000
NOTE = (
    "8 of 9 subsets: motif perturbation has no pairs in this fold; the goals are for 360 CPU "
    "seconds (3 minutes on 2 cores) and 3 seeds; the plain loop is nn.Conv1d in float32"
)
SETTINGS = {"epochs": 16, "batch_size": 128, "precision": "bfloat16", "within": 1.0}


def promoters():
    """Return the table and the subsets of its validation fold, as rows of that fold."""
    folder = Path(os.environ["FASTSEQ_REAL_DATA"]) / "dream"
    table = read_table(folder / "dream_mini.tsv.gz")
    held = table[table["fold"] == "val"]
    subsets = read_subsets(folder / "dream_mini_subsets.json.gz", positions=held["pos"].to_numpy())
    return table, held, subsets


def ours(table, seed: int, settings: dict, name: str) -> np.ndarray:
    """Return RC-averaged predictions of the recipe's network; a broken-off run goes on."""
    sizes = settings.pop("sizes", {})
    model = settings.pop("model", "tum_resnet")
    options = {**SETTINGS, **settings}
    result = train(
        model, table, seed=seed, sizes=sizes, path=RUNS / f"{name}.{seed}.safetensors",
        resume=True, **options,
    )  # fmt: skip
    for row in result.history:
        print({name: round(value, 4) for name, value in row.items()}, flush=True)
    held = table[table["fold"] == "val"]["seq"].tolist()
    return predict(result.model, held, strands="both")


def plain(table, seed: int, settings: dict, name: str) -> np.ndarray:
    """Return RC-averaged predictions of the plain loop: one-cycle AdamW, RC augmentation, MSE."""
    torch.manual_seed(seed)
    epochs, size = settings.get("epochs", 15), 256
    seen, held = table[table["fold"] == "train"], table[table["fold"] == "val"]
    codes = encode(seen["seq"].tolist())
    labels = torch.tensor(seen["maude_expr"].to_numpy(), dtype=torch.float32)
    x = F.one_hot(torch.from_numpy(codes).long(), 4).float().transpose(1, 2).contiguous()
    net = plain_torch.ResNet()
    opt = torch.optim.AdamW(net.parameters(), 5e-3, weight_decay=0.01)
    steps = epochs * (len(x) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 5e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for at in range(0, len(x) - size + 1, size):
            rows = order[at : at + size]
            batch = x[rows]
            turned = torch.rand(len(rows)) < 0.5
            batch[turned] = batch[turned].flip(1, 2)
            loss = F.mse_loss(net(batch)[:, 0], labels[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
            schedule.step()
    net.eval()
    codes = encode(held["seq"].tolist())
    answers = []
    with torch.no_grad():
        for strand in (codes, reverse_complement(codes)):
            hot = F.one_hot(torch.from_numpy(strand).long(), 4).float().transpose(1, 2)
            answers.append(torch.cat([net(part)[:, 0] for part in hot.split(512)]).numpy())
    return np.mean(answers, axis=0)


def figures(score: DreamScore) -> dict:
    """Return the figures that the goals name."""
    by = score.per_subset
    return {
        "pearson_score": score.pearson,
        "spearman_score": score.spearman,
        **{f"r2_{name}": subset.r2 for name, subset in by.items()},
        **{f"rho_{name}": subset.rho for name, subset in by.items()},
    }


def run(way: str, seed: int, settings: dict, name: str) -> None:
    """Train once, print the scores, keep the predictions."""
    table, held, subsets = promoters()
    RUNS.mkdir(exist_ok=True)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    y_hat = {"fastseq": ours, "plain": plain}[way](table, seed, dict(settings), name)
    spent = {"wall": time.perf_counter() - begin, "cpu": time.process_time() - begin_cpu}
    score = dream_score(held["maude_expr"].to_numpy(), y_hat, subsets)
    print(score, {key: round(value) for key, value in spent.items()}, sep="\n")
    about = {"settings": settings, **spent, "threads": torch.get_num_threads()}
    np.savez(RUNS / f"{name}.{seed}.npz", y_hat=y_hat, about=json.dumps(about))


def gain(y, ours_by_seed, plain_by_seed, held, subsets) -> dict[str, list[float]]:
    """Return the 95 % interval of mean ours minus mean plain, clusters drawn with replacement."""
    members = [np.flatnonzero(held["cluster"].to_numpy() == c) for c in held["cluster"].unique()]
    random, found = np.random.default_rng(0), []
    for _ in range(DRAWS):
        rows = np.concatenate([members[i] for i in random.integers(0, len(members), len(members))])
        times = np.bincount(rows, minlength=len(y))
        # an entry counts as often as its rows' cluster was drawn; pairs lie within one cluster
        drawn = {
            name: np.repeat(entries, times[entries if entries.ndim == 1 else entries[:, 0]], axis=0)
            for name, entries in {"all": np.arange(len(y)), **subsets}.items()
        }
        predictions = {f"o{i}": p for i, p in enumerate(ours_by_seed)}
        predictions |= {f"p{i}": p for i, p in enumerate(plain_by_seed)}
        score = dream_score(y, predictions, drawn)
        tables = [score.pearson, score.spearman]
        tables += [{m: s[name].r2 for m, s in score.scores.items()} for name in ("all", "SNVs")]
        found.append(
            [
                np.mean([t[m] for m in t if m[0] == "o"])
                - np.mean([t[m] for m in t if m[0] == "p"])
                for t in tables
            ]
        )
    ends = np.quantile(found, [0.025, 0.975], axis=0).T
    names = ("pearson_score", "spearman_score", "r2_all", "r2_SNVs")
    return {name: end.round(4).tolist() for name, end in zip(names, ends)}


def report() -> None:
    """Write one row a way: mean figures over its seeds, and the interval of the gain."""
    _, held, subsets = promoters()
    y = held["maude_expr"].to_numpy()
    ways: dict[str, list] = {}
    for path in sorted(RUNS.glob("*.npz")):
        with np.load(path) as kept:
            ways.setdefault(path.name.split(".")[0], []).append(
                (kept["y_hat"], json.loads(str(kept["about"])))
            )
    rows = []
    for name, runs in ways.items():
        each = [figures(dream_score(y, y_hat, subsets)) for y_hat, _ in runs]
        mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        rows.append({
            "figure": f"{name}, mean of {len(runs)} seeds",
            "input": "DREAM-mini, train fold only; validation fold, both strands averaged",
            "cpu_seconds": [round(about["cpu"]) for _, about in runs],
            "wall_seconds": [round(about["wall"]) for _, about in runs],
            "settings": runs[0][1]["settings"],
            "values": {key: round(value, 4) for key, value in mean.items()},
            "note": NOTE,
        })  # fmt: skip
        if name != "plain" and "plain" in ways:
            pair = [[y_hat for y_hat, _ in some] for some in (runs, ways["plain"])]
            rows[-1]["gain_over_plain_95"] = gain(y, *pair, held, subsets)
        print(json.dumps(rows[-1], indent=1))
    save("learn.dream_mini", rows, "python -m benchmarks.learn.dream_mini report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=["fastseq", "plain", "report"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--name", help="what the runs are called; by default the way")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON: recipe fields")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.way == "report":
        report()
    else:
        run(chosen.way, chosen.seed, chosen.settings, chosen.name or chosen.way)


if __name__ == "__main__":
    main()
