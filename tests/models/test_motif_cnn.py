"""The motif networks: sizes, activations, and Keras weights against NumPy arithmetic."""

import numpy as np
import pytest
import torch

from fastseq.errors import CheckpointError, LengthError, MissingFileError, OptionError
from fastseq.models import keras
from fastseq.models.motif_cnn import SHALLOW, MotifCNN


@pytest.mark.parametrize("sizes", [{}, SHALLOW])
@pytest.mark.parametrize("first", ["relu", "exponential"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_one_logit_a_sequence(sizes, first, batch_norm):
    model = MotifCNN(first=first, batch_norm=batch_norm, **sizes).eval()
    codes = np.random.default_rng(0).integers(0, 5, (3, 200), dtype=np.uint8)
    out = model(model.input_spec.expand(codes))
    assert out.shape == (3, 1)
    assert torch.isfinite(out).all()
    assert model.target_spec.scale == "logit"
    norms = [x for x in model.modules() if isinstance(x, torch.nn.BatchNorm1d)]
    assert len(norms) == (len(model.stages) + 1 if batch_norm else 0)
    assert all(norm.eps == 1e-3 for norm in norms)


def test_sizes_of_the_study():
    deep, shallow = MotifCNN(), MotifCNN(**SHALLOW)
    assert deep.head[1].in_features == 256
    assert shallow.head[1].in_features == 96
    assert MotifCNN(length=400, tasks=3)(torch.zeros(2, 4, 400)).shape == (2, 3)


def test_the_first_activation_is_what_was_asked_for():
    model = MotifCNN(first="exponential", batch_norm=False).eval()
    x = torch.zeros(1, 4, 200)
    assert torch.allclose(model.stages[0](x), torch.ones(1, 24, 200))


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"first": "gelu"}, OptionError, "exponential, relu"),
        ({"pools": (2, 2)}, OptionError, "4 channels, 4 kernels, 2 pools"),
        ({"length": 40}, LengthError, "leave nothing of 40 bp"),
    ],
)
def test_sizes_that_cannot_be(sizes, error, message):
    with pytest.raises(error, match=message):
        MotifCNN(**sizes)


def keras_file(path, *, bias=True, norms=5, seed=0):
    """Write random weights of the deep network in Keras' layout; return them."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    random = np.random.default_rng(seed)
    layers = {}
    widths, kernels = [4, 24, 32, 48, 64], [11, 7, 7, 3]

    def draw(*shape):
        return random.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))

    for i in range(4):
        name = f"conv1d_{i}" if i else "conv1d"
        layers[name] = {"kernel": draw(kernels[i], widths[i], widths[i + 1])}
        if bias:
            layers[name]["bias"] = draw(widths[i + 1])
    for i, width in enumerate([*widths[1:], 96][:norms]):
        layers[f"batch_normalization_{i}"] = {
            "gamma": 1 + draw(width), "beta": draw(width),
            "moving_mean": draw(width), "moving_variance": 1 + draw(width) ** 2,
        }  # fmt: skip
    layers["dense"] = {"kernel": draw(256, 96), "bias": draw(96)}
    layers["dense_1"] = {"kernel": draw(96, 1), "bias": draw(1)}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input_1", *(name.encode() for name in layers)]
        file.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for name, weights in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in weights]
            for key, value in weights.items():
                group[f"{name}/{key}:0"] = value
    return layers


def in_numpy(layers, x):
    """Return the logit of x (length, 4): the network as Keras computes it."""

    def norm(i, y):
        w = layers.get(f"batch_normalization_{i}")
        if w is None:
            return y
        scale = w["gamma"] / np.sqrt(w["moving_variance"] + 1e-3)
        return (y - w["moving_mean"]) * scale + w["beta"]

    for i, pool in enumerate((1, 4, 4, 3)):
        weights = layers[f"conv1d_{i}" if i else "conv1d"]
        kernel = weights["kernel"]
        reach = len(kernel) - 1
        padded = np.pad(x, ((reach // 2, reach - reach // 2), (0, 0)))
        y = np.stack(
            [np.tensordot(padded[p : p + len(kernel)], kernel, 2) for p in range(len(x))]
        ) + weights.get("bias", 0)
        x = np.exp(norm(i, y)) if i == 0 else np.maximum(norm(i, y), 0)
        x = x[: len(x) // pool * pool].reshape(-1, pool, x.shape[1]).max(1)
    hidden = x.reshape(-1) @ layers["dense"]["kernel"] + layers["dense"]["bias"]
    hidden = np.maximum(norm(4, hidden), 0)
    return hidden @ layers["dense_1"]["kernel"] + layers["dense_1"]["bias"]


@pytest.mark.parametrize(("bias", "norms"), [(True, 5), (False, 5), (True, 0)])
def test_keras_weights_give_keras_numbers(tmp_path, bias, norms):
    layers = keras_file(tmp_path / "weights.h5", bias=bias, norms=norms)
    model = keras.motif_cnn(tmp_path / "weights.h5", first="exponential")
    codes = np.random.default_rng(1).integers(0, 4, (4, 200), dtype=np.uint8)
    with torch.no_grad():
        ours = model(model.input_spec.expand(codes)).numpy()
    theirs = [in_numpy(layers, np.eye(4)[row]) for row in codes]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_files_that_are_no_such_network(tmp_path):
    with pytest.raises(MissingFileError):
        keras.motif_cnn(tmp_path / "absent.h5", first="relu")
    keras_file(tmp_path / "three.h5", norms=3)
    with pytest.raises(CheckpointError, match="3 BatchNorms"):
        keras.motif_cnn(tmp_path / "three.h5", first="relu")
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(CheckpointError, match="Keras weights in HDF5"):
        keras.motif_cnn(tmp_path / "text.h5", first="relu")
