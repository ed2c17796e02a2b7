from functools import partial

import numpy as np
import pytest

import fastseq
from fastseq.cli import demo
from fastseq.cli.demo import Check
from fastseq.cli.demo_genome import DRAWN, lay_out, write_vcf
from fastseq.io.results import read_results
from tests.cli.conftest import one_line


@pytest.fixture(scope="module")
def genome(task):
    return lay_out(task, task.rows("test", label=1)[:20], np.random.default_rng(1))


def records(genome, seed=0):
    lines = write_vcf(genome, np.random.default_rng(seed)).splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_motifs_lie_where_the_genome_says(task, genome):
    row = task.rows("test", label=1)[0]
    first = task.spans[task.spans["row"] == row][0]
    start, end, name = genome.motifs["chrA"][0]
    assert (end - start, name) == (first["end"] - first["start"], first["motif"])
    planted = task.codes[row, first["start"] : first["end"]]
    np.testing.assert_array_equal(genome.contigs["chrA"][start:end], planted)


def test_every_ref_is_in_the_genome_and_records_are_in_order(genome):
    last = ("", 0)
    for chrom, pos, _, ref, alts, *_ in records(genome):
        at = int(pos) - 1
        assert fastseq.decode(genome.contigs[chrom][at : at + len(ref)]) == ref
        assert ref not in alts.split(",")
        assert last <= (chrom, at)
        last = (chrom, at)


def test_all_kinds_lie_inside_and_outside_motifs_as_their_names_say(genome):
    found = records(genome)
    names = [record[2].split("_")[:2] for record in found]
    for where in ("inside", "outside"):
        for kind, number in DRAWN.items():
            assert names.count([where, kind]) == number * len(genome.contigs)
    assert any("," in record[4] for record in found)
    for chrom, pos, identifier, ref, *_ in found:
        touched = range(int(pos) - 1, int(pos) - 1 + len(ref))
        hit = any(set(touched) & set(range(*span[:2])) for span in genome.motifs[chrom])
        assert hit == identifier.startswith("inside")


def test_a_vcf_is_the_same_for_a_seed(genome):
    assert records(genome) == records(genome)
    assert records(genome) != records(genome, seed=1)


@pytest.mark.parametrize(("value", "kept"), [(0.91, True), (0.89, False), (float("nan"), False)])
def test_a_check_is_kept_only_by_a_number_that_is_high_enough(value, kept):
    check = Check("AUROC", value, 0.9)
    assert check.kept == kept
    assert ("NOT" in str(check)) == (not kept)


def test_a_demo_that_falls_short_says_so_after_writing_everything(run, small, tmp_path):
    result = run("demo", "here", "-q")
    assert one_line(result).startswith("the demo falls short: test AUROC")
    lines = result.stdout.splitlines()
    assert len(lines) == 10
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        "model.safetensors", "predictions.tsv", "ism.npz", "saliency.npz", "genome.fa",
        "genome.fa.fai", "variants.vcf", "scores", "report.html",
    }  # fmt: skip
    assert len(read_results("here/scores")) == 2 * 2 * (3 + 3 + 3 + 6)


def test_a_demo_that_keeps_its_promises_exits_with_0(run, small, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "Check", partial(_lenient, demo.Check))
    # a folder of an earlier run is taken
    (tmp_path / "fastseq-demo").mkdir()
    assert run("demo", "-q").exit_code == 0


def _lenient(make, what, value, least):
    return make(what, value, -np.inf)
