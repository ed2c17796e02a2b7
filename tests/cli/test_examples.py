"""What --help and the pages of the documentation tell people to type exists, and runs."""

import gzip
import json
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

import fastseq
from fastseq.cli.main import VERBS, main

# what the examples' values become, so that they run on a few hundred bases
SMALLER = {"chr2:1-5000": "chr2:1-80", "2048": "40", "2114": "40", "1000": "20"}
# minutes each: the demo has its own tests, the other trains on 20,000 sequences
SLOW = re.compile(r"fastseq (demo|train --data task)")


def examples(verb):
    """Return the command lines of a verb's help, word by word, what is not ours left out."""
    with click.Context(main) as ctx:
        text = main.get_command(ctx, verb).help.replace("\\\n", " ")
    lines = [line.strip() for line in text.partition("Example:")[2].splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line]


def ours(words):
    """Yield each call of fastseq in a line, and whether something is piped into it."""
    call, piped = [], False
    for word in [*words, "|"]:
        if word in ("|", "&&", ">"):
            if call[:1] == ["fastseq"]:
                yield call[1:], piped
            call, piped = [], word == "|"
        else:
            call.append(word)


CALLS = [(call, piped) for verb in VERBS for words in examples(verb) for call, piped in ours(words)]


def check_options(call):
    """Raise click's usage error where a verb lacks an option of this call."""
    command, words = main, call
    while isinstance(command, click.Group):
        verb, *words = words
        command = command.get_command(click.Context(command), verb)
        assert command is not None, f"there is no verb {verb}"
    context = click.Context(command, info_name=call[0], resilient_parsing=True)
    command.make_parser(context).parse_args(args=list(words))


@pytest.mark.parametrize("call", [call for call, _ in CALLS], ids=" ".join)
def test_options_of_examples_exist(call):
    check_options(call)


def test_every_verb_has_an_example():
    assert {call[0] for call, _ in CALLS} == set(VERBS)


@pytest.fixture
def files(run, tmp_path):
    """Make every file that the examples name, small."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, (48, 40), dtype=np.uint8)
    seqs = fastseq.decode(codes)
    rows = [f"{s}\t{g}\t{'val' if i % 4 == 0 else 'train'}\t{i}"
            for i, (s, g) in enumerate(zip(seqs, np.isin(codes, (1, 2)).mean(1)))]  # fmt: skip
    table = "\n".join(["seq\texpression\tfold\tpos", *rows]) + "\n"
    Path("test.tsv").write_text(table)
    subsets = {"test": {"all": {"rows": list(range(48))}}, "val": {"all": {"rows": []}}}
    Path("challenge").write_text(json.dumps(subsets))
    genome = {name: fastseq.decode(rng.integers(0, 4, 600, dtype=np.uint8)) for name in "1289"}
    fasta = "".join(f">chr{name}\n{text}\n" for name, text in genome.items())
    Path("genome.fa").write_text(fasta)
    head = (
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    sites = "".join(f"chr1\t{p}\t.\t{genome['1'][p - 1]}\tAG\t.\t.\t.\n" for p in range(60, 90))
    Path("peaks.bed").write_text(
        "".join(f"chr{name}\t{p}\t{p + 20}\n" for name in genome for p in range(50, 550, 100))
    )
    coverage = [(f"chr{name}", p, p + 9, float(p)) for name in genome for p in range(0, 600, 10)]
    pytest.importorskip("pybigtools").open("atac.bw", "w").write(
        {f"chr{name}": 600 for name in genome}, coverage
    )
    Path("theirs.tsv").write_text("chrom\tpos\tref\talt\tdelta\n" + "".join(
        f"chr1\t{p}\t{genome['1'][p - 1]}\tAG\t{p}\n" for p in range(60, 90)))  # fmt: skip
    Path("my-edits.tsv").write_text(
        "name\tpos\tref\talt\n" + "".join(f"s{i}\t9\t{s[9:11]}\tTTT\n" for i, s in enumerate(seqs))
    )
    promoters = "".join(f">s{i}\n{text}\n" for i, text in enumerate(seqs))
    Path("promoters.fa").write_text(promoters)
    reads = "".join(f"@r{i}\n{text}\n+\n{'I' * 40}\n" for i, text in enumerate(seqs))
    for name, text in [("promoters.tsv", table), ("promoters.fa", promoters), ("reads.fq", reads),
                       ("genome.fa", fasta), ("sites.vcf", head + sites)]:  # fmt: skip
        Path(f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return {"predict": promoters, "score": head + sites}


def test_the_examples_run_one_after_the_other(run, files, model):
    for name in ("model", "a", "b"):
        Path(f"{name}.safetensors").write_bytes(Path(model).read_bytes())
    for call, piped in CALLS:
        line = f"fastseq {shlex.join(call)}"
        if SLOW.match(line) or "challenge/" in call:
            continue
        call = [SMALLER.get(word, word) for word in call]
        if call[0] == "train":
            call += ["--epochs", "1"]
        if call[0] == "train" and "bpnet" in call:
            call += ["--size", "channels=4", "--size", "layers=1"]
        result = run(*call, "-q", stdin=files.get(call[0]) if piped else None)
        assert result.exit_code == 0, f"{line}\n{result.stderr}"
        if call[:2] == ["kld", "saliency.npz"]:
            Path("kld.json").write_text(run(*call[:2], "--json", "-q").stdout)
