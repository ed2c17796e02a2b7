"""Signal to noise: the definition on small cases, its compatible form, and refused input."""

import math

import numpy as np
import pytest

from fastseq.errors import DTypeError, FastseqError, MapError, OptionError, ShapeError
from fastseq.reliability.snr import (
    by_sequence,
    masks_from_information,
    masks_from_spans,
    signal_to_noise,
)
from fastseq.sequence.motifs import jaspar
from fastseq.sequence.simulate import simulate_motif_task


def case(n=6, length=60, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (n, length), dtype=np.uint8)
    maps = random.normal(size=(n, 4, length)).astype(np.float32)
    motif = np.zeros((n, length), bool)
    motif[:, 20:30] = True
    return codes, maps, motif


def slowly(codes, maps, motif, background, top):
    ratios = []
    for row, bases in enumerate(codes):
        scores = [maps[row, base, i] if base < 4 else 0.0 for i, base in enumerate(bases)]
        signal = np.mean([s for s, inside in zip(scores, motif[row]) if inside])
        outside = sorted((s for s, at in zip(scores, background[row]) if at), reverse=True)[:top]
        noise = np.mean([max(0, s) for s in outside])
        ratios.append(signal / noise)
    return np.mean(ratios)


@pytest.mark.parametrize("top", [1, 10, 20])
def test_maps_equal_the_definition(top):
    codes, maps, motif = case()
    codes[2, 5:25] = 4
    background = ~motif
    background[:, :3] = False
    expected = slowly(codes, maps, motif, background, top)
    assert signal_to_noise(codes, maps, motif, background, top=top) == pytest.approx(expected)
    whole = motif.astype(int), background.astype(np.uint8)
    assert signal_to_noise(codes, maps, *whole, top=top) == pytest.approx(expected)


def test_ready_scores_are_the_observed_gradient():
    codes, maps, motif = case()
    observed = np.take_along_axis(maps, codes[:, None].astype(int), 1)[:, 0]
    assert signal_to_noise(codes, observed, motif) == signal_to_noise(codes, maps, motif)


def test_few_positive_background_scores():
    codes, _, motif = case(n=2)
    scores = np.where(motif, 2.0, -1.0)
    scores[0, 0] = 5.0
    found = by_sequence(codes, scores, motif)
    assert found.ratios[0] == pytest.approx(2 / 0.5)
    assert math.isinf(found.ratios[1])
    assert (found.mean, found.n_kept, found.n_without_noise) == (4.0, 1, 1)
    assert signal_to_noise(codes, scores, motif, compat="tfomics") == 0
    scores[0, :10] = 5.0
    assert signal_to_noise(codes, scores, motif, compat="tfomics") == pytest.approx(0.4 / 2)


def test_rows_without_truth_are_left_out_and_counted():
    codes, maps, motif = case()
    motif[1] = False
    motif[3] = True
    found = by_sequence(codes, maps, motif)
    assert (found.n_kept, found.n_without_truth) == (4, 2)
    assert np.isnan(found.ratios[[1, 3]]).all()
    motif[:] = False
    assert math.isnan(signal_to_noise(codes, maps, motif))
    assert math.isnan(signal_to_noise(codes[:0], maps[:0], motif[:0]))


def test_scale_does_not_matter():
    codes, maps, motif = case()
    assert signal_to_noise(codes, maps * 1024, motif) == pytest.approx(
        signal_to_noise(codes, maps, motif), rel=1e-6
    )


def test_masks():
    task = simulate_motif_task(n=50)
    motif, background = masks_from_information(task.information)
    np.testing.assert_array_equal(motif, task.motif_mask)
    np.testing.assert_array_equal(background, task.background_mask)
    planted = masks_from_spans(task.spans, 50, 200, motifs=jaspar())
    np.testing.assert_array_equal(planted, (motif, background))
    with pytest.raises(OptionError, match="no such matrix"):
        masks_from_spans(task.spans, 50, 200, motifs=jaspar()[:1])
    with pytest.raises(OptionError, match="need the fields"):
        masks_from_spans(np.array([[0, 1, 3]]), 50, 200, motifs=jaspar())
    inside, outside = masks_from_spans(task.spans, 50, 200)
    np.testing.assert_array_equal(outside, background)
    np.testing.assert_array_equal(inside | outside, np.ones_like(inside))
    plain, _ = masks_from_spans(np.array([[0, -3, 2], [1, 8, 99], [0, 1, 4]]), 2, 10)
    np.testing.assert_array_equal(np.flatnonzero(plain[0]), [0, 1, 2, 3])
    np.testing.assert_array_equal(np.flatnonzero(plain[1]), [8, 9])
    with pytest.raises(OptionError, match="rows up to 2"):
        masks_from_spans(np.array([[2, 0, 1]]), 2, 10)


def test_corrected_maps_are_refused():
    codes, maps, motif = case()
    with pytest.raises(OptionError, match="gradient-corrected"):
        signal_to_noise(codes, maps - maps.mean(1, keepdims=True), motif)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"top": 0}, OptionError, "top=0"),
        ({"compat": "acme"}, OptionError, "tfomics"),
        ({"motif_mask": np.zeros((6, 59), bool)}, ShapeError, "motif_mask"),
        ({"motif_mask": np.zeros((6, 60))}, DTypeError, "motif_mask"),
        ({"background_mask": np.ones((6, 60), bool)}, OptionError, "both motif and background"),
        ({"attributions": np.zeros((6, 60, 4))}, ShapeError, "attributions"),
        ({"attributions": np.zeros(60)}, ShapeError, "attributions"),
    ],
)
def test_hostile_input(change, error, message):
    codes, maps, motif = case()
    arguments = {"seqs": codes, "attributions": maps, "motif_mask": motif, **change}
    with pytest.raises(error, match=message):
        signal_to_noise(**arguments)


def test_maps_that_are_not_finite():
    codes, maps, motif = case()
    maps[4, 1, 1] = np.nan
    with pytest.raises(MapError, match="row 4"):
        signal_to_noise(codes, maps, motif)


@pytest.mark.parametrize("top", [0, -1, 2.5, None, "9"])
def test_top_is_a_whole_number(top):
    with pytest.raises(OptionError, match="top="):
        signal_to_noise(*case(), top=top)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_numbers(dtype):
    codes, maps, motif = case()
    expected = signal_to_noise(codes, maps, motif)
    largest = (maps.astype(np.float64) / np.abs(maps).max() * 0.99).astype(dtype)
    largest = largest * np.finfo(dtype).max
    if dtype == np.float64:
        with pytest.raises(MapError, match="row 0 .* sum overflows"):
            signal_to_noise(codes, largest, motif)
    else:
        assert signal_to_noise(codes, largest, motif) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("spans", "n", "error"),
    [
        (None, 2, FastseqError), ("x", 2, FastseqError), (np.zeros((1, 3)), 2, DTypeError),
        (np.zeros((1, 2), int), 2, ShapeError), (np.array([[-1, 0, 1]]), 2, OptionError),
        (np.zeros(1, [("a", int)]), 2, FastseqError), (np.zeros((0, 3), int), -1, OptionError),
        (np.zeros((0, 3), int), 1.5, OptionError),
    ],
)  # fmt: skip
def test_spans_that_are_none(spans, n, error):
    with pytest.raises(error):
        masks_from_spans(spans, n, 10)


def test_spans_of_any_kind():
    for spans in ([(0, 1, 3)], np.array([[0, 1, 3]], np.uint64), np.array([[0, 1, 3]], np.int8)):
        np.testing.assert_array_equal(np.flatnonzero(masks_from_spans(spans, 1, 5)[0]), [1, 2])
    assert not masks_from_spans(np.array([[0, 3, 1]]), 1, 5)[0].any()
