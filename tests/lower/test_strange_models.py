"""Modules that no plan was made for: each runs as it is, or is refused in a sentence."""

import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastseq
from fastseq.errors import FastseqError, LengthError, ModelError, OptionError
from fastseq.lower.plan import Plan
from fastseq.sequence.edits import Edits

LENGTH = 32


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, 4), nn.Linear(4, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(x.mean(2)))))
        return x * gate[:, :, None]


def conv(channels=16, kernel=3, **options):
    return nn.Conv1d(channels, 16, kernel, padding="same", **options)


def pooled(*layers, tasks=1):
    return nn.Sequential(conv(4, 7), nn.ReLU(), *layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(),
                         nn.Linear(16, tasks))  # fmt: skip


KINDS = {
    "prelu": lambda: pooled(conv(), nn.PReLU(16), conv()),
    "gated": lambda: pooled(conv(), Gate(16), nn.SiLU()),
    "dilated": lambda: pooled(conv(dilation=2), nn.ReLU(), conv(dilation=8)),
    "grouped": lambda: pooled(conv(groups=8), nn.ReLU(), conv(groups=16)),
    "tasks": lambda: pooled(nn.MaxPool1d(2), conv(), nn.ELU(), tasks=3),
    "profile": lambda: nn.Sequential(conv(4, 9), nn.GELU(), nn.Conv1d(16, 2, 5)),
    "attention": lambda: nn.Sequential(conv(4, 5), Attention(), nn.AdaptiveAvgPool1d(1),
                                       nn.Flatten(), nn.Linear(16, 1)),
    "recurrent": lambda: Recurrent(),
}  # fmt: skip


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        y = x.transpose(1, 2)
        return self.layer(y, y, y, need_weights=False)[0].transpose(1, 2)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = (
            nn.LSTM(4, 8, batch_first=True, bidirectional=True),
            nn.Linear(16, 2),
        )

    def forward(self, x):
        return self.head(self.layer(x.transpose(1, 2))[0].amax(1))


def codes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, LENGTH), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_saved_concurrent_empty_and_exact(kind, tmp_path):
    torch.manual_seed(0)
    model = KINDS[kind]().eval()
    plan = fastseq.lower(model, length=LENGTH, batch_size=16)
    rows = codes(40)
    with torch.inference_mode():
        x = plan.input_spec.expand(rows).double()
        truth = plan.target_spec.score(model.double()(x)).numpy()
    model.float()
    found = plan.predict(rows)
    assert np.abs(found - truth).max() <= 1e-5 * (np.ptp(truth) + np.abs(truth).max())
    assert plan.predict(rows[:0]).shape == (0, *found.shape[1:])
    again = Plan.load(plan.save(tmp_path / "plan"))
    assert (again.predict(rows) == found).all()
    answers = [np.empty(0)] * 4

    def work(number):
        answers[number] = plan.predict(rows)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((answer == found).all() for answer in answers)
    y_ref, deltas = plan.effects(rows[:0], Edits.substitutions(rows[:0]))
    assert len(y_ref) == len(deltas) == 0


def test_a_module_that_counts_its_calls_still_answers():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 1)
            self.register_buffer("calls", torch.zeros(()))
            self.seen = []

        def forward(self, x):
            self.calls += 1
            self.seen.append(len(x))
            return self.layer(x.mean(2))

    model = Counting().eval()
    plan = fastseq.lower(model, length=LENGTH)
    rows = codes(5)
    with torch.inference_mode():
        expected = model.layer(plan.input_spec.expand(rows).mean(2)).numpy()
    for _ in range(2):
        np.testing.assert_allclose(plan.predict(rows), expected, rtol=1e-5, atol=1e-6)
    assert model.calls == 0
    assert not model.seen


@pytest.mark.parametrize(
    "answer", [lambda x: {"y": x.sum(2)}, lambda x: (x.sum(2), x), lambda x: None, lambda x: 1.0]
)
def test_answers_that_are_no_tensor_are_refused(answer):
    class Strange(nn.Module):
        def forward(self, x):
            return answer(x)

    with pytest.raises(ModelError, match=r"answered one input with .*; expected a tensor \(1,\)"):
        fastseq.lower(Strange(), length=LENGTH)


def test_modules_without_an_answer_for_each_sequence_are_refused():
    net = pooled(nn.BatchNorm1d(16, track_running_stats=False))
    with pytest.raises(ModelError, match=r"2 is a BatchNorm1d without running statistics"):
        fastseq.lower(net, length=LENGTH)


def test_complex_answers_are_refused():
    class Waves(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x.sum(1))

    with pytest.raises(ModelError, match=r"complex numbers; take their \.abs\(\)"):
        fastseq.lower(Waves(), length=LENGTH)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripts_are_refused():
    with pytest.raises(ModelError, match="is TorchScript"):
        fastseq.lower(torch.jit.trace(pooled().eval(), torch.zeros(1, 4, LENGTH)), length=LENGTH)


@pytest.mark.parametrize("device", ["cuda:77", "tpu", "meta:x"])
def test_devices_that_are_not_here_are_refused(device):
    with pytest.raises(OptionError, match=f"device='{device}' cannot be used here: "):
        fastseq.lower(pooled(), length=LENGTH, device=device)


def test_dropout_that_trains_stays():
    net = pooled()
    always = nn.Sequential(net, Dropping())
    assert "draws anew in every call" in fastseq.lower(always, length=LENGTH).explain()


class Dropping(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


def test_modules_of_integers_are_refused_with_their_own_words():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 3)

        def forward(self, x):
            return self.embed(x).sum((1, 2))

    with pytest.raises(ModelError, match=r"Tokens cannot take float32 \(1, 4, 32\): "):
        fastseq.lower(Tokens(), length=LENGTH)


def test_other_lengths_and_other_arrays_are_refused():
    plan = fastseq.lower(KINDS["prelu"](), length=LENGTH)
    with pytest.raises(LengthError, match="32"):
        plan.predict(codes(3)[:, 1:])
    for wrong in (codes(3).astype(np.float32), codes(3)[0], codes(3).astype(np.int64)):
        with pytest.raises(FastseqError):
            plan.predict(wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        fastseq.lower(nn.Sequential(nn.Flatten(), nn.Linear(4 * 30, 1)), length=LENGTH)
