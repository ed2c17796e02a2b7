import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import PrecisionError
from fastseq.run.precision import check_precision
from fastseq.run.views import Views
from fastseq.sequence.edits import Edits


def plan(bias, precision):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 18, 1))
    nn.init.constant_(model[3].bias, bias)
    return fastseq.lower(model, length=20, precision=precision)


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(0, 4, (4, 20), dtype=np.uint8)


def test_float32_has_nothing_to_report(rows):
    edits = Edits.substitutions(rows)
    assert check_precision([plan(0.0, "float32")], rows, edits, Views()) is None


def test_bfloat16_is_measured_against_float32(rows):
    report = check_precision([plan(0.0, "bfloat16")], rows, Edits.substitutions(rows), Views())
    assert 0 < report.error < 0.05
    assert report.pearson > 0.999
    assert report.large_flips == 0
    assert report.edits == 240


def test_effects_that_drown_are_refused(rows):
    drowned = plan(1e4, "bfloat16")
    with pytest.raises(PrecisionError, match="use precision='float32'"):
        check_precision([drowned], rows, Edits.substitutions(rows), Views())
    with pytest.raises(PrecisionError):
        fastseq.saturation_mutagenesis(drowned, rows)


def test_mutagenesis_carries_the_report(rows):
    found = fastseq.saturation_mutagenesis(plan(0.0, "bfloat16"), rows)
    assert found.precision.precision == "bfloat16"
