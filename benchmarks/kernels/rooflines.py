"""What the card can do at most, and how near to it each kernel comes."""

import torch
from fastseq_kernels import reference
from torch import Tensor

from benchmarks.kernels.device import DEVICE, random
from benchmarks.kernels.report import Report
from benchmarks.kernels.shapes import LAYERS, Layer


def ceilings(report: Report) -> dict[str, float]:
    """Measure the copy and the matrix product, which bound all that follows."""
    size = 1 << (10 if report.smoke else 31)
    source = torch.empty(size, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    side = 64 if report.smoke else 8192
    a, b = (random(side, side, dtype=torch.bfloat16) for _ in range(2))

    def copy() -> dict:
        ms = report.milliseconds(lambda: target.copy_(source))
        return {"bytes_per_second": 2 * size / ms * 1e3}

    def product() -> dict:
        ms = report.milliseconds(lambda: a @ b)
        return {"operations_per_second": 2 * side**3 / ms * 1e3}

    found = {}
    for name, figure in (("copy", copy), ("bfloat16 matrix product", product)):
        found |= report.add("ceiling", name, figure) or {}
    measured = {name: value for name, value in found.items() if value}
    return {"bytes_per_second": 4.3e12, "operations_per_second": peak(report)} | measured


def peak(report: Report) -> float:
    """Return operations a second of the matrix product, an H200's where it was not measured."""
    row = report.known("ceiling", "bfloat16 matrix product") or {}
    return row.get("operations_per_second") or 790e12


def layers(report: Report, roof: dict[str, float]) -> list[Layer]:
    """Check and time every layer; return those that are right."""
    right = []
    # a smoke test takes the first layer of each op
    chosen = {layer.op: layer for layer in reversed(LAYERS)}.values() if report.smoke else LAYERS
    for layer in chosen:
        n = 1 if report.smoke else int(5e8 / layer.traffic(1))  # ten times what L2 holds

        def figure(layer=layer, n=n) -> dict:
            tensors, options = layer.arguments(n, random)
            few = layer.arguments(min(n, 2), random)
            row = {"n": n, "error_l2": check(layer, layer.run(*few))}
            ms = report.milliseconds(lambda: layer.run(tensors, options))
            floor = 1e3 * max(layer.traffic(n) / roof["bytes_per_second"],
                              layer.operations(n) / roof["operations_per_second"])  # fmt: skip
            row |= {"ms": ms, "floor_ms": floor, "share_of_roofline": floor / ms,
                    "tflops": layer.operations(n) / ms / 1e9,
                    "tbs": layer.traffic(n) / ms / 1e9}  # fmt: skip
            for name, flat in (("conv1d NCL", False), ("conv2d channels-last", True)):
                rival = layer.eager(tensors, options, flat=flat)
                if rival is not None and layer.dtype != "float32":
                    row[f"ratio to {name}"] = report.milliseconds(rival) / ms
            return row

        if report.add("layer", str(layer), figure):
            right.append(layer)
    return right


def check(layer: Layer, found: Tensor) -> float:
    """Return the relative error of an answer to random input; raise where it is too large."""
    truth = layer.truth(*layer.arguments(len(found), random))
    error = reference.relative_error(found, truth)
    kind = "tf32" if layer.precision == "tf32" else layer.dtype
    limit = reference.TOLERANCE["float32" if layer.op == "squeeze" else kind]
    if not error <= limit:
        raise ArithmeticError(f"{layer}: relative error {error:.2e}, of {limit:.0e}")
    return error
