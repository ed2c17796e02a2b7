import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fastseq
from fastseq import models
from fastseq.errors import CheckpointError, MissingFileError, UnreadableFileError
from fastseq.models.checkpoints import describe
from fastseq.models.specs import InputSpec, TargetSpec


@pytest.fixture
def model():
    torch.manual_seed(3)
    return models.build("tum_cnn")


def test_round_trip_is_bit_exact(model, tmp_path):
    model.input_spec = InputSpec(model.input_spec.length, left="ACG", right="TT")
    model.target_spec = TargetSpec(("expression",), "softplus", "log2", 0.259, -2.87)
    path = models.save(model, tmp_path / "m.safetensors", training={"epochs": 3})
    back = models.load(path)
    assert back.input_spec == model.input_spec
    assert back.target_spec == model.target_spec
    assert describe(path)["training"] == {"epochs": 3}
    assert not back.training
    for name, value in model.state_dict().items():
        assert value.equal(back.state_dict()[name]), name
    x = torch.rand(2, 4, model.input_spec.length)
    assert model.eval()(x).equal(back(x))


def test_nothing_is_left_behind_when_the_rename_fails(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UnreadableFileError, match="No space left on device"):
        models.save(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_pickles_are_refused_unopened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    torch.save(Bomb(), tmp_path / "zip.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Bomb()))
    for name in ("zip.pt", "old.pt"):
        with pytest.raises(CheckpointError, match="is a pickle"):
            models.load(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_no_length_of_the_header_looks_like_a_pickle(model, tmp_path):
    path = tmp_path / "m.safetensors"
    for extra in range(0, 256, 8):  # safetensors pads its header to eight bytes
        models.save(model, path, training={"note": "x" * extra})
        assert describe(path)["training"]["note"] == "x" * extra


def test_every_truncation_is_noticed(model, tmp_path):
    path = models.save(model, tmp_path / "m.safetensors")
    content = path.read_bytes()
    for size in [0, 1, 7, 8, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match="truncated or no safetensors"):
            models.load(path)


def test_strangers_and_misfits_are_named(model, tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint"):
        models.load(tmp_path / "none")
    with pytest.raises(UnreadableFileError):
        models.load(tmp_path)
    with pytest.raises(CheckpointError, match="without name, sizes"):
        models.save(torch.nn.Linear(2, 2), tmp_path / "x")
    save_file({"w": torch.zeros(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match="no description of their model"):
        models.load(tmp_path / "bare.safetensors")
    save_file(
        {"w": torch.zeros(2)}, tmp_path / "new", {"fastseq": json.dumps({"kind": "fastseq-9"})}
    )
    with pytest.raises(CheckpointError, match="of kind 'fastseq-9'"):
        models.load(tmp_path / "new")


def test_tensors_of_another_shape_are_refused(model, tmp_path):
    path = models.save(model, tmp_path / "m.safetensors")
    about = describe(path)
    tensors = {name: value[:1].clone() if value.ndim else value
               for name, value in model.state_dict().items()}  # fmt: skip
    save_file(tensors, path, {"fastseq": json.dumps(about)})
    with pytest.raises(CheckpointError, match="does not fit its own description"):
        models.load(path)


def test_predictions_survive(model, tmp_path):

    codes = np.random.default_rng(0).integers(0, 4, (3, model.input_spec.length), dtype=np.uint8)
    path = models.save(model, tmp_path / "m.safetensors")
    assert (fastseq.predict(model, codes) == fastseq.predict(path, codes)).all()


def test_others_may_read_what_was_saved(model, tmp_path):
    path = models.save(model, tmp_path / "m.safetensors")
    (tmp_path / "plain").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "legnet", "sizes": {}}, "tensor body.0.*, which its model has"),
        ({"name": "resnet"}, "no model is named 'resnet'"),
        ({"sizes": {}}, r"body.0.0.weight is torch.float32 \(4, 4, 21\); its model has"),
        ({"sizes": {"channels": "wide"}}, "expected whole numbers"),
        ({"sizes": 3}, "does not fit its own description"),
        ({"input_spec": {"length": 1e9}}, "length=1000000000.0; expected a whole number of bp"),
        ({"input_spec": {"length": 9, "left": ["A"]}}, "expected bases A, C, G, T or N"),
        ({"input_spec": {"length": 9, "strand_channel": 1}}, "expected True or False"),
        ({"input_spec": []}, "does not fit its own description"),
        ({"target_spec": {"tasks": "y"}}, "tasks='y'; expected a list of str"),
        ({"target_spec": {"tasks": []}}, "expected one name an output"),
        ({"target_spec": {"slope": "2"}}, "expected an invertible map"),
        ({"target_spec": {"bins": [1, "2"]}}, "expected a list of real"),
        ({"target_spec": {"reverse_complement": "yes"}}, "expected True, False or None"),
        ({"target_spec": None}, "does not fit its own description"),
    ],
)
def test_descriptions_that_cannot_be_are_refused_in_one_sentence(tmp_path, change, words):
    model = models.build("tum_cnn", channels=4)
    about = {**describe(models.save(model, tmp_path / "m")), **change}
    save_file(dict(model.state_dict()), tmp_path / "m", {"fastseq": json.dumps(about)})
    with pytest.raises(CheckpointError, match=words) as caught:
        models.load(tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', '{"kind": 1}'])
def test_headers_that_are_no_description_are_refused(tmp_path, text):
    save_file({"w": torch.zeros(2)}, tmp_path / "m", {"fastseq": text})
    with pytest.raises(CheckpointError):
        models.load(tmp_path / "m")


def test_a_tensor_too_many_or_of_another_precision_is_named(model, tmp_path):
    about = {"fastseq": json.dumps(describe(models.save(model, tmp_path / "m")))}
    tensors = dict(model.state_dict())
    save_file({**tensors, "more": torch.zeros(2)}, tmp_path / "m", about)
    with pytest.raises(CheckpointError, match=r"a tensor more, which its model has not \(1 such\)"):
        models.load(tmp_path / "m")
    save_file({**tensors, "head.bias": tensors["head.bias"].half()}, tmp_path / "m", about)
    with pytest.raises(CheckpointError, match=r"head.bias is torch.float16 \(1,\)"):
        models.load(tmp_path / "m")
