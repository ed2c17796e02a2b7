"""Regions of an indexed file: the same rows, in the same order, as a scan of the whole file."""

import os

import numpy as np
import pytest

from fastseq.errors import FastseqWarning
from fastseq.io.bed import Region
from fastseq.io.fasta import Genome
from fastseq.io.indexed import GAP, merged
from fastseq.io.variants import VariantInput

pysam = pytest.importorskip("pysam")

# the order of contigs in the file is not that of the header
CONTIGS = ("chr2", "chr1", "HLA*01:01", "alone")
GENOME = Genome.from_sequences({name: "ACGT" * 4 for name in CONTIGS})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A VCF and a BCF with long deletions across regions, several records at a position."""
    folder = tmp_path_factory.mktemp("indexed")
    rng = np.random.default_rng(3)
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name}>" for name in sorted(CONTIGS))]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for name in CONTIGS[:3]:
        for pos in np.sort(rng.integers(1, 90_000, 700)).tolist():
            ref = "A" * int(rng.choice([1, 1, 40, 2000]))
            lines.append(f"{name}\t{pos}\té\t{ref}\tC,G\t.\t.\t.")
    path = folder / "plain.vcf"
    path.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(path), str(folder / "v.vcf.gz"))
    with (
        pysam.VariantFile(str(path)) as records,
        pysam.VariantFile(str(folder / "v.bcf"), "wb", header=records.header) as out,
    ):
        for record in records:
            out.write(record)
    return folder


def index(path, kind: str) -> None:
    preset = "bcf" if path.suffix == ".bcf" else "vcf"
    pysam.tabix_index(str(path), preset=preset, csi=kind == "csi", force=True)


def rows(path, regions) -> list[tuple]:
    found = []
    for block, _ in VariantInput(path, regions=regions, block=100).blocks(GENOME):
        names = [block.contigs[at] for at in block.chrom]
        texts = [
            bytes(block.text[slice(*span)])
            for row in zip(block.id, block.ref, block.alt) for span in row
        ]  # fmt: skip
        found += zip(names, block.pos.tolist(), texts[::3], texts[1::3], texts[2::3])
    return found


REGIONS = {
    "one": ["chr1:1000-3000"],
    "near each other, unordered": ["chr1:5000-6000", "chr1:4000-4100", "chr1:4050-4200"],
    "far apart, so that deletions span them": ["chr2:1-2000", "chr2:40000-41000", "chr1:70000"],
    "a whole contig of an odd name, and one position": ["HLA*01:01:1-", "chr2:500-500"],
    "past the end": ["chr2:89000-999999999"],
    "a contig without records": ["alone", "chr1:1-900"],
}


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize(
    ("file", "kind"), [("v.vcf.gz", "tbi"), ("v.vcf.gz", "csi"), ("v.bcf", "csi")]
)
@pytest.mark.filterwarnings("ignore:no record is on alone")
def test_an_index_changes_no_row(files, file, kind, name):
    for left in files.glob("*.[tc][bs]i"):
        left.unlink()
    expected = rows(files / file, REGIONS[name])
    index(files / file, kind)
    assert rows(files / file, REGIONS[name]) == expected
    assert expected or name == "past the end"


def test_what_is_elsewhere_is_not_read(files):
    path = files / "v.vcf.gz"
    index(path, "tbi")
    whole = VariantInput(path, regions=["chr1:1-9000000"], block=9999)
    some = VariantInput(path, regions=["chr1:1-100", "chr1:60000-60100"], block=9999)
    assert sum(len(block) for block, _ in whole.blocks(GENOME)) == 1400
    assert whole.identity()["indexed"]
    last = [int(block.record[-1]) for block, _ in some.blocks(GENOME) if len(block)]
    assert max(last) < 700


def test_an_index_older_than_its_file_is_not_taken(files):
    path = files / "v.vcf.gz"
    index(path, "tbi")
    os.utime(f"{path}.tbi", (1, 1))
    with pytest.warns(FastseqWarning, match="older than its file"):
        assert len(rows(path, ["chr1:1-100"])) == len(rows(files / "plain.vcf", ["chr1:1-100"]))
    os.unlink(f"{path}.tbi")


def test_neighbouring_regions_are_fetched_at_once():
    regions = [Region("a", 9, 20), Region("b", 0, None), Region("a", 20 + GAP, 10**6),
               Region("a", 15, 17), Region("a", 3 * 10**6, None), Region("b", 5, 6)]  # fmt: skip
    assert [*merged(regions, ["b", "a", "c"])] == [
        Region("b", 0, None), Region("a", 9, 10**6), Region("a", 3 * 10**6, None),
    ]  # fmt: skip
