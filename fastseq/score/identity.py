"""What a run is, as JSON values: a folder of results takes parts of one identity only."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path

from fastseq.io.files import sha256
from fastseq.io.variants import ContigMap, Source
from fastseq.lower.plan import Plan
from fastseq.score.scorer import Scorer


def run_identity(
    run: Scorer, variants: Source, *, contig_map: ContigMap = None, regions: object = None
) -> dict:
    """Return inputs with their hashes, the models' hashes, options, precision and version."""
    return {
        "kind": "variant scores",
        "version": _version(),
        "variants": _source(variants),
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
        "contig_map": _named(contig_map),
        "regions": regions if regions is None or isinstance(regions, str) else _named(regions),
    }


def model_digest(plan: Plan) -> str:
    """Return the SHA-256 of a model's class, specs and weights."""
    module = plan._module
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


def _source(variants: Source) -> dict:
    if isinstance(variants, str | PathLike):
        if fspath(variants) == "-":
            return {"name": "-"}
        return {"name": Path(variants).name, "sha256": sha256(variants)}
    text = variants.to_csv(index=False) if hasattr(variants, "to_csv") else "\n".join(variants)
    return {"name": "table", "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _named(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str | PathLike):
        name = fspath(value)
        return {"name": Path(name).name, "sha256": sha256(name)} if Path(name).exists() else name
    return value if value is None else list(value)
