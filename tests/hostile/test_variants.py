"""Files that are broken, odd or malicious: a clear error or a marked row, never a wrong number."""

import gzip
import os
import threading
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from fastseq.errors import FastseqError, FastseqWarning, FormatError, UnreadableFileError
from fastseq.io.fasta import Genome
from fastseq.score.variants import score_variants

# equal bytes at any time: they are in the names of tests, which every process has to agree on
compress = partial(gzip.compress, mtime=0)

TEXT = "ACGTTGCAACGTTGCAACGTTGCAACGTTGCA"


class Sum(nn.Module):
    """Answers a weighted sum: every base counts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * torch.arange(x[0].numel()).view(x[0].shape)).sum((1, 2))


@pytest.fixture
def genome() -> Genome:
    return Genome.from_sequences({"c": TEXT})


def scored(genome: Genome, path, **options):
    return score_variants(Sum(), path, genome, length=8, **options)


LINES = {
    "carriage returns": b"c\t5\t.\tT\tA\r\n",
    "blank lines around": b"\n\nc\t5\t.\tT\tA\n\n\n",
    "a header behind the records": b"c\t5\t.\tT\tA\n##late\n#CHROM\tPOS\n",
    "3,000 samples": b"c\t5\t.\tT\tA\t.\t.\t.\tGT" + b"\t0|1" * 3000 + b"\n",
    "a tab at the end": b"c\t5\t.\tT\tA\t\n",
    "nul bytes": b"c\t5\t\x00\tT\tA\t.\t.\t\x00\n",
    "invalid utf-8": b"c\t5\t\xff\xfe\tT\tA\t.\t.\t\xff\n",
    "a huge INFO": b"c\t5\t.\tT\tA\t.\t.\t" + b"X=1;" * 500_000 + b"\n",
    "hash in a field": b"c\t5\t#id\tT\tA\t.\t#\t#\n",
    "an allele called NA": b"c\t5\tNA\tT\tA\t.\t.\tNA\n",
    "quotes": b'c\t5\t"id\tT\tA\t.\t.\tX="\n',
    "spaces in the id": b"c\t5\ta b\tT\tA\t.\t.\t.\n",
    "leading zeros": b"c\t0005\t.\tT\tA\t.\t.\t.\n",
    "lower case": b"c\t5\t.\tt\ta\t.\t.\t.\n",
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("head", [b"##fileformat=VCFv4.2\n", b"\xef\xbb\xbf##a\n", b"\n", b""])
def test_odd_lines_are_read_for_what_they_say(tmp_path, genome, name, head):
    path = tmp_path / "v.vcf"
    path.write_bytes(head + LINES[name])
    (tmp_path / "plain.vcf").write_bytes(b"c\t5\t.\tT\tA\t.\t.\t.\n")
    frame, plain = scored(genome, path), scored(genome, tmp_path / "plain.vcf")
    assert frame.status.tolist() == ["ok"]
    assert frame["diff"].tolist() == plain["diff"].tolist()


MARKED = {
    "a gVCF's other alleles": (b"c\t5\t.\tT\t<*>,<NON_REF>\n", "symbolic"),
    "mobile elements and copies": (b"c\t5\t.\tT\t<INS:ME:ALU>,<CN0>\n", "symbolic"),
    "breakends": (b"c\t5\t.\tT\tT[c:7[,]c:7]T,.T,T.\n", "breakend"),
    "a star": (b"c\t5\t.\tT\t*\n", "spanning_deletion"),
    "REF in another case as ALT": (b"c\t5\t.\tTG\ttg\n", "ref_equals_alt"),
    "the telomere": (b"c\t0\t.\tN\tA\n", "out_of_bounds"),
    "a position behind the end": (b"c\t33\t.\tA\tC\n", "out_of_bounds"),
    "an ambiguous REF": (b"c\t5\t.\tY\tA\n", "non_ACGT"),
    "an ambiguous ALT": (b"c\t5\t.\tT\tR,N\n", "non_ACGT"),
    "a negative position": (b"c\t-5\t.\tT\tA\n", "out_of_bounds"),
    "a position of 30 digits": (b"c\t" + b"9" * 30 + b"\t.\tT\tA\n", "out_of_bounds"),
    "the largest position": (b"c\t999999999999999999\t.\tT\tA\n", "out_of_bounds"),
    "a fraction": (b"c\t5.0\t.\tT\tA\n", "out_of_bounds"),
    "no REF": (b"c\t5\t.\t\tA\n", "non_ACGT"),
    "no ALT": (b"c\t5\t.\tT\t\n", "no_alt"),
    "an empty allele": (b"c\t5\t.\tT\t,\n", "no_alt"),
    "protein letters": (b"c\t5\t.\tT\tMKV\n", "non_ACGT"),
    "RNA": (b"c\t5\t.\tT\tU\n", "non_ACGT"),
    "a REF longer than the contig": (b"c\t5\t.\t" + b"T" * 10_000 + b"\tA\n", "out_of_bounds"),
}


@pytest.mark.parametrize("name", MARKED)
def test_alleles_that_cannot_be_scored_are_marked(tmp_path, genome, name):
    line, status = MARKED[name]
    (tmp_path / "v.vcf").write_bytes(b"##fileformat=VCFv4.2\n" + line)
    frame = scored(genome, tmp_path / "v.vcf")
    assert set(frame.status) == {status}
    assert frame["diff"].isna().all()


def test_huge_insertions_and_deletions_keep_the_window(tmp_path):
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGT"), 50_000))
    genome = Genome.from_sequences({"c": text})
    word = "".join(rng.choice(list("ACGT"), 30_000))
    base = text[100]
    alleles = ((text[100:40_101], base), (base, base + word))
    lines = [f"c\t101\t.\t{ref}\t{alt}\n" for ref, alt in alleles]
    (tmp_path / "v.vcf").write_text("".join(lines))
    frame = scored(genome, tmp_path / "v.vcf", normalize=False)
    windows = [text[96:101] + text[40_101:40_104], text[96:101] + word[:3]]
    answers = [_answer(window) for window in windows]
    np.testing.assert_allclose(frame.y_alt, answers, rtol=1e-6)


def _answer(window: str) -> float:
    x = torch.zeros(1, 4, 8)
    for at, letter in enumerate(window):
        x[0, "ACGT".index(letter), at] = 1
    return float(Sum()(x))


BROKEN = {
    "two columns": b"c\t5\n",
    "spaces for tabs": b"c 5 . T A . . .\n",
    "a binary file": bytes(range(256)) * 10,
    "half a gzip": compress(b"c\t5\t.\tT\tA\n" * 1000)[:-20],
    "lines of an old Mac": b"##fileformat=VCFv4.2\rc\t5\t.\tT\tA\r",
    "sixteen bits a letter": "##fileformat=VCFv4.2\nc\t5\t.\tT\tA\n".encode("utf-16"),
    "html": b"<html><body>404 not found</body></html>\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_vcf_are_refused(tmp_path, genome, name):
    (tmp_path / "v.vcf").write_bytes(BROKEN[name])
    with pytest.raises(FastseqError, match="v.vcf: "):
        scored(genome, tmp_path / "v.vcf")


def test_a_folder_is_no_file(tmp_path, genome):
    with pytest.raises(UnreadableFileError, match="Is a directory"):
        scored(genome, tmp_path)
    with pytest.raises(UnreadableFileError, match="Is a directory"):
        Genome.open(tmp_path)


def test_ten_thousand_contigs_in_any_order(tmp_path):
    names = [f"s{number}" for number in range(10_000)]
    genome = Genome.from_sequences({name: "ACGTACGTAC" for name in names})
    order = np.random.default_rng(0).permutation(10_000)
    (tmp_path / "v.vcf").write_text("".join(f"s{at}\t5\t.\tA\tC\n" for at in order))
    frame = scored(genome, tmp_path / "v.vcf")
    assert (frame.status == "ok").all()
    assert frame["diff"].nunique() == 1
    assert frame.chrom.tolist() == [f"s{at}" for at in order]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
def test_a_read_only_folder_is_named(tmp_path, genome):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(UnreadableFileError, match="cannot be"):
        scored(genome, ["c:5:T:A"], output=folder / "run")


def test_a_folder_on_a_full_device_is_named(genome):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="/dev/full"):
        scored(genome, ["c:5:T:A"], output="/dev/full/run")


def test_a_fasta_of_protein_or_gaps(tmp_path):
    (tmp_path / "p.fa").write_text(">p\nMKVLE\n")
    with pytest.raises(FormatError, match="contig p has 'L' at position 4"):
        Genome.open(tmp_path / "p.fa")
    (tmp_path / "g.fa").write_text(">g\nAC--GT*\n")
    assert Genome.open(tmp_path / "g.fa").codes("g", 0, 7).tolist() == [0, 1, 4, 4, 2, 3, 4]


def test_a_vcf_of_an_unknown_contig_beside_known_ones_goes_on(tmp_path, genome):
    (tmp_path / "v.vcf").write_text("x\t5\t.\tT\tA\nc\t5\t.\tT\tA\n")
    with pytest.warns(FastseqWarning, match="no contig x"):
        frame = scored(genome, tmp_path / "v.vcf")
    assert frame.status.tolist() == ["unknown_contig", "ok"]


def test_a_pipe_by_name_is_read_once(tmp_path, genome):
    pipe, (one, two) = tmp_path / "pipe", (tmp_path / name for name in ("v.vcf", "g.fa"))
    one.write_bytes(b"c\t5\t.\tT\tA\n" * 9000)
    two.write_text(f">c\n{TEXT}\n")
    expected = scored(genome, one)
    os.mkfifo(pipe)
    for content, read in (
        (one, lambda: scored(genome, pipe)),
        (two, lambda: scored(Genome.open(pipe), one)),
    ):
        writer = threading.Thread(target=pipe.write_bytes, args=(content.read_bytes(),))
        writer.start()
        assert read().equals(expected)
        writer.join()
