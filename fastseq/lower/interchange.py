"""A lowered model in the form that other runtimes read."""

import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from fastseq._lazy import load
from fastseq.errors import ModelError
from fastseq.lower.program import Expand
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.models.whole_files import write_whole


class _Answer(nn.Module):
    """Codes in, answers in the units of the TargetSpec out."""

    def __init__(self, graph: fx.GraphModule, input_spec: InputSpec, target_spec: TargetSpec):
        super().__init__()
        self.expand, self.body, self.spec = Expand(input_spec.table("+")), graph, target_spec

    def forward(self, codes: Tensor) -> Tensor:
        score = self.spec.score(self.body(self.expand(codes)))
        return self.spec.activate(score) * self.spec.slope + self.spec.offset


def export_onnx(
    graph: fx.GraphModule,
    input_spec: InputSpec,
    target_spec: TargetSpec,
    path: str | os.PathLike[str],
) -> Path:
    """Write a lowered graph with its input table and head as an ONNX model; return the path.

    Raises
    ------
    ModelError
        PyTorch knows no ONNX form of an operator; its own words follow.
    MissingExtraError, UnreadableFileError
        The extra ``onnx`` is not installed; the folder cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        load(package)
    model = _Answer(graph.to("cpu"), input_spec, target_spec).eval()
    example = torch.zeros(2, input_spec.length, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model, (example,), dynamo=True, verbose=False, input_names=["codes"],
                output_names=["answer"], dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelError(f"the plan has no ONNX form: {first}") from error
    assert program is not None
    return write_whole(Path(path), program.model_proto.SerializeToString())
