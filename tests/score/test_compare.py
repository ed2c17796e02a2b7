"""Tables that differ in one known way are joined, and the way is named."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fastseq.errors import TableError
from fastseq.io.results import ResultFolder
from fastseq.score.compare import compare


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ref = rng.choice(list("ACGT"), 200)
    alt = np.array(["CGTA"["ACGT".index(base)] for base in ref], object)
    alt[150:] = ref[150:].astype(object) + "GG"
    score = rng.normal(size=200)
    columns = {"chrom": "chr1", "pos": 10 * np.arange(1, 201), "ref": ref, "alt": alt}
    return pd.DataFrame({**columns, "flags": "", "diff": score})


def test_equal_tables_agree(table, tmp_path):
    table.to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    found = compare(table, tmp_path / "b.tsv")
    assert (found.only_a, found.only_b, len(found.joined)) == (0, 0, 200)
    assert found.classes.loc["all"].pearson == pytest.approx(1)
    assert found.joined.kind.value_counts().to_dict() == {"SNV": 150, "insertion": 50}
    assert len(found.explain().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "how", "words"),
    [
        (lambda t: t.assign(ref=t.alt, alt=t.ref, diff=-t["diff"]), "swapped",
         "REF and ALT exchanged"),
        (lambda t: t.assign(chrom="1"), "chr prefix", "differ in the chr prefix"),
        (lambda t: t.assign(pos=t.pos - 1), "pos - 1", "a 0-based and a 1-based table"),
    ],
)  # fmt: skip
def test_other_ways_of_writing_are_named(table, change, how, words):
    found = compare(table, change(table))
    assert set(found.joined.how) == {how}
    assert found.classes.loc["all"].pearson == pytest.approx(1)
    assert f"200 rows {words}" in found.explain().replace("have ", "").replace(
        "stand one base earlier in B: ", ""
    )


def test_other_scales_are_named(table):
    found = compare(table, table.assign(diff=table["diff"] * np.log(2)))
    assert "b is ln 2 times a" in found.explain()
    found = compare(table, table.assign(diff=-table["diff"]))
    assert "b is -a: one table is REF minus ALT" in found.explain()


def test_runs_of_other_settings_are_told_apart(table, tmp_path):
    common = {"models": ["1a"], "length": 80}
    for name, anchor in (("a", 40), ("b", 39)):
        run = ResultFolder(tmp_path / name, {**common, "anchor": anchor, "batch": anchor})
        run.write(0, pa.Table.from_pandas(table), {"ok": len(table)})
        run.finish(1)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.settings == {"anchor": (40, 39)}
    assert "other anchor: 40 in A, 39 in B" in found.explain()
    assert compare(tmp_path / "a", table).settings == {}


def test_a_class_that_disagrees_is_named(table):
    other = table.copy()
    noise = np.random.default_rng(1).normal(size=50)
    other.loc[150:, "diff"] += noise
    other.loc[150:, "flags"] = "padded"
    lines = compare(other, table).explain().splitlines()
    assert any(line.startswith("insertion: Pearson 0.") for line in lines)
    assert any(line.startswith("padded: Pearson 0.") for line in lines)


def test_normal_forms_are_tried(table):
    ours = table.iloc[:1].assign(pos=11, ref="CA", alt="C", norm_pos=9, norm_ref="TC", norm_alt="T")
    theirs = table.iloc[:1].assign(pos=9, ref="TC", alt="T")
    assert compare(ours, theirs).joined.how.tolist() == ["normalised"]


def test_nothing_in_common_and_no_score(table):
    found = compare(table, table.assign(pos=table.pos + 5))
    assert found.explain().startswith("no variant in common (200 rows in A, 200 in B)")
    with pytest.raises(TableError, match="A: no column pos; it has chrom"):
        compare(table.drop(columns="pos"), table)
    with pytest.raises(TableError, match="B: no score diff, log2fc, score, effect; it has chrom"):
        compare(table, table.drop(columns="diff"))
    with pytest.raises(TableError, match="A: no score other"):
        compare(table, table, column_a="other")
