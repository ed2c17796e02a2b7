"""Plans of the zoo by the kernels, from codes to answers, against the modules themselves."""

from functools import partial

import numpy as np
import pytest
import torch
from fastseq_kernels.reference import relative_error

import fastseq
from fastseq.sequence.edits import Edits, apply
from tests.kernels.inputs import DEVICE

pytestmark = pytest.mark.kernel

# sizes that keep what is particular about a model and take few programs
ZOO = {
    "tum_resnet": {"length": 37, "channels": 16},  # whose blocks run in registers
    "tum_cnn": {"length": 40, "channels": 24},
    "tum_classifier": {"length": 40},
    "motif_cnn": {"length": 60, "channels": (8, 12, 16, 12), "hidden": 10},
    "legnet": {"length": 24, "stem": 16, "widths": (24, 16)},
    "legnet_mpra": {"length": 50, "stem": 16, "widths": (24, 32), "features": 16},
    "deepstarr": {"length": 52, "channels": (32, 12, 12, 20), "features": 24},
    "bpnet": {"length": 150, "channels": 16, "layers": 4, "head": "profile"},
    "basenji": {"length": 128, "channels": 16, "pools": 2, "dilated": 2},
}
# a whole network, each layer rounding once; a GPU's tf32 also rounds operands to 11 bits
TOLERANCE = {"float32": 1e-5, "tf32": 4e-3, "float16": 4e-3, "bfloat16": 4e-2}
FEW, LONG = ("tum_classifier", "legnet_mpra"), pytest.mark.long


def lived_in(name):
    """Return a model with batch statistics that are not the initial ones."""
    torch.manual_seed(0)
    model = fastseq.models.build(name, **ZOO[name])
    spec = model.input_spec
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(8, spec.channels, spec.length))
    return model.eval()


CASES = [
    pytest.param(name, precision, marks=() if precision == "float32" or name in FEW else LONG)
    for name in ZOO
    for precision in TOLERANCE
]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_plan_is_the_model(name, precision):
    model = lived_in(name)
    plan = fastseq.lower(model, device=DEVICE, precision=precision, batch_size=3)
    assert plan.on_kernels
    codes = np.random.default_rng(0).integers(0, 5, (3, plan.input_spec.length)).astype(np.uint8)
    truth = model.double()(plan.input_spec.expand(codes).double()).detach()
    found = torch.from_numpy(plan.predict(codes, scale="logit"))
    truth = plan.target_spec.score(truth)
    assert relative_error(found, truth) < TOLERANCE[precision]


def test_answers_are_the_same_bytes_in_any_company():
    plan = fastseq.lower(lived_in("tum_resnet"), device=DEVICE)
    codes = np.random.default_rng(0).integers(0, 5, (2, plan.input_spec.length)).astype(np.uint8)
    # the head's softplus has other last bits in PyTorch's vectors than beside them, on a CPU
    run = partial(plan.predict, scale="logit")
    together = run(codes)
    assert (run(codes[::-1])[::-1] == together).all()
    for row in range(2):
        assert (run(codes[row : row + 1]) == together[row]).all()


@pytest.mark.parametrize("strand", "+-")
def test_effects_are_those_of_the_module(strand):
    model = lived_in("tum_resnet")
    plan = fastseq.lower(model, device=DEVICE, batch_size=8)
    codes = np.random.default_rng(0).integers(0, 4, (2, 37)).astype(np.uint8)
    edits = Edits.substitutions(codes, 10, 13)
    _, deltas = plan.effects(codes, edits, strand=strand, scale="logit")
    wide, spec = model.double(), plan.input_spec
    alt = apply(codes, edits, left=0, length=37)
    answers = [wide(spec.expand(rows, strand).double()).detach() for rows in (alt, codes)]
    truth = answers[0].view(-1) - answers[1].view(-1)[edits.row]
    median = float(truth[truth != 0].abs().median())
    assert np.abs(deltas[:, 0] - truth.numpy()).max() < 1e-3 * median


def test_windows_of_edits_are_full_passes_and_the_same_bytes_in_any_company(monkeypatch):
    model = lived_in("deepstarr")
    plan = fastseq.lower(model, device=DEVICE, batch_size=8)
    codes = np.random.default_rng(0).integers(0, 5, (2, 52)).astype(np.uint8)
    edits = Edits.substitutions(codes, 24, 26)
    run = partial(plan.effects, codes, edits, scale="logit")
    (y_ref, deltas), (y_full, full) = run(engine="incremental"), run(engine="full")
    np.testing.assert_allclose(y_ref, y_full, atol=1e-5 * np.abs(y_full).max())
    np.testing.assert_allclose(deltas, full, atol=1e-4 * np.median(np.abs(full[full != 0])))
    monkeypatch.setattr("fastseq.lower.delta_gpu.MUTANTS", 5)
    assert (run(engine="incremental")[1] == deltas).all()
