"""Every committed launch compiles for its GPU: no spills, shared memory in bounds, matrix units."""

import json
from itertools import chain

import pytest
from fastseq_kernels import launch

from benchmarks.kernels import aot
from benchmarks.kernels.shapes import AOT_CASES, OPS
from benchmarks.run import RESULTS

PAIRS = [(case, target) for case in AOT_CASES for target in aot.TARGETS]
# one case an op in the short tier; the committed table holds the last full run
SHORT = {"conv1d 64-64 k5 prelu residual pool2"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def gate(case, target):
    rows = aot.compile_case(case, target)
    assert rows
    assert [row["faults"] for row in rows] == [[] for row in rows]


@pytest.mark.parametrize("case", sorted(SHORT))
def test_compiles_within_its_resources(case, cache):
    gate(case, "sm_90")


@pytest.mark.long
@pytest.mark.parametrize(("case", "target"), PAIRS)
def test_everything_compiles_within_its_resources(case, target, cache):
    gate(case, target)


def test_committed_table_is_complete_and_faultless():
    rows = json.loads((RESULTS / "kernels.aot.json").read_text())["rows"]
    assert {(row["case"], row["target"]) for row in rows} == set(PAIRS)
    assert not list(chain(*(row["faults"] for row in rows)))


@pytest.mark.parametrize("target", aot.TARGETS)
def test_every_committed_launch_stands_in_the_table(target):
    """Each row of configs/*.json is the first that holds for at least one compiled case."""
    used = {op: [] for op in ("conv1d",)}
    taken = launch.choose

    def choose(op, arch, facts):
        row = taken(op, arch, facts)
        used[op].append(row)
        return row

    with pytest.MonkeyPatch.context() as patch:
        for op in OPS:
            patch.setattr(op, "choose", choose)
        for case in AOT_CASES.values():
            aot.catch(case.call, target)
    for op, rows in used.items():
        for row in launch.table(op)[target]:
            launched = {name: value for name, value in row.items() if name != "when"}
            assert launched in rows, f"configs/{op}.json: {row}"
