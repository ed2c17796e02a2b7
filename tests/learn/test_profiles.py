"""BPNet learns profiles and counts of coverage, and the verbs take what it answers."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import multinomial, pearsonr

from fastseq.errors import OptionError, ShapeError
from fastseq.learn import losses, profiles
from fastseq.learn.dataset import Labelled
from fastseq.learn.loop import Run
from fastseq.learn.recipes import recipe
from fastseq.learn.train import train
from fastseq.lower.ensemble import lower
from fastseq.models import checkpoints
from fastseq.models.registry import build
from fastseq.models.specs import TargetSpec
from fastseq.score.attribute import attribute
from fastseq.score.ism import saturation_mutagenesis
from fastseq.score.predict import predict

LENGTH, WINDOW = 60, 40
SMALL = {"channels": 12, "layers": 3, "first_kernel": 7, "profile_kernel": 9}
HEAD = TargetSpec(activation="exp", scale="counts")


@pytest.fixture(scope="module")
def rows():
    """Sequences with 'GATTACA' somewhere in most: reads pile up 3 bp behind its last A."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (600, LENGTH), dtype=np.uint8)
    coverage = np.full((600, 2, WINDOW), 0.05)
    for row in range(450):
        at = rng.integers(15, 35)
        codes[row, at : at + 7] = [2, 0, 3, 3, 0, 1, 0]
        peak = at - 10 + 9 + np.arange(-2, 3)
        coverage[row, :, peak] += np.array([[4, 1], [9, 3], [16, 4], [9, 3], [4, 1]])
    return codes, rng.poisson(coverage).astype(np.float32)


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("bpnet") / "m.safetensors"
    result = train(
        "bpnet", rows, recipe="bpnet", sizes=SMALL, epochs=12, batch_size=32, lr=0.01, path=path,
        strands="forward", flanks="none", progress=False, device="cpu",
    )  # fmt: skip
    return result, path


def test_the_loss_is_the_multinomial_and_the_error_of_log_counts():
    rng = np.random.default_rng(0)
    raw = torch.from_numpy(rng.normal(size=(3, 2, 7)))
    counts = rng.poisson(3, (3, 2, 7)).astype(float)
    found = losses.profile(raw, torch.from_numpy(counts), HEAD)
    for row in range(3):
        wanted = 0.0
        for track in range(2):
            expected = np.exp(raw[row, track].numpy())
            n = counts[row, track].sum()
            shape = expected / expected.sum()
            wanted -= multinomial.logpmf(counts[row, track], int(n), shape) / 2
            wanted += 10 * (np.log1p(n) - np.log1p(expected.sum())) ** 2 / 2
        assert float(found[row]) == pytest.approx(wanted)
    with pytest.raises(OptionError, match="logs of expected counts"):
        losses.choose("profile", TargetSpec())


def test_figures_are_scipys():
    rng = np.random.default_rng(0)
    true, guess = rng.poisson(2, (9, 1, 11)).astype(float), rng.random((9, 1, 11))
    true[3] = 0
    found = profiles.judge(true, guess)
    r = pearsonr(np.log1p(true[:, 0].sum(1)), np.log1p(guess[:, 0].sum(1)))[0]
    assert found["pearson"] == pytest.approx(r)
    seen = [row for row in range(9) if row != 3]
    jsd = [jensenshannon(true[row, 0], guess[row, 0], base=2) for row in seen]
    assert found["jsd"] == pytest.approx(np.mean(jsd))
    p = guess[seen, 0] / guess[seen, 0].sum(1, keepdims=True)
    assert found["nats"] == pytest.approx(-(true[seen, 0] * np.log(p)).sum() / true.sum())
    assert np.isnan(profiles.judge(np.zeros((3, 1, 4)), np.ones((3, 1, 4)))["jsd"])
    with pytest.raises(ShapeError, match="of both"):
        profiles.judge(true, guess[..., 1:])


def test_profiles_and_counts_are_learned(rows, trained):
    codes, coverage = rows
    result, path = trained
    assert result.model.sizes["head"] == "both"
    assert result.best["val_loss"] == min(row["val_loss"] for row in result.history)
    y_hat = predict(path, codes[::3])
    assert y_hat.shape == (200, 2, WINDOW)
    found = profiles.judge(coverage[::3], y_hat)
    assert found["pearson"] > 0.6
    assert found["jsd"] < 0.6 * found["jsd_flat"]


def test_checkpoints_plans_and_edits_of_profiles(rows, trained):
    codes, _ = rows
    model = trained[0].model
    again = checkpoints.load(trained[1])
    x = again.input_spec.expand(codes[:4])
    with torch.no_grad():
        raw = model(x)
        assert torch.equal(again(x), raw)
    np.testing.assert_allclose(lower(again).predict(codes[:4]), raw.exp().numpy(), rtol=2e-5)
    ism = saturation_mutagenesis(again, codes[:1], start=20, end=24, reduce="sum")
    mutant = codes[:1].copy()
    mutant[0, 21] = (mutant[0, 21] + 1) % 4
    wanted = (predict(again, mutant) - predict(again, codes[:1])).sum(-1)
    np.testing.assert_allclose(ism.effect[0, :, mutant[0, 21], 1], wanted[0], rtol=2e-3, atol=1e-4)
    counts = again.answering("counts")
    np.testing.assert_allclose(
        np.exp(predict(counts, codes[:4])), predict(again, codes[:4]).sum(-1), rtol=1e-4
    )
    assert attribute(counts, codes[:2], "saliency", task=0).raw.shape == (2, 4, LENGTH)


def test_reversed_rows_have_reversed_profiles(rows):
    codes, coverage = rows
    model = build("bpnet", length=LENGTH, profile=WINDOW, tasks=2, head="both", **SMALL)
    model.target_spec = TargetSpec(("+", "-"), "exp", "counts", strand_exchange=(1, 0))
    data = Labelled(codes, coverage, ("+", "-"))
    plan = recipe("bpnet", batch_size=50, strands="augment")
    run = Run(model, data, np.arange(50), np.arange(50, 60), plan, False)
    forward = run.input.expand(codes[:50])
    ((x, y, _),) = run._batches(np.random.default_rng(0))
    for one, label in zip(x, y):
        kept = (forward == one).flatten(1).all(1)
        turned = (forward == one.flip(0, 1)).flatten(1).all(1)
        (row,) = torch.nonzero(kept | turned)[0].tolist()
        wanted = coverage[row] if kept[row] else coverage[row][::-1, ::-1]
        np.testing.assert_array_equal(label.numpy(), wanted)
    assert len(y) == 50


def test_basenji_learns_stretches(rows):
    codes, coverage = rows
    stretches = coverage[:, :1].reshape(600, 1, 5, 8).sum(-1)
    sizes = {"channels": 8, "pools": 2, "dilated": 2}
    result = train(
        "basenji", (codes, stretches), recipe="basenji", sizes=sizes, epochs=2, flanks="none",
        batch_size=64, lr=0.01, progress=False, device="cpu",
    )  # fmt: skip
    assert predict(result.model, codes[:3]).shape == (3, 1, 5)
    assert np.isfinite(result.best["val_loss"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tum_cnn", {}, "tum_cnn answers no profiles; expected one of bpnet, basenji"),
        (
            "bpnet",
            {"shift": 3},
            "shift=3 moves sequences away from profiles of 40 positions in 60 bp",
        ),
        ("bpnet", {"label_noise": 0.1}, "label_noise=0.1 is for labels of one number"),
        ("bpnet", {"sizes": {"head": "profile"}}, "does not answer; expected 'exp'"),
    ],
)
def test_what_profiles_refuse(rows, name, options, message):
    with pytest.raises(OptionError, match=message):
        train(name, rows, epochs=1, flanks="none", progress=False, device="cpu", **options)
