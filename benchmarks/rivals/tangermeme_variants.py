"""tangermeme: REF and ALT one-hot windows of substitutions, by its readers and its effect function.

Its VCF reader wants nine columns. It checks no REF, and takes insertions and deletions apart.
"""

import numpy as np
import pandas as pd
import torch
from tangermeme.io import extract_loci, read_vcf
from tangermeme.variant_effect import substitution_effect


def windows(vcf: str, fasta: str, length: int) -> int:
    """Build both windows of every SNV; return how many there were."""
    sites = read_vcf(vcf)
    start = sites.POS - 1 - length // 2
    loci = pd.DataFrame({"chrom": sites.CHROM, "start": start, "end": start + length})
    rows, inside = extract_loci(loci, fasta, in_window=length, n_jobs=1, return_mask=True)
    letters = torch.tensor(["ACGT".index(alt) for alt in sites.ALT[np.asarray(inside)]])
    count = len(letters)
    edits = torch.stack([torch.arange(count), torch.full((count,), length // 2), letters], 1)
    substitution_effect(None, rows, edits, func=lambda model, x, **_: torch.zeros(len(x), 1))
    return count
