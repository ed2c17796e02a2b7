"""Variants in regions, and regions that no variant is in."""

import pytest

from fastseq.errors import FastseqWarning
from fastseq.io.bed import Region
from fastseq.io.variants import read_variants, within

TEXTS = ["chr1:5:A:C", "chr1:9:A:C", "chr2:5:A:C"]


def test_rows_inside_any_region_stay():
    kept = within(read_variants(TEXTS), [Region("chr1", 4, 5), Region("chr2", 0, None)])
    assert [pos for block in kept for pos in block.pos] == [5, 5]


def test_a_misspelt_contig_is_told():
    with pytest.warns(FastseqWarning, match="no record is on chrX, .* are on chr1, chr2"):
        kept = [*within(read_variants(TEXTS), [Region("chrX", 0, 5), Region("chr1", 0, 9)])]
    assert sum(map(len, kept)) == 2
