"""Every committed launch compiles for its GPU: no spills, shared memory in bounds, matrix units."""

import json
from itertools import chain

import pytest
from fastseq_kernels import launch, library

from benchmarks.kernels import aot
from benchmarks.kernels.shapes import LAYERS
from benchmarks.run import RESULTS

PAIRS = [(layer, target) for layer in LAYERS for target in aot.TARGETS]
# the widest epilogue of each kernel; the committed table holds the last full run
SHORT = [LAYERS[i] for i in (0, 2, 11, 13, 21, 26)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def gate(layer, target):
    rows = aot.compile_layer(layer, target)
    assert rows
    assert [row["faults"] for row in rows] == [[] for row in rows]


@pytest.mark.parametrize("layer", SHORT, ids=str)
def test_compiles_within_its_resources(layer, cache):
    gate(layer, "sm_90")


@pytest.mark.long
@pytest.mark.parametrize(("layer", "target"), PAIRS, ids=str)
def test_everything_compiles_within_its_resources(layer, target, cache):
    gate(layer, target)


def test_committed_table_is_complete_and_faultless():
    """Every layer on every target, under both releases of Triton."""
    rows = json.loads((RESULTS / "kernels.aot.json").read_text())["rows"]
    for release in ("3.6.0", "3.7.1"):
        seen = {(row["layer"], row["target"]) for row in rows if row["triton"] == release}
        assert seen == {(str(layer), target) for layer, target in PAIRS}
    assert not list(chain(*(row["faults"] for row in rows)))


@pytest.mark.parametrize("target", aot.TARGETS)
def test_every_committed_launch_stands_in_the_table(target):
    """Each row of configs/*.json is the first that holds for at least one compiled case."""
    used = {path.stem: [] for path in launch.CONFIGS.glob("*.json")}
    taken = launch.choose

    def choose(op, arch, facts):
        row = taken(op, arch, facts)
        used[op].append(row)
        return row

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "choose", choose)
        for layer in LAYERS:
            aot.catch(layer, target)
    for op, rows in used.items():
        for row in launch.table(op)[target]:
            launched = {name: value for name, value in row.items() if name != "when"}
            assert launched in rows, f"configs/{op}.json: {row}"
