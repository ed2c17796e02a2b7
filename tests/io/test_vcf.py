"""VCF text in every shape that real files have, cut into blocks anywhere."""

import gzip
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq._native import vcf as native
from fastseq.errors import FastseqWarning, FormatError, MissingFileError
from fastseq.io.vcf import read_vcf
from tests.io.test_fasta import bgzip

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=99>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\n"
BODY = (
    "chr1\t7\trs1;x\tA\tC,G\t.\tPASS\tA=B\n"
    "chr1\t8\t.\tAC\t<DEL>\t.\t.\t.\tGT\t0/1\n"
    "chr1\t11\t.\tA\tT\t.\t.\tX=#,;\n"
)

# equal bytes at any time: they are in the names of tests, which every process has to agree on
compress = partial(gzip.compress, mtime=0)
ROWS = [
    (0, "chr1", 7, "rs1;x", "A", "C"),
    (0, "chr1", 7, "rs1;x", "A", "G"),
    (1, "chr1", 8, ".", "AC", "<DEL>"),
    (2, "chr1", 11, ".", "A", "T"),
]
FORMS = {
    "plain": (HEADER + BODY).encode(),
    "no header": BODY.encode(),
    "no #CHROM": (HEADER[: HEADER.index("#CHROM")] + BODY).encode(),
    "crlf": (HEADER + BODY).replace("\n", "\r\n").encode(),
    "no last newline": (HEADER + BODY).rstrip("\n").encode(),
    "blank lines": (HEADER + BODY.replace("\nchr1\t8", "\n\nchr1\t8") + "\n\n").encode(),
    "five columns": "".join(
        "\t".join(line.split("\t")[:5]) + "\r\n" for line in BODY.splitlines()
    ).encode(),
    "a second header": (HEADER + BODY.replace("\nchr1\t8", f"\n{HEADER}chr1\t8")).encode(),
    "gzip": compress((HEADER + BODY).encode()),
    "bgzip": bgzip((HEADER + BODY).encode()),
}


def rows_of(path, **options) -> list[tuple]:
    rows = []
    for block in read_vcf(path, **options):
        texts = [
            [bytes(block.text[a:b]).decode() for a, b in spans.tolist()]
            for spans in (block.id, block.ref, block.alt)
        ]
        names = [block.contigs[place] for place in block.chrom]
        rows += zip(block.record.tolist(), names, block.pos.tolist(), *texts)
    return rows


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("block", [1, 2, 100])
def test_every_form_reads_the_same(tmp_path, form, block):
    path = tmp_path / "v"
    path.write_bytes(FORMS[form])
    assert rows_of(path, block=block) == ROWS


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chr1", "chr1", "2", "HLA*01:01"]),
            st.integers(0, 10**12),
            st.sampled_from([".", "rs1", "a,b", "é"]),
            st.text("ACGTN", min_size=1, max_size=5),
            st.lists(st.sampled_from(["A", "CC", "<X>", "*", "]2:3]A"]), min_size=1, max_size=3),
        ),
        max_size=9,
    ),
    st.integers(1, 5),
)
def test_what_is_written_is_read(tmp_path_factory, records, block):
    path = tmp_path_factory.getbasetemp() / "generated.vcf"
    lines = ["\t".join([*map(str, row[:4]), ",".join(row[4]), "."]) + "\n" for row in records]
    path.write_text("##fileformat=VCFv4.2\n" + "".join(lines))
    expected = [(number, *row[:4], alt) for number, row in enumerate(records) for alt in row[4]]
    assert rows_of(path, block=block) == expected


def test_many_contigs(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text("".join(f"scaffold_{n}\t{n + 1}\t.\tA\tC\n" for n in range(10_000)))
    rows = rows_of(path)
    assert [row[1] for row in rows] == [f"scaffold_{n}" for n in range(10_000)]


def test_a_header_that_disagrees_is_one_warning(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text(HEADER + BODY.replace("chr1", "chrI") + BODY.replace("chr1", "chrII"))
    with pytest.warns(
        FastseqWarning, match="declares contigs chr1, the records name chrI;"
    ) as seen:
        assert len(rows_of(path)) == 2 * len(ROWS)
    assert len(seen) == 1


def test_a_bare_entry_beside_sized_ones_does_not_silence_it(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text("##contig=<ID=chrI>\n" + HEADER + BODY.replace("chr1", "chrI"))
    with pytest.warns(FastseqWarning, match="the records are taken"):
        rows_of(path)


def test_positions_that_are_no_numbers_are_zero(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text("c\tx\t.\tA\tC\nc\t\t.\tA\tC\nc\t1e3\t.\tA\tC\nc\t-4\t.\tA\tC\n")
    assert [row[2] for row in rows_of(path)] == [0, 0, 0, 0]


def test_a_short_line_is_named_and_what_came_before_is_kept(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text(HEADER + BODY + "chr1\t9\t.\n")
    blocks = read_vcf(path)
    assert len(next(blocks)) == 4
    with pytest.raises(FormatError, match="line 7 has 3 columns; expected at least CHROM, POS"):
        next(blocks)


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_empty_files_are_refused(tmp_path, data):
    path = tmp_path / "v.vcf"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="empty; expected VCF"):
        list(read_vcf(path))


def test_a_header_alone_is_an_empty_block(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text(HEADER)
    (block,) = read_vcf(path)
    assert len(block) == 0


def test_a_gzip_that_is_cut_off_is_refused_after_its_prefix(tmp_path):
    path = tmp_path / "v.vcf.gz"
    body = "".join(f"chr1\t{n}\t.\tA\t{'ACGT' * (n % 7 + 1)}\n" for n in range(1, 20000))
    whole = compress((HEADER + body).encode())
    path.write_bytes(whole[: len(whole) // 2])
    rows = []
    with pytest.raises(FormatError, match="gzip data end too early"):
        rows.extend(len(block) for block in read_vcf(path, block=100))
    assert sum(rows) > 1000


def test_bcf_reads_as_the_same_rows(tmp_path):
    pysam = pytest.importorskip("pysam")
    header = pysam.VariantHeader()
    header.contigs.add("chr1", 99)
    with pysam.VariantFile(str(tmp_path / "v.bcf"), "wb", header=header) as out:
        out.write(out.new_record("chr1", 6, alleles=("A", "C", "G"), id="rs1;x"))
        out.write(out.new_record("chr1", 10, alleles=("A", "T")))
    assert rows_of(tmp_path / "v.bcf") == [*ROWS[:2], (1, *ROWS[3][1:])]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere.vcf: no such file"):
        list(read_vcf(tmp_path / "nowhere.vcf"))


def test_blocks_number_records_through_the_file(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text("".join(f"c\t{n}\t.\tA\tC,G\n" for n in range(1, 11)))
    records = np.concatenate([block.record for block in read_vcf(path, block=3)])
    assert records.tolist() == [n for n in range(10) for _ in range(2)]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_lines_are_cut_behind_the_fifth_column_wherever_a_piece_ends(size):
    body = [
        "c\t1\tx\tA\tC\tq\t\t\tz\r",
        "c\t2\ty\tA\tC",
        "short\tline",
        "",
        "c\t3\t\t\t\t",
        "#late\t" * 9,
    ]
    text = "\n".join(["##contig=<ID=c>", "#CHROM\tPOS" + "\ts" * 20, *body * 3]).encode()
    expected = b"\n".join(
        line if line.startswith(b"#") or line.count(b"\t") < 5
        else b"\t".join(line.split(b"\t")[:5]) + b"\t"
        for line in text.split(b"\n")
    )  # fmt: skip
    state, found = native.FRESH, b""
    for at in range(0, len(text), size):
        short, state = native.cut_lines(text[at : at + size], state)
        found += short
    assert found == expected


def test_samples_are_not_held(tmp_path):
    """Blocks of a file of 3 MB with long lines keep a text of a few bytes a record."""
    path = tmp_path / "v.vcf"
    path.write_text(
        "##x\n" + "".join(f"c\t{n}\t.\tA\tC{chr(9)}{'0|1 ' * 400}\n" for n in range(2000))
    )
    blocks = list(read_vcf(path))
    assert np.concatenate([block.pos for block in blocks]).tolist() == list(range(2000))
    assert sum(len(block.text) for block in blocks) < 60_000
