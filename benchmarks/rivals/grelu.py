"""gReLU: its dataset of variants, item by item as its loader asks for them; SNVs only."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from grelu.data.dataset import VariantDataset


def windows(vcf: str, fasta: str, length: int) -> int:
    """Build both windows of every SNV; return how many there were."""
    sizes = Path(f"{fasta}.sizes")
    if not sizes.exists():
        rows = [line.split("\t")[:2] for line in Path(f"{fasta}.fai").read_text().splitlines()]
        sizes.write_text("".join(f"{name}\t{size}\n" for name, size in rows))
    sites = pd.read_csv(vcf, sep="\t", comment="#", header=None, usecols=[0, 1, 3, 4])
    sites.columns = ["chrom", "pos", "ref", "alt"]
    items = VariantDataset(sites, seq_len=length, genome=fasta)
    for at in range(len(items)):
        items[at]
    return len(sites)
