import subprocess
from pathlib import Path

import pandas as pd
import pytest

from fastseq.io.results import read_results
from tests.cli.conftest import frame, one_line, parsed
from tests.cli.test_main import COMMAND

GENOME = "ACGTTGCATTAGCCGATTACAGGCTTAACGTCGATCGGATTACCAGGTTAACCGGATATCGCGTAAGCTTGCAACGTTAGC"


@pytest.fixture
def common(run, model):
    """Return the start of a command line over a genome of one contig."""
    Path("g.fa").write_text(f">chr1\n{GENOME}\n")
    return ["score", "-m", model, "--fasta", "g.fa"]


@pytest.fixture
def vcf(common):
    """Return a VCF of ten records: substitutions, an insertion among them, one wrong REF."""
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for pos in range(30, 40):
        ref = GENOME[pos - 1]
        alt = "A" if ref != "A" else "C"
        alts = f"{alt},{ref}GG" if pos == 35 else alt
        if pos == 39:
            ref, alts = alt, ref
        lines.append(f"chr1\t{pos}\tv{pos}\t{ref}\t{alts}\t.\t.\tDP=3")
    path = Path("v.vcf")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("ending", ["tsv", "csv", "tsv.gz", "csv.gz", "parquet", "-", "folder"])
def test_every_form_of_output_holds_the_same_table(run, common, vcf, ending):
    expected = frame(run(*common, "--vcf", vcf, "-q"))
    assert expected["alt"].size == 11
    path = ending if ending in ("-", "folder") else f"y.{ending}"
    told = run(*common, "--vcf", vcf, "-o", path, "--shard", 4)
    assert "11 alleles: " in told.stderr
    if ending == "folder":
        found = read_results(path)
        assert len(list(Path(path).glob("part-*.parquet"))) == 3
    elif ending == "parquet":
        found = pd.read_parquet(path)
    else:
        found = frame(told) if path == "-" else pd.read_csv(path, sep=None, engine="python")
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["diff"].tolist() == pytest.approx(expected["diff"].tolist(), abs=1e-6, nan_ok=True)


def test_a_vcf_comes_through_a_pipe(common, vcf, run):
    expected = run(*common, "--vcf", vcf, "-q").stdout
    piped = subprocess.run(
        [*COMMAND, *map(str, common), "--vcf", "-", "-q"],
        input=vcf.read_text(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert piped.returncode == 0, piped.stderr
    assert [line.split("\t")[:8] for line in piped.stdout.splitlines()] == [
        line.split("\t")[:8] for line in expected.splitlines()
    ]


def test_a_reader_that_goes_away_is_no_error(common, vcf):
    process = subprocess.Popen(
        [*COMMAND, *map(str, common), "--vcf", "v.vcf", "-q"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_saturation_takes_several_regions(run, common):
    first = frame(run(*common, "--saturate", "chr1:31-32", "--saturate", "chr1:41-41"))
    assert first["pos"].tolist() == [31] * 3 + [32] * 3 + [41] * 3
    Path("r.bed").write_text("chr1\t30\t32\nchr1\t40\t41\n")
    assert frame(run(*common, "--saturate", "r.bed")).equals(first)
    Path("s.toml").write_text('saturate = "r.bed"\n')
    assert frame(run(*common, "--config", "s.toml")).equals(first)


def test_variants_may_be_texts(run, common, vcf):
    records = frame(run(*common, "--vcf", vcf)).query("pos in (30, 35)").reset_index(drop=True)
    texts = [f"chr1:30:{GENOME[29]}:{records['alt'][0]}"]
    texts.append(f"chr1:35:{GENOME[34]}:{records['alt'][1]},{records['alt'][2]}")
    found = frame(run(*common, "--variant", texts[0], "--variant", texts[1]))
    same = ["chrom", "pos", "ref", "alt", "status"]
    assert found[same].equals(records[same])
    assert found["diff"].tolist() == pytest.approx(records["diff"].tolist(), abs=1e-6)
    assert "expected chrom:pos:ref:alt" in one_line(run(*common, "--variant", "chr1-30"))


def test_regions_choose_records(run, common, vcf):
    found = frame(run(*common, "--vcf", vcf, "--regions", "chr1:31-31", "--regions", "chr1:33-34"))
    assert found["pos"].tolist() == [31, 33, 34]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of --vcf, --variant and --saturate"),
        (["--vcf", "v.vcf", "--saturate", "chr1"], "one of --vcf, --variant and --saturate"),
        (["--vcf", "v.vcf", "--variant", "chr1:1:A:C"], "one of --vcf, --variant and"),
        (["--variant", "chr1:1:A:C", "--regions", "chr1"], "--regions chooses"),
        (["--saturate", "chr1:31-32", "--regions", "chr1"], "--regions chooses"),
        (["--vcf", "v.vcf", "--workers", "2"], "--workers: -o is to name a folder"),
        (["--vcf", "v.vcf", "--devices", "2"], "--devices: -o is to name a folder"),
        (["--vcf", "v.vcf", "--tile", "2"], "--tile shares windows among the alleles"),
        (["--vcf", "v.vcf", "--cluster", "auto", "-o", "y.tsv.gz"], "--cluster: -o is to name"),
        (["--vcf", "v.vcf", "--engine", "warp"], "'--engine'"),
        (["--vcf", "v.vcf", "--workers", "0"], "'--workers'"),
    ],
)
def test_wrong_usage(run, common, vcf, options, message):
    result = run(*common, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_dry_run_counts_and_writes_nothing(run, common, vcf):
    dry = [*common, "--vcf", vcf, "--dry-run", "-o", "scores", "--null", 5]
    told = parsed(run(*dry, "--json"))
    assert told["rows"] == 11
    assert sum(told["counts"].values()) == 11
    assert told["alleles_per_second"] > 0
    lines = dict(line.split("\t") for line in run(*dry).stdout.splitlines())
    assert lines["rows"] == "11"
    assert int(lines["rows ok"]) == told["counts"]["ok"]
    assert not Path("scores").exists()


def test_engines_agree_and_a_null_gives_p_values(run, common, vcf):
    tables = [
        frame(run(*common, "--vcf", vcf, "--engine", name)) for name in ("full", "incremental")
    ]
    assert tables[0]["diff"].tolist() == pytest.approx(
        tables[1]["diff"].tolist(), abs=1e-5, nan_ok=True
    )
    judged = [
        frame(run(*common, "--vcf", vcf, "--null", 9, "--null-seed", seed)) for seed in (1, 1, 2)
    ]
    p_values = [table["p_value"].dropna() for table in judged]
    assert ((p_values[0] >= 0.1) & (p_values[0] <= 1)).all()
    assert p_values[0].equals(p_values[1])
    assert "twice" in one_line(run(*common, "--vcf", "-", "--null", 9, stdin="#"))


def test_indels_may_be_compensated(run, common, vcf):
    plain, both = (
        frame(run(*common, "--vcf", vcf, "--indel", name)) for name in ("left", "compensate")
    )
    changed = plain["y_alt"].fillna(0) != both["y_alt"].fillna(0)
    assert plain.loc[changed, "alt"].str.len().tolist() == [3]


def test_workers_share_a_folder(run, common, vcf):
    parts = [*common, "--vcf", vcf, "--shard", 4, "-q"]
    assert run(*parts, "-o", "one").exit_code == 0
    assert parsed(run(*parts, "-o", "two", "--workers", 2, "--json"))["rows"] == 11
    assert read_results("two").equals(read_results("one"))


def test_a_rank_that_is_not_the_last_says_so(run, common, vcf, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    result = run(*common, "--vcf", vcf, "-o", "s", "--shard", 4)
    assert result.exit_code == 0
    assert "others have yet to finish" in result.stderr


def test_devices_that_are_not_there_are_one_line(run, common, vcf):
    told = one_line(run(*common, "--vcf", vcf, "-o", "s", "--devices", "cuda:97,cuda:98"))
    assert "no device cuda:97, cuda:98; this machine has" in told
    assert "GPUs" in one_line(run(*common, "--vcf", vcf, "-o", "s", "--devices", 99))
    assert not Path("s").exists()


def test_a_tile_answers_another_question_than_centred_windows(run, common):
    words = [*common, "--saturate", "chr1:31-40", "-q"]
    centred, tiled = frame(run(*words)), frame(run(*words, "--tile", 5))
    assert centred["pos"].equals(tiled["pos"])
    same = centred["diff"] == tiled["diff"]
    # the middle base of a tile is centred: 0-based 32 and 37
    assert set(tiled.loc[same, "pos"]) == {33, 38}


@pytest.mark.parametrize("name", ["y.xlsx", "y.vcf.gz", "y.bcf", "y.tsv.bz2"])
def test_a_file_of_another_kind_is_refused(run, common, vcf, name):
    told = one_line(run(*common, "--vcf", vcf, "-o", name))
    assert "files are not written; expected .tsv" in told
    assert ("annotate" in told) == name.startswith(("y.vcf", "y.bcf"))
    assert not Path(name).exists()
    assert run(*common, "--vcf", vcf, "-o", "run.v1/", "-q").exit_code == 0
    assert run(*common, "--vcf", vcf, "-o", "run.v1", "-q", "--resume").exit_code == 0
