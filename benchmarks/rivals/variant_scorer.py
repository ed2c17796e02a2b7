"""variant-scorer: its generator of allele pairs, batch by batch, without its TensorFlow model.

No distribution of it exists: ``FASTSEQ_VARIANT_SCORER`` names the folder ``src`` of a checkout.
"""

import os
import sys
from types import ModuleType

import pandas as pd

SOURCE = os.environ.get("FASTSEQ_VARIANT_SCORER")
if SOURCE is None:
    raise ModuleNotFoundError("FASTSEQ_VARIANT_SCORER names no checkout of variant-scorer")

# all that the generator takes of either is a base class and a shuffle that is not asked for
for name, attribute in (
    ("tensorflow", None), ("tensorflow.keras", None), ("tensorflow.keras.utils", "Sequence"),
    ("deeplift", None), ("deeplift.dinuc_shuffle", "dinuc_shuffle"),
):  # fmt: skip
    sys.modules.setdefault(name, ModuleType(name))
    if attribute:
        setattr(sys.modules[name], attribute, object)
sys.path.insert(0, SOURCE)

from generators.variant_generator import VariantGenerator  # noqa: E402


def windows(vcf: str, fasta: str, length: int) -> int:
    """Build both one-hot windows of every variant; return how many there were."""
    sites = pd.read_csv(vcf, sep="\t", comment="#", header=None, usecols=[0, 1, 2, 3, 4])
    sites.columns = ["chr", "pos", "rsid", "allele1", "allele2"]
    sites["variant_id"] = sites.rsid
    batches = VariantGenerator(sites, length, fasta)
    for at in range(len(batches)):
        batches[at]
    return len(sites)
