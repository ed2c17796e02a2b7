"""Edits of any growth through plans: as differences, in full, and against double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fastseq
from fastseq.lower.edited import in_model_input
from fastseq.lower.incremental import DeltaEngine
from fastseq.models.specs import COMPLEMENT, InputSpec, TargetSpec
from fastseq.sequence.edits import Edits, apply, window
from tests.lower.test_incremental import MODELS, TABLE
from tests.sequence.test_edits import rows_and_edits, table


def random_edits(codes, count=24, seed=0):
    """Insertions, deletions and words of any size anywhere, both ends of the rows among them."""
    rng = np.random.default_rng(seed)
    length = codes.shape[1]
    edits = [(0, 0, 1, []), (0, 0, 0, [3]), (1, length - 1, 1, []), (1, length, 0, [2, 4, 1])]
    for _ in range(count - len(edits)):
        start = int(rng.integers(0, length + 1))
        removed = int(min(rng.integers(0, 9), length - start))
        word = rng.integers(0, 5, rng.choice([0, 1, 2, removed, 12])).tolist()
        edits.append((int(rng.integers(0, len(codes))), start, removed, word))
    return table(codes, edits)


def carrying(monkeypatch, all_of_them=True):
    """Make engines carry every edit as differences, whatever is faster; or none."""
    monkeypatch.setattr(DeltaEngine, "pays", lambda _, start, size: (size > 0) == all_of_them)


@given(rows_and_edits(), st.sampled_from("+-"), st.booleans())
def test_edits_lead_to_the_same_input(case, strand, flanked):
    rows, edits, left, length = case
    spec = InputSpec(length + 5, "ACG", "TT") if flanked else InputSpec(length)
    edits = table(rows, edits)
    codes, placed = in_model_input(spec, rows, edits, left, length, strand)
    turned = lambda x: COMPLEMENT[x[:, ::-1]] if strand == "-" else x  # noqa: E731
    np.testing.assert_array_equal(codes, turned(spec.place(window(rows, left, length))))
    mutants = spec.place(apply(rows, edits, left=left, length=length))
    assert (placed.removed == placed.lengths).all()
    np.testing.assert_array_equal(apply(codes, placed), turned(mutants))
    keeps = edits.lengths == edits.removed
    assert (placed.lengths <= np.maximum(edits.lengths, length * ~keeps)).all()


def plan_of(name, spec=None, target=None):
    """A plan of a network whose normalisation has seen sequences, and the network."""
    torch.manual_seed(3)
    build, length = MODELS[name]
    model = build().train()
    with torch.no_grad():
        for _ in range(5):
            model(TABLE[torch.randint(0, 4, (32, length))].mT)
    model.input_spec = spec or InputSpec(length, unknown="uniform")
    if target:
        model.target_spec = target
    return fastseq.lower(model.eval(), device="cpu"), model


def exact(model, codes, strand="+"):
    """The model's answers in double precision."""
    with torch.no_grad():
        x = model.input_spec.expand(model.input_spec.place(codes), strand)
        answer = model.double()(x.double())
        model.float()
    if strand == "-":
        answer = TargetSpec().same_strand(answer)
    return answer.numpy().reshape(len(codes), -1)


def close(found, true):
    """Hold effects to 1e-4 of the median one."""
    found = found.reshape(true.shape)
    assert np.abs(found - true).max() <= 1e-4 * np.median(np.abs(true[true != 0]))


@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("name", [n for n in MODELS if n != "dilated"])
def test_edits_that_move_the_rest_are_exact(name, strand, monkeypatch):
    plan, model = plan_of(name)
    length = plan.input_spec.length
    rows = np.random.default_rng(0).integers(0, 5, (3, length + 6), dtype=np.uint8)
    edits = random_edits(rows)
    mutants = apply(rows, edits, left=4, length=length)
    true = exact(model, mutants, strand) - exact(model, rows[:, 4 : 4 + length], strand)[edits.row]
    carrying(monkeypatch)
    y_ref, deltas = plan.effects(rows, edits, left=4, length=length, strand=strand,
                                 engine="incremental")  # fmt: skip
    close(deltas, true)
    same = (mutants == rows[edits.row, 4 : 4 + length]).all(1)
    assert not deltas[same].any()
    np.testing.assert_allclose(
        y_ref.reshape(3, -1), exact(model, rows[:, 4 : 4 + length], strand), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("left", [-3, 0, 5])
@pytest.mark.parametrize("strand", "+-")
def test_windows_inside_flanks_are_refilled_from_the_row_then_with_unknown_bases(
    strand, left, monkeypatch
):
    spec = InputSpec(45, "ACGTA", "GGT", unknown="uniform")
    plan, model = plan_of("residual", spec, TargetSpec(("a", "b"), slope=3.0, offset=1e4))
    rows = np.random.default_rng(1).integers(0, 4, (2, 40), dtype=np.uint8)
    edits = random_edits(rows, 40, seed=5)
    seen = {"left": left, "length": 37}
    true = exact(model, apply(rows, edits, **seen), strand)
    true = 3 * (true - exact(model, window(rows, **seen), strand)[edits.row])
    carrying(monkeypatch)
    close(plan.effects(rows, edits, strand=strand, engine="incremental", **seen)[1], true)


@pytest.mark.parametrize("name", ["residual", "silu", "wide pool", "gated", "profile"])
def test_each_edit_takes_the_engine_that_is_faster_whatever_its_company(name):
    plan, _ = plan_of(name)
    length = plan.input_spec.length
    rows = np.random.default_rng(0).integers(0, 4, (4, length + 8), dtype=np.uint8)
    edits = Edits.concatenate([random_edits(rows, 40), Edits.substitutions(rows[:2], 9, 12)])
    seen = {"length": length, "engine": "incremental"}
    y_ref, together = plan.effects(rows, edits, **seen)
    assert y_ref.shape == (4, *together.shape[1:])
    y_full, full = plan.effects(rows, edits, length=length)
    np.testing.assert_allclose(y_ref, y_full, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together, full, atol=2e-4 * np.abs(full).max())
    for edit in range(0, len(edits), 3):
        alone = plan.effects(rows, edits[edit : edit + 1], **seen)[1]
        np.testing.assert_array_equal(alone[0], together[edit])


def test_an_edit_that_moves_much_runs_in_full(monkeypatch):
    plan, _ = plan_of("wide pool")
    engine = plan.delta_engine("+")
    start, size = np.array([0, 45, 49]), np.array([50, 5, 1])
    assert engine.pays(start, size).tolist() == [False, True, True]
    rows = np.random.default_rng(0).integers(0, 4, (2, 50), dtype=np.uint8)
    edits = random_edits(rows)
    carrying(monkeypatch, all_of_them=False)
    _, deltas = plan.effects(rows, edits, engine="incremental")
    np.testing.assert_array_equal(deltas, plan.effects(rows, edits)[1])


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", ["residual", "gelu", "groups", "gated"])
def test_the_same_change_has_the_same_bits(name, native):
    plan, _ = plan_of(name)
    engine = DeltaEngine(plan.graph, plan.input_spec.table("+"), native=native)
    codes = np.random.default_rng(2).integers(0, 4, (1, plan.input_spec.length), dtype=np.uint8)
    old = codes[0, 12:19]
    words = [old.copy() for _ in range(7)]
    for word in words:
        word[3] ^= 1  # the same change, in words that put back more or less around it
    edits = Edits(
        np.zeros(7, np.int64), 12 + np.arange(7) // 2, 7 - np.arange(7),
        np.concatenate([word[n // 2 : n // 2 + 7 - n] for n, word in enumerate(words)]),
        np.r_[0, np.cumsum(7 - np.arange(7))],
    )  # fmt: skip
    other = Edits.substitutions(codes, 10, 20)
    both = Edits.concatenate([edits, other, edits])
    _, deltas = engine.effects(codes, both.row, both.start, both.inserted, both.offsets)
    assert deltas[0].any()
    assert (deltas[: len(edits)] == deltas[0]).all()
    assert (deltas[-len(edits) :] == deltas[0]).all()
