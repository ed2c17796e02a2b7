from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fastseq
from fastseq._native import cpu
from fastseq._native import delta as native
from fastseq.lower import ops
from fastseq.lower.capture import capture
from fastseq.lower.delta_native import ACTIVATIONS, NativeDeltas
from fastseq.lower.incremental import DeltaEngine
from tests.lower.networks import TABLE, Network, networks
from tests.reference.effects import effects, substitutions

EPSILON = np.finfo(np.float32).eps
NATIVE = {"activations": tuple(name for name in ACTIVATIONS if name != "exp")}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequences(rows, length, seed=0, letters=5):
    codes = np.random.default_rng(seed).integers(0, letters, (rows, length), dtype=np.uint8)
    codes[-1, : length // 2] = 2  # repeats make ties
    return codes


def length_of(graph):
    return next(iter(graph.graph.nodes)).meta["shape"][1]


def table_of(words):
    """Edits (row, start, word) as arrays."""
    row, start, word = zip(*words)
    lengths = [len(w) for w in word]
    inserted = np.concatenate(word).astype(np.uint8)
    return np.array(row), np.array(start), inserted, np.cumsum([0, *lengths])


def compare(graph, codes, edits, *engines):
    """Hold engines to 1e-4 of the median effect, or to the float32 forward's own error.

    Where no edit has an effect in float64, they may show one in the answer's last digits.
    """
    ref, true = effects(graph, TABLE, codes, *edits)
    ref32, full = effects(graph, TABLE, codes, *edits, dtype=torch.float32)
    size = np.abs(true)
    seen = size[size > 1e-9 * size.max(initial=0)]
    own = np.abs(full - true).max(initial=0)
    least = 1e-4 * np.median(seen) if len(seen) else 4 * EPSILON * np.abs(ref).max()
    for engine in engines or (DeltaEngine(graph, TABLE),):
        y, fast = engine.effects(codes, *edits)
        assert np.abs(y - ref).max() <= 2 * np.abs(ref32 - ref).max() + 1e-5 * np.abs(ref).max()
        assert np.abs(fast - true).max(initial=0) <= max(least, own)


@given(networks(walls=True), st.integers(0, 99))
def test_effects_equal_the_full_forward(graph, seed):
    codes = sequences(2, length_of(graph), seed)
    compare(graph, codes, substitutions(codes), DeltaEngine(graph, TABLE, native=False))


@given(networks(**NATIVE, walls=True), st.integers(0, 99))
def test_native_effects_equal_the_full_forward(graph, seed):
    codes = sequences(2, length_of(graph), seed)
    compare(graph, codes, substitutions(codes))


@given(networks(**NATIVE), st.data())
def test_words_of_any_length_replace_as_many_bases(graph, data):
    length = length_of(graph)
    codes = sequences(2, length)
    words = []
    for _ in range(data.draw(st.integers(1, 12))):
        start = data.draw(st.integers(0, length - 1))
        word = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=min(9, length - start)))
        words.append((data.draw(st.integers(0, 1)), start, word))
    compare(
        graph,
        codes,
        table_of(words),
        DeltaEngine(graph, TABLE),
        DeltaEngine(graph, TABLE, native=False),
    )


class Residual(nn.Module):
    def __init__(self, activation=nn.ReLU, channels=20, groups=1):
        super().__init__()
        conv = lambda cin, k, **given: nn.Conv1d(cin, channels, k, padding="same", **given)  # noqa: E731
        self.stem = nn.Sequential(conv(4, 11), nn.BatchNorm1d(channels), activation())
        one = conv(channels, 5, groups=groups)
        self.one = nn.Sequential(one, nn.BatchNorm1d(channels), activation())
        even = nn.Sequential(nn.ConstantPad1d((1, 2), 0.0), nn.Conv1d(channels, channels, 4))
        self.two = nn.Sequential(even, nn.BatchNorm1d(channels))
        self.activation, self.pool = activation(), nn.MaxPool1d(2)
        self.head = nn.Linear(channels, 2)

    def forward(self, x):
        x = self.stem(x)
        x = self.pool(self.activation(self.two(self.one(x)) + x))
        return self.head(x.amax(-1))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.squeeze = nn.Conv1d(4, 16, 7, padding=3), nn.Linear(16, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = x * torch.sigmoid(self.squeeze(x.mean(-1)))[:, :, None]
        return self.head(x.mean(-1)).squeeze(-1)


class Dilated(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 9)
        self.layers = nn.ModuleList(
            [nn.Conv1d(16, 16, 3, padding=2**i, dilation=2**i) for i in range(1, 10)]
        )
        self.profile, self.count = nn.Conv1d(16, 2, 5), nn.Linear(16, 1)

    def body(self, x):
        x = torch.relu(self.stem(x))
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        return x

    def forward(self, x):
        return self.count(self.body(x).mean(-1))


class Profile(Dilated):
    def forward(self, x):
        return self.profile(self.body(x))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.arms = nn.ModuleList(nn.Conv1d(4, 10, k, padding=k // 2) for k in (3, 7, 11))
        self.body, self.head = nn.Conv1d(30, 16, 5, padding=2), nn.Linear(16, 2)

    def forward(self, x):
        x = torch.relu(torch.cat([arm(x) for arm in self.arms], 1))
        return self.head(torch.tanh(self.body(x)).amax(-1))


class ChannelNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv1d(4, 16, 7, padding=3), nn.LayerNorm(16)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        x = torch.relu(self.stem(x)).transpose(1, 2)
        return self.head(self.norm(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.body = kind(16, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        x, _ = self.body(torch.relu(self.stem(x)).transpose(1, 2))
        return self.head(x.mean(1))


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(4, 16, 7, padding=3)
        self.body = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        x = self.body(torch.relu(self.stem(x)).permute(0, 2, 1))
        return self.head(x.mean(1).view(x.size(0), -1))


def flat(length, *layers):
    body = nn.Sequential(nn.Conv1d(4, 24, 7, padding=3), nn.BatchNorm1d(24), nn.ReLU(), *layers)
    features = body(torch.zeros(2, 4, length)).flatten(1).shape[1]
    return nn.Sequential(body, nn.Flatten(), nn.Linear(features, 40), nn.ReLU(), nn.Linear(40, 3))


MODELS = {
    "residual": (Residual, 45),
    "prelu": (lambda: Residual(lambda: nn.PReLU(20)), 44),
    "silu": (lambda: Residual(nn.SiLU), 37),
    "elu": (lambda: Residual(nn.ELU), 38),
    "gelu": (lambda: Residual(nn.GELU), 37),
    "softplus": (lambda: Residual(nn.Softplus), 37),
    "groups": (lambda: flat(43, nn.Conv1d(24, 24, 5, groups=12), nn.GELU(), nn.MaxPool1d(2)), 43),
    "wide groups": (lambda: Residual(nn.ReLU, 160, groups=40), 40),
    "concat": (Branches, 44),
    "norm over channels": (ChannelNorm, 40),
    "gated": (Gated, 41),
    "dilated": (Dilated, 700),
    "profile": (Profile, 300),
    "overlapping pool": (lambda: flat(51, nn.MaxPool1d(3, 2)), 51),
    "wide pool": (lambda: flat(50, nn.Conv1d(24, 80, 7), nn.ReLU(), nn.MaxPool1d(4)), 50),
    "ceil": (lambda: flat(50, nn.MaxPool1d(3, 2, 1, ceil_mode=True)), 50),
    "mean": (lambda: flat(47, nn.AvgPool1d(4, 3, 1, ceil_mode=True)), 47),
    "mean inside": (lambda: flat(47, nn.AvgPool1d(4, 3, 2, count_include_pad=False)), 47),
    "stride": (lambda: flat(53, nn.Conv1d(24, 10, 6, stride=2, padding=3), nn.PReLU(10)), 53),
    "norm over length": (lambda: flat(40, nn.LayerNorm(40)), 40),
    "lstm": (lambda: Recurrent(nn.LSTM), 40),
    "gru": (lambda: Recurrent(nn.GRU), 40),
    "attention": (Attentive, 40),
}


def trained(model, length, steps=30):
    """The model after some steps towards telling sequences that hold a word, in eval mode."""
    descent = torch.optim.AdamW(model.train().parameters(), 3e-3)
    word = torch.tensor([3, 2, 0, 1, 3, 1, 0])
    for _ in range(steps):
        codes, holds = torch.randint(0, 4, (32, length)), torch.rand(32) < 0.5
        for row in holds.nonzero():
            at = int(torch.randint(0, length - 7, ()))
            codes[row, at : at + 7] = word
        answer = model(TABLE[codes].mT).reshape(32, -1).mean(1)
        loss = (answer - 2 * holds).square().mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return model.eval().requires_grad_(False)


@cache
def built(name):
    """A trained model as a graph, and codes to edit."""
    torch.manual_seed(3)
    build, length = MODELS[name]
    return capture(trained(build(), length), 4, length), sequences(3, length, seed=1)


@pytest.mark.parametrize("name", MODELS)
def test_models_people_train(name):
    graph, codes = built(name)
    row, start, inserted, _ = substitutions(codes)
    ends = (start < 3) | (start >= codes.shape[1] - 3)
    some = ends | (np.random.default_rng(0).random(len(row)) < 300 / len(row))
    edits = row[some], start[some], inserted[some], np.arange(some.sum() + 1)
    compare(graph, codes, edits, DeltaEngine(graph, TABLE), DeltaEngine(graph, TABLE, native=False))


def test_models_run_natively_unless_a_reason_is_given():
    assert not any(DeltaEngine(built(name)[0], TABLE).slow for name in MODELS)
    slow = DeltaEngine(built("gelu")[0], TABLE, native=False)
    assert "carried by PyTorch (native code was not wanted)" in "".join(slow.explain(9))


def test_exponentials_of_differences_are_exact():
    net = Network(30)
    x = net.conv(net.conv(net.x, 20, 5, "exp", before=2, after=2), 12, 3)
    graph = net.finish(net.linear(net.call(ops.global_mean, net.call(ops.activate, x, "exp")), 2))
    codes = sequences(2, 30)
    assert not DeltaEngine(graph, TABLE).slow
    compare(graph, codes, substitutions(codes))


def test_walls_are_named():
    engine = DeltaEngine(built("gated")[0], TABLE)
    assert not engine.reasons
    assert len(engine.walls) == 1
    assert "mul" in engine.walls[0]


@pytest.mark.parametrize(("name", "why"), [("lstm", "recurrence"), ("attention", "attention lets")])
def test_the_batch_size_is_no_wall(name, why):
    engine = DeltaEngine(built(name)[0], TABLE)
    assert not engine.reasons
    assert why in engine.walls[0]
    assert "sym_size" not in "".join(engine.explain(9))


def test_an_input_in_another_shape_is_a_reason():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 8, (2, 5))

        def forward(self, x):
            return torch.relu(self.conv(x[:, None])).flatten(2).mean(2)

    graph, codes = capture(Rows(), 4, 30), sequences(2, 30)
    engine = DeltaEngine(graph, TABLE)
    assert "two-dimensional" in engine.reasons[0]
    assert engine.slow
    compare(graph, codes, few_edits(codes), engine)


def test_a_wall_at_the_input_is_a_reason():
    class Wall(nn.Module):
        def forward(self, x):
            return torch.softmax(x, 2).sum(1)

    engine = DeltaEngine(capture(Wall(), 4, 30), TABLE)
    assert "softmax" in engine.reasons[0]


@pytest.mark.parametrize("name", ["residual", "silu", "gated", "profile"])
def test_an_edit_to_the_same_bases_has_no_effect(name):
    graph, codes = built(name)
    words = [(r, p, codes[r, p : p + 2]) for r in range(3) for p in range(codes.shape[1] - 1)]
    _, deltas = DeltaEngine(graph, TABLE).effects(codes, *table_of(words))
    assert not deltas.any()


@pytest.mark.parametrize("name", ["residual", "silu", "gelu", "gated", "wide pool"])
def test_neighbours_order_and_threads_change_no_bit(name):
    graph, codes = built(name)
    codes = np.concatenate([codes, sequences(3, codes.shape[1], seed=8)])
    row, start, inserted, offsets = substitutions(codes)
    together = DeltaEngine(graph, TABLE, threads=1).effects(codes, row, start, inserted, offsets)
    threaded = DeltaEngine(graph, TABLE, threads=3).effects(codes, row, start, inserted, offsets)
    for one, other in zip(together, threaded):
        np.testing.assert_array_equal(one, other)
    engine = DeltaEngine(graph, TABLE, threads=2)
    for r in range(len(codes)):
        mine = np.flatnonzero(row == r)[::-1]
        y, alone = engine.effects(
            codes[r : r + 1], row[mine] * 0, start[mine], inserted[mine], offsets[: len(mine) + 1]
        )
        np.testing.assert_array_equal(y[0], together[0][r])
        np.testing.assert_array_equal(alone, together[1][mine])


bfloat16 = pytest.mark.skipif(not native.has_bfloat16(), reason="no bfloat16 in the processor")


@bfloat16
@pytest.mark.parametrize("name", [name for name in MODELS if name != "norm over channels"])
def test_bfloat16_differences_keep_the_leading_digits(name):
    graph, codes = built(name)
    row, start, inserted, _ = substitutions(codes[:1])
    some = np.random.default_rng(0).random(len(row)) < 200 / len(row)
    edits = row[some], start[some], inserted[some], np.arange(some.sum() + 1)
    ref, true = effects(graph, TABLE, codes[:1], *edits)
    engine = DeltaEngine(graph, TABLE, precision="bfloat16")
    y, fast = engine.effects(codes[:1], *edits)
    assert engine.wide == engine.slow
    np.testing.assert_allclose(y, ref, rtol=1e-4, atol=1e-5 * np.abs(ref).max())
    error, size = np.abs(fast - true), np.abs(true)
    assert np.sqrt((error**2).mean() / (size**2).mean()) < 0.02
    large = size > np.median(size)
    assert (np.sign(fast) == np.sign(true))[large].all()


@bfloat16
@given(networks(**NATIVE, walls=True), st.integers(0, 99))
def test_bfloat16_differences_change_with_no_neighbour_and_no_thread(graph, seed):
    codes = sequences(2, length_of(graph), seed)
    row, start, inserted, _ = substitutions(codes)
    narrow = [DeltaEngine(graph, TABLE, precision="bfloat16", threads=n) for n in (1, 2)]
    _, one = narrow[0].effects(codes, row, start, inserted, np.arange(len(row) + 1))
    mine = np.flatnonzero(row == 1)
    edits = row[mine] * 0, start[mine], inserted[mine], np.arange(len(mine) + 1)
    _, alone = narrow[1].effects(codes[1:], *edits)
    np.testing.assert_array_equal(alone, one[mine])
    same = (row[:5], start[:5], codes[row[:5], start[:5]], np.arange(6))
    assert not narrow[0].effects(codes, *same)[1].any()


def test_without_bfloat16_differences_are_float32_and_say_so():
    graph, codes = built("residual")
    edits = substitutions(codes)
    before = cpu.use("portable")
    try:
        engine = DeltaEngine(graph, TABLE, precision="bfloat16")
        _, asked = engine.effects(codes, *edits)
        _, plain = DeltaEngine(graph, TABLE).effects(codes, *edits)
    finally:
        cpu.use(before)
    assert "not bfloat16: the processor multiplies no bfloat16" in engine.explain(9)
    np.testing.assert_array_equal(asked, plain)


@bfloat16
def test_plans_in_bfloat16_carry_differences_and_report_what_they_cost():
    torch.manual_seed(3)
    model = Residual().eval()
    codes = sequences(2, 45, letters=4)
    plan = fastseq.lower(model, length=45, device="cpu", precision="bfloat16")
    assert "differences are bfloat16" in plan.explain_ism(measure=False)
    found = fastseq.saturation_mutagenesis(plan, codes, engine="incremental")
    true = fastseq.saturation_mutagenesis(model, codes, engine="full")
    assert found.precision.error < 0.02
    assert found.precision.large_flips == 0
    np.testing.assert_allclose(found.effect, true.effect, atol=0.02 * np.abs(true.effect).max())


def few_edits(codes, seed=0):
    """Up to three words on every row but some, anywhere and of one to four bases."""
    rng = np.random.default_rng(seed)
    words = []
    for row in range(len(codes)):
        for start in rng.integers(0, codes.shape[1] - 4, row % 4):
            words.append((row, start, rng.integers(0, 5, rng.integers(1, 5))))
    return table_of(words)


@given(networks(walls=True), st.booleans())
def test_references_of_many_sequences_share_a_batch(graph, native):
    codes = sequences(9, length_of(graph))
    compare(graph, codes, few_edits(codes), DeltaEngine(graph, TABLE, native=native))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("name", ["residual", "silu", "gated", "mean inside", "profile"])
def test_a_batch_of_references_changes_no_bit(name, native):
    graph, codes = built(name)
    codes = np.concatenate([codes, sequences(80, codes.shape[1], seed=5)])
    row, start, inserted, offsets = few_edits(codes)
    engine = DeltaEngine(graph, TABLE, native=native)
    y, deltas = engine.effects(codes, row, start, inserted, offsets)
    for r in (0, 1, 41, 82):
        mine = np.flatnonzero(row == r)
        words = [(0, start[e], inserted[offsets[e] : offsets[e + 1]]) for e in mine]
        edits = table_of(words) if words else (row[:0], start[:0], inserted[:0], offsets[:1])
        y_alone, alone = engine.effects(codes[r : r + 1], *edits)
        np.testing.assert_array_equal(y_alone[0], y[r])
        np.testing.assert_array_equal(alone, deltas[mine])


@pytest.mark.parametrize("path", cpu.supported())
@pytest.mark.parametrize(
    "name", ["prelu", "silu", "elu", "gelu", "softplus", "groups", "wide pool", "stride", "profile"]
)
def test_every_instruction_set_is_exact(name, path):
    graph, codes = built(name)
    codes = codes[:1]
    row, start, inserted, _ = (part[:200] for part in substitutions(codes))
    before = cpu.use(path)
    try:
        compare(graph, codes, (row, start, inserted, np.arange(len(row) + 1)))
    finally:
        cpu.use(before)


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=bfloat16)])
@pytest.mark.parametrize("name", ["residual", "prelu", "wide groups", "wide pool", "profile"])
def test_nothing_is_read_beside_weights_nor_of_old_scratch(name, precision, monkeypatch):
    graph, codes = built(name)
    row, start, inserted, _ = substitutions(codes[:1])
    calls = (row, start, inserted, np.arange(len(row) + 1)), few_edits(sequences(3, codes.shape[1]))
    engine = DeltaEngine(graph, TABLE, precision=precision)
    plain = [engine.effects(codes, *edits)[1] for edits in calls]
    fresh = NativeDeltas._scratch

    def between_nans(self, array):
        nan = 0x7FC0 if array.dtype == np.int16 else np.nan
        self._held.append(np.pad(array.ravel(), 8192, constant_values=nan))
        return self._held[-1][8192:].ctypes.data

    def spoiled(self, geometry):
        found = fresh(self, geometry)
        for array in found:
            array.view(np.uint8).fill(255)
        return found

    monkeypatch.setattr(NativeDeltas, "_hold", between_nans)
    monkeypatch.setattr(NativeDeltas, "_scratch", spoiled)
    engine = DeltaEngine(graph, TABLE, precision=precision)
    for edits, expected in zip(calls, plain):
        np.testing.assert_array_equal(engine.effects(codes, *edits)[1], expected)
    assert not engine.slow


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_sets_of_any_size(rows):
    graph, codes = built("residual")
    codes = sequences(rows, codes.shape[1], seed=2, letters=4)
    at = np.random.default_rng(0).integers(0, codes.shape[1], rows)
    words = codes[np.arange(rows), at] ^ 1
    compare(graph, codes, (np.arange(rows), at, words, np.arange(rows + 1)))


def test_nothing_to_do():
    graph, codes = built("residual")
    none = np.zeros(0, np.int64)
    y, deltas = DeltaEngine(graph, TABLE).effects(
        codes, none, none, none.astype(np.uint8), np.zeros(1, np.int64)
    )
    assert y.shape == (3, 2)
    assert deltas.shape == (0, 2)


def test_the_bound_counts_what_changes():
    engine = DeltaEngine(built("residual")[0], TABLE)
    known = engine.bound
    assert known.full == 2 * (45 * 20 * (4 * 11 + 20 * 5 + 20 * 4) + 20 * 2)
    assert known.delta < known.window < known.full
    assert known.gain(135) > known.gain(135, window=True) > 1
    inside = engine.chain.windows(20, 21, clip=True)
    assert inside[1][1] - inside[1][0] == 11
    lines = engine.explain(135)
    assert "MFLOP" in lines[0]
    assert "native" in lines[2]


def test_the_cost_prefers_the_full_engine_where_everything_is_behind_a_wall():
    assert DeltaEngine(built("dilated")[0], TABLE).cost(2100).gain > 2
    assert DeltaEngine(built("norm over length")[0], TABLE).cost(1).gain < 1.5


def test_auto_runs_few_edits_of_a_lone_sequence_in_full():
    model = fastseq.models.build("tum_resnet").eval()
    plan = fastseq.lower(model, device="cpu")
    assert not plan.incremental_pays(12, 1)
    assert plan.incremental_pays(330, 1)
    assert "faster in full runs in full" in plan.explain_ism(measure=False)
