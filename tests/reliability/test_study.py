"""The study: it resumes, its statistics are paired and clustered, and it refuses small groups."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from benchmarks.reliability import report, statistics, study
from benchmarks.reliability.statistics import correlations, difference, draws, spearman
from fastseq.errors import OptionError


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 60)


def test_a_cut_run_goes_on_and_reports(tmp_path, capsys):
    arguments = ["--grid", "tiny", "--out", str(tmp_path)]
    assert study.main([*arguments, "--minutes", "0"]) == 0
    assert "8 models left" in capsys.readouterr().err
    assert study.main([*arguments, "--share", "0/8"]) == 0
    first = sorted(path.name for path in tmp_path.glob("*.*.json"))
    assert first == ["relu-bn-none.0.json"]
    written = (tmp_path / first[0]).stat().st_mtime_ns
    assert study.main([*arguments, "--share", "0/6"]) == 0
    assert len(list(tmp_path.glob("*.*.json"))) == 3
    assert (tmp_path / first[0]).stat().st_mtime_ns == written
    row = json.loads((tmp_path / first[0]).read_text())
    assert row["kld"]["instance observed"].keys() == {"3", "4", "5", "6", "7", "8"}
    assert 0 <= row["auroc"] <= 1
    assert "no correlation from fewer than 30 models" in capsys.readouterr().out


def test_a_killed_run_loses_one_model_at_most(tmp_path):
    command = [sys.executable, "-m", "benchmarks.reliability.study", "--grid", "tiny"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path)], cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (done := list(tmp_path.glob("*.*.json"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert done, "no model within two minutes"
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*.json")}
    assert all(json.loads(text)["kld"] for text in before.values())
    # a file that was cut off under its temporary name is no model
    (tmp_path / ".relu-bn-mixup.0.1").write_text('{"name"')
    assert study.main(["--grid", "tiny", "--out", str(tmp_path), "--share", "0/4"]) == 0
    after = {path: path.read_bytes() for path in tmp_path.glob("*.*.json")}
    assert len(after) > len(before)
    assert {path: after[path] for path in before} == before


def models(m, seed=0):
    random = np.random.default_rng(seed)
    for i in range(m):
        quality = random.normal()
        kld = {
            name: {str(k): float(9 + quality + noise * random.normal()) for k in study.KS}
            for name, noise in ((n, 0.1 if n == report.WEIGHTED else 2) for n in study.VARIANTS)
        }
        yield {
            "name": f"cell{i % 40}.{i // 40}", "first": ("relu", "exponential")[i % 2],
            "auroc": float(random.random()), "snr": float(np.exp(quality)), "kld": kld,
        }  # fmt: skip


def test_findings_and_figures(tmp_path):
    many = list(models(80))
    many[3]["snr"] = float("inf")
    found = report.write(many, "made up", tmp_path, ks=study.KS)
    assert found["groups"]["all"]["models"] == 79
    better = found["groups"]["all"]["differences"]["weighted against thresholded, k = 6"]
    assert better["low"] > 0
    assert report.FITTED in found["groups"]["all"]["spearman with SNR"]
    text = report.text(found)
    assert "the first is better" in text
    assert "Simpson" in text
    paths = study.figures.draw(many, found, tmp_path, ks=study.KS)
    assert [path.stem for path in paths] == [
        "figure2-auroc", "figure2-kld", "figure4-weighted", "figure4-thresholded", "figure3",
    ]  # fmt: skip
    assert all(path.stat().st_size > 5000 for path in paths)


def test_rank_correlation_with_ties():
    assert spearman(np.array([1, 2, 2, 3]), np.array([10, 20, 20, 30])) == pytest.approx(1)
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_whole_configurations_are_drawn():
    cells = np.repeat(np.arange(10), 3)
    for rows in draws(cells, times=20):
        assert len(rows) == 30
        assert all(count % 3 == 0 for count in np.bincount(cells[rows], minlength=10))


def test_differences_are_paired():
    random = np.random.default_rng(0)
    snr = random.normal(size=40)
    noisy = snr + random.normal(size=40)
    found = correlations(snr, {"a": noisy, "b": noisy * 2, "c": snr}, np.arange(40))
    same = difference(found["a"], found["b"])
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert difference(found["c"], found["a"]).low > 0
    with pytest.raises(OptionError, match="29 models"):
        correlations(snr[:29], {"a": noisy[:29]}, np.arange(29))
