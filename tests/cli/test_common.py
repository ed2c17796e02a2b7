"""What holds for every verb: one JSON object, silence when asked, lines in logs, exit codes."""

import json
import re
from pathlib import Path

import pytest

from fastseq.cli.main import VERBS
from tests.cli.conftest import parsed

TRAINING = ["--model", "tum_cnn", "--size", "channels=4", "--epochs", 1]
COLUMNS = ["--sequence-column", "seq", "--target-column", "gc", "--fold-column", "fold"]
SITES = ["--vcf", "v.vcf", "--fasta", "g.fa"]
# each verb with what it needs, and what its object says beside the verb and the seconds
CALLS = {
    "demo": (["demo", "d"], {"folder", "checks", "signal_to_noise", "alleles", "output"}),
    "simulate": (["simulate", "-n", 40, "-o", "t.tsv"], {"output", "rows"}),
    "train": (["train", "--data", "TABLE", *TRAINING, *COLUMNS], {"output", "best", "history"}),
    "evaluate": (["evaluate", "-m", "MODEL", "--data", "TABLE", *COLUMNS], {"rows", "pearson"}),
    "predict": (["predict", "-m", "MODEL", "FASTA", "-o", "y.tsv"], {"output", "rows", "models"}),
    "ism": (["ism", "-m", "MODEL", "FASTA", "-o", "i.npz"], {"output", "sequences", "models"}),
    "attribute": (
        ["attribute", "-m", "MODEL", "FASTA", "-o", "b.npz"], {"output", "sequences", "models"},
    ),
    "score": (["score", "-m", "MODEL", *SITES, "-o", "s"], {"output", "rows", "counts", "models"}),
    "compare": (["compare", "scores", "scores"], {"joined", "only_a", "classes", "explanation"}),
    "export": (["export", "scores", "e.tsv"], {"folder", "output", "rows", "counts"}),
    "annotate": (["annotate", "scores", "v.vcf", "w.vcf"], {"folder", "vcf", "output", "records"}),
    "kld": (["kld", "a.npz", "--ks", 3, "--null", 3], {"per_k", "total", "sequences"}),
    "kmers": (["kmers", "FASTA", "-o", "k.tsv"], {"output", "k", "rows"}),
    "encode": (["encode", "FASTA", "-o", "x.npy"], {"output", "records", "dtype", "shape"}),
    "report": (["report", "a.npz", "--examples", 0], {"output", "results", "sections"}),
    "models": (["models", "recipes"], {"recipes"}),
    "info": (["info"], {"fastseq", "python", "devices", "native", "missing"}),
}  # fmt: skip
# these write their data to standard output unless told otherwise
TO_STDOUT = ["simulate", "predict", "ism", "attribute", "score", "export", "kmers", "encode"]


@pytest.fixture
def call(run, model, fasta, table):
    """Return a function that runs a verb of `CALLS` where all it needs lies ready."""
    places = {"MODEL": model, "FASTA": fasta, "TABLE": table}
    genome = "ACGTTGCATTAGCCGATTACAGGCTTAACGTCGATCGGATTACCAGGTTAACCGGATATCGCGTAAGC"
    Path("g.fa").write_text(f">chr1\n{genome}\n")
    head = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    sites = [f"chr1\t{p}\t.\t{genome[p - 1]}\tAG\t.\t.\t." for p in range(30, 36)]
    Path("v.vcf").write_text("\n".join([head, *sites]) + "\n")

    def invoke(verb, *more, arguments=None):
        words = [places.get(part, part) for part in arguments or CALLS[verb][0]]
        if {"scores", "a.npz"} & {*words} and not Path("scores").exists():
            assert run("score", "-m", model, *SITES, "-o", "scores", "-q").exit_code == 0
            assert run("attribute", "-m", model, fasta, "-o", "a.npz", "-q").exit_code == 0
        return run(*words, *more)

    return invoke


def test_every_verb_is_among_the_calls():
    assert set(CALLS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_json_is_one_object_that_says_what_was_done(call, request, verb):
    demo = verb == "demo"
    result = request.getfixturevalue("demo_told")[1] if demo else call(verb, "--json")
    told = json.loads(result.stdout, parse_constant=pytest.fail)
    assert told["verb"].split()[0] == verb
    assert CALLS[verb][1] <= set(told)
    if demo:  # its network is untrained here
        assert (result.exit_code, told["status"]) == (1, 1)
        return
    assert result.exit_code == 0, result.stderr
    assert told["seconds"] >= 0
    assert "error" not in told
    if "output" in told and told["output"] not in (None, "-"):
        assert Path(told["output"]).exists()


@pytest.mark.parametrize("verb", TO_STDOUT)
def test_json_does_not_share_standard_output_with_data(call, verb):
    words, _ = CALLS[verb]
    result = call(verb, "--json", arguments=[*words[:-1], "-"])
    assert result.exit_code == 2
    assert "name a file for the data" in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        (["kmers", "absent.fa", "-o", "k.tsv", "--json"], 1, "MissingFileError"),
        (["kmers", "--json"], 2, "MissingParameter"),
        (["kmers", "x.fa", "-k", 99, "--json"], 2, "BadParameter"),
        (["--json"], 2, "NoSuchOption"),
        (["predict", "--jsno", "--json"], 2, "NoSuchOption"),
        (["models", "explain", "tum_resnot", "--json"], 1, "OptionError"),
        (["annotate", "absent", "v.vcf", "w.vcf", "--json"], 1, "MissingFileError"),
    ],
    ids=lambda part: " ".join(map(str, part)) if isinstance(part, list) else None,
)  # fmt: skip
def test_errors_are_json_with_the_same_status(run, arguments, status, kind):
    result = run(*arguments)
    assert result.exit_code == status
    assert "error" in result.stderr.lower() or result.stderr.startswith("fastseq: ")
    if arguments == ["--json"]:  # no verb, so nothing that could answer in JSON
        assert result.stdout == ""
        return
    told = json.loads(result.stdout)
    assert (told["verb"].split()[0], told["status"], told["kind"]) == (arguments[0], status, kind)
    assert " ".join(told["error"].split()) in " ".join(result.stderr.split())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "demo"])
def test_quiet_says_nothing_and_progress_in_a_pipe_is_lines(call, verb):
    assert call(verb, "-q").stderr == ""
    again = ["--overwrite"] if verb == "score" else []
    told = call(verb, "-v", *again).stderr
    assert "\r" not in told
    assert "\x1b" not in told
    lines = told.splitlines()
    assert lines[0].startswith("fastseq: ")
    assert re.search(r"took [\d.]+ s, .* MB at most", lines[-1])


@pytest.mark.parametrize("verb", VERBS)
def test_narrow_and_dumb_terminals_get_plain_text(run, monkeypatch, verb):
    for name, value in {"COLUMNS": "40", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    told = run(verb, "--help").stdout
    assert f"fastseq {verb}" in told
    assert "\x1b" not in told


def test_an_interrupt_is_told_as_json(run, monkeypatch, fasta):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastseq.cli.kmers.count_kmers_in", interrupted)
    monkeypatch.setattr("fastseq.cli.kmers.SHOWN_K", 0)
    result = run("kmers", fasta, "-o", "k.tsv", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["status"]) == (130, 130)
    assert "k.tsv was not written" in told["error"]


def test_the_object_of_a_checkpoint_tells_of_it(run, model):
    told = parsed(run("models", "explain", model, "--json"))
    assert told["input_spec"]["length"] == 40
    assert told["explanation"]
