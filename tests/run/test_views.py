import warnings

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import FastseqWarning, OptionError
from fastseq.models.specs import TargetSpec
from fastseq.run import views as viewed
from fastseq.run.views import Views
from fastseq.sequence.edits import Edits


def plans(count=2, length=12):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(nn.Sequential(nn.Flatten(), nn.Linear(4 * length, 2), nn.ELU()))
    return [fastseq.lower(model, length=length) for model in made]


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(0, 5, (5, 20)).astype(np.uint8)


def test_views_are_the_plain_mean(rows):
    views = Views("both", (-2, 0, 3))
    each = [
        plan.predict(rows[:, 4 + shift : 16 + shift], strand=strand)
        for plan in plans() for strand in "+-" for shift in (-2, 0, 3)
    ]  # fmt: skip
    found = viewed.predict(plans(), rows, views, left=4, length=12)
    np.testing.assert_allclose(found, np.mean(each, 0, dtype=float), rtol=1e-6)


def test_effects_are_means_and_spreads_over_views(rows):
    views = Views("both", (-2, 0, 3))
    edits = Edits.substitutions(rows, 8, 11)
    each = [
        plan.effects(rows, edits, left=4 + shift, length=12, strand=strand)[1]
        for plan in plans() for strand in "+-" for shift in (-2, 0, 3)
    ]  # fmt: skip
    found = viewed.effects(plans(), rows, edits, views, left=4, length=12)
    np.testing.assert_allclose(found.deltas, np.mean(each, 0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.sd, np.std(each, 0), rtol=1e-4, atol=1e-7)
    predicted = viewed.predict(plans(), rows, views, left=4, length=12)
    np.testing.assert_allclose(found.y_ref, predicted, rtol=1e-6)


def test_a_single_view_has_no_spread(rows):
    found = viewed.effects(plans(1), rows, Edits.substitutions(rows, 4, 6), Views(), length=12)
    assert (found.sd == 0).all()


def test_strands_never_trained_on_are_warned_of():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    model.target_spec = TargetSpec(reverse_complement=False)
    plan = fastseq.lower(model, length=12)
    with pytest.warns(FastseqWarning, match="forward strands only"):
        Views("both").warn_untrained_strands([plan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Views("forward").warn_untrained_strands([plan])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strands": "reverse"}, "'forward' or 'both'"),
        ({"shifts": ()}, "at least one"),
        ({"shifts": (1, 1)}, "each once"),
    ],
)
def test_impossible_views_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        Views(**options)
