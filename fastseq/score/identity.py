"""What a run is, as JSON values: a folder of results takes parts of one identity only."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastseq.arrays import Codes
from fastseq.io.variants import VariantInput
from fastseq.lower.plan import Plan
from fastseq.score.scorer import Scorer


def run_identity(run: Scorer, variants: VariantInput) -> dict:
    """Return inputs with their hashes, the models' hashes, options, precision and version."""
    return {
        "kind": "variant scores",
        "version": _version(),
        **variants.identity(),
        "genome": {"name": Path(run.genome.source).name, "sha256": run.genome.digest()},
        "models": [model_digest(plan) for plan in run.plans],
        "precision": [plan.precision for plan in run.plans],
        "device": [plan.device.type for plan in run.plans],
        "batch": [plan.micro_batch for plan in run.plans],
        "tasks": list(run.tasks),
        "length": run.length,
        "anchor": run.anchor,
        "strands": run.views.strands,
        "shifts": list(run.views.shifts),
        "normalize": run.normalize,
        "on_ref_mismatch": run.on_ref_mismatch,
        "scale": run.scale,
        "log2fc": _log2fc(run),
        "reduce": run.reduce,
        "indel": run.indel,
        "engine": run.engine,
        "indel_engine": run.indel_engine,
        "tile": run.tile,
        "null": None if run.null is None else hashlib.sha256(run.null.tobytes()).hexdigest(),
        "active": None if run.active is None else hashlib.sha256(run.active.tobytes()).hexdigest(),
    }


def maps_identity(
    plans: Sequence[Plan], names: Sequence[str], codes: Codes, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the sequences' hash, the models' hashes, options, precision and version.

    A function among the options counts by its name: two of one name are taken for the same.
    """
    texts = hashlib.sha256("\n".join(names).encode())
    texts.update(str(codes.shape).encode())
    texts.update(codes.tobytes())
    return {
        "version": _version(),
        "sequences": texts.hexdigest(),
        "models": [model_digest(plan) for plan in plans],
        "precision": [plan.precision for plan in plans],
        "device": [plan.device.type for plan in plans],
        "batch": [plan.micro_batch for plan in plans],
        **{
            name: getattr(value, "__qualname__", type(value).__name__) if callable(value) else value
            for name, value in options.items()
        },
    }


def model_digest(plan: Plan) -> str:
    """Return the SHA-256 of a model's class, specs and weights."""
    module = plan.module
    digest = hashlib.sha256(type(module).__name__.encode())
    digest.update(repr((plan.input_spec, plan.target_spec)).encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _version() -> str:
    try:
        return version("fastseq-genomics")
    except PackageNotFoundError:
        return "not installed as a distribution"


def _log2fc(run: Scorer) -> str:
    scale = "logit" if run.scale == "logit" else run.plans[0].target_spec.scale
    if scale in ("linear", "counts"):
        return f"log2((alt + {run.pseudocount:g}) / (ref + {run.pseudocount:g}))"
    if scale in ("log2", "ln"):
        return "diff" if scale == "log2" else "diff / ln 2"
    return f"none: no ratio can be formed on the scale {scale}"
