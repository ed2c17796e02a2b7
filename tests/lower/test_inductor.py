import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import OptionError
from fastseq.lower import inductor
from fastseq.lower.plan import Plan


class Mixed(nn.Module):
    """Native convolutions around operators that only PyTorch has."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv1d(4, 16, 5, padding=2), nn.Conv1d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        y = torch.relu(self.one(x))
        y = self.two(torch.softmax(y, 1) * y)
        return self.head(torch.tanh(y.mean(2)))


def test_compiled_plans_answer_as_others_and_say_so(tmp_path):
    torch.manual_seed(0)
    codes = np.random.default_rng(0).integers(0, 5, (11, 20), np.uint8)
    model = Mixed()
    plain = fastseq.lower(model, length=20, batch_size=8)
    plan = fastseq.lower(model, length=20, batch_size=8, compile=True)
    np.testing.assert_allclose(plan.predict(codes), plain.predict(codes), rtol=1e-5, atol=1e-6)
    alone = np.concatenate([plan.predict(codes[i : i + 1]) for i in range(11)])
    np.testing.assert_array_equal(alone, plan.predict(codes))
    assert "compiled by inductor" in plan.explain()
    assert "compiled" not in plain.explain()
    assert "native" in plan.explain()
    again = Plan.load(plan.save(tmp_path / "plan"))
    assert again.compiled
    assert not Plan.load(plain.save(tmp_path / "plain")).compiled


def test_what_cannot_be_compiled_says_why(monkeypatch):
    class Branching(nn.Module):
        def forward(self, x):
            return x.sum((1, 2)) if x.sum() > 0 else x.amax((1, 2))

    with pytest.raises(OptionError, match="compile=True cannot be had: the model was not lowered"):
        fastseq.lower(Branching(), length=8, compile=True)
    (reason,) = inductor.refusals(None, "", torch.device("cuda"))
    assert "for plans on the CPU" in reason
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match=r"needs a C\+\+ compiler, and g\+\+, clang\+\+, c\+\+"):
        fastseq.lower(Mixed(), length=20, compile=True)
    monkeypatch.setenv("CXX", "nothing++")
    with pytest.raises(OptionError, match=r"nothing\+\+ cannot be found"):
        fastseq.lower(Mixed(), length=20, compile=True)
