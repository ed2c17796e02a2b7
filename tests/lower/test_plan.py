import threading

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import FastseqWarning, LengthError, ModelError, OptionError
from fastseq.lower.ensemble import lower_all
from fastseq.lower.plan import Plan
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.edits import Edits, apply


def network(tasks=1, seed=0, positions=False):
    """A small net with batch statistics that are not the initial ones."""
    torch.manual_seed(seed)
    head = [] if positions else [nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(8, tasks)]
    last = [nn.Conv1d(8, tasks, 1)] if positions else []
    net = nn.Sequential(
        nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), *last, *head
    )
    net(torch.rand(32, 4, 20))
    return net


def random_codes(n, length, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, length)).astype(np.uint8)


def truth(model, codes):
    """The model's own float64 answer."""
    model = model.double().eval()
    hot = (codes[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]).astype(np.float64)
    answer = model(torch.from_numpy(hot)).detach().numpy()
    model.float()
    return answer


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_predict_is_the_model_in_eval_mode(n):
    model = network(2)
    plan = fastseq.lower(model, length=20)
    codes = random_codes(n, 20)
    np.testing.assert_allclose(plan.predict(codes), truth(model, codes), rtol=1e-5, atol=1e-6)


def test_the_callers_model_is_left_alone():
    model = network().train()
    plan = fastseq.lower(model, length=20)
    plan.predict(random_codes(3, 20))
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_answers_do_not_depend_on_neighbours():
    plan = fastseq.lower(network(), length=20)
    codes = random_codes(257, 20)
    whole = plan.predict(codes)
    order = np.random.default_rng(1).permutation(257)
    assert (plan.predict(codes[order]) == whole[order]).all()
    alone = np.concatenate([plan.predict(codes[i : i + 1]) for i in range(257)])
    assert (alone == whole).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["tum_resnet", "dream_cnn", "bpnet", "motif_cnn"])
def test_short_batches_cost_less_and_change_no_bit(name, precision):
    sizes = {"motif_cnn": {"length": 60}}.get(name, {"length": 60, "channels": 16})
    sizes = {} if name == "dream_cnn" else sizes
    plan = fastseq.lower(fastseq.models.build(name, **sizes), precision=precision)
    codes = random_codes(plan.micro_batch + 3, plan.input_spec.variable)
    whole = plan.predict(codes)
    for n in (1, 3, plan.micro_batch - 1):
        np.testing.assert_array_equal(plan.predict(codes[:n]), whole[:n])


def test_effects_are_differences_of_predictions():
    model = network(2)
    model.target_spec = TargetSpec(("a", "b"), "softplus", slope=3.0, offset=1e6)
    plan = fastseq.lower(model, length=12)
    rows = random_codes(5, 20)
    edits = Edits.substitutions(rows, 4, 16)
    y_ref, deltas = plan.effects(rows, edits, left=4, length=12)
    assert (y_ref == plan.predict(rows[:, 4:16])).all()
    head = np.logaddexp(0, truth(model, rows[:, 4:16]))
    alt = np.logaddexp(0, truth(model, apply(rows, edits, left=4, length=12)))
    # the offset of a million would cost all digits of a difference of outputs
    np.testing.assert_allclose(deltas, 3 * (alt - head[edits.row]), rtol=1e-3, atol=3e-6)


def test_references_and_edits_share_a_micro_batch(monkeypatch):
    plan = fastseq.lower(network(), length=20, batch_size=8)
    rows, sizes, answer = random_codes(11, 20), [], plan._answer
    edits = Edits.substitutions(rows[:3], 4, 6)
    alone = plan.predict(apply(rows, edits, length=20))

    def counted(codes, *rest):
        sizes.append(len(codes))
        return answer(codes, *rest)

    monkeypatch.setattr(plan, "_answer", counted)
    y_ref, deltas = plan.effects(rows, edits)
    assert sizes[:-1] == [8] * (len(sizes) - 1)
    assert sum(sizes) == len(rows) + len(edits)
    np.testing.assert_array_equal(deltas, alone - y_ref[edits.row])


HEADS = {
    "none": TargetSpec(("a", "b")),
    "affine": TargetSpec(("a", "b"), slope=0.3, offset=-7.0),
    "softplus": TargetSpec(("a", "b"), "softplus", slope=3.0, offset=1e6),
    "sigmoid": TargetSpec(("a", "b"), "sigmoid"),
    "bins": TargetSpec(activation="expected_bin", bins=(3, 7), slope=2.0),
    "exchanged": TargetSpec(("a", "b"), "exp", strand_exchange=(1, 0)),
}


@pytest.mark.parametrize("scale", ["output", "logit"])
@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("head", HEADS)
def test_both_engines_agree(head, strand, scale):
    model = network(2)
    model.target_spec = HEADS[head]
    model.input_spec = InputSpec(20, left="ACGTA", right="GG", unknown="uniform")
    plan = fastseq.lower(model)
    rows = random_codes(3, 19)
    edits = Edits.substitutions(rows)
    seen = {"left": 3, "length": 13, "strand": strand, "scale": scale}
    y_full, full = plan.effects(rows, edits, engine="full", **seen)
    y_ref, deltas = plan.effects(rows, edits, engine="incremental", **seen)
    assert not plan.not_incremental
    np.testing.assert_allclose(y_ref, y_full, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(deltas, full, rtol=1e-3, atol=2e-6 + 2e-6 * np.abs(full).max())
    outside = (edits.start < 3) | (edits.start >= 16)
    assert (deltas[outside] == 0).all()


def test_explain_ism_says_what_pays():
    text = fastseq.lower(network(2), length=20).explain_ism()
    assert text.startswith("60 edits a sequence run ")
    assert "by differences" in text
    assert "\nmeasured here: 60 edits of a sequence in " in text


def test_words_are_edited_on_both_strands():
    model = network(2)
    plan = fastseq.lower(model, length=20)
    rows = random_codes(2, 20)
    edits = Edits(
        np.array([0, 0, 1]), np.array([0, 7, 17]), np.array([3, 2, 3]),
        np.array([1, 4, 2, 0, 3, 3, 2, 1], np.uint8), np.array([0, 3, 5, 8]),
    )  # fmt: skip
    for strand in "+-":
        full = plan.effects(rows, edits, strand=strand)[1]
        deltas = plan.effects(rows, edits, strand=strand, engine="incremental")[1]
        np.testing.assert_allclose(deltas, full, rtol=1e-4, atol=1e-6)


def test_plans_that_cannot_carry_differences_say_why():
    rows = random_codes(1, 20)
    plan = Plan(network(), length=20, sequences=1)
    with pytest.raises(OptionError, match="engine='incremental' cannot run here: "):
        plan.effects(rows, Edits.substitutions(rows), engine="incremental")
    assert not plan.incremental_pays(60)
    assert "run in full" in plan.explain_ism(measure=False)


def test_identity_edits_have_no_effect_at_all():
    plan = fastseq.lower(network(), length=20)
    rows = random_codes(9, 20)
    row, start = map(np.ravel, np.indices(rows.shape))
    edits = Edits.point(row, start, rows.ravel())
    assert (plan.effects(rows, edits)[1] == 0).all()


def test_variable_parts_are_run_inside_the_flanks():
    model = network()
    model.input_spec = InputSpec(20, left="ACGTA", right="GGC")
    plan = fastseq.lower(model)
    inner = random_codes(4, 12)
    assert (plan.predict(inner) == plan.predict(plan.input_spec.place(inner))).all()
    with pytest.raises(LengthError, match="or 12 bp to be placed"):
        plan.predict(random_codes(1, 13))


def test_minus_strand_exchanges_tasks_and_turns_profiles():
    model = network(2, positions=True)
    model.target_spec = TargetSpec(("plus", "minus"), strand_exchange=(1, 0))
    plan = fastseq.lower(model, length=20)
    codes = random_codes(3, 20)
    back = plan.predict(fastseq.reverse_complement(codes))[:, ::-1, ::-1]
    np.testing.assert_allclose(plan.predict(codes, strand="-"), back, rtol=1e-6)


def test_gradients_are_autograds_on_both_strands():
    model = network(2)
    plan = fastseq.lower(model, length=20)
    codes = random_codes(70, 20)
    x = plan.input_spec.expand(codes).clone().requires_grad_(True)
    model.eval()(x)[:, 1].sum().backward()
    np.testing.assert_allclose(plan.gradient(codes, task=1), x.grad, rtol=1e-5, atol=1e-7)
    back = plan.gradient(fastseq.reverse_complement(codes), task=1)[:, ::-1, ::-1]
    np.testing.assert_allclose(plan.gradient(codes, task=1, strand="-"), back, rtol=1e-5, atol=1e-7)


def test_saturated_heads_keep_their_gradient():
    model = nn.Sequential(nn.Flatten(), nn.Linear(80, 1))
    nn.init.constant_(model[1].bias, 200.0)
    model.target_spec = TargetSpec(activation="sigmoid")
    plan = fastseq.lower(model, length=20)
    assert (np.abs(plan.gradient(random_codes(2, 20))).max((1, 2)) > 0).all()
    assert (plan.predict(random_codes(2, 20)) == 1).all()
    assert (plan.predict(random_codes(2, 20), scale="logit") > 100).all()


def test_concurrent_predictions_agree():
    plan = fastseq.lower(network(), length=20)
    codes = random_codes(300, 20)
    expected, found = plan.predict(codes), [None] * 4

    def work(number):
        found[number] = plan.predict(codes)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((answer == expected).all() for answer in found)


def test_empty_input_gives_empty_answers():
    plan = fastseq.lower(network(2), length=20)
    assert plan.predict(random_codes(0, 20)).shape == (0, 2)
    y_ref, deltas = plan.effects(random_codes(2, 20), Edits.substitutions(random_codes(0, 20)))
    assert y_ref.shape == (2, 2)
    assert deltas.shape == (0, 2)


def test_explain_names_every_layer_and_the_head():
    model = network()
    model.target_spec = TargetSpec(activation="softplus", slope=0.259, offset=-2.87)
    text = fastseq.lower(model, length=20).explain()
    for word in ("20 bp", "conv of 5, relu", "softplus", "0.259", "-2.87", "float32 on cpu"):
        assert word in text
    assert "BatchNorm" not in text
    small = Plan(network(), length=20, sequences=10).explain()
    assert "layer by layer: a small job" in small
    assert "BatchNorm1d" in small


def test_strange_models_are_refused_in_a_sentence():
    with pytest.raises(OptionError, match="carries no InputSpec; pass length="):
        fastseq.lower(nn.Linear(2, 2))
    with pytest.raises(ModelError, match=r"cannot take float32 \(1, 4, 3\)"):
        fastseq.lower(nn.Conv1d(4, 8, 5), length=3)
    with pytest.raises(ModelError, match=r"\(1, 2, 2, 2\); expected a tensor"):
        fastseq.lower(nn.Unflatten(1, (2, 2)), length=2)
    model = network(2)
    model.target_spec = TargetSpec(("only",))
    with pytest.raises(ModelError, match="answers 2 tasks; its TargetSpec names 1: only"):
        fastseq.lower(model, length=20)
    with pytest.raises(OptionError, match="expected an nn.Module, a checkpoint's path"):
        fastseq.lower(3)
    with pytest.raises(OptionError, match="precision='float8'"):
        fastseq.lower(network(), length=20, precision="float8")


def test_ensembles_must_agree():
    plan = fastseq.lower(network(), length=20)
    with pytest.raises(OptionError, match="batch_size given together with a Plan"):
        lower_all(plan, batch_size=3)
    with pytest.raises(OptionError, match="model 1 of the ensemble has tasks"):
        lower_all([plan, network(2)], length=20)
    with pytest.raises(OptionError, match="variable length 21; model 0 has 20"):
        lower_all([plan, fastseq.lower(network(), length=21)])
    with pytest.raises(OptionError, match="empty list"):
        lower_all([])


def test_answers_that_are_no_number_are_warned_of():
    class Root(nn.Module):
        def forward(self, x):
            return (x[:, 0].sum(1) - 1).sqrt()

    plan = Plan(Root(), length=3, sequences=1)
    with pytest.warns(FastseqWarning, match="answers sequence 1 with a number that is not finite"):
        plan.predict(np.array([[0, 0, 1], [1, 1, 1]], np.uint8))
