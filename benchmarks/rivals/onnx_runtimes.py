"""ONNX Runtime and OpenVINO on one thread, each on the ONNX form of a plain module."""

import io
import logging
import warnings

import numpy as np
import onnxruntime
import torch

try:
    import openvino
except ImportError:
    openvino = None


logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def onnx(model: torch.nn.Module, example: torch.Tensor) -> bytes:
    """Return a module as ONNX, its batch of the example's size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (example,), dynamo=True, verbose=False)
    content = io.BytesIO()
    program.save(content)
    return content.getvalue()


class OnnxRuntime:
    """A session of ONNX Runtime, fed batch by batch."""

    def __init__(self, model: torch.nn.Module, hot: torch.Tensor, batch: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            onnx(model, hot[:batch]), options, providers=["CPUExecutionProvider"]
        )
        (name,) = [given.name for given in session.get_inputs()]
        parts = [part.numpy() for part in hot.split(batch) if len(part) == batch]
        self.rows = len(parts) * batch
        self.run = lambda: np.concatenate([session.run(None, {name: part})[0] for part in parts])


class OpenVino:
    """A compiled model of OpenVINO, in float32 or bfloat16."""

    def __init__(self, model: torch.nn.Module, hot: torch.Tensor, batch: int, precision: str):
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(onnx(model, hot[:batch])),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": 1,
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            },
        )
        request = compiled.create_infer_request()
        parts = [part.numpy() for part in hot.split(batch) if len(part) == batch]
        self.rows = len(parts) * batch
        self.run = lambda: np.concatenate(
            [next(iter(request.infer([part]).values())).copy() for part in parts]
        )
