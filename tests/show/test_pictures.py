import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import fastseq
from fastseq import show
from fastseq.errors import OptionError, ShapeError, TableError
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
FOLDS = np.array(["train", "validation"] * 4)
RANKED = np.array([[2.0, 1.0], [3.0, 2.0], [1.0, 2.0], [2.0, 1.0]])
PICTURES = {
    "logos": lambda: show.logos(CODES, MAPS, spans=[(1, 4, "MAX"), (5, 7)], title="a title"),
    "ism_heatmap": lambda: show.ism_heatmap(CODES, MAPS, start=17),
    "training_curve": lambda: show.training_curve(HISTORY),
    "predicted_against_measured": lambda: show.predicted_against_measured(MAPS[0], MAPS[1]),
    "score_densities": lambda: show.score_densities(MAPS.ravel(), np.arange(32) % 2),
    "variant_lollipops": lambda: show.variant_lollipops(VARIANTS, spans=[(12, 18, "SP1")]),
    "variant_effects": lambda: show.variant_effects(VARIANTS, group="where"),
    "kld_bars": lambda: show.kld_bars({3: 0.1, 4: 0.2}, {3: np.array([0.01, 0.02]), 4: 0.03}),
    "kld_lines": lambda: show.kld_lines({"a": {3: 0.1, 4: 0.2}, "b": {3: 0.2, 4: np.nan}}),
    "correlation_matrix": lambda: show.correlation_matrix(np.corrcoef(MAPS), list("abcd")),
    "subset_heatmap": lambda: show.subset_heatmap({"a": {"all": 0.5, "low": 0.1}, "b": {"all": 1}}),
    "rank_distributions": lambda: show.rank_distributions(RANKED, ["best", "worst"]),
    "expression_densities": lambda: show.expression_densities(MAPS[0], MAPS[1], FOLDS),
    "embedding": lambda: show.embedding(MAPS.T.copy(), np.arange(8.0), FOLDS),
    "length_weights": lambda: show.length_weights({3: 0.6, 6: 0.4}, {3: 0.1, 6: 0.1}),
    "kld_against_snr": lambda: show.kld_against_snr(MAPS[0], np.exp(MAPS[1]), FOLDS),
    "kmer_spectrum": lambda: show.kmer_spectrum({"a": np.arange(64), "b": np.ones(64, int)}),
    "kmer_frequencies": lambda: show.kmer_frequencies(np.arange(64), np.ones(64)),
    "allele_logos": lambda: show.allele_logos(
        CODES, CODES[:6], MAPS[0], MAPS[0, :6], at=2, ref_length=3, lost=[(1, 5, "MAX+ 4.0")]
    ),
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
    figure = show.ism_heatmap(CODES, MAPS)
    panel = figure.axes[1]
    np.testing.assert_array_equal(panel.images[0].get_array(), MAPS)
    marks = panel.lines[0].get_xydata()
    known = CODES < 4
    np.testing.assert_array_equal(marks, np.stack([np.nonzero(known)[0], CODES[known]], axis=1))
    low, high = panel.images[0].get_clim()
    assert low == -high == -abs(MAPS).max()


def test_labels_of_neighbouring_spans_stand_one_above_the_other():
    spans = [(0, 2, "a motif of a long name"), (6, 8, "YY1"), (1, 3, "NFYA")]
    panel = show.logos(CODES, MAPS, spans=spans).axes[0]
    heights = {text.get_text(): text.xyann[1] for text in panel.texts}
    assert heights == {"a motif of a long name": 0, "NFYA": 8, "YY1": 0}


def test_training_curve_marks_the_lowest_validation_loss():
    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.5, 1.8]}
    (axes,) = show.training_curve(history).axes
    assert axes.lines[-1].get_xydata().tolist() == [[2.0, 1.5]]


def test_density_leaves_out_what_is_not_finite_and_says_so():
    y = np.array([0.0, 1.0, 2.0, np.nan])
    figure = show.predicted_against_measured(y, y, title="held out")
    assert figure.axes[0].get_title() == "held out: r = 1.000, n = 3, 1 not finite"


def test_density_of_a_constant_prediction_has_no_correlation():
    figure = show.predicted_against_measured(np.arange(5.0), np.ones(5))
    assert "undefined" in figure.axes[0].get_title()


def test_lollipops_leave_out_variants_without_a_value():
    (axes,) = show.variant_lollipops(VARIANTS).axes
    heads = np.concatenate(
        [line.get_xydata() for line in axes.lines if line.get_marker() in "o^vs"]
    )
    assert sorted(heads.tolist()) == [[10.0, 1.0], [20.0, -0.5], [30.0, 0.5]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: show.logos(CODES, MAPS[:, :5]), ShapeError, "expected"),
        (lambda: show.ism_heatmap(CODES[:0], MAPS), ShapeError, "l=0"),
        (lambda: show.training_curve([]), TableError, "no column loss; it has none"),
        (lambda: show.training_curve({"los": [1]}), TableError, "it has los"),
        (lambda: show.predicted_against_measured(MAPS[0], MAPS[0, :3]), ShapeError, "n=8"),
        (lambda: show.predicted_against_measured([np.nan], [1.0]), ShapeError, "0 of 1 pairs"),
        (lambda: show.variant_lollipops({"pos": [1]}), TableError, "no column ref, alt, diff"),
        (lambda: show.correlation_matrix(np.eye(3), ["a", "b"]), ShapeError, "row=2"),
        (lambda: show.subset_heatmap({}), ShapeError, "at least one model"),
        (lambda: show.rank_distributions(RANKED, ["one"]), ShapeError, "model=1"),
        (lambda: show.embedding(MAPS[:, :3].T.copy(), np.arange(3)), ShapeError, "needs four"),
        (lambda: show.kld_against_snr(np.full(3, np.nan), np.ones(3)), ShapeError, "no model"),
        (lambda: show.kmer_spectrum({"a": np.zeros(4, int)}), ShapeError, "a: no k-mer occurs"),
        (lambda: show.kmer_frequencies(np.ones(60), np.ones(60)), ShapeError, "a power of 4"),
        (lambda: show.kmer_frequencies(np.ones(64), np.zeros(64)), ShapeError, "sums to 0"),
        (lambda: show.allele_logos(CODES, CODES, MAPS[0], MAPS[0, :3], at=2), ShapeError, "l=8"),
    ],
)
def test_a_result_that_is_none_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_lollipops_refuse_a_table_without_values():
    table = VARIANTS | {"diff": np.full(4, np.nan)}
    with pytest.raises(TableError, match="no variant has a finite diff"):
        show.variant_lollipops(table)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_picture_is_saved_as_its_name_says(tmp_path, ending):
    path = show.save(PICTURES["kld_bars"](), tmp_path / f"kld.{ending}")
    starts = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[ending])
    with pytest.raises(OptionError, match="ending in .pdf, .png, .svg"):
        show.save(PICTURES["kld_bars"](), tmp_path / "kld.gif")


def test_an_embedding_takes_the_plane_as_it_is_and_all_rows_share_it():
    points = RNG.normal(size=(6, 2))
    panels = show.embedding(points, np.arange(6) % 2, np.array(list("aabbbb"))).axes
    drawn = [np.concatenate([c.get_offsets() for c in panel.collections]) for panel in panels]
    assert [len(found) for found in drawn] == [2, 4]
    assert {*map(tuple, np.concatenate(drawn))} == {*map(tuple, points)}


def test_ranks_are_shares_of_the_draws_best_on_top():
    left = show.rank_distributions(RANKED[:, ::-1].copy(), ["worst", "best"]).axes[0]
    np.testing.assert_array_equal(left.images[0].get_array(), [[0.75, 0.25], [0.25, 0.75]])
    assert [label.get_text() for label in left.get_yticklabels()] == ["best", "worst"]


def test_shares_of_kmers_sum_to_the_divergence():
    p, q = np.arange(1.0, 65), np.ones(64)
    _, bars = show.kmer_frequencies(p, q, top=64).axes
    p, q = p / p.sum(), q / q.sum()
    kld = float((p * np.log(p / q)).sum())
    assert sum(bar.get_width() for bar in bars.patches) == pytest.approx(kld)
    assert bars.get_xlabel() == f"share of {kld:.3g} nats"
    assert bars.get_yticklabels()[0].get_text() == "TTT"


def test_a_spectrum_counts_different_kmers_by_occurrence():
    (axes,) = show.kmer_spectrum({"a": np.array([1, 1, 1, 2, 0, 5])}).axes
    assert axes.lines[0].get_xydata().tolist() == [[1, 3], [2, 1], [5, 1]]


@pytest.mark.parametrize("name", ["tum_resnet", "bpnet"])
def test_a_diagram_has_a_box_for_every_step(name):
    plan = fastseq.lower(fastseq.models.build(name, length=64), length=64)
    (axes,) = show.network_diagram(plan).axes
    texts = [text.get_text() for text in axes.texts]
    steps = plan.explain().splitlines()[1:-1]
    boxes = [patch for patch in axes.patches if type(patch).__name__ == "FancyBboxPatch"]
    assert len(boxes) == len(steps) + 2
    assert texts[0] == "codes"
    assert any(text.startswith("conv of") for text in texts)
    # every box but the first is led to
    assert len(axes.patches) - len(boxes) >= len(boxes) - 1


def test_a_plan_that_was_not_lowered_has_no_diagram():
    plan = fastseq.lower(fastseq.models.build("tum_cnn", length=40), length=40)
    plan.graph, plan.unlowered = None, "a small job"
    with pytest.raises(ShapeError, match="a small job"):
        show.network_diagram(plan)
