# pyright: strict
"""What a type checker sees of the public names; read by pyright, never run.

Strict: a parameter or an answer of unknown type, in any name used here, is an error of `make lint`.
tests/test_house.py holds that every public name is used.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

import fastseq
from fastseq.learn.evaluate import DreamScore
from fastseq.learn.train import TrainResult
from fastseq.lower.plan import Plan
from fastseq.reliability.length_weights import LengthWeights
from fastseq.reliability.result import KLDResult
from fastseq.score.ablate import Ablations
from fastseq.score.epistasis import Epistasis
from fastseq.score.explained import Attributions, ISMResult
from fastseq.score.marginalize import Marginalization
from fastseq.score.perturb import Perturbations
from fastseq.sequence.pack import Packed
from fastseq.sequence.simulate import MotifTask

codes: NDArray[np.uint8] = np.zeros((2, 80), np.uint8)
measured = np.ones(2)

# sequences
assert_type(fastseq.encode(["ACGT"]), NDArray[np.uint8])
assert_type(fastseq.one_hot(["ACGT"], dtype="float32"), NDArray[np.generic])
assert_type(fastseq.reverse_complement("AAC"), str)
assert_type(fastseq.reverse_complement(["AAC"]), list[str])
assert_type(fastseq.reverse_complement(codes), NDArray[np.uint8])
assert_type(fastseq.pack("ACGT"), Packed)
assert_type(fastseq.pack(["ACGT"]).unpack(), NDArray[np.uint8])
assert_type(fastseq.gc_content("ACGT"), float | NDArray[np.float64])
assert_type(fastseq.melting_temperature(["ACGT"]), float | NDArray[np.float64])
assert_type(fastseq.kmer_names(2), list[str])
assert_type(fastseq.shuffle("ACGT", seed=3), NDArray[np.uint8])
fastseq.decode(codes)
fastseq.count_kmers(["ACGT"], 2)
assert_type(fastseq.simulate_motif_task(10), MotifTask)
assert_type(fastseq.Edits.substitutions(codes), fastseq.Edits)

# models
model = fastseq.models.build("tum_resnet", length=80)
assert_type(model, nn.Module)
assert_type(fastseq.models.load("model.safetensors"), nn.Module)
assert_type(fastseq.models.save(model, Path("model.safetensors")), Path)
plan = fastseq.lower(model, length=80)
assert_type(plan, Plan)
assert_type(plan.explain(), str)
assert_type(plan.predict(codes), NDArray[np.float32])
assert_type(plan.input_spec.to_dict(), dict[str, Any])
learnt = fastseq.train("tum_cnn", (codes, measured), epochs=1)
assert_type(learnt, TrainResult)
assert_type(learnt.best, dict[str, Any])
assert_type(learnt.history, list[dict[str, Any]])
assert_type(fastseq.dream_score(measured, measured, {}), DreamScore)
assert_type(fastseq.info(), dict[str, object])

# scores
assert_type(fastseq.predict(model, ["ACGT"]), NDArray[np.float32])
assert_type(fastseq.predict([model, "model.safetensors"], "ACGT"), NDArray[np.float32])
found = fastseq.saturation_mutagenesis(model, np.array(["ACGT"]), start=1, end=3)
assert_type(found, ISMResult)
assert_type(found.effect, NDArray[np.float32])
assert_type(found.hypothetical, NDArray[np.float32])
streamed = fastseq.saturation_mutagenesis(model, ["ACGT"], engine="full", output="maps/")
assert_type(streamed, dict[str, Any])
assert_type(fastseq.attribute(model, ["ACGT"], "ism", output="maps.zarr"), dict[str, Any])
maps = fastseq.attribute(model, b"ACGT", "ism")
assert_type(maps, Attributions)
assert_type(fastseq.perturb(model, codes, "deletions:3"), Perturbations)
assert_type(fastseq.epistasis(model, codes, max_distance=5), Epistasis)
assert_type(fastseq.marginalize(model, codes, "TGACTCA"), Marginalization)
assert_type(fastseq.ablate(model, codes, 5), Ablations)
assert_type(fastseq.seqlets(maps), pd.DataFrame)
shared = (fastseq.motif_changes, fastseq.motif_hits)
fastseq.score_variants(model, "sites.vcf", Path("genome.fa"), strands="both")

# reliability and pictures
kld = fastseq.kmer_kld(["ACGT"], found.hypothetical)
assert_type(kld, KLDResult | dict[str, Any])
assert isinstance(kld, KLDResult)
assert_type(kld.per_k, dict[int, float])
assert_type(kld.to_dict(), dict[str, Any])
assert_type(fastseq.fit_length_weights({3: np.ones(30)}, np.ones(30)), LengthWeights)
assert_type(fastseq.signal_to_noise(["ACGT"], found.hypothetical, np.ones((1, 4), bool)), float)
assert_type(fastseq.show.kld_bars({3: 0.1}), Figure)

# what is not offered is refused
fastseq.predict(model, ["ACGT"], strands="reverse")  # pyright: ignore[reportArgumentType]
fastseq.attribute(model, "ACGT", "magic")  # pyright: ignore
print(fastseq.nothing)  # pyright: ignore
