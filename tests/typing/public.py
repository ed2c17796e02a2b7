"""What a type checker sees of the public names; read by pyright, never run."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from torch import nn

import fastseq
from fastseq.lower.plan import Plan
from fastseq.score.attribute import Attributions
from fastseq.score.ism import ISMResult

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
fastseq.predict(model, ["ACGT"], strands="reverse")  # pyright: ignore[reportArgumentType]
fastseq.attribute(model, "ACGT", "magic")  # pyright: ignore[reportArgumentType]
