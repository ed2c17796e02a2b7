import json
from pathlib import Path

import pandas as pd
import pysam
import pytest

from fastseq.io.results import read_results
from tests.cli.conftest import frame, one_line, parsed

GENOME = "ACGTTGCATTAGCCGATTACAGGCTTAACGTCGATCGGATTACCAGGTTAACCGGATATCGCGTAAGCTTGCAACGTTAGC"


@pytest.fixture
def scores(run, model):
    """Return a folder of the scores of v.vcf: 20 substitutions and an insertion."""
    Path("g.fa").write_text(f">chr1\n{GENOME}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=80>",
             "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]  # fmt: skip
    for pos in range(25, 45):
        ref = GENOME[pos - 1]
        alt = "A" if ref != "A" else "C"
        alts = f"{alt},{ref}GG" if pos == 35 else alt
        lines.append(f"chr1\t{pos}\t.\t{ref}\t{alts}\t.\t.\t.")
    Path("v.vcf").write_text("\n".join(lines) + "\n")
    done = run("score", "-m", model, "--vcf", "v.vcf", "--fasta", "g.fa", "-o", "scores",
               "--shard", 8, "-q")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return "scores"


@pytest.mark.parametrize("name", ["y.tsv", "y.csv.gz", "y.parquet", "-"])
def test_export_writes_all_parts_as_one_table(run, scores, name):
    told = run("export", scores, name)
    assert told.exit_code == 0, told.stderr
    assert "21 rows" in told.stderr
    expected = read_results(scores)
    if name == "-":
        found = frame(told)
    elif name.endswith("parquet"):
        found = pd.read_parquet(name)
    else:
        found = pd.read_csv(name, sep=None, engine="python")
    assert found.columns.tolist() == expected.columns.tolist()
    assert found["diff"].tolist() == pytest.approx(expected["diff"].tolist(), rel=1e-5)


def test_annotate_writes_the_vcf_again(run, scores):
    told = run("annotate", scores, "v.vcf", "w.vcf.gz")
    assert told.exit_code == 0, told.stderr
    assert "20 records are in w.vcf.gz" in told.stderr
    with pysam.VariantFile("w.vcf.gz") as file:
        found = [value for record in file for value in record.info["FS_DIFF"]]
    assert found == pytest.approx(read_results(scores)["diff"].tolist(), rel=1e-5)
    assert Path("w.vcf.gz.tbi").exists()


def test_compare_of_a_folder_with_its_own_export(run, scores):
    assert run("export", scores, "y.tsv", "-q").exit_code == 0
    told = run("compare", scores, "y.tsv", "-o", "joined.tsv")
    assert told.stdout.startswith("21 rows joined, 0 only in A, 0 only in B; Pearson 1.0000")
    assert "\nclass\trows\tpearson" in told.stdout
    assert len(pd.read_csv("joined.tsv", sep="\t")) == 21
    found = parsed(run("compare", scores, "y.tsv", "--json"))
    assert (found["joined"], found["only_a"], found["only_b"]) == (21, 0, 0)
    assert found["how"] == {"same": 21}
    assert found["classes"]["SNV"]["rows"] == 20
    assert found["classes"]["insertion"]["pearson"] is None  # one row has no correlation


def test_compare_takes_the_named_score_and_tells_of_a_turned_sign(run, scores):
    table = read_results(scores)
    table.assign(delta=-table["diff"]).drop(columns="diff").to_csv("b.csv", index=False)
    told = run("compare", scores, "b.csv", "--column-b", "delta").stdout
    assert "b is -a: one table is REF minus ALT" in told
    assert "no score epsilon" in one_line(run("compare", scores, "b.csv", "--column-b", "epsilon"))


def test_tables_without_a_common_variant_are_an_error(run, scores):
    Path("b.tsv").write_text("chrom\tpos\tref\talt\tscore\nchr9\t5\tA\tC\t0.5\n")
    result = run("compare", scores, "b.tsv", "-o", "joined.tsv")
    assert "no variant in common" in one_line(result)
    assert not Path("joined.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "absent", "y.tsv"], "expected a folder of results"),
        (["export", "scores", "y.xlsx"], "ending in .tsv"),
        (["export", "scores", "none/y.tsv"], "none/y.tsv"),
        (["export", "partial", "y.tsv"], "--resume"),
        (["annotate", "absent", "v.vcf", "w.vcf"], "expected a folder of results"),
        (["annotate", "scores", "v.vcf", "w.bcf"], "ending in .vcf"),
        (["annotate", "scores", "v.vcf", "./v.vcf"], "would be replaced"),
        (["annotate", "scores", "absent.vcf", "w.vcf"], "absent.vcf: no such file"),
        (["annotate", "scores", "short.vcf", "w.vcf"], "score this file"),
        (["annotate", "scores", "empty.bcf", "w.vcf"], "fewer alleles than the scores"),
        (["compare", "scores", "absent.tsv"], "absent.tsv"),
        (["compare", "scores", "v.vcf"], "v.vcf"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_no_file(run, scores, arguments, message):
    Path("short.vcf").write_text("".join(Path("v.vcf").read_text().splitlines(True)[:-1]))
    Path("partial").mkdir()
    Path("partial/manifest.json").write_text(json.dumps({"complete": False}))
    with pysam.VariantFile("v.vcf") as text:
        pysam.VariantFile("empty.bcf", "wb", header=text.header).close()
    before = {path.name for path in Path().iterdir()}
    result = run(*arguments)
    assert message in one_line(result)
    assert result.stdout == ""
    assert {path.name for path in Path().iterdir()} == before
