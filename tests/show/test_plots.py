import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fastseq.errors import ShapeError, TableError
from fastseq.show import plots
from fastseq.show.canvas import to_svg

RNG = np.random.default_rng(22)
CODES = np.array([0, 1, 2, 3, 4, 3, 2, 1], np.uint8)
MAPS = RNG.normal(size=(4, 8))
HISTORY = [
    {"epoch": i, "loss": 1 / i, "val_loss": 1.2 / i, "auroc": 1 - 0.4 / i} for i in (1, 2, 3)
]
VARIANTS = {
    "pos": np.array([10, 20, 30, 40]),
    "ref": np.array(["A", "AT", "C", "AC"], object),
    "alt": np.array(["G", "A", "CTT", "GT"], object),
    "y_ref": np.array([0.0, 1.0, 2.0, 3.0]),
    "y_alt": np.array([1.0, 0.5, 2.5, np.nan]),
    "diff": np.array([1.0, -0.5, 0.5, np.nan]),
    "where": np.array(["inside", "outside", "inside", "inside"]),
}
PICTURES = {
    "logos": lambda: plots.logos(CODES, MAPS, spans=[(1, 4, "MAX"), (5, 7)], title="a title"),
    "ism_heatmap": lambda: plots.ism_heatmap(CODES, MAPS, start=17),
    "training_curve": lambda: plots.training_curve(HISTORY),
    "predicted_against_measured": lambda: plots.predicted_against_measured(MAPS[0], MAPS[1]),
    "score_densities": lambda: plots.score_densities(MAPS.ravel(), np.arange(32) % 2),
    "variant_lollipops": lambda: plots.variant_lollipops(VARIANTS, spans=[(12, 18, "SP1")]),
    "variant_effects": lambda: plots.variant_effects(VARIANTS, group="where"),
    "kld_bars": lambda: plots.kld_bars({3: 0.1, 4: 0.2}, {3: np.array([0.01, 0.02]), 4: 0.03}),
    "matrix": lambda: plots.matrix(np.corrcoef(MAPS), list("abcd"), label="r"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_the_same_svg_each_time(name):
    first, second = (to_svg(PICTURES[name]()) for _ in range(2))
    assert first == second
    root = ET.fromstring(first)
    assert root.tag.endswith("svg")
    # nothing is fetched: what is drawn is in the file
    links = {value for node in root.iter() for key, value in node.items() if key.endswith("href")}
    assert all(link.startswith(("#", "data:")) for link in links)


def test_pictures_never_import_pyplot(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # an import of it would fail
    for picture in PICTURES.values():
        picture()


def test_heat_map_shows_the_effects_and_marks_the_reference():
    figure = plots.ism_heatmap(CODES, MAPS)
    panel = figure.axes[1]
    np.testing.assert_array_equal(panel.images[0].get_array(), MAPS)
    marks = panel.lines[0].get_xydata()
    known = CODES < 4
    np.testing.assert_array_equal(marks, np.stack([np.nonzero(known)[0], CODES[known]], axis=1))
    low, high = panel.images[0].get_clim()
    assert low == -high == -abs(MAPS).max()


def test_training_curve_marks_the_lowest_validation_loss():
    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.5, 1.8]}
    (axes,) = plots.training_curve(history).axes
    assert axes.lines[-1].get_xydata().tolist() == [[2.0, 1.5]]


def test_density_leaves_out_what_is_not_finite_and_says_so():
    y = np.array([0.0, 1.0, 2.0, np.nan])
    figure = plots.predicted_against_measured(y, y, title="held out")
    assert figure.axes[0].get_title() == "held out: r = 1.000, n = 3, 1 not finite"


def test_density_of_a_constant_prediction_has_no_correlation():
    figure = plots.predicted_against_measured(np.arange(5.0), np.ones(5))
    assert "undefined" in figure.axes[0].get_title()


def test_lollipops_leave_out_variants_without_a_value():
    (axes,) = plots.variant_lollipops(VARIANTS).axes
    heads = np.concatenate(
        [line.get_xydata() for line in axes.lines if line.get_marker() in "o^vs"]
    )
    assert sorted(heads.tolist()) == [[10.0, 1.0], [20.0, -0.5], [30.0, 0.5]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plots.logos(CODES, MAPS[:, :5]), ShapeError, "expected"),
        (lambda: plots.ism_heatmap(CODES[:0], MAPS), ShapeError, "l=0"),
        (lambda: plots.training_curve([]), TableError, "no column loss; it has none"),
        (lambda: plots.training_curve({"los": [1]}), TableError, "it has los"),
        (lambda: plots.predicted_against_measured(MAPS[0], MAPS[0, :3]), ShapeError, "n=8"),
        (lambda: plots.predicted_against_measured([np.nan], [1.0]), ShapeError, "0 of 1 pairs"),
        (lambda: plots.variant_lollipops({"pos": [1]}), TableError, "no column ref, alt, diff"),
        (lambda: plots.matrix(np.eye(3), ["a", "b"]), ShapeError, "row=2"),
    ],
)
def test_a_result_that_is_none_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_lollipops_refuse_a_table_without_values():
    table = VARIANTS | {"diff": np.full(4, np.nan)}
    with pytest.raises(TableError, match="no variant has a finite diff"):
        plots.variant_lollipops(table)
