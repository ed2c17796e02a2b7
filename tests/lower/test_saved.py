import json
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import CheckpointError, MissingFileError, ModelError, UnreadableFileError
from fastseq.lower import saved
from fastseq.lower.plan import Plan
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.edits import Edits


def network():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(4, 16, 5, padding=2), nn.BatchNorm1d(16), nn.PReLU(16), nn.MaxPool1d(2),
        nn.Conv1d(16, 16, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(160, 2),
    )  # fmt: skip
    net.input_spec = InputSpec(20, left="ACG", right="TT", unknown="uniform")
    net.target_spec = TargetSpec(("a", "b"), "softplus", slope=0.3, offset=-2.0)
    return net


def codes(n, length=15):
    return np.random.default_rng(0).integers(0, 5, (n, length), np.uint8)


def test_a_saved_plan_is_the_plan(tmp_path):
    plan = fastseq.lower(network(), batch_size=4)
    path = plan.save(tmp_path / "plan.safetensors")
    again = Plan.load(path)
    rows = codes(9)
    assert (again.predict(rows) == plan.predict(rows)).all()
    assert (again.input_spec, again.target_spec) == (plan.input_spec, plan.target_spec)
    assert again.micro_batch == 4
    edits = Edits.substitutions(rows)
    for engine in ("full", "incremental"):
        for one, two in zip(plan.effects(rows, edits, engine=engine),
                            again.effects(rows, edits, engine=engine)):  # fmt: skip
            assert (one == two).all()
    np.testing.assert_allclose(again.gradient(rows), plan.gradient(rows), rtol=1e-4, atol=1e-6)
    assert again.explain() == plan.explain()
    assert not [name for name in tmp_path.iterdir() if name != path]


def test_saved_plans_are_taken_wherever_a_checkpoint_is(tmp_path):
    path = fastseq.lower(network(), precision="bfloat16").save(tmp_path / "plan")
    rows = codes(5)
    assert Plan.load(path).precision == "bfloat16"
    expected = fastseq.lower(network()).predict(rows)
    np.testing.assert_array_equal(fastseq.lower(path).predict(rows), expected)
    np.testing.assert_array_equal(fastseq.predict(path, rows), expected)


def _predict(plan, rows):
    torch.set_num_threads(1)
    return plan.predict(rows)


def test_plans_cross_process_borders():
    plan, rows = fastseq.lower(network()), codes(7)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert (pool.apply(_predict, (plan, rows)) == plan.predict(rows)).all()
    # a small job is lowered when it is sent
    small = pickle.loads(pickle.dumps(Plan(network(), sequences=1)))
    np.testing.assert_allclose(small.predict(rows), plan.predict(rows), rtol=1e-6)


class Branching(nn.Module):
    """What torch.export cannot capture."""

    def forward(self, x):
        return x.sum((1, 2)) if x.sum() > 0 else x.amax((1, 2))


def test_a_plan_without_a_saved_form_crosses_with_its_module():
    plan, rows = fastseq.lower(Branching(), length=15, batch_size=5), codes(7)
    there = pickle.loads(pickle.dumps(plan))
    assert there.micro_batch == 5
    assert (there.predict(rows) == plan.predict(rows)).all()


def test_a_worker_loads_a_plan_without_what_made_it(tmp_path):
    """The graph is read, not captured again: what captures and compiles takes seconds to import."""
    path = fastseq.lower(network()).save(tmp_path / "plan")
    script = (
        "import sys; from fastseq.lower.plan import Plan; plan = Plan.load(sys.argv[1]);"
        "plan.delta_engine('+'); plan.incremental_pays(60);"
        "heavy = ('torch._dynamo', 'torch._inductor', 'triton', 'scipy', 'pandas');"
        "print([name for name in heavy if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_cannot_be_saved_says_why(tmp_path):
    with pytest.raises(ModelError, match="cannot be saved: torch.export could not capture it"):
        fastseq.lower(Branching(), length=8).save(tmp_path / "plan")
    with pytest.raises(UnreadableFileError, match="cannot be written"):
        fastseq.lower(network()).save(tmp_path / "no" / "plan")


def forged(path, change):
    """A saved plan whose header was changed."""
    content = fastseq.lower(network()).save(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["fastseq"])
    change(about)
    header["__metadata__"]["fastseq"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    return path


def call(name):
    def change(about):
        node = next(node for node in about["nodes"] if node[0] == "call_function")
        node[2] = name

    return change


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "builtins.eval", "operator.attrgetter", "fastseq.nothing"),
        *("aten.from_file.default", "aten.as_strided.default", "aten.resize_.default"),
        "aten.nothing.default",
    ],
)
def test_plans_that_reach_beyond_their_tensors_are_refused(name, tmp_path):
    path = forged(tmp_path / "plan", call(name))
    with pytest.raises(CheckpointError, match="none of the operators that only compute"):
        Plan.load(path)


def test_names_of_a_plan_never_become_code(tmp_path):
    evil = "x'); import os; os.abort(); ('"

    def change(about):
        about["name"] = evil
        for node in about["nodes"]:
            node[1] = evil + node[1]
            node[3] = json.loads(json.dumps(node[3]).replace('{"node": "', '{"node": "' + evil))

    def with_tensors(about):
        change(about)
        for node in about["nodes"]:
            if node[0] == "get_attr":
                node[1] = node[1].removeprefix(evil)
                for other in about["nodes"]:
                    other[3] = json.loads(
                        json.dumps(other[3]).replace(f'"{evil}{node[1]}"', f'"{node[1]}"')
                    )

    plan = Plan.load(forged(tmp_path / "plan", with_tensors))
    assert plan.predict(codes(2)).shape == (2, 2)


def test_broken_plans_are_named(tmp_path):
    path = fastseq.lower(network()).save(tmp_path / "plan")
    content = path.read_bytes()
    for size in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match="truncated or no plan"):
            Plan.load(path)
    with pytest.raises(MissingFileError, match="there is no plan"):
        Plan.load(tmp_path / "nothing")
    for change in (
        lambda about: about.update(kind="fastseq-plan-2"),
        lambda about: about.pop("nodes"),
        lambda about: about["nodes"][0].__setitem__(0, "call_module"),
        lambda about: about["input_spec"].update(length="x"),
    ):
        with pytest.raises(CheckpointError):
            Plan.load(forged(tmp_path / "plan", change))
    assert not saved.is_plan(tmp_path / "nothing")
