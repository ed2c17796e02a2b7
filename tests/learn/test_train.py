"""The loop learns, repeats itself, resumes as if unbroken, and refuses what cannot be learned."""

import os
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from fastseq.errors import (
    CheckpointError,
    DivergenceError,
    LengthError,
    OptionError,
    ResumeError,
    ShapeError,
    TargetError,
)
from fastseq.learn.recipes import Recipe, Stage, recipe
from fastseq.learn.train import train
from fastseq.models import checkpoints, nad
from fastseq.models.registry import build
from fastseq.score.predict import predict
from fastseq.sequence.encode import decode

SMALL = {"channels": 8}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, (400, 30), dtype=np.uint8)
    codes[:, :4], codes[:, -3:] = [0, 1, 2, 3], [3, 3, 2]
    gc = np.isin(codes, (1, 2)).mean(1) - 0.5
    return codes, gc


def fit(rows, model="tum_cnn", **options):
    options = {"epochs": 2, "batch_size": 64, "progress": False, "sizes": SMALL, **options}
    return train(model, rows, **options)


def weights(result):
    return torch.cat([p.detach().flatten() for p in result.model.parameters()])


def test_learns_gc_content_and_finds_the_flanks(rows):
    result = fit(rows, epochs=20)
    assert result.best["pearson"] > 0.8
    assert (result.model.input_spec.left, result.model.input_spec.right) == ("ACGT", "TTG")
    assert result.model.target_spec.reverse_complement
    assert [row["epoch"] for row in result.history] == [*range(1, 21)]


def test_answers_come_in_the_units_of_the_labels(rows):
    codes, gc = rows
    result = fit((codes, 100 * gc - 7), epochs=20)
    spec = result.model.target_spec
    with torch.no_grad():
        raw = result.model(result.model.input_spec.expand(codes))
    answer = spec.slope * spec.activate(spec.score(raw))[:, 0].numpy() + spec.offset
    assert abs(answer.mean() - (100 * gc - 7).mean()) < 3


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator_alone(rows):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two, other = fit(rows, seed=1), fit(rows, seed=1), fit(rows, seed=2)
    assert torch.rand(1) == expected
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


TWO_STAGES = Recipe((Stage(2, average="ema"), Stage(2, "sgd", 0.01, "plateau", average="swa")))


@pytest.mark.parametrize("plan", [recipe("default", epochs=4), TWO_STAGES])
@pytest.mark.parametrize("breaks_at", [1, 2, 3])
def test_a_killed_run_goes_on_as_if_unbroken(rows, tmp_path, monkeypatch, plan, breaks_at):
    unbroken = fit(rows, recipe=plan, epochs=4)
    real, calls = os.replace, []

    def replace(source, target):
        real(source, target)
        calls.append(str(target).endswith(".state"))
        if sum(calls) == breaks_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    path = tmp_path / "m.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(rows, recipe=plan, epochs=4, path=path)
    monkeypatch.setattr(os, "replace", real)
    if breaks_at > 1:
        assert checkpoints.describe(path)["training"]["finished"] is False
    resumed = fit(rows, recipe=plan, epochs=4, path=path, resume=True)
    assert torch.equal(weights(resumed), weights(unbroken))
    assert [row["val_loss"] for row in resumed.history] == [
        row["val_loss"] for row in unbroken.history
    ]
    assert os.listdir(tmp_path) == ["m.safetensors"]
    # a finished run is not trained again
    again = fit(rows, recipe=plan, epochs=4, path=path, resume=True)
    assert torch.equal(weights(again), weights(unbroken))


def test_the_state_of_another_run_is_refused(rows, tmp_path):
    path = tmp_path / "m.safetensors"
    fit(rows, path=path)
    with pytest.raises(ResumeError, match="other rows, model, recipe or seed"):
        fit(rows, path=path, seed=9, resume=True)
    (tmp_path / "m.safetensors.state").write_bytes(b"torn")
    with pytest.raises(ResumeError, match="delete it"):
        fit(rows, path=path, resume=True)
    with pytest.raises(OptionError, match="needs path"):
        fit(rows, resume=True)


def test_divergence_keeps_the_last_good_weights(rows, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    steps = []
    real = torch.optim.AdamW.step

    def step(self, *args):
        steps.append(1)
        real(self, *args)
        if len(steps) == 8:  # in the second epoch of six steps
            self.param_groups[0]["params"][0].data.fill_(float("nan"))

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    model = build("tum_cnn", length=30, activation="none", **SMALL)
    with pytest.raises(DivergenceError, match=r"epoch 2, step 2; .* of epoch 1, also in"):
        fit(rows, model, path=path)
    assert all(p.isfinite().all() for p in model.parameters())
    assert all(p.isfinite().all() for p in checkpoints.load(path).parameters())


@pytest.mark.parametrize("name", ["tum_resnet", "tum_cnn", "tum_classifier"])
@pytest.mark.parametrize("strands", ["forward", "augment", "conjoined"])
def test_every_network_trains_on_every_strand_setting(rows, name, strands):
    result = fit(rows, name, epochs=1, strands=strands, shift=2, mask=0.05, label_noise=0.1,
                 tail_weight=0.5)  # fmt: skip
    assert np.isfinite(result.history[0]["val_loss"])
    assert result.model.target_spec.reverse_complement == (strands != "forward")


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "lion", "rmsprop"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "noam", "constant"])
def test_every_optimizer_under_every_schedule(rows, optimizer, schedule):
    result = fit(rows, optimizer=optimizer, schedule=schedule, lr=1e-4)
    assert len(result.history) == 2


def test_labels_of_0_and_1_make_a_classifier(rows):
    codes, gc = rows
    result = fit((codes, gc > 0), epochs=4)
    spec = result.model.target_spec
    assert (spec.activation, spec.scale, spec.slope, spec.offset) == ("none", "logit", 1, 0)
    assert result.best["auroc"] > 0.8


def test_the_meaning_of_the_numbers_follows_the_labels(rows):
    model = fit(rows, "deepromoter", sizes={"dropout": 0.0}).model
    assert (model.sizes["classes"], model.target_spec.scale) == (1, "linear")
    assert fit(rows, "motif_cnn", sizes={"pools": (1, 2, 2, 2)}).model.target_spec.scale == "linear"
    assert fit(rows, scale="log2").model.target_spec.scale == "log2"


def test_a_head_that_cannot_reach_a_label_names_the_row(rows):
    codes, gc = rows
    with pytest.raises(TargetError, match=r"row \d+ has target -0\.\d+, which a softplus head"):
        fit(rows, affine="none")
    split = np.where(np.arange(len(gc)) < 40, "val", "train")
    gc = np.abs(gc)
    gc[57] = -1
    with pytest.raises(TargetError, match="row 57 has target -1.*1 of 360 rows"):
        fit((codes, gc), affine="none", validation=split)


def test_differences_inside_clusters_may_count_twice(rows):
    codes, gc = rows
    frame = pd.DataFrame({"seq": decode(codes), "y": gc, "cluster": np.arange(len(gc)) // 4})
    assert np.isfinite(fit(frame, within=1.0).history[-1]["loss"])
    with pytest.raises(OptionError, match="needs rows with clusters"):
        fit(rows, within=1.0)


def test_patience_stops_early(rows):
    result = fit(rows, epochs=50, patience=1, lr=0.05, schedule="constant")
    assert len(result.history) < 50


def test_bfloat16_learns_too(rows):
    assert fit(rows, epochs=20, precision="bfloat16").best["pearson"] > 0.7


def test_data_from_a_table_and_the_fold_column(rows, tmp_path):
    codes, gc = rows
    frame = pd.DataFrame({
        "seq": ["".join("ACGT"[c] for c in row) for row in codes],
        "expression": gc,
        "other": -gc,
        "fold": np.where(np.arange(len(gc)) % 5, "train", "val"),
    })  # fmt: skip
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    one = fit(tmp_path / "t.tsv")
    two = fit(rows, validation=frame["fold"].to_numpy(dtype=str))
    assert one.best["pearson"] == pytest.approx(two.best["pearson"], abs=1e-4)
    both = fit(frame, target=["expression", "other"])
    assert both.model.target_spec.tasks == ("expression", "other")


def test_going_on_from_a_checkpoint(rows, tmp_path):
    path = tmp_path / "m.safetensors"
    first = fit(rows, path=path, epochs=4)
    on = fit(rows, path, epochs=1, lr=1e-5)
    assert on.best["pearson"] == pytest.approx(first.best["pearson"], abs=0.1)


def test_a_strangers_network_trains_but_has_no_checkpoint(rows, tmp_path):
    stranger = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 30, 1))
    assert np.isfinite(fit(rows, stranger, epochs=1).history[0]["loss"])
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        fit(rows, stranger, path=tmp_path / "m.safetensors")


@pytest.mark.parametrize("of", ["outputs", "positions"])
def test_answers_without_a_label_of_their_own_are_refused(rows, of):
    network = nn.Sequential(nn.Conv1d(4, 3, 3), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    if of == "positions":
        network = build("bpnet", length=30, channels=4, layers=1, head="profile")
    with pytest.raises(ShapeError, match="expected one number a label"):
        train(network, rows, epochs=1, progress=False)


def test_options_that_do_not_fit_are_refused_before_training(rows):
    codes, gc = rows
    with pytest.raises(LengthError, match="30 bp long; tum_cnn takes 50 bp"):
        fit(rows, build("tum_cnn", length=50))
    with pytest.raises(ShapeError, match="2 targets, the model answers 1"):
        fit((codes, np.stack([gc, gc], 1)), build("tum_cnn", length=30))
    with pytest.raises(OptionError, match="loss='hinge'"):
        fit(rows, loss="hinge")
    with pytest.raises(OptionError, match="a recipe has no speed"):
        fit(rows, speed=3)
    with pytest.raises(OptionError, match="recipe='fast'"):
        fit(rows, recipe="fast")
    with pytest.raises(OptionError, match="needs a head of bins"):
        fit(rows, loss="bins_kl")
    with pytest.raises(OptionError, match="flanks='maybe'"):
        fit(rows, flanks="maybe")


def test_a_recipe_may_name_a_regulariser(rows):
    options = {"epochs": 1, "seed": 3, "flanks": "none"}
    plain = train("tum_cnn", rows, **options)
    noisy = train("tum_cnn", rows, regularise="noise", **options)
    assert plain.history[0]["loss"] != noisy.history[0]["loss"]
    with pytest.raises(OptionError, match="regulariser 'magic'; expected one of "):
        train("tum_cnn", rows, regularise="magic", **options)


def test_whole_labels_are_singletons_in_training_only(rows, monkeypatch):
    codes, gc = rows
    seen = {True: [], False: []}
    real = build("legnet", length=30).__class__.forward

    def forward(self, x):
        seen[self.training].append(x[:, 5].mean().item())
        return real(self, x)

    monkeypatch.setattr("fastseq.models.legnet.LegNet.forward", forward)
    labels = np.where(np.arange(len(gc)) % 2, np.round(10 + 4 * gc), 10.3 + gc)
    sizes = {"stem": 16, "widths": (16, 8)}
    result = fit((codes, labels), "legnet", sizes=sizes, singleton=True, epochs=1)
    assert 0.3 < np.mean(seen[True]) < 0.7
    assert not np.any(seen[False])
    predict(result.model, codes[:9])
    assert not np.any(seen[False])


def test_quantiles_of_the_training_rows_are_for_predict_only(rows, tmp_path):
    codes, _ = rows
    path = tmp_path / "m.safetensors"
    result = fit(rows, quantiles=True, path=path, epochs=4)
    plain, placed = predict(path, codes), predict(path, codes, quantiles=True)
    assert placed.min() >= 0
    assert placed.max() <= 1
    assert (np.diff(placed[np.argsort(plain)]) >= 0).all()
    assert abs(np.median(placed) - 0.5) < 0.05
    assert len(result.model.target_spec.quantiles) == 1001
    # a row's place does not depend on its company
    np.testing.assert_array_equal(predict(path, codes[5:6], quantiles=True), placed[5:6])
    with pytest.raises(OptionError, match="train it with quantiles=True"):
        predict(fit(rows).model, codes, quantiles=True)
    with pytest.raises(OptionError, match="one model"):
        predict([path, path], codes, quantiles=True)


def test_steps_may_be_sharpness_aware(rows):
    result = fit(rows, epochs=12, sharpness=0.05, gap=0.05)
    assert result.best["pearson"] > 0.7


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_averaged_weights_are_judged_and_kept(rows, average):
    # an average over hundreds of steps still holds much of the first weights after 72
    result = fit(rows, epochs=12, average=average)
    assert result.best["pearson"] > {"ema": 0.1, "swa": 0.5}[average]


def test_vectors_of_nad_are_fitted_to_the_training_rows_of_a_new_network(
    rows, tmp_path, monkeypatch
):
    monkeypatch.setattr(nad, "glove", partial(nad.glove, steps=2))
    sizes = {"widths": (8,) * 5, "embedding": 8, "depths": (1,) * 4, "heads": 2}
    path = tmp_path / "m.safetensors"
    result = fit(rows, "nad", sizes=sizes, epochs=1, path=path)
    again = fit(rows, path, epochs=1)
    assert torch.equal(result.model.vectors, again.model.vectors)
    codes, gc = rows
    turned = fit((codes[::-1], gc), "nad", sizes=sizes, epochs=1, validation=0.5)
    assert not torch.equal(result.model.vectors, turned.model.vectors)
