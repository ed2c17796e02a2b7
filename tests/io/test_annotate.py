"""An annotated VCF says what the table says, and nothing else changes."""

import pyarrow as pa
import pytest

from fastseq.errors import FastseqWarning, FormatError
from fastseq.io.annotate import annotate_vcf

pysam = pytest.importorskip("pysam")

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=c,length=99>\n"
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="d">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
BODY = "c\t7\trs1\tA\tC,<DEL>\t.\t.\tDB\nc\t9\t.\tG\tT\t.\t.\t.\n"


def scores() -> list[pa.Table]:
    return [
        pa.table({
            "chrom": ["c"] * 3, "pos": [7, 7, 9], "id": ["rs1", "rs1", "."], "ref": ["A", "A", "G"],
            "alt": ["C", "<DEL>", "T"], "norm_pos": [7, None, 9],
            "status": ["ok", "symbolic", "ok"], "flags": ["padded,n_in_window", "", ""],
            "diff": pa.array([0.25, float("nan"), -1e-7], pa.float32()),
        })
    ]  # fmt: skip


def test_every_allele_gets_its_value(tmp_path):
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + BODY)
    assert annotate_vcf(scores(), tmp_path / "v.vcf", tmp_path / "a.vcf.gz") == 2
    assert (tmp_path / "a.vcf.gz.tbi").exists()
    with pysam.VariantFile(str(tmp_path / "a.vcf.gz")) as records:
        first, second = list(records.fetch("c", 0, 99))
    assert first.info["FS_DIFF"] == (0.25, None)
    assert first.info["FS_STATUS"] == ("ok", "symbolic")
    assert first.info["FS_FLAGS"] == ("padded|n_in_window", ".")
    assert first.info["DB"] is True
    assert second.info["FS_DIFF"] == (pytest.approx(-1e-7),)


@pytest.mark.parametrize(
    "text", [BODY, COLUMNS + BODY, (HEADER + COLUMNS + BODY).replace("\n", "\r\n")]
)
def test_lines_stay_as_they_were(tmp_path, text):
    (tmp_path / "v.vcf").write_text(text)
    annotate_vcf(scores(), tmp_path / "v.vcf", tmp_path / "a.vcf")
    lines = (tmp_path / "a.vcf").read_text().splitlines()
    body = [line.split("\t") for line in lines if not line.startswith("#")]
    assert [row[:7] for row in body] == [row.split("\t")[:7] for row in BODY.splitlines()]
    assert lines[0] == "##fileformat=VCFv4.2"
    assert body[1][7].startswith("FS_STATUS=ok;")


def test_fields_of_an_earlier_run_give_way(tmp_path):
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + BODY)
    for before, after in (("v", "a"), ("a", "b")):
        annotate_vcf(scores(), tmp_path / f"{before}.vcf", tmp_path / f"{after}.vcf")
    first, second = ((tmp_path / name).read_text() for name in ("a.vcf", "b.vcf"))
    assert sorted(second.splitlines()) == sorted(first.splitlines())


def test_odd_lines_that_can_be_scored_can_be_annotated(tmp_path):
    line = BODY.splitlines()[1]
    odd = [line.replace("\t9\t", f"\t{pos}\t") for pos in ("0009", "nine", "9" * 30)]
    (tmp_path / "v.vcf").write_bytes(b"\xef\xbb\xbf" + (COLUMNS + "\n".join(odd)).encode())
    table = pa.concat_tables([scores()[0].slice(2)] * 3)
    table = table.set_column(1, "pos", pa.array([9, 0, 0]))
    assert annotate_vcf([table], tmp_path / "v.vcf", tmp_path / "a.vcf") == 3


def test_bcf_is_written_as_text(tmp_path):
    # htslib adds END to symbolic alleles
    end = '##INFO=<ID=END,Number=1,Type=Integer,Description="e">\n'
    (tmp_path / "v.vcf").write_text(HEADER + end + COLUMNS + BODY)
    with (
        pysam.VariantFile(str(tmp_path / "v.vcf")) as records,
        pysam.VariantFile(str(tmp_path / "v.bcf"), "wb", header=records.header) as out,
    ):
        for record in records:
            out.write(record)
    assert annotate_vcf(scores(), tmp_path / "v.bcf", tmp_path / "a.vcf.gz") == 2
    with pysam.VariantFile(str(tmp_path / "a.vcf.gz")) as records:
        assert [record.info["FS_DIFF"][0] for record in records.fetch("c")] == [
            0.25, pytest.approx(-1e-7),
        ]  # fmt: skip


def test_a_short_line_is_named(tmp_path):
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + "c\t7\trs1\n")
    with pytest.raises(FormatError, match="line 5 has 3 columns; expected VCF"):
        annotate_vcf(scores(), tmp_path / "v.vcf", tmp_path / "a.vcf")


def test_scores_of_another_file_are_refused(tmp_path):
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + BODY.replace("c\t9", "c\t8"))
    with pytest.raises(FormatError, match="line 6 is c:8, the scores are of c; score this file"):
        annotate_vcf(scores(), tmp_path / "v.vcf", tmp_path / "a.vcf")
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + BODY.splitlines()[0])
    with pytest.raises(FormatError, match="fewer alleles than the scores"):
        annotate_vcf(scores(), tmp_path / "v.vcf", tmp_path / "a.vcf")
    assert not (tmp_path / "a.vcf").exists()


def test_unsorted_records_have_no_index(tmp_path):
    lines = BODY.splitlines()
    (tmp_path / "v.vcf").write_text(HEADER + COLUMNS + f"{lines[1]}\n{lines[0]}\n")
    table = scores()[0]
    turned = pa.concat_tables([table.slice(2), table.slice(0, 2)])
    with pytest.warns(FastseqWarning, match="not sorted"):
        annotate_vcf([turned], tmp_path / "v.vcf", tmp_path / "a.vcf.gz")
