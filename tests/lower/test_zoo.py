"""Every model of the table, as a plan, gives the model's own answers and effects, saved or not."""

import pickle

import numpy as np
import pytest
import torch

from fastseq.lower.ensemble import lower
from fastseq.models import registry
from fastseq.models.registry import build
from fastseq.score.ism import saturation_mutagenesis
from fastseq.sequence.edits import Edits, apply
from tests.models.test_registry import NETWORKS, TINY


def uneven(model):
    """Give normalisation layers the statistics and affines of a trained model."""
    random = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2, generator=random)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.3, generator=random)
    return model.eval()


def answers(model, spec, head, codes, dtype):
    with torch.inference_mode():
        score = model.to(dtype)(spec.expand(codes).to(dtype))
    return head.score(score).double().numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_plans_give_the_models_answers_and_effects(name):
    torch.manual_seed(0)
    model = uneven(build(name, **TINY.get(name, {})))
    plan = lower(model, batch_size=16)
    spec, head = plan.input_spec, plan.target_spec
    rows = np.random.default_rng(0).integers(0, 4, (8, spec.length), np.uint8)
    edits = Edits.substitutions(rows, spec.length // 2, spec.length // 2 + 1)
    mutants = apply(rows, edits, left=0, length=spec.length)
    unknown = rows[:1].copy()
    unknown[0, ::7] = 4  # the first base among them
    everything = np.concatenate([rows, mutants, unknown])
    exact = answers(model, spec, head, everything, torch.float64)
    own = answers(model, spec, head, everything, torch.float32)
    found = plan.predict(everything, scale="logit")
    again = pickle.loads(pickle.dumps(plan))
    assert (again.predict(everything, scale="logit") == found).all()
    spread = np.ptp(exact, 0).max() + np.abs(exact).max()
    assert np.abs(found - exact).max() <= 1e-5 * spread
    effects = [y[len(rows) : -1] - y[edits.row] for y in (exact, own, found)]
    usual = np.median(np.abs(effects[0]))
    # the error of a sequence is in all its effects, so that medians of eight scatter
    allowed = max(1e-4 * usual, 2 * np.median(np.abs(effects[1] - effects[0])))
    error = np.median(np.abs(effects[2] - effects[0]))
    assert error <= allowed, f"{error / usual:.1e} of the median effect"
    if plan.not_incremental:
        assert plan.not_incremental[0] in plan.explain_ism(measure=False)
    else:
        _, deltas = plan.effects(rows, edits, engine="incremental", scale="logit")
        error = np.median(np.abs(deltas - effects[0]))
        assert error <= allowed, f"{error / usual:.1e} of the median effect, as differences"
    middle = spec.variable // 2
    variable = rows[:1, : spec.variable]
    found = saturation_mutagenesis(plan, variable, start=middle, end=middle + 1)
    assert np.isfinite(found.effect).all()


def test_every_network_is_covered():
    assert len(NETWORKS) == sum(bool(entry.parameters) for entry in registry.list())
