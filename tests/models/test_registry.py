"""Every model of the table builds, answers, explains itself and survives a checkpoint."""

import pytest
import torch

from fastseq.errors import OptionError
from fastseq.models import checkpoints, registry
from fastseq.models.registry import build

# small sizes, so that every family runs in a blink
TINY: dict[str, dict] = {
    "legnet": {"stem": 16, "widths": (16, 8)},
    "legnet_mpra": {"stem": 16, "widths": (16, 8), "features": 16},
    "unlock_dna": {"channels": 32, "layers": 1, "heads": 2, "head_width": 8},
    "camformers": {"channels": 16, "features": 8},
    "nad": {
        "length": 60,
        "widths": (8, 8, 8, 8, 16),
        "embedding": 8,
        "depths": (1,) * 4,
        "heads": 2,
    },
    "high_schoolers": {"length": 40, "strands": 6, "widths": (8, 12), "heads": 2, "inner": 8},
    "bionml": {"length": 30, "motifs": 8, "kmers": (2, 3), "channels": 16, "layers": 2, "heads": 2},
    "wztr": {"stem": 16, "channels": 16, "blocks": 2, "repeats": 1},
    "bugf": {"channels": 32, "heads": 2, "inner": 16, "passes": 2},
    "mt": {"length": 30, "padded": 40, "hidden": 8},
    "esm": {"length": 30, "hidden": 16, "layers": 1, "heads": 2, "inner": 32},
    "bpnet": {"length": 200, "channels": 8},
    "basenji": {"length": 128, "channels": 8},
    **{f"legnet_{kind}": {"length": 40} for kind in ("optimized", "prixfixe")},
    **{f"dream{kind}": {"length": 40} for kind in ("", "_cnn", "_rnn", "_attn")},
    "bhi": {"length": 40},
    "vaishnav": {"length": 40, "channels": 8, "hidden": 16},
}

# trees have no parameters until they are grown: test_trees.py
NETWORKS = [entry.name for entry in registry.list() if entry.parameters]


def test_the_printed_table_names_every_model():
    table = str(registry.list())
    assert all(entry.name in table for entry in registry.list())
    assert "129,224" in table


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_with_one_score_a_task(name):
    model = build(name, **TINY.get(name, {})).eval()
    spec, head = model.input_spec, model.target_spec
    x = torch.randn(2, spec.channels, spec.length)
    with torch.no_grad():
        assert head.score(model(x)).shape[:2] == (2, len(head.tasks))


@pytest.mark.parametrize("name", NETWORKS)
def test_checkpoint_gives_back_the_same_bits(name, tmp_path):
    torch.manual_seed(0)
    model = build(name, **TINY.get(name, {})).eval()
    again = checkpoints.load(checkpoints.save(model, tmp_path / "m.safetensors"))
    x = torch.randn(2, model.input_spec.channels, model.input_spec.length)
    with torch.no_grad():
        assert torch.equal(model(x), again(x))
    assert (again.name, again.input_spec, again.target_spec) == (
        model.name, model.input_spec, model.target_spec,
    )  # fmt: skip


def test_unknown_names_and_sizes_say_what_there_is():
    with pytest.raises(OptionError, match="did you mean 'tum_resnet'"):
        build("tum_resnett")
    with pytest.raises(OptionError, match="has no size width; it has length"):
        build("tum_resnet", width=3)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("tum_resnet", {"channels": 0}), ("tum_cnn", {"kernels": (21, 0)}), ("bpnet", {"tasks": 0}),
     ("legnet", {"length": -3}), ("nad", {"widths": [8, 0, 8, 8, 8]}), ("mt", {"hidden": "wide"}),
     ("bugf", {"heads": 2.0}), ("legnet", {"length": 10**12}), ("esm", {"layers": None}),
     ("tum_cnn", {"length": True}), ("lightgbm", {"leaves": float("nan")})],
)  # fmt: skip
def test_sizes_that_leave_nothing_are_refused_at_once(name, sizes):
    with pytest.raises(OptionError, match="expected whole numbers of 1 or more"):
        build(name, **sizes)


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("legnet", {"bilinear": "no"}, "bilinear='no'; expected True or False"),
        ("tum_cnn", {"kernels": 21}, "kernels=21; expected several, such as"),
        ("tum_cnn", {"kernels": "21"}, "kernels='21'; expected several"),
        ("tum_cnn", {"kernels": ()}, "expected several"),
        ("camformers", {"dropout": float("nan")}, "dropout=nan; expected numbers of 0 or more"),
        ("camformers", {"dropout": 2}, "cannot be built"),
        ("tum_resnet", {"act": 3}, "act=3; expected text, such as 'prelu'"),
        ("dream", {"first": "cnn"}, "first='cnn'; expected one of autosome, bhi"),
        ("bpnet", {"profile": "all"}, "profile='all'; expected a whole number"),
        ("nad", {"depths": (1, 1)}, "5 widths and 2 depths; expected 5 and 4"),
        ("deepstarr", {"kernels": (7, 3)}, "4 channels and 2 kernels"),
        ("vaishnav", {"heads": 7}, "heads=7 do not divide 64 channels"),
        ("lightgbm", {"decay": 1.5}, "decay=1.5; expected a number above 0 and up to 1"),
        ("lightgbm", {"window": 2}, "a window that holds a k-mer"),
        ("lightgbm", {"k": (), "bases": False, "composition": False}, "nothing to see"),
    ],
)
def test_sizes_of_another_kind_say_what_is_allowed(name, sizes, message):
    with pytest.raises(OptionError, match=message):
        build(name, **sizes)


def test_every_default_is_a_size_that_may_be_given():
    for entry in registry.list():
        with torch.device("meta"):
            assert build(entry.name, **entry.sizes).name == entry.name
