import json

import numpy as np
import pandas as pd
import pytest

import fastseq
from fastseq.errors import FormatError, MissingFileError
from fastseq.io.map_shards import write_shards
from fastseq.io.maps import Maps, write_maps
from fastseq.show.pages import of_variants, sections_of

RNG = np.random.default_rng(5)


def maps(method):
    values = RNG.normal(size=(3, 1, 4, 10)).astype(np.float32)
    codes = RNG.integers(0, 4, (3, 10), dtype=np.uint8)
    return Maps(("a", "b", "c"), codes, values * [[[[1]]], [[[9]]], [[[5]]]], 0, method)


def variants(n=8):
    y_ref = RNG.normal(size=n)
    diff = np.where(np.arange(n) == 3, np.nan, RNG.normal(size=n))
    return pd.DataFrame(
        {"chrom": "chr1", "pos": np.arange(n) + 1, "ref": "A", "alt": "G", "status": "ok",
         "y_ref": y_ref, "y_alt": y_ref + diff, "diff": diff}
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_maps(tmp_path / "ism.npz", maps("ism"))
    write_maps(tmp_path / "saliency.npz", maps("saliency"))
    variants().to_csv(tmp_path / "scores.tsv", sep="\t", index=False)
    predictions = pd.DataFrame({"name": list("abcd"), "y": [0.1, 2, 3, 4], "y_hat": [1.0, 2, 3, 5]})
    predictions.to_csv(tmp_path / "y.csv", index=False)
    kld = {"per_k": {"3": 0.1, "4": 0.2}, "null_per_k": {"3": [0.01, 0.02], "4": [0.02, 0.05]}}
    (tmp_path / "kld.json").write_text(json.dumps(kld))
    (tmp_path / "notes.txt").write_text("not a result")
    return tmp_path


def test_a_folder_shows_all_results_in_it(folder):
    titles = [section.title for section in sections_of([folder])]
    assert titles == [
        "ism: which bases matter", "kld: k-mer divergence", "saliency: which bases matter",
        "scores.tsv: variants", "y.csv: predictions",
    ]  # fmt: skip


def test_the_strongest_maps_are_drawn(folder):
    (section,) = sections_of([folder / "ism.npz"], examples=2)
    assert [caption for caption, _ in section.figures] == ["b", "c"]
    assert "2 of 3 sequences" in section.text


def test_shards_are_drawn_as_one_file_is(folder):
    whole = maps("ism")
    write_shards(folder / "runs/", whole.names, whole.codes, lambda rows: whole, {})
    (section,) = sections_of([folder / "runs"], examples=2)
    assert section.title == "runs: which bases matter"
    assert len(section.figures) == 2


def test_variants_are_listed_by_size_and_counted():
    section = of_variants("scores", variants())
    ((_, table),) = section.tables
    sizes = abs(table["diff"].to_numpy())
    assert np.isnan(sizes[-1])
    assert (np.diff(sizes[:-1]) <= 0).all()
    assert "8 alleles, 7 with an effect. 1 have none" in section.text


def test_variants_without_any_effect_are_a_table(tmp_path):
    section = of_variants("scores", variants().assign(diff=np.nan))
    assert section.figures == []


def test_what_is_no_result_is_refused(folder):
    with pytest.raises(FormatError, match="expected a checkpoint"):
        sections_of([folder / "notes.txt"])
    with pytest.raises(MissingFileError, match="absent"):
        sections_of([folder / "absent"])
    (folder / "kld.json").write_text("[]")
    with pytest.raises(FormatError, match="fastseq kld"):
        sections_of([folder / "kld.json"])
    (folder / "kld.json").write_text("{")
    with pytest.raises(FormatError, match="no JSON"):
        sections_of([folder])
    (folder / "empty").mkdir()
    with pytest.raises(FormatError, match="holds nothing"):
        sections_of([folder / "empty"])


def test_a_checkpoint_without_a_training_says_what_it_is(tmp_path):
    path = fastseq.models.save(
        fastseq.models.build("tum_cnn", length=40), tmp_path / "m.safetensors"
    )
    (section,) = sections_of([path])
    assert section.text == "It remembers no training."
    ((_, table),) = section.tables
    assert "tum_cnn" in table["value"]


def model_of_a_study(number):
    kld = {"weighted": {"3": number, "4": 2 * number}, "thresholded": {"6": 1 / (1 + number)}}
    first = "relu" if number % 2 else "exponential"
    return {"name": f"m.{number}", "first": first, "auroc": 0.9, "snr": 1.0 + number, "kld": kld}


def test_the_models_of_a_study_are_one_section_and_its_findings_another(tmp_path):
    for number in range(8):
        (tmp_path / f"m.{number}.json").write_text(json.dumps(model_of_a_study(number)))
    interval = {"value": 0.5, "low": 0.1, "high": 0.8}
    group = {
        "models": 8, "spearman with SNR": {"AUROC": interval}, "differences": {},
        "length weights": {"3": {"weight": 0.6, "sd": 0.1}, "4": {"weight": 0.4, "sd": 0.1}},
    }  # fmt: skip
    found = {"title": "eight models", "groups": {"all": group, "relu": {"models": 4}}}
    (tmp_path / "findings.json").write_text(json.dumps(found))
    models, findings = sections_of([tmp_path])
    assert models.text.startswith("8 models.")
    assert len(models.figures) == 2
    ((_, table),) = models.tables
    assert table["weighted"].tolist() == [1.5 * number for number in range(8)]
    assert findings.text == "eight models"
    assert [caption for caption, _ in findings.figures] == ["Length weights, all."]
    assert findings.tables[0][1] == [
        {"group": "all", "models": 8, "what": "AUROC", "kind": "spearman with SNR", **interval}
    ]


def test_an_evaluation_of_several_models_shows_all_of_it(tmp_path):
    subset = {"n": 9, "weight": 1.0, "r": 0.9, "r2": 0.81, "rho": 0.8}
    found = {
        "data": "d.tsv", "target": "y", "rows": 9, "pearson": 0.9,
        "challenge": {"pearson_score": 0.8, "spearman_score": 0.7, "missing": ["low"],
                      "notes": [], "subsets": {"all": subset}},
        "each": {"models": {"x/a": {"pearson": 0.9}, "x/b": {"pearson": 0.8}}, "weights": {},
                 "subsets": {"x/a": {"all": 0.81}, "x/b": {"all": 0.64}},
                 "bootstrap": {"pearson": {"draws": 9, "shares": [[1, 0], [0, 1]],
                                           "scores": [[0.7, 0.5], [0.8, 0.6], [0.9, 0.7]]}},
                 "correlations": {"names": ["x/a", "x/b"], "pearson": [[1, 0.5], [0.5, 1]]}},
    }  # fmt: skip
    (tmp_path / "judged.json").write_text(json.dumps(found))
    (section,) = sections_of([tmp_path / "judged.json"])
    captions = [caption for caption, _ in section.tables]
    assert captions == ["Of the prediction.", "Of the challenge.", "By subset.", "Of each model."]
    assert section.text.endswith("over the rest: low.")
    (_, heatmap), (_, ranks), (_, figure) = section.figures
    assert [text.get_text() for text in ranks.axes[0].get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in heatmap.axes[0].get_yticklabels()] == ["x/a", "x/b"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["a", "b"]


def test_several_divergences_are_lines_of_one_picture(tmp_path):
    row = {"method": "weighted", "total": 0.1, "per_k": {"3": 0.1, "4": 0.2}, "null_per_k": {}}
    rows = [{"maps": name, **row} for name in ("a", "b")]
    (tmp_path / "kld.json").write_text(json.dumps({"results": rows}))
    (section,) = sections_of([tmp_path / "kld.json"])
    ((_, figure),) = section.figures
    assert len(figure.axes[0].lines) >= 2
    assert section.tables[0][1]["k = 4"] == [0.2, 0.2]


def test_folds_stand_beside_each_other_and_answers_are_drawn_in_the_plane(tmp_path):
    table = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["y_hat_a", "y_hat_b", "y_hat_c"])
    table = table.assign(y=table["y_hat_a"], fold=["train"] * 30 + ["validation"] * 10)
    table.to_csv(tmp_path / "y.tsv", sep="\t", index=False)
    (section,) = sections_of([tmp_path / "y.tsv"])
    figures = dict(section.figures)
    titles = ["train, n = 30", "validation, n = 10"]
    assert [axes.get_title() for axes in figures["Kernel densities."].axes] == titles
    drawn = figures["3 answers of 40 sequences by t-SNE."]
    assert [axes.get_title() for axes in drawn.axes[:2]] == titles
    # a fold of one row has no density of its own
    table.assign(fold=["train"] * 39 + ["other"]).to_csv(tmp_path / "y.tsv", sep="\t", index=False)
    (section,) = sections_of([tmp_path / "y.tsv"])
    assert len(dict(section.figures)["Kernel densities."].axes) == 1


def test_counted_kmers_are_a_spectrum_and_the_most_frequent(tmp_path):
    (tmp_path / "kmers.tsv").write_text("kmer\tcount\nAA\t3\nNA\t1\nTT\t9\n")
    (section,) = sections_of([tmp_path / "kmers.tsv"])
    assert section.text == "3 different k-mers, 13 in all."
    assert [caption for caption, _ in section.figures] == ["How many k-mers occur how often."]
    assert section.tables[0][1]["kmer"].tolist() == ["TT", "AA", "NA"]


def test_predictions_of_several_models_are_correlated(tmp_path):
    table = pd.DataFrame({"name": list("abc"), "y": [1.0, 2, 3], "y_hat": [1.0, 2, 4],
                          "y_hat_m/a": [1.0, 2, 5], "y_hat_m/b": [2.0, 1, 5]})  # fmt: skip
    table.to_csv(tmp_path / "y.tsv", sep="\t", index=False)
    (section,) = sections_of([tmp_path / "y.tsv"])
    assert section.figures[-1][0] == "Correlation of the answers."
