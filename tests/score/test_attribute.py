import sys

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import (
    FastseqWarning,
    MissingExtraError,
    ModelError,
    OptionError,
    ShapeError,
)
from fastseq.io.maps import read_maps
from fastseq.models import blocks
from fastseq.models.specs import InputSpec, TargetSpec


def linear(length=7, tasks=1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * length, tasks))


CODES = np.random.default_rng(2).integers(0, 5, (6, 7)).astype(np.uint8)


def test_saliency_of_a_linear_model_is_its_weights():
    model = linear(tasks=2)
    found = fastseq.attribute(model, CODES, task=1)
    weights = model[1].weight[1].detach().numpy().reshape(4, 7)
    np.testing.assert_allclose(found.raw, np.broadcast_to(weights, (6, 4, 7)), rtol=1e-6)
    np.testing.assert_allclose(found.hypothetical.mean(1), 0, atol=1e-7)
    assert (found.observed[CODES == 4] == 0).all()
    assert found.task == "task1"
    np.testing.assert_array_equal(found.attributions, found.observed)


def test_ism_of_a_linear_model_is_its_corrected_saliency():
    codes = np.minimum(CODES, 3)
    gradient = fastseq.attribute(linear(), codes)
    mutants = fastseq.attribute(linear(), codes, "ism")
    np.testing.assert_allclose(mutants.hypothetical, gradient.hypothetical, atol=1e-6)


def test_both_strands_average_the_turned_map():
    model = nn.Sequential(nn.Conv1d(4, 3, 3, padding=1), nn.ELU(), nn.Flatten(), nn.Linear(21, 1))
    both = fastseq.attribute(model, CODES, strands="both").raw
    forward = fastseq.attribute(model, CODES).raw
    turned = fastseq.attribute(model, fastseq.reverse_complement(CODES)).raw[:, ::-1, ::-1]
    np.testing.assert_allclose(both, (forward + turned) / 2, rtol=1e-5, atol=1e-7)


def test_maps_cover_what_was_given():
    model = linear(10)
    model.input_spec = InputSpec(10, left="AC", right="G")
    inner = fastseq.attribute(model, CODES)
    full = fastseq.attribute(model, model.input_spec.place(CODES))
    assert inner.raw.shape == (6, 4, 7)
    np.testing.assert_array_equal(inner.raw, full.raw[:, :, 2:9])
    np.testing.assert_allclose(
        fastseq.attribute(model, model.input_spec.place(CODES), "ism").raw[:, :, [0, 1, 9]], 0
    )


def test_ism_is_taken_before_a_saturating_head():
    model = linear()
    nn.init.constant_(model[1].bias, 300.0)
    model.target_spec = TargetSpec(activation="sigmoid")
    assert np.abs(fastseq.attribute(model, CODES, "ism").raw).max() > 0


def test_choices_are_named():
    with pytest.raises(OptionError, match="task=None; the model answers task0, task1: choose"):
        fastseq.attribute(linear(tasks=2), CODES)
    with pytest.raises(OptionError, match="task='z'"):
        fastseq.attribute(linear(tasks=2), CODES, task="z")
    with pytest.raises(OptionError, match="method='magic'; expected one of saliency, smooth_grad"):
        fastseq.attribute(linear(), CODES, "magic")
    with pytest.raises(OptionError, match="baselines='ones'; expected 'zeros'"):
        fastseq.attribute(linear(), CODES, "integrated_gradients", baselines="ones")
    with pytest.raises(OptionError, match="steps=0"):
        fastseq.attribute(linear(), CODES, "integrated_gradients", steps=0)


def smooth(length=12, tasks=2):
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv1d(4, 6, 5, padding=2), nn.Tanh(), nn.Flatten(), nn.Linear(6 * length, tasks)
    )


def curved(seed=3, rows=5, length=12):
    return np.random.default_rng(seed).integers(0, 5, (rows, length)).astype(np.uint8)


@pytest.mark.parametrize("strands", ["forward", "both"])
@pytest.mark.parametrize("baselines", ["zeros", "uniform", "shuffle"])
def test_integrated_gradients_add_up_to_the_score(baselines, strands):
    codes, model = curved(), smooth()
    found = fastseq.attribute(
        model, codes, "integrated_gradients", task=1, baselines=baselines, n=3, strands=strands
    )
    total = found.contributions.sum(1)
    np.testing.assert_allclose(found.missing, 0, atol=2e-5)
    score = fastseq.predict(model, codes, strands=strands)[:, 1]
    if baselines == "shuffle":
        others = fastseq.shuffle(codes, 2, 3).reshape(-1, 12)
    else:
        others = np.full((15, 12), 4, np.uint8)
    start = fastseq.predict(model, others, strands=strands)[:, 1].reshape(5, 3).mean(1)
    if baselines != "uniform":
        np.testing.assert_allclose(total, score - start, atol=2e-5)
    assert (found.contributions[codes == 4] == 0).all()


def test_integrated_gradients_of_a_linear_model_are_its_weights():
    found = fastseq.attribute(linear(), CODES, "integrated_gradients", steps=1)
    np.testing.assert_allclose(found.raw, fastseq.attribute(linear(), CODES).raw, rtol=1e-5)


def test_smooth_gradients_near_the_gradient_and_not_by_the_batch():
    codes, model = curved(rows=70), smooth(tasks=1)
    sharp = fastseq.attribute(model, codes)
    none = fastseq.attribute(model, codes, "smooth_grad", noise=0.0, n=2)
    np.testing.assert_allclose(none.raw, sharp.raw, rtol=1e-4, atol=1e-6)
    some = fastseq.attribute(model, codes, "smooth_grad", n=3)
    assert 0 < np.abs(some.raw - sharp.raw).max() < np.abs(sharp.raw).max()
    first = fastseq.attribute(model, codes[:66], "smooth_grad", n=3)
    np.testing.assert_allclose(first.raw, some.raw[:66], atol=1e-6)


def test_several_baselines_are_averaged():
    def mapped(baselines, method="integrated_gradients"):
        return fastseq.attribute(smooth(), curved(), method, task=1, baselines=baselines, n=1)

    for method in ("integrated_gradients", "deeplift_shap"):
        if method == "deeplift_shap":
            pytest.importorskip("tangermeme")
        kinds = ("uniform", "zeros", "shuffle")
        mean = np.mean([mapped(kind, method=method).raw for kind in kinds], axis=0)
        np.testing.assert_allclose(mapped(kinds, method=method).raw, mean, atol=1e-6)
    with pytest.raises(OptionError, match="expected 'zeros', 'uniform', 'shuffle' or several"):
        mapped(("zeros", "ones"))


def test_models_without_a_gradient_are_refused():
    model = fastseq.models.build("kmer_ridge", length=12, k=(2, 3))
    with pytest.raises(ModelError, match=r"KmerRidge answers without a gradient; method='ism'"):
        fastseq.attribute(model, curved())
    assert fastseq.attribute(model, curved(), "ism").raw.shape == (5, 4, 12)


def test_maps_that_are_not_finite_are_told():
    model = linear()
    nn.init.constant_(model[1].weight, np.nan)
    with pytest.warns(FastseqWarning, match=r"the map of sequence 0 is not finite \(6 of 6"):
        fastseq.attribute(model, CODES)


def test_maps_by_baselines_cover_what_was_given():
    model = smooth(12, 1)
    model.input_spec = InputSpec(12, left="ACT", right="GG", unknown="uniform")
    inner = fastseq.attribute(model, CODES, "integrated_gradients", baselines="shuffle", n=2)
    whole = model.input_spec.place(CODES)
    full = fastseq.attribute(model, whole, "integrated_gradients", baselines="shuffle", n=2)
    assert inner.raw.shape == (6, 4, 7)
    np.testing.assert_array_equal(inner.raw, full.raw[:, :, 3:10])
    np.testing.assert_allclose(inner.missing, 0, atol=1e-5)


@pytest.mark.parametrize("baselines", ["zeros", "uniform", "shuffle"])
def test_deeplift_is_tangermemes_and_adds_up(baselines):
    pytest.importorskip("tangermeme")
    codes = curved()
    model = nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    found = fastseq.attribute(model, codes, "deeplift_shap", task=1, baselines=baselines, n=3)
    np.testing.assert_allclose(found.missing, 0, atol=1e-6)
    assert np.abs(found.contributions).max() > 1e-3
    line = fastseq.attribute(linear(), CODES, "deeplift_shap", baselines="zeros")
    np.testing.assert_allclose(line.raw, fastseq.attribute(linear(), CODES).raw, atol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        [blocks.PReLU(), blocks.MaxPool1d(2), blocks.GlobalMaxPool()],
        [blocks.Exponential(), blocks.GlobalMeanPool()],
        [nn.PReLU(), blocks.GlobalMaxPool()],
        [nn.SiLU(), blocks.SqueezeExcite(6, 2), blocks.GlobalMeanPool()],
        [nn.ReLU(), blocks.BiLSTM(6, 3), blocks.GlobalMeanPool()],
    ],
    ids=lambda layers: type(layers[-2]).__name__,
)
def test_deeplift_adds_up_through_layers_of_our_own(layers):
    pytest.importorskip("tangermeme")
    torch.manual_seed(2)
    model = nn.Sequential(blocks.Conv1d(4, 6, 5), *layers, nn.Linear(6, 2))
    found = fastseq.attribute(model, curved(), "deeplift_shap", task=1, n=3)
    assert np.abs(found.contributions).max() > 1e-3
    np.testing.assert_allclose(found.missing, 0, atol=1e-5)


def test_deeplift_without_tangermeme_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tangermeme", None)
    monkeypatch.delitem(sys.modules, "tangermeme.deep_lift_shap", raising=False)
    with pytest.raises(MissingExtraError, match=r"fastseq-genomics\[explain\]"):
        fastseq.attribute(linear(), CODES, "deeplift_shap")


def test_maps_are_saved_for_fastseq_and_for_modisco(tmp_path):
    found = fastseq.attribute(linear(), CODES)
    found.save(tmp_path / "maps.npz")
    read = read_maps(tmp_path / "maps.npz")
    np.testing.assert_array_equal(read.values[:, 0], found.raw)
    assert read.names[2] == "2"
    found.save_modisco(tmp_path)
    hot, shap = (np.load(tmp_path / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
    assert hot.shape == shap.shape == (6, 4, 7)
    np.testing.assert_array_equal(hot.argmax(1)[CODES < 4], CODES[CODES < 4])
    np.testing.assert_array_equal(shap, found.hypothetical)
    with pytest.raises(ShapeError):
        found.save(tmp_path / "maps.npz", names=["one"])


def test_maps_of_saturated_outputs_are_not_zero_in_silence():
    model = nn.Sequential(linear(), nn.Sigmoid())
    nn.init.constant_(model[0][1].bias, 300.0)
    with pytest.warns(FastseqWarning, match=r"map of sequence 0 is 0 everywhere \(6 of 6 are\)"):
        assert (fastseq.attribute(model, CODES).raw == 0).all()
    outside = linear()
    nn.init.constant_(outside[1].bias, 300.0)
    outside.target_spec = TargetSpec(activation="sigmoid")
    for method in ("saliency", "smooth_grad", "integrated_gradients"):
        assert fastseq.attribute(outside, CODES, method).raw.any((1, 2)).all()


def test_bin_heads_are_explained_by_their_expected_bin():
    model = linear(tasks=5)
    model.target_spec = TargetSpec(activation="expected_bin", scale="bin", bins=(0, 1, 2, 3, 4))
    found = fastseq.attribute(model, CODES).raw
    for at in range(7):
        for letter in range(4):
            nudged = torch.zeros(6, 4, 7)
            nudged[:, letter, at] = 1e-2
            hot = torch.from_numpy(fastseq.one_hot(CODES, dtype="float32"))
            up, down = (
                (model(hot + s * nudged).softmax(1) * torch.arange(5)).sum(1) for s in (1, -1)
            )
            slope = ((up - down) / 2e-2).detach().numpy()
            np.testing.assert_allclose(found[:, letter, at], slope, rtol=2e-3, atol=1e-4)
