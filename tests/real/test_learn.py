"""Training and the challenge's evaluation on measured promoters."""

import numpy as np
import pytest

from fastseq.io.tables import read_table
from fastseq.learn.evaluate import dream_score
from fastseq.learn.subsets import read_subsets
from fastseq.learn.train import train
from fastseq.score.predict import predict


@pytest.fixture(scope="module")
def promoters(real_data):
    return read_table(real_data / "dream" / "dream_mini.tsv.gz")


def test_a_small_network_learns_the_construct_and_some_expression(promoters):
    few = promoters.sample(6000, random_state=0)
    result = train("tum_cnn", few, epochs=3, progress=False)
    spec = result.model.input_spec
    assert (spec.left, spec.right) == ("TGCATTTTTTTCACATC", "GGTTACGGCTGTT")
    assert result.best["pearson"] > 0.3
    held = few[few["fold"] == "val"]
    whole, variable = held["seq"].tolist(), held["seq"].str[17:97].tolist()
    np.testing.assert_array_equal(predict(result.model, whole), predict(result.model, variable))


def test_subsets_of_a_fold_are_scored_and_the_missing_one_is_named(promoters, real_data):
    held = promoters[promoters["fold"] == "val"]
    subsets = read_subsets(
        real_data / "dream" / "dream_mini_subsets.json.gz", positions=held["pos"].to_numpy()
    )
    y = held["maude_expr"].to_numpy()
    score = dream_score(y, {"truth": y, "constant": np.zeros(len(y))}, subsets)
    assert score.missing == ("motif_perturbation",)
    assert score.pearson == pytest.approx({"truth": 1, "constant": 0})
    assert (score.scores["truth"]["high"].n, score.scores["truth"]["SNVs"].n) == (86, 3317)


def test_rows_of_the_training_set_keep_their_own_scale(real_data):
    table = read_table(real_data / "dream" / "train_demo_6370.txt.gz", names=["seq", "expression"])
    few = table[table["seq"].str.len() == 110].head(2000)
    result = train("tum_classifier", few, epochs=1, progress=False)
    spec = result.model.target_spec
    assert (spec.slope, spec.offset) == (1.0, 0.0)
    assert 5 < predict(result.model, few["seq"].tolist()).mean() < 15
