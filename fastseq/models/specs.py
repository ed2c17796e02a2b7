"""What a model takes in and what its numbers mean; both travel in every checkpoint."""

from fastseq.models.input_spec import COMPLEMENT, InputSpec, Strand
from fastseq.models.target_spec import Activation, OutputScale, Scale, TargetSpec

__all__ = [
    "COMPLEMENT",
    "Activation",
    "InputSpec",
    "OutputScale",
    "Scale",
    "Strand",
    "TargetSpec",
]
