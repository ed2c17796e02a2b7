"""Runs into folders: killed anywhere and resumed, shared by workers, one file, dry, saturated."""

import gzip
import io
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import fastseq
from fastseq import models
from fastseq.errors import ContigError, FormatError, OptionError, ResumeError
from fastseq.io.fasta import Genome, write_fasta
from fastseq.io.results import ResultFolder, export, read_results
from fastseq.io.variants import VariantInput
from fastseq.score import parts
from fastseq.score.variants import score_variants

RECORDS, SHARD = 50, 9
PARTS = -(-RECORDS // SHARD)

# scores and dies at the n-th rename, before or after it
DYING = """
import os, sys
from fastseq.score.variants import score_variants
rename, count, last = os.replace, 0, int(sys.argv[1])
def replace(source, target):
    global count
    count += 1
    if count == last and sys.argv[2] == "before":
        os._exit(9)
    rename(source, target)
    if count == last:
        os._exit(9)
os.replace = replace
score_variants("model.safetensors", "v.vcf", "g.fa", output="killed", shard=9, resume=True)
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with a model, a genome and a VCF of SNVs, indels and alleles without bases."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGT"), 600))
    write_fasta(folder / "g.fa", {"chr1": text})
    lines = []
    for number, at in enumerate(np.sort(rng.choice(590, RECORDS, replace=False)).tolist()):
        ref = text[at : at + 1 + 2 * (number % 5 == 0)]
        alt = {0: "<DEL>", 1: f"{ref}ACG", 2: "*"}.get(number % 9, "ACGT"["CGTA".index(ref[0])])
        lines.append(f"chr1\t{at + 1}\tv{number}\t{ref}\t{alt},{ref[0]}T\t.\t.\t.\n")
    (folder / "v.vcf").write_text("##fileformat=VCFv4.2\n" + "".join(lines))
    model = models.build("tum_cnn", length=40)
    models.save(model, folder / "model.safetensors")
    return folder


def score(folder, output, **options):
    where = folder / output if isinstance(output, str) and output != "-" else output
    return score_variants(
        folder / "model.safetensors", folder / "v.vcf", folder / "g.fa", output=where, shard=SHARD,
        **options,
    )  # fmt: skip


def contents(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.suffix != ".tmp"}


@pytest.fixture(scope="module")
def whole(inputs):
    manifest = score(inputs, "whole")
    assert manifest["complete"]
    assert len(manifest["parts"]) == PARTS
    return contents(inputs / "whole")


def test_a_folder_holds_what_a_frame_holds(inputs, whole):
    frame = score(inputs, None)
    pd.testing.assert_frame_equal(read_results(inputs / "whole"), frame)
    assert len(frame) == 2 * RECORDS
    assert {"ok", "symbolic", "spanning_deletion"} <= set(frame.status)


@pytest.mark.parametrize(("last", "when"), [(1, "after"), (2, "before"), (8, "before")])
def test_a_run_killed_at_a_rename_resumes_to_the_same_bytes(inputs, whole, last, when):
    words = [sys.executable, "-c", DYING, str(last), when]
    assert subprocess.run(words, check=False, cwd=inputs).returncode == 9
    before = {
        file.name: file.stat().st_mtime_ns for file in (inputs / "killed").glob("part-*.parquet")
    }
    score(inputs, "killed", resume=True)
    assert contents(inputs / "killed") == whole
    for name, changed in before.items():
        assert (inputs / "killed" / name).stat().st_mtime_ns == changed
    for file in (inputs / "killed").iterdir():
        file.unlink()
    (inputs / "killed").rmdir()


def test_two_workers_write_the_same_bytes(inputs, whole):
    manifest = score(inputs, "shared", devices=["cpu", "cpu"])
    assert manifest["complete"]
    assert contents(inputs / "shared") == whole


def test_workers_take_plans_as_well(inputs):
    plan = fastseq.lower(inputs / "model.safetensors")
    tables = []
    for name, workers in (("plan-alone", 1), ("plan-shared", 2)):
        output = inputs / name
        score_variants(
            plan, inputs / "v.vcf", inputs / "g.fa", output=output, shard=SHARD, workers=workers
        )
        tables.append(contents(output))
    assert tables[0] == tables[1]


def test_ranks_of_a_launcher_share_a_folder(inputs, whole, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in "210":
        monkeypatch.setenv("RANK", rank)
        manifest = score(inputs, "ranks")
        assert manifest["complete"] == (rank == "0")
    assert contents(inputs / "ranks") == whole


def test_a_manifest_names_the_background(inputs):
    text = (inputs / "v.vcf").read_text()
    (inputs / "matched.vcf").write_text("\n".join(text.splitlines()[:20]))
    (inputs / "peaks.bed").write_text("chr1\t50\t90\n")
    shuffled = score(inputs, "shuffled", null=5, null_seed=3)["identity"]
    assert shuffled["background"] == {"alleles": 5, "seed": 3}
    peaks = inputs / "peaks.bed"
    given = score(inputs, "given", null_variants=inputs / "matched.vcf", active=peaks)["identity"]
    assert given["background"]["name"] == "matched.vcf"
    assert given["active_regions"]["name"] == "peaks.bed"


def test_ranks_do_not_overwrite_each_other(inputs, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(OptionError, match="would delete what other ranks have written"):
        score(inputs, "ranked", overwrite=True)


def test_a_run_of_workers_that_begins_in_vain_leaves_no_run_behind(inputs):
    (inputs / "other.vcf").write_text("elsewhere\t5\t.\tA\tC\n")
    with pytest.raises(ContigError):
        score_variants(
            inputs / "model.safetensors", inputs / "other.vcf", inputs / "g.fa",
            output=inputs / "vain", workers=2,
        )  # fmt: skip
    assert not (inputs / "vain").exists()


def test_another_run_into_the_folder_refuses(inputs, whole):
    with pytest.raises(ResumeError, match="already holds a run; resume it"):
        score(inputs, "whole")
    with pytest.raises(ResumeError, match='strands differ: "forward" there, "both" now'):
        score(inputs, "whole", strands="both", resume=True)
    score(inputs, "whole", resume=True)
    assert contents(inputs / "whole") == whole


def test_a_broken_input_leaves_a_valid_prefix(inputs, whole):
    text = (inputs / "v.vcf").read_text()
    (inputs / "cut.vcf").write_text(text[: text.index("\tv30\t")])
    model, genome = inputs / "model.safetensors", inputs / "g.fa"
    with pytest.raises(FormatError, match="line 32 has 2 columns"):
        score_variants(model, inputs / "cut.vcf", genome, output=inputs / "cut", shard=SHARD)
    parts = {name: data for name, data in contents(inputs / "cut").items() if "part" in name}
    full = [f"part-0000{number}.parquet" for number in range(3)]
    assert {name: parts[name] for name in full} == {name: whole[name] for name in full}
    assert (inputs / "cut" / "manifest.json").read_text().startswith('{\n "complete": false')


def test_a_full_disk_is_named_and_leaves_whole_parts(inputs, whole, monkeypatch):
    flush, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(28, os.strerror(28))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="part-00002.parquet: cannot be written: No space left"):
        score(inputs, "full")
    monkeypatch.setattr(os, "fsync", flush)
    assert not list((inputs / "full").glob("*.tmp"))
    score(inputs, "full", resume=True)
    assert contents(inputs / "full") == whole


@pytest.mark.parametrize("name", ["s.tsv", "s.tsv.gz", "s.csv", "s.csv.gz", "s.parquet"])
def test_one_file_is_written_as_the_scores_come(inputs, whole, name):
    told = score(inputs, name)
    frame = read_results(inputs / "whole")
    assert told["rows"] == len(frame)
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    options = {} if name.endswith("parquet") else {"sep": "\t" if "tsv" in name else ","}
    again = read(inputs / name, **options)
    assert list(again.columns) == list(frame.columns)
    np.testing.assert_allclose(again["diff"], frame["diff"], rtol=1e-6)
    assert again.id.tolist() == frame.id.tolist()
    export(inputs / "whole", inputs / "exported")
    if name == "s.tsv":
        assert (inputs / name).read_bytes() == (inputs / "exported").read_bytes()
    if name == "s.tsv.gz":
        assert gzip.decompress((inputs / name).read_bytes()) == (inputs / "exported").read_bytes()


def test_standard_streams(inputs, whole):
    code = (
        "from fastseq.score.variants import score_variants\n"
        "score_variants('model.safetensors', '-', 'g.fa', output='-')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=inputs, check=True, capture_output=True,
        input=(inputs / "v.vcf").read_bytes(),
    )  # fmt: skip
    frame = pd.read_csv(io.BytesIO(ended.stdout), sep="\t")
    np.testing.assert_allclose(frame["diff"], read_results(inputs / "whole")["diff"], rtol=1e-6)


def test_saturation_is_the_same_as_from_a_vcf(inputs):
    model, genome = inputs / "model.safetensors", inputs / "g.fa"
    every = score_variants(model, None, genome, saturate="chr1:1-70", shard=11)
    assert every.pos.tolist() == [pos for pos in range(1, 71) for _ in range(3)]
    assert (every.status == "ok").all()
    again = score_variants(model, every[["chrom", "pos", "ref", "alt"]], genome)
    pd.testing.assert_frame_equal(every, again, check_exact=True)
    with pytest.raises(OptionError, match="either variants or saturate="):
        score_variants(model, ["chr1:1:A:C"], genome, saturate="chr1")
    with pytest.raises(OptionError, match="hold no base of the genome"):
        score_variants(model, None, genome, saturate="chr1:9000-9001")


def test_a_dry_run_counts_and_estimates(inputs, whole):
    told = score(inputs, None, dry_run=True)
    assert told["rows"] == 2 * RECORDS
    assert told["counts"] == dict(read_results(inputs / "whole").status.value_counts())
    assert told["seconds"] >= 0
    assert told["memory_mb"] > 0


def test_workers_need_files(inputs):
    with pytest.raises(OptionError, match="need output=, the folder of the run"):
        score(inputs, "s.tsv", workers=2)


def test_actors_hold_a_gpu_where_the_run_is_on_one(tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(parts, "over_cluster", lambda *job, gpus, **options: held.append(gpus))
    for device in ("cpu", "cuda"):
        plan = SimpleNamespace(device=torch.device(device))
        run = SimpleNamespace(plans=[plan], genome=Genome.from_sequences({"c": "ACGT"}))
        folder = ResultFolder(tmp_path / device, {})
        parts.over_workers(run, VariantInput(["c:1:A:C"]), folder, 2, cluster="auto")
    assert held == [0, 1]


def test_ranks_share_a_folder_and_not_a_file(inputs, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="every rank would write all of .*s.tsv"):
        score(inputs, "s.tsv")


def test_a_killed_run_leaves_no_genome_behind_its_resumption(inputs, whole):
    shutil.copytree(inputs / "whole", inputs / "killed")
    (inputs / "killed" / "part-00001.parquet").unlink()
    (inputs / "killed" / ".genome.codes").write_bytes(b"left")
    score(inputs, "killed", resume=True)
    assert contents(inputs / "killed") == whole
    assert not (inputs / "killed" / ".genome.codes").exists()


def test_a_ray_cluster_writes_the_same_bytes(inputs, whole):
    pytest.importorskip("ray", reason="ray is not installed (the extra [cluster])")
    manifest = score(inputs, "cluster", workers=2, cluster="local")
    assert manifest["complete"]
    assert contents(inputs / "cluster") == whole
