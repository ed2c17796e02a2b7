"""The promoters' report: members together, and gains that are judged by clusters."""

import json

import numpy as np
import pytest

from benchmarks.learn import dream_report
from fastseq.learn.evaluate import dream_score


def test_the_ridge_is_one_of_four():
    members = {"network 0": np.zeros(3), "network 1": np.full(3, 2.0), "ridge": np.full(3, 5.0)}
    assert dream_report.together(members).tolist() == [2.0, 2.0, 2.0]
    del members["ridge"]
    assert dream_report.together(members).tolist() == [1.0, 1.0, 1.0]


def example():
    rng = np.random.default_rng(0)
    y, clusters = rng.normal(size=400).round(1), np.arange(400) // 2
    pairs, singles = np.arange(400).reshape(-1, 2), np.arange(200)
    subsets = {"random": singles, "challenging": singles, "SNVs": pairs, "motif_tiling": pairs}
    subsets["motif_perturbation"] = pairs[:0]
    return rng, y, clusters, subsets


def test_a_better_way_gains_and_the_same_way_gains_nothing(monkeypatch):
    monkeypatch.setattr(dream_report, "DRAWS", 20)
    rng, y, clusters, subsets = example()
    good, poor = y + 0.3 * rng.normal(size=400), y + 2 * rng.normal(size=400)
    draws = dream_report.Bootstrap(y, clusters, subsets)
    assert all(low > 0 for low, _ in draws.gain([good, good], [poor]).values())
    assert all(low == high == 0 for low, high in draws.gain([good], [good]).values())


def test_a_draw_is_judged_as_its_rows_would_be(monkeypatch):
    monkeypatch.setattr(dream_report, "DRAWS", 5)
    rng, y, clusters, subsets = example()
    y_hat = (y + rng.normal(size=400)).round(1)
    draws = dream_report.Bootstrap(y, clusters, subsets)
    found = draws.figures(y_hat)
    for draw, times in enumerate(draws.times.astype(int)):
        drawn = {
            name: np.repeat(rows, times[rows if rows.ndim == 1 else rows[:, 0]], axis=0)
            for name, rows in {"all": np.arange(400), **subsets}.items()
            if len(rows)
        }
        score = dream_score(y, y_hat, drawn)
        assert found["pearson_score"][draw] == pytest.approx(score.pearson)
        assert found["spearman_score"][draw] == pytest.approx(score.spearman)
        assert found["r2_SNVs"][draw] == pytest.approx(score.per_subset["SNVs"].r2)


def test_short_runs_together_are_the_best_where_no_long_one_is(tmp_path):
    for seed in range(2):
        about = json.dumps({"cpu": 300.0, "wall": 400.0, "budget": "360 cpu seconds"})
        members = {f"network {seed}": np.full(3, 2.0 * seed), "ridge": np.full(3, 5.0)}
        np.savez(tmp_path / f"fastseq.{seed}.npz", about=about, **members)
    ways = {}
    dream_report._add_best(tmp_path, ways)
    ((y_hat, about),) = ways["best"]
    assert y_hat.tolist() == [2.0, 2.0, 2.0]
    assert (about["cpu"], about["networks"]) == (600.0, 2)
