"""Real VCFs: every record read, every REF checked, every window against plain slices."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from fastseq import models
from fastseq.cli.main import main
from fastseq.errors import ContigError, FastseqWarning
from fastseq.io.contigs import with_places
from fastseq.io.fasta import Genome, write_fasta
from fastseq.io.tables import read_sequences, read_table
from fastseq.io.variants import VariantInput, read_variants
from fastseq.run.views import Views
from fastseq.score.scorer import Scorer
from fastseq.sequence.alleles import OK, STATUS
from fastseq.sequence.edits import apply
from fastseq.sequence.encode import reverse_complement
from tests.reference import alleles as slow

YEAST_VCF, YEAST = "yeast/sacCer3_sample_variants.vcf.gz", "yeast/sacCer3.fa.gz"
LENGTH = 80


def counts(found) -> dict[str, int]:
    numbers = np.bincount(found.status, minlength=len(STATUS))
    return {name: int(number) for name, number in zip(STATUS, numbers) if number}


def check_windows(source, genome: Genome, mapping=None) -> dict[str, int]:
    """Compare REF and ALT windows of every allele with slices of the plain text; count outcomes."""
    texts = {name: genome.text(name, 0, size) for name, size in genome.contigs.items()}
    run = Scorer([], genome, Views(), LENGTH, LENGTH // 2)
    total: dict[str, int] = {}
    for block, places in with_places(read_variants(source), genome, mapping):
        found = run.resolve(block, places)
        for name, number in counts(found).items():
            total[name] = total.get(name, 0) + number
        ok = np.flatnonzero(found.status == OK)
        if not len(ok):
            continue
        codes, edits, order = run.reference_rows(block, found, ok)
        mutants = apply(codes, edits, left=0, length=LENGTH)
        for seen, row, allele in zip(mutants, edits.row, ok[order]):
            contig = texts[genome.names[found.contig[allele]]]
            ref, alt = (
                bytes(block.text[slice(*span[allele])]).decode().upper().strip("-")
                for span in (block.ref, block.alt)
            )
            anchor, pos = int(found.anchor[allele]), int(block.pos[allele])
            start = max(anchor - LENGTH, 0)
            near = contig[start : pos + len(ref) + 2 * LENGTH]
            at = pos - start - 1
            if "N" in near[at : at + len(ref)]:
                # where the genome is unknown, the reference carries what the file says
                near = near[:at] + ref + near[at + len(ref) :]
            changed = slow.haplotype(near, pos - start, ref, alt)
            for codes_seen, text in ((codes[row, :LENGTH], near), (seen, changed)):
                letters = "".join("ACGTN"[code] for code in codes_seen)
                assert letters == slow.window(text, anchor - start, LENGTH, 40), (pos, ref, alt)
    return total


def test_every_yeast_record(real_data):
    genome = Genome.open(real_data / YEAST)
    with pytest.warns(FastseqWarning, match="declares contigs chromosome1") as seen:
        assert check_windows(real_data / YEAST_VCF, genome) == {"ok": 44251}
    assert len(seen) == 1


def test_every_record_of_the_chr1_slice(real_data):
    genome = Genome.open(real_data / "human/hg38_chr1_0-1000000.fa.gz")
    path = real_data / "human/hg38_1kGP_chr1_SNV_INDEL_SV_head1000.vcf.gz"
    assert check_windows(path, genome) == {"ok": 889}


def run_status(block, places, genome: Genome) -> np.ndarray:
    return Scorer([], genome, Views(), LENGTH, LENGTH // 2).resolve(block, places).status


def test_the_chr22_slice_by_the_chr_map(real_data):
    # the slice begins at 32,000,001: put it at its place in the chromosome
    part = Genome.open(real_data / "human/hg38_chr22_32000000_32300000.fa.gz").data
    codes = np.full(32_300_000, 4, np.uint8)
    codes[32_000_000:] = part[:300_000]
    genome = Genome.from_sequences({"chr22": codes})
    path = real_data / "human/1000G_hg38_chr21-22_AF0.3_sites.plaingzip.vcf.gz"
    with pytest.warns(FastseqWarning, match="no contig 21"):
        total = check_windows(path, genome, "chr")
    # all of chromosome 21; of 22 the unknown bases before the slice, the slice, what is behind it
    assert total == {"ok": 19_180, "unknown_contig": 50_857, "out_of_bounds": 26_674}
    assert sum(total.values()) == 96_711
    inside = VariantInput(path, "chr", regions="22:32000001-32300000").blocks(genome)
    with pytest.warns(FastseqWarning, match="no contig 21"):
        found = [run_status(block, places, genome) for block, places in inside]
    assert np.concatenate(found).tolist() == [OK] * 273


def test_multi_allelic_and_symbolic_records_keep_every_row(real_data):
    genome = Genome.from_sequences({"chr1": "A", "1": "A"})
    for name, alleles in (("hprc_multiallelic.vcf", 66), ("bnp_symbolic_sequences.vcf.gz", 32)):
        blocks = list(with_places(read_variants(real_data / "human" / name), genome))
        assert sum(len(block) for block, _ in blocks) == alleles


def test_other_species_stop_with_both_lists(real_data):
    genome = Genome.open(real_data / YEAST)
    path = real_data / "human/hg38_1kGP_chr1_SNV_INDEL_SV_head1000.vcf.gz"
    with pytest.raises(ContigError, match="name contigs chr1; .* has chrI, .*--contig-map FILE"):
        list(with_places(read_variants(path), genome))


def measured_effects(real_data, release: str):
    """Return the rows of a release, each element a contig of its own, and the elements."""
    table = read_table(
        real_data / "human/kircher2019_satmut_part1.tsv.gz", text=("Chrom", "Ref", "Alt")
    )
    rows = table[table.Release == release]
    names, texts = read_sequences(real_data / "human/kircher2019_elements_part1_hg38.fa")
    elements = dict(zip(names, texts))
    if release == "GRCh37":
        elements["MSMB"] = reverse_complement(elements["MSMB"])
    # each element stands for its stretch of the chromosome
    first = rows.groupby("Element").Pos.transform("min")
    rows = rows.assign(chrom=rows.Element, pos=rows.Pos - first + 1).drop(columns=["Chrom", "Pos"])
    return rows, elements


@pytest.mark.parametrize("release", ["GRCh37", "GRCh38"])
def test_every_row_of_the_saturation_mutagenesis_mpra_joins(real_data, release):
    """SNVs and 1-bp deletions (ALT "-"); MSMB lies on the other strand of GRCh37."""
    rows, elements = measured_effects(real_data, release)
    total = check_windows(rows, Genome.from_sequences(elements))
    missing = int(rows.pos.isna().sum())
    assert missing == 11
    assert total == {"ok": len(rows) - missing, "out_of_bounds": missing}
    assert (rows.Alt == "-").sum() > 3000


@pytest.mark.parametrize("release", ["GRCh37", "GRCh38"])
def test_measured_effects_stand_beside_scores_from_the_command_line(real_data, tmp_path, release):
    """Every measured SNV and 1-bp deletion finds its score; no accuracy is claimed."""
    rows, elements = measured_effects(real_data, release)
    rows = rows[rows.pos.notna()].astype({"pos": int})
    measured, genome, model, scores = (
        str(tmp_path / name) for name in ("m.tsv", "g.fa", "m.safetensors", "s.tsv")
    )
    rows.to_csv(measured, sep="\t", index=False)
    write_fasta(genome, elements)
    models.save(models.build("tum_cnn", length=40, channels=8), model)
    run = CliRunner().invoke
    words = ["score", "-m", model, "--vcf", measured, "--fasta", genome, "-o", scores, "-q"]
    assert run(main, words).exit_code == 0
    told = run(main, ["compare", scores, measured, "--column-b", "Coefficient", "--json"])
    found = json.loads(told.stdout)
    assert (found["joined"], found["only_a"], found["only_b"]) == (len(rows), 0, 0)
    assert found["how"] == {"same": len(rows)}
    assert found["classes"]["deletion"]["rows"] > 3000
