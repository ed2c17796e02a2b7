import numpy as np
import pytest

import fastseq
from fastseq.io.maps import read_maps


@pytest.mark.parametrize("engine", ["auto", "incremental", "full"])
def test_every_engine_gives_the_same_map(run, model, fasta, sequences, engine):
    done = run("ism", "-m", model, fasta, "-o", "y.npz", "--rows", 2, "--engine", engine)
    assert done.exit_code == 0, done.stderr
    expected = fastseq.saturation_mutagenesis(str(model), sequences[:2])
    np.testing.assert_allclose(read_maps("y.npz").values, expected.effect, rtol=1e-4, atol=1e-6)


def test_explain_tells_the_engine_and_runs_nothing(run, model):
    plan = fastseq.lower(str(model))
    assert run("ism", "-m", model, "--explain").stdout == plan.explain_ism() + "\n"
    part = run("ism", "-m", model, "absent.fa", "--explain", "--start", 5, "--end", 9)
    assert part.stdout == plan.explain_ism(12) + "\n"
    both = run("ism", "-m", model, "-m", model, "--explain").stdout
    assert both.count(f"{model}:\n120 edits a sequence") == 2


def test_sequences_are_needed_to_run(run, model):
    result = run("ism", "-m", model)
    assert result.exit_code == 2
    assert "SEQUENCES" in result.stderr
