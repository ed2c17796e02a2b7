"""Plans of trained networks: the errors of answers, of effects, and of a reduced precision."""

import numpy as np
import pytest
import torch

from fastseq._native import conv
from fastseq.errors import PrecisionError
from fastseq.lower.ensemble import lower
from fastseq.models.registry import build
from fastseq.run.precision import LARGEST_MEDIAN_ERROR, check_precision
from fastseq.run.views import Views
from fastseq.sequence.edits import Edits, apply

STEPS, BATCH = 150, 32
WORD = (3, 2, 0, 1, 3, 1, 0)
SIZES = {
    "tum_resnet": {"length": 60, "channels": 16, "activation": "none"},
    "legnet": {"length": 60, "stem": 16, "widths": (16, 16)},
    "deepstarr": {"length": 60, "channels": (32, 16, 16, 16), "features": 32, "tasks": 1},
    "bpnet": {"length": 100, "channels": 32, "layers": 3},
}


def planted(length, rows, seed):
    """Sequences of which half hold a word; it counts, and so does the share of G and C."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (rows, length), dtype=np.uint8)
    holds = rng.random(rows) < 0.5
    start = rng.integers(0, length - len(WORD), rows)
    for at, base in enumerate(WORD):
        codes[np.flatnonzero(holds), start[holds] + at] = base
    wanted = 2 * holds + 8 * (((codes == 1) | (codes == 2)).mean(1) - 0.5)
    return codes, torch.from_numpy(wanted).float()


def score(model, codes, dtype=torch.float32):
    """The head's score, (n,)."""
    x = model.input_spec.expand(codes).to(dtype)
    return model.target_spec.score(model(x)).flatten(1).mean(1)


@pytest.fixture(scope="module", params=SIZES)
def trained(request):
    """A small network after seconds of training, in eval mode, and how much it has learned."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build(request.param, **SIZES[request.param]).train()
    length = model.input_spec.length  # type: ignore[union-attr]
    steps = torch.optim.AdamW(model.parameters(), 5e-3)
    for step in range(STEPS):
        codes, wanted = planted(length, BATCH, step)
        loss = (score(model, codes) - wanted).square().mean()
        steps.zero_grad()
        loss.backward()
        steps.step()
    codes, wanted = planted(length, 256, STEPS)
    with torch.inference_mode():
        found = score(model.eval(), codes)
    return model, float(torch.corrcoef(torch.stack([found, wanted]))[0, 1])


def test_trained_networks_keep_their_answers_and_effects(trained):
    model, learned = trained
    assert learned > 0.4
    plan = lower(model, length=model.input_spec.length)
    rows, _ = planted(model.input_spec.length, 4, 999)
    edits = Edits.substitutions(rows, 10, 40)
    with torch.inference_mode():
        exact, mutants = (
            plan.target_spec.score(model.double()(model.input_spec.expand(codes).double())).numpy()
            for codes in (rows, apply(rows, edits, left=0, length=rows.shape[1]))
        )
    model.float()
    effects = mutants - exact[edits.row]
    answers = np.concatenate([exact, mutants])
    for engine in ("full", "incremental"):
        y_ref, deltas = plan.effects(rows, edits, engine=engine, scale="logit")
        assert np.abs(y_ref - exact).max() <= 1e-5 * np.ptp(answers)
        error = np.abs(deltas - effects)
        assert np.median(error) <= 1e-4 * np.median(np.abs(effects))


@pytest.mark.skipif(not conv.has_bfloat16(), reason="the processor multiplies no bfloat16")
def test_bfloat16_reports_what_it_does_to_the_effects(trained):
    model, _ = trained
    plan = lower(model, length=model.input_spec.length, precision="bfloat16")
    rows, _ = planted(model.input_spec.length, 4, 999)
    edits = Edits.substitutions(rows, 20, 40)  # 240: fewer than a sample
    _, found = plan.effects(rows, edits)
    _, truth = plan.in_float32().effects(rows, edits)
    usual = np.median(np.abs(truth))
    error = np.median(np.abs(found - truth)) / usual
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.99
    turned = (np.abs(truth) > usual) & (found * truth < 0)
    if error > LARGEST_MEDIAN_ERROR or turned.any():
        with pytest.raises(PrecisionError, match=f"the median error is {error:.2g} of the median"):
            check_precision([plan], rows, edits, Views())
    else:
        report = check_precision([plan], rows, edits, Views())
        assert report is not None
        assert report.error == pytest.approx(error)
