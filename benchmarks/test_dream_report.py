"""The promoters' report: members together, and gains that are judged by clusters."""

import numpy as np

from benchmarks.learn import dream_report


def test_the_ridge_is_one_of_four():
    members = {"network 0": np.zeros(3), "network 1": np.full(3, 2.0), "ridge": np.full(3, 5.0)}
    assert dream_report.together(members).tolist() == [2.0, 2.0, 2.0]
    del members["ridge"]
    assert dream_report.together(members).tolist() == [1.0, 1.0, 1.0]


def test_a_better_way_gains_and_the_same_way_gains_nothing(monkeypatch):
    monkeypatch.setattr(dream_report, "DRAWS", 20)
    rng = np.random.default_rng(0)
    y, clusters = rng.normal(size=400), np.arange(400) // 2
    pairs = np.arange(400).reshape(-1, 2)
    singles = np.arange(200)
    subsets = {"random": singles, "challenging": singles, "SNVs": pairs, "motif_tiling": pairs}
    good, poor = y + 0.3 * rng.normal(size=400), y + 2 * rng.normal(size=400)
    found = dream_report.gain(y, [good, good], [poor], clusters, subsets)
    assert all(low > 0 for low, _ in found.values())
    same = dream_report.gain(y, [good], [good], clusters, subsets)
    assert all(low == high == 0 for low, high in same.values())
