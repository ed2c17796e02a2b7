"""SNVs on a GPU's plan by `score_variants` itself: from text and genome to a folder of scores.

One process does it all: it parses, checks REF, cuts windows, runs the network and writes Parquet.
A network is trained for a moment first: a reduced precision is refused where effects drown in its
rounding, as those of random weights do.
"""

import time
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from fastseq_kernels.reference import relative_error

from benchmarks.score.bench_variants import CONTIG, YEAST_SNVS, inputs
from fastseq import models
from fastseq.io.fasta import Genome
from fastseq.lower.ensemble import lower
from fastseq.score.variants import SHARD, score_variants

if TYPE_CHECKING:
    import pandas as pd

# alleles by region and by VCF, those of a call that warms up, and what is built and trained; a
# call of one block captures the largest batch that any call runs
FULL = {"positions": 500_000, "records": 500_000, "first": SHARD, "steps": 40, "batch": 64,
        "shape": {"length": 110}}  # fmt: skip
SMOKE = {"positions": 6, "records": 12, "first": 3, "steps": 40, "batch": 32,
         "shape": {"length": 20, "channels": 8, "pairs": 1, "first_kernel": 5}}  # fmt: skip
# where the region begins, and how many alleles are held against float64
START, CHECKED = 100_001, 64


class SNVs:
    """A genome, a VCF, and a residual network lowered to bfloat16.

    Parameters
    ----------
    device : torch.device
    tolerance : float
        Of the answers to REF and ALT haplotypes, relative to those of the network in float64; or
        twice PyTorch's own error, where that is larger.
    smoke : bool
        Tiny sizes.
    """

    def __init__(self, device: torch.device, tolerance: float, *, smoke: bool = False) -> None:
        self.sizes, self.tolerance = SMOKE if smoke else FULL, tolerance
        fasta, self.vcf = inputs(self.sizes["records"], False)
        self.few = inputs(self.sizes["first"], False)[1]  # on the same genome
        self.genome = Genome.open(fasta)
        self.module = self.trained(device)
        self.plan = lower(self.module, device=device, precision="bfloat16")

    def trained(self, device: torch.device) -> torch.nn.Module:
        """Return the network after a few steps towards a weighted count of the bases."""
        length, rng = self.sizes["shape"]["length"], np.random.default_rng(0)
        torch.manual_seed(0)
        module = models.build("tum_resnet", activation="none", **self.sizes["shape"]).to(device)
        optimizer = torch.optim.Adam(module.parameters(), 2e-3)
        for _ in range(self.sizes["steps"]):
            starts = rng.integers(0, CONTIG - length, self.sizes["batch"])
            codes = self.genome.windows(0, starts, length)
            labels = np.array([1.0, -0.5, 0.5, -1.0], np.float32)[codes].mean(1) * length / 3
            answers = module(module.input_spec.expand(codes).to(device)).flatten()
            loss = torch.nn.functional.mse_loss(answers, torch.from_numpy(labels).to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return module.eval()

    def saturating(self) -> dict:
        """Score every SNV of a region, each in its own window."""
        few, many = (
            f"chr1:{START}-{START - 1 + self.sizes[key]}" for key in ("first", "positions")
        )
        row = self.timed({"variants": None, "saturate": few}, {"variants": None, "saturate": many})
        return {"figure": "variants, saturating", "input": f"{row['n']:,} SNVs of a region", **row}

    def from_vcf(self) -> dict:
        """Score the records of a VCF without samples."""
        row = self.timed({"variants": self.few}, {"variants": self.vcf})
        return {"figure": "variants, from a VCF", "input": f"{row['n']:,} SNVs, plain text", **row}

    def timed(self, few: dict, many: dict) -> dict:
        """Return the row of a source, timed once behind a smaller one that is checked and timed."""
        error = self.check(score_variants(self.plan, fasta=self.genome, **few))
        (less, small), (took, rows) = self.seconds(few), self.seconds(many)
        # a genome pays once for what a call costs before its first allele
        each = (took - less) / (rows - small)
        start = less - small * each
        whole = start + each * YEAST_SNVS
        note = (f"one process, to Parquet; {start:.2f} of {took:.2f} s go before the first allele; "
                f"the yeast genome's {YEAST_SNVS / 1e6:.1f} M SNVs would take {whole:.0f} GPU "
                "seconds")  # fmt: skip
        return {"n": rows, "value": rows / took, "unit": "variants/s", "error_l2": error,
                "seconds": took, "yeast_gpu_seconds": whole, "note": note}  # fmt: skip

    def seconds(self, source: dict) -> tuple[float, int]:
        """Return how long one call takes that writes a folder, and the alleles it scored."""
        with TemporaryDirectory(prefix="fastseq-bench-") as folder:
            begin = time.perf_counter()
            manifest = score_variants(self.plan, fasta=self.genome,
                                      output=Path(folder) / "scores", **source)  # fmt: skip
            return time.perf_counter() - begin, manifest["counts"]["ok"]

    def check(self, frame: "pd.DataFrame") -> float:
        """Return the relative error of the answers to both haplotypes; raise where too large."""
        if not (frame.status == "ok").all():
            raise ArithmeticError(f"not scored: {frame.status.value_counts().to_dict()}")
        frame, middle = frame.head(CHECKED), self.sizes["shape"]["length"] // 2
        ref = self.genome.windows(0, frame.pos.to_numpy() - 1 - middle, self.plan.input_spec.length)
        alt = ref.copy()
        alt[:, middle] = ["ACGT".index(base) for base in frame.alt]
        x = self.plan.input_spec.expand(np.concatenate([ref, alt])).to(self.plan.device)
        with torch.no_grad():
            truth = deepcopy(self.module).double()(x.double()).flatten()
            own = relative_error(deepcopy(self.module).bfloat16()(x.bfloat16()).flatten(), truth)
        found = np.concatenate([frame.y_ref, frame.y_alt])
        error = relative_error(torch.from_numpy(found), truth.cpu())
        if not error <= max(self.tolerance, 2 * own):
            raise ArithmeticError(f"relative error {error:.2e}; PyTorch's own is {own:.2e}")
        return error
