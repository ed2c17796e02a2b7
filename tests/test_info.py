"""What is said of the build and the machine is what runs."""

import json

import fastseq
from fastseq._native import cpu


def test_the_path_is_the_one_that_runs():
    native = fastseq.info()["native"]
    assert native["path"] == cpu.current()
    assert native["path"] in native["paths"] == [*cpu.supported()]
    assert {"encode", "kmers", "kld"} <= {*native["modules"]}
    before = cpu.use("portable")
    try:
        assert fastseq.info()["native"]["path"] == "portable"
    finally:
        cpu.use(before)


def test_everything_said_is_json():
    assert json.loads(json.dumps(fastseq.info())) == fastseq.info()
