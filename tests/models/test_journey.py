"""The models that everyone uses go the whole way: trained, saved, loaded, lowered, scored."""

import numpy as np
import pandas as pd
import pytest
import torch

from fastseq.io.fasta import Genome
from fastseq.learn.train import train
from fastseq.lower.ensemble import lower
from fastseq.models import checkpoints
from fastseq.score.ism import saturation_mutagenesis
from fastseq.score.predict import predict
from fastseq.score.variants import score_variants

LENGTH = 40
FIRST_TIER: dict[str, dict] = {
    "legnet": {"stem": 16, "widths": (16, 8)},
    "legnet_optimized": {},
    "legnet_prixfixe": {},
    "legnet_mpra": {"stem": 16, "widths": (16, 8), "features": 16},
    "dream_cnn": {},
    "dream_rnn": {},
    "dream_attn": {},
    "bhi": {},
    "tum_resnet": {"channels": 8},
    "tum_cnn": {"channels": 8},
    "tum_classifier": {"channels": 8},
    "deepromoter": {},
    "motif_cnn": {"pools": (1, 2, 2, 2)},
    "deepstarr": {"channels": (16, 8, 8, 8)},
    "bpnet": {"channels": 8, "layers": 2},
    "lightgbm": {"leaves": 7, "rounds": 5, "k": (2,)},
}


@pytest.fixture(scope="module")
def rows():
    codes = np.random.default_rng(0).integers(0, 4, (60, LENGTH), dtype=np.uint8)
    return codes, np.isin(codes, (1, 2)).mean(1)


@pytest.mark.parametrize("name", FIRST_TIER)
def test_from_rows_to_the_effect_of_a_variant(name, rows, tmp_path):
    codes, _ = rows
    path = tmp_path / "m.safetensors"
    options = {"epochs": 1, "batch_size": 27, "progress": False, "flanks": "none", "path": path}
    result = train(name, rows, sizes=FIRST_TIER[name], **options)
    assert np.isfinite(result.best["val_loss"])

    again = checkpoints.load(path)
    x = again.input_spec.expand(codes[:5])
    with torch.no_grad():
        raw = again(x)
        assert torch.equal(result.model(x), raw)
    assert (again.input_spec, again.target_spec) == (
        result.model.input_spec, result.model.target_spec,
    )  # fmt: skip

    head, plan = again.target_spec, lower(again, device="cpu")

    def answers(codes, strand="+"):
        with torch.no_grad():
            raw = again(again.input_spec.expand(codes, strand))
        return head.slope * head.activate(head.score(raw))[:, 0].numpy() + head.offset

    np.testing.assert_allclose(plan.predict(codes[:5])[:, 0], answers(codes[:5]), atol=1e-5)

    genome = Genome.from_sequences({"chr1": codes[:4].reshape(-1)})
    ref = int(codes[1, 9])
    alt = (ref + 1) % 4
    variant = {"chrom": ["chr1"], "pos": [50], "ref": ["ACGT"[ref]], "alt": ["ACGT"[alt]]}
    (row,) = score_variants(plan, pd.DataFrame(variant), genome, strands="both").to_dict("records")
    windows = np.stack([genome.codes("chr1", 49 - LENGTH // 2, 49 + LENGTH // 2)] * 2)
    windows[1, LENGTH // 2] = alt
    ref_hat, alt_hat = (answers(windows) + answers(windows, "-")) / 2
    assert row["status"] == "ok"
    assert row["y_ref"] == pytest.approx(ref_hat, abs=1e-5)
    assert row["diff"] == pytest.approx(alt_hat - ref_hat, rel=1e-3, abs=2e-6)

    effects = saturation_mutagenesis(plan, codes[:1], start=9, end=10).effect
    one = np.repeat(codes[:1], 2, axis=0)
    one[1, 9] = (one[0, 9] + 1) % 4
    before, after = answers(one)
    assert effects[0, 0, one[1, 9], 0] == pytest.approx(after - before, rel=1e-3, abs=2e-6)


def test_the_map_to_bins_is_of_the_training_fold_and_lives_in_the_checkpoint(rows, tmp_path):
    codes, gc = rows
    # the challenge's test set is measured on another scale than its bins 0-17
    y = np.interp(gc, [gc.min(), gc.max()], [-1.4, 1.66]).astype(np.float32)
    y[50:] = 1.5
    fold = np.array(["train"] * 50 + ["val"] * 10)
    path = tmp_path / "m.safetensors"
    options = {"epochs": 1, "batch_size": 25, "progress": False, "flanks": "none", "path": path}
    result = train("legnet", (codes, y), validation=fold, sizes=FIRST_TIER["legnet"], **options)
    head = result.model.target_spec
    low, high = float(y[:50].min()), float(y[:50].max())
    np.testing.assert_allclose(head.invert(np.array([low, high])), [1, 16], rtol=1e-5)
    assert head.bins == tuple(map(float, range(18)))
    assert checkpoints.describe(path)["target_spec"]["slope"] == head.slope
    again = checkpoints.load(path)
    with torch.no_grad():
        shares = again(again.input_spec.expand(codes)).softmax(1).numpy()
    wanted = head.slope * (shares @ np.arange(18)) + head.offset
    np.testing.assert_allclose(predict(path, codes), wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["deepstarr", "bpnet", "basenji", "deepromoter"])
def test_published_recipes_train_and_print(name, rows):
    sizes = {"basenji": {"channels": 8, "pools": 2}, **FIRST_TIER}[name]
    options = {"epochs": 1, "batch_size": 27, "progress": False, "flanks": "none"}
    result = train(name, rows, recipe=name, sizes=sizes, **options)
    assert np.isfinite(result.best["val_loss"])
    assert str(result.recipe.stages[0].lr) in str(result.recipe)
