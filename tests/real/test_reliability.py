"""Reliability metrics on real maps, trained networks and the table of 140 models."""

import csv
import gzip
import json

import numpy as np
import pytest

from fastseq.reliability.kld import kmer_kld
from fastseq.reliability.length_weights import fit_length_weights
from fastseq.reliability.snr import by_sequence, masks_from_information
from fastseq.sequence.motifs import jaspar, read_motifs
from fastseq.sequence.simulate import simulate_motif_task
from tests.reference import kld as twin

MODELS = {
    "cnn_deep_relu_25": "relu",
    "cnn_deep_exponential_9": "exponential",
    "cnn_deep_exponential_25": "exponential",
    "cnn_deep_exponential_29": "exponential",
    "cnn_shallow_relu_0": "relu",
    "cnn_shallow_exponential_0": "exponential",
}
# the table's columns for each way to read the metric
VARIANTS = {
    "inst_obs": {},
    "inst_l2": {"score": "l2"},
    "inst_rawobs": {"correct": False},
    "prodG_obs": {"form": "product"},
    "prodS_l2": {"form": "sequence_product", "score": "l2"},
    "thr_l2": {"method": "thresholded", "score": "l2"},
}


@pytest.fixture(scope="module")
def table(real_data):
    with (real_data / "kld/models140.csv").open() as stream:
        return {row["model"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def task(real_data):
    """Return codes, labels and test rows, and the bits of the matrix behind every position."""
    stored = np.load(real_data / "kld/synthetic_code_regenerated.npz")
    bits = {}
    for motif in read_motifs(real_data / "kld/pfm_vertebrates.txt"):
        bits[motif.name + "+"] = motif.information()
        bits[motif.name + "-"] = motif.reverse_complement().information()
    with gzip.open(real_data / "kld/synthetic_code_regenerated_spans.json.gz") as stream:
        spans = json.load(stream)["spans"]
    test = stored["test_idx"]
    information = np.zeros((len(stored["y"]), 200))
    for row in test:
        for start, end, name in spans[row]:
            information[row, start:end] = bits[name]
    return stored["seq"], stored["y"], test, information


def test_typed_in_matrices_are_those_of_the_collection(real_data):
    collection = {motif.id: motif for motif in read_motifs(real_data / "kld/pfm_vertebrates.txt")}
    for motif in jaspar():
        assert collection[motif.id].name == motif.name
        np.testing.assert_array_equal(collection[motif.id].counts, motif.counts)


def test_foreign_motif_files(real_data):
    assert len(read_motifs(real_data / "motifs/jaspar_2024_consensus.meme")) == 182
    assert len(read_motifs(real_data / "motifs/hocomoco_H12CORE.meme.gz")) == 1443


def test_simulated_task_resembles_the_regenerated_one(task):
    codes, labels, _, _ = task
    ours = simulate_motif_task()
    assert ours.codes.shape == codes.shape
    assert abs(ours.motif_mask[ours.labels == 1].mean() - 0.2005) < 0.002
    for label in (0, 1):
        mine = np.bincount(ours.codes[ours.labels == label].ravel(), minlength=4)
        theirs = np.bincount(codes[labels == label].ravel(), minlength=4)
        np.testing.assert_allclose(mine / mine.sum(), theirs / theirs.sum(), atol=0.002)


def test_gata_maps(real_data):
    stored = np.load(real_data / "kld/gata_attr.npz")
    codes, maps = stored["codes"], stored["attr"].transpose(0, 2, 1)
    scores = twin.scores_of(maps, codes, "observed", correct=True)
    found = kmer_kld(codes, maps, ks=(3, 4, 6), null=50, null_kind="shift")
    for k in (3, 6):
        np.testing.assert_allclose(found.per_k[k], twin.weighted(codes, scores, k), rtol=1e-9)
    assert found.null.p == 1 / 51
    thresholded = kmer_kld(codes, maps, ks=(3, 6), method="thresholded").per_k
    for k in (3, 6):
        np.testing.assert_allclose(thresholded[k], twin.thresholded(codes, scores, k), rtol=1e-9)
    # the words with the largest weight are GATA's, on one strand or the other
    weights = twin.frequencies(codes, 4)
    gained = {}
    for row, a in zip(codes, scores):
        for start, word in twin.windows(row, 4):
            gained[word] = gained.get(word, 0) + a[start : start + 4].sum() / a.sum()
    ratio = {word: gained[word] / weights[word] for word in gained if weights[word] > 20}
    best = sorted(ratio, key=ratio.get)[-4:]
    assert {(2, 0, 3, 0), (3, 0, 3, 1)} & set(best), best


@pytest.mark.parametrize("name", MODELS)
def test_trained_keras_weights_reproduce_the_table(real_data, table, task, name):
    pytest.importorskip("h5py", reason="h5py is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    keras = pytest.importorskip("fastseq.models.keras")
    codes, labels, test, information = task
    model = keras.motif_cnn(real_data / f"kld/weights/{name}.h5", first=MODELS[name])
    with torch.no_grad():
        logits = torch.cat(
            [model(model.input_spec.expand(codes[part])) for part in np.array_split(test, 8)]
        )[:, 0]
    rank = np.empty(len(test))
    rank[np.argsort(logits.numpy(), kind="stable")] = np.arange(1, len(test) + 1)
    positive = labels[test] == 1
    p, n = positive.sum(), (~positive).sum()
    auroc = (rank[positive].sum() - p * (p + 1) / 2) / (p * n)
    expected = table[name]
    assert auroc == pytest.approx(float(expected["auroc"]), abs=0.003)
    if name.startswith("cnn_deep"):
        assert 0.96 < auroc < 0.985

    rows = test[positive][:1000]
    x = model.input_spec.expand(codes[rows]).clone().requires_grad_()
    model(x).sum().backward()
    maps = x.grad.numpy()
    for variant, options in VARIANTS.items():
        found = kmer_kld(codes[rows], maps, **options).per_k
        for k, value in found.items():
            # the table was computed from other kernels' gradients and holds six decimals
            assert value == pytest.approx(float(expected[f"{variant}_{k}"]), rel=2e-4, abs=2e-6)
    motif, background = masks_from_information(information[rows])
    snr = by_sequence(codes[rows], maps, motif, background, compat="tfomics").mean
    assert snr == pytest.approx(float(expected["snr_raw"]), rel=2e-3)


def test_length_weights_of_140_models_are_flat(table):
    snr = np.array([float(row["snr_raw"]) for row in table.values()])
    for variant in ("inst_l2", "inst_obs"):
        kld = {
            k: np.array([float(row[f"{variant}_{k}"]) for row in table.values()])
            for k in range(3, 9)
        }
        fitted = fit_length_weights(kld, snr, mask_nonpositive=True)
        assert fitted.n == 139
        np.testing.assert_allclose(list(fitted.weights.values()), 1 / 6, atol=0.006)
        assert max(fitted.sd.values()) < 0.001
