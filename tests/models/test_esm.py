"""ESM gives the library's numbers, from a folder too, and is a model like any other."""

import numpy as np
import pytest
import torch

from fastseq.errors import CheckpointError, MissingFileError, ModelError, OptionError
from fastseq.learn.train import train
from fastseq.models import checkpoints, registry
from fastseq.models.registry import build
from fastseq.score.attribute import attribute
from fastseq.score.predict import predict

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

TINY = {"length": 30, "hidden": 16, "layers": 2, "heads": 2, "inner": 32}


@pytest.fixture(scope="module", params=[1, 3])
def folder(request, tmp_path_factory):
    """A folder as the library saves it: weights, config, vocabulary."""
    path = tmp_path_factory.mktemp(f"esm-{request.param}")
    torch.manual_seed(0)
    model = build("esm", k=request.param, classes=1, **TINY)
    model.network.save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(model.vocabulary.tokens))
    tokenizer = transformers.EsmTokenizer(
        str(path / "vocab.txt"), eos_token="<eos>" if request.param == 1 else None
    )
    tokenizer.save_pretrained(path)
    return path


def texts(codes):
    return ["".join("ACGTN"[code] for code in row) for row in codes]


@pytest.fixture(scope="module")
def codes():
    codes = np.random.default_rng(0).integers(0, 4, (5, 30), dtype=np.uint8)
    codes[1, 7], codes[2, 10:14] = 4, 4
    return codes


def test_a_folder_gives_the_librarys_numbers(folder, codes):
    ours = build("esm", length=30, folder=str(folder), unknown="letter", classes=1).eval()
    library = transformers.EsmForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.EsmTokenizer.from_pretrained(folder)
    batch = tokenizer(texts(codes), padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = library(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        found = ours(ours.input_spec.expand(codes))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_no_longer_needs_the_folder(folder, codes, tmp_path):
    model = build("esm", length=30, folder=str(folder), classes=1).eval()
    again = checkpoints.load(checkpoints.save(model, tmp_path / "m.safetensors"))
    assert again.sizes["folder"] is None
    np.testing.assert_array_equal(predict(model, codes), predict(again, codes))


def test_unknown_bases_are_masked(codes):
    model = build("esm", classes=1, **TINY)
    ids = model._ids(model.input_spec.expand(codes))
    assert ids[1, 8] == model.vocabulary.place["<mask>"]
    letter = build("esm", classes=1, unknown="letter", **TINY)
    assert letter._ids(letter.input_spec.expand(codes))[1, 8] == letter.vocabulary.place["N"]


def test_trains_with_layers_frozen(codes):
    codes = np.random.default_rng(1).integers(0, 4, (80, 30), dtype=np.uint8)
    gc = np.isin(codes, (1, 2)).mean(1)
    torch.manual_seed(0)
    model = build("esm", classes=1, frozen=1, **TINY)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, (codes, gc), epochs=1, progress=False)
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    frozen = {name for name in before if "embeddings" in name or "layer.0." in name}
    assert not moved & frozen
    assert any("layer.1." in name for name in moved)
    assert any("classifier" in name for name in moved)


def test_names_train_as_classifiers_and_regressors():
    codes = np.random.default_rng(1).integers(0, 4, (40, 30), dtype=np.uint8)
    gc = np.isin(codes, (1, 2)).mean(1)
    sizes = {name: size for name, size in TINY.items() if name != "length"}
    logit = train("esm", (codes, gc > 0.5), sizes=sizes, epochs=1, progress=False).model
    assert logit.target_spec.scale == "logit"
    number = train("esm", (codes, gc), sizes=sizes, epochs=1, progress=False).model
    assert number.sizes["classes"] == 1


def test_gradients_by_base(codes):
    torch.manual_seed(0)
    model = build("esm", classes=1, **TINY).eval()
    maps = attribute(model, codes, "saliency").raw
    assert maps.shape == (5, 4, 30)
    assert np.abs(maps).max() > 0
    # along the line from one token's vector to another's, the gradient is that of the embedding
    x = model.input_spec.expand(codes[:1]).requires_grad_()
    model(x).sum().backward()
    table = model.network.esm.embeddings.word_embeddings
    kept = []

    def keep(_module, _ids, out):
        kept.append(out.detach().requires_grad_())
        return kept[0]

    hook = table.register_forward_hook(keep)
    model(x.detach()).sum().backward()
    hook.remove()
    wanted = kept[0].grad[0, 1:31] @ table.weight[model.letters[:4]].T
    torch.testing.assert_close(x.grad[0].T, wanted)
    kmers = build("esm", k=2, classes=1, **TINY)
    with pytest.raises(ModelError, match="method='ism'"):
        kmers(model.input_spec.expand(codes).requires_grad_())


def test_what_esm_refuses(tmp_path):
    with pytest.raises(MissingFileError, match="no folder"):
        build("esm", folder=str(tmp_path / "none"))
    (tmp_path / "vocab.txt").write_text("\n".join(build("esm", **TINY).vocabulary.tokens))
    with pytest.raises(CheckpointError, match="no ESM model that loads"):
        build("esm", folder=str(tmp_path))
    for wrong, message in (
        ({"classes": 2, "tasks": 3}, "classes=1"),
        ({"frozen": 9}, "frozen=9; expected 0 to 2"),
        ({"unknown": "skip"}, "unknown='skip'"),
        ({"heads": 3}, "esm cannot be built with"),
    ):
        with pytest.raises(OptionError, match=message):
            build("esm", **{**TINY, **wrong})


def test_the_tables_count_is_the_default_networks():
    with torch.device("meta"):
        model = build("esm")
    counted = sum(weight.numel() for weight in model.parameters())
    assert counted == registry.entry("esm").parameters
