"""What p and z are where replicates say little or nothing."""

import numpy as np
import pytest

from fastseq.errors import OptionError, SequenceError
from fastseq.reliability.kld import kmer_kld


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_replicates_that_differ_by_rounding_have_no_z(n, seed):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (n, 60), dtype=np.uint8)
    maps = random.normal(size=(n, 4, 60))
    if n > 2:
        codes, maps = codes[[0] * n], maps[[0] * n]
    null = kmer_kld(codes, maps, null=30).null
    assert np.isnan([null.z, *null.z_per_k.values()]).all()
    # exchanged with its own copy, a map stays what it was: every replicate ties
    assert null.p == 1 if n > 2 else 0 < null.p <= 1
    assert "nan" in str(null)


def test_two_sequences_may_still_be_turned():
    random = np.random.default_rng(5)
    codes = random.integers(0, 4, (2, 60), dtype=np.uint8)
    null = kmer_kld(codes, random.normal(size=(2, 4, 60)), null=30, null_kind="shift").null
    assert abs(null.z) < 10


def test_seeds_and_letters_that_cannot_be():
    maps = np.ones((2, 4, 8))
    with pytest.raises(OptionError, match="seed=-1"):
        kmer_kld(["ACGTACGT"] * 2, maps, null=2, seed=-1)
    with pytest.raises(SequenceError, match="row 1 has 'Z'"):
        kmer_kld(["ACGTACGT", "ACGTZCGT"], maps)
