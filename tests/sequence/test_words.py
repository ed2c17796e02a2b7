"""Names and numbers of k-mers, and the orders of other tools."""

import numpy as np
import pytest

from fastseq.errors import OptionError
from fastseq.sequence.encode import reverse_complement
from fastseq.sequence.words import (
    canonical_rank,
    canonical_words,
    kmer_names,
    kmer_order,
    kmer_texts,
    reverse_complement_words,
)


def test_names_are_lexicographic():
    for k in (1, 2, 5):
        names = kmer_names(k)
        assert names == sorted(names)
        assert len(set(names)) == 4**k
    assert kmer_names(2, alphabet="ACGU")[3] == "AU"


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_canonical_names_are_the_smaller_of_two(k):
    expected = sorted({min(name, reverse_complement(name)) for name in kmer_names(k)})
    assert kmer_names(k, canonical=True) == expected
    assert canonical_rank(k)[canonical_words(k)].tolist() == list(range(len(expected)))


@pytest.mark.parametrize("k", [1, 7, 16, 31, 32])
def test_numbers_turn_like_letters(k):
    words = np.random.default_rng(k).integers(0, 2**63, 50).astype(np.uint64) % np.uint64(4**k - 1)
    turned = reverse_complement_words(words, k)
    assert kmer_texts(turned, k) == [reverse_complement(t) for t in kmer_texts(words, k)]
    assert np.array_equal(reverse_complement_words(turned, k), words)


def test_orders_of_other_tools():
    # facts about the tools: tangermeme and bionumpy give AC the number 4, cogent3 gives it 9
    names = kmer_names(2)
    assert names[kmer_order(2, "tangermeme")[4]] == "AC"
    assert names[kmer_order(2, "bionumpy")[4]] == "AC"
    assert names[kmer_order(2, "cogent3")[9]] == "AC"
    assert [kmer_names(1)[i] for i in kmer_order(1, "cogent3")] == list("TCAG")
    for tool in ("tangermeme", "bionumpy", "cogent3"):
        for k in (1, 3):
            assert sorted(kmer_order(k, tool)) == list(range(4**k))


def test_bad_k_and_tools_are_refused():
    for k in (0, 13, "2"):
        with pytest.raises(OptionError):
            kmer_names(k)
    with pytest.raises(OptionError, match="jellyfish"):
        kmer_order(2, "jellyfish")
