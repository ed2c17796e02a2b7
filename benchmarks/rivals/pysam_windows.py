"""REF and ALT windows the usual way: pysam reads the VCF and the indexed FASTA, strings are cut.

What kipoiseq, variant-scorer and most scripts do, with every ALT allele kept and each haplotype
refilled to its length. No REF check, no normalisation, one-hot by a look-up table.
"""

import numpy as np
import pysam

TABLE = np.zeros((256, 4), np.uint8)
TABLE[np.frombuffer(b"ACGT", np.uint8)] = np.eye(4, dtype=np.uint8)


def windows(vcf: str, fasta: str, length: int) -> int:
    """Build both one-hot windows of every allele; return how many alleles there were."""
    count = 0
    with pysam.VariantFile(vcf) as records, pysam.FastaFile(fasta) as genome:
        for record in records:
            start = record.pos - 1 - length // 2
            drawn = max(len(record.ref) - 1, 0)
            near = genome.fetch(record.chrom, max(start, 0), start + length + drawn).upper()
            near = "N" * max(-start, 0) + near
            at = length // 2
            for alt in record.alts or ():
                ref_window = near[:length].ljust(length, "N")
                changed = near[:at] + alt + near[at + len(record.ref) :]
                alt_window = changed[:length].ljust(length, "N")
                for window in (ref_window, alt_window):
                    TABLE[np.frombuffer(window.encode(), np.uint8)]
                count += 1
    return count


def sites(vcf: str) -> int:
    """Read chrom, pos, ref and alts of every record."""
    count = 0
    with pysam.VariantFile(vcf) as records:
        for record in records:
            if record.chrom and record.pos and record.ref:
                count += len(record.alts or ())
    return count
