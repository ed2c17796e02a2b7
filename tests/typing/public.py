"""What a type checker sees of the public names; read by pyright, never run."""

from typing import assert_type

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

import fastseq
from fastseq.learn.evaluate import DreamScore
from fastseq.lower.plan import Plan
from fastseq.reliability.length_weights import LengthWeights
from fastseq.score.attribute import Attributions
from fastseq.score.ism import ISMResult
from fastseq.sequence.simulate import MotifTask

model = fastseq.models.build("tum_resnet", length=80)
assert_type(model, nn.Module)
assert_type(fastseq.encode(["ACGT"]), NDArray[np.uint8])
assert_type(fastseq.predict(model, ["ACGT"]), NDArray[np.float32])
assert_type(fastseq.predict([model, "model.safetensors"], "ACGT"), NDArray[np.float32])
assert_type(fastseq.lower(model, length=80), Plan)
found = fastseq.saturation_mutagenesis(model, np.array(["ACGT"]), start=1, end=3)
assert_type(found, ISMResult)
assert_type(found.effect, NDArray[np.float32])
assert_type(fastseq.attribute(model, b"ACGT", "ism"), Attributions)
assert_type(fastseq.one_hot(["ACGT"]), NDArray[np.generic])
assert_type(fastseq.models.load("model.safetensors"), nn.Module)
assert_type(fastseq.fit_length_weights({3: np.ones(30)}, np.ones(30)), LengthWeights)
assert_type(fastseq.signal_to_noise(["ACGT"], found.hypothetical, np.ones((1, 4), bool)), float)
assert_type(fastseq.dream_score(np.ones(3), np.ones(3), {}), DreamScore)
assert_type(fastseq.simulate_motif_task(10), MotifTask)
assert_type(fastseq.show.kld_bars({3: 0.1}), Figure)
fastseq.predict(model, ["ACGT"], strands="reverse")  # pyright: ignore[reportArgumentType]
fastseq.attribute(model, "ACGT", "magic")  # pyright: ignore[reportArgumentType]
