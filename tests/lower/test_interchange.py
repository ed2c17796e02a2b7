import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import ModelError, UnreadableFileError
from tests.lower.test_saved import codes, network
from tests.lower.test_strange_models import KINDS, LENGTH

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")


def test_other_runtimes_give_the_plans_answers(tmp_path):
    plan = fastseq.lower(network())
    path = plan.export_onnx(tmp_path / "plan.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = codes(5)
    for n in (1, 5):
        (found,) = session.run(["answer"], {"codes": plan.input_spec.place(rows[:n])})
        np.testing.assert_allclose(found, plan.predict(rows[:n]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["gated", "dilated", "tasks", "profile", "attention"])
def test_plans_of_every_kind_have_an_onnx_form(kind, tmp_path):
    torch.manual_seed(0)
    plan = fastseq.lower(KINDS[kind]().eval(), length=LENGTH)
    path = plan.export_onnx(tmp_path / "plan.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(0).integers(0, 5, (3, LENGTH), dtype=np.uint8)
    (found,) = session.run(["answer"], {"codes": rows})
    np.testing.assert_allclose(found, plan.predict(rows), rtol=1e-4, atol=1e-5)


def test_what_has_no_onnx_form_says_why(tmp_path):
    class Branching(nn.Module):
        def forward(self, x):
            return x.sum((1, 2)) if x.sum() > 0 else x.amax((1, 2))

    with pytest.raises(ModelError, match=r"torch\.export could not capture it"):
        fastseq.lower(Branching(), length=8).export_onnx(tmp_path / "plan.onnx")
    with pytest.raises(UnreadableFileError, match="cannot be written"):
        fastseq.lower(network()).export_onnx(tmp_path / "no" / "plan.onnx")


def test_the_plan_still_runs_after_its_export(tmp_path):
    plan, rows = fastseq.lower(network()), codes(3)
    before = plan.predict(rows)
    plan.export_onnx(tmp_path / "plan.onnx")
    assert (plan.predict(rows) == before).all()
    assert torch.is_tensor(next(plan.graph.buffers()))
