"""The page says of every aim what the results say."""

import tomllib

import pytest

from benchmarks import page
from benchmarks.run import modules

GOALS = [
    page.Goal(**goal) for goal in tomllib.loads((page.HERE / "goals.toml").read_text())["goal"]
]
# results of commands that are no bench_*.py
OTHERS = {"kernels.gpu", "learn.dream_mini", "score.memory"}


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.what}, {goal.aim}")
def test_an_aim_names_results_that_a_command_makes(goal):
    assert goal.of in {*modules(), *OTHERS}
    assert 0 <= goal.least < goal.most


def test_the_worst_row_answers_and_what_is_missing_is_said():
    goal = page.Goal("s", "w", ">= 2x", "room.bench", "one*", 2, rival="them")
    rows = [
        {"figure": "one", "rival": "them", "ratio": 3.0},
        {"figure": "one more", "rival": "them", "ratio": 1.5},
        {"figure": "one", "rival": "others", "ratio": 0.1},
        {"figure": "one", "value": 0.1},
    ]
    assert [value for value, _ in goal.answers(rows)] == [1.5, 3.0]
    assert page.judged(goal, {"room.bench": {"rows": rows}}) == "MISSED"
    assert page.judged(goal, {"room.bench": {"rows": rows[:1]}}) == "met"
    assert page.judged(goal, {}) == "not measured yet"
    gain = page.Goal("s", "w", "> 0", "room.bench", "*", 1e-9, key="score", lower_end=True)
    rows = [{"figure": "long", "gain_95": {"score": [-0.1, 0.3]}, "budget": "9 seconds"}]
    assert [value for value, _ in gain.answers(rows)] == [-0.1]
    small = page.Goal("s", "w", "<= 2 MB", "room.bench", "one*", most=2)
    heavy = [{"figure": "one", "value": 1.0}, {"figure": "one more", "value": 3.0}]
    assert page.judged(small, {"room.bench": {"rows": heavy}}) == "MISSED"
    assert page.judged(small, {"room.bench": {"rows": heavy[:1]}}) == "met"


def test_networks_on_a_gpu_take_the_form_of_the_others():
    def row(name, speed):
        return {"section": "network", "name": name, "sequences_per_second": speed}

    rows = [
        row("Net 9 bp: kernels, 512 at once", 6.0), row("Net 9 bp: kernels, batch of 1", 1.0),
        row("Net 9 bp: eager conv1d", 2.0), row("Net 9 bp: eager conv1d, batch of 32", 1.0),
        {"section": "layer", "name": "x", "ms": 1.0},
        {"section": "network", "name": "Net 9 bp: kernels, batch of 7", "error": "wrong"},
        {"section": "compile", "name": "Net 9 bp: conv1d", "sequences_per_second": 3.0},
        {"section": "mutants", "name": "Net 9 bp: full", "edits_per_second": 8.0},
    ]  # fmt: skip
    ours, eager, compiled, edits = page.networks(rows)
    assert (compiled["rival"], compiled["ratio"]) == ("torch.compile conv1d", 2.0)
    assert (edits["figure"], edits["value"], edits["unit"]) == ("edits, Net 9 bp", 8.0, "edits/s")
    assert (ours["figure"], ours["value"]) == ("Net 9 bp", 6.0)
    assert (eager["rival"], eager["ratio"]) == ("eager conv1d", 3.0)


def test_the_page_holds_every_aim(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(page, "PICTURES", tmp_path / "benchmarks")
    text = page.write().read_text()
    for goal in GOALS:
        assert f"| {goal.what}" in text
    assert "python -m benchmarks.run sequence.bench_encode" in text
    assert (tmp_path / "benchmarks" / "length.svg").exists()
