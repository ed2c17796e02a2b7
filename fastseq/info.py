"""What was built and what runs here, in sentences."""

import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from fastseq import _native
from fastseq._lazy import EXTRA, also_verb
from fastseq._native import cpu

DISTRIBUTION = "fastseq-genomics"
BASE = ("numpy", "scipy", "click")
# what native code or oneDNN can use, as Linux spells it
FEATURES = (
    "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16",
    "asimd", "sve", "bf16",
)  # fmt: skip


def info() -> dict[str, object]:
    """Return versions, native modules with their CPU paths, extras and devices, as JSON values.

    Returns
    -------
    dict
        ``fastseq``, ``python``, ``system`` and ``cores``; ``packages``: version of each that is
        always there; ``processor``: its ``name`` and those ``features`` that arithmetic can use,
        empty where the system does not tell; ``native``: ``modules`` that were built,
        ``paths`` through them that this processor can take, the ``path`` taken (FASTSEQ_CPU
        chooses another); ``extras``: extra -> {package: version or None}; ``missing``: one
        sentence per absent extra; ``devices``: one line each; ``fused``: what plans merge on each
        kind of device, and why they do not where they do not.

    Examples
    --------
    >>> "native" in info()
    True
    """
    extras: dict[str, dict[str, str | None]] = {}
    for package, extra in EXTRA.items():
        extras.setdefault(extra, {})[package] = _version(package)
    missing = [
        f"{', '.join(name for name, found in packages.items() if not found)} not installed: "
        f"pip install '{DISTRIBUTION}[{extra}]'"
        for extra, packages in extras.items()
        if not all(packages.values())
    ]
    return {
        "fastseq": _version(DISTRIBUTION) or "not installed as a distribution",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": {package: _version(package) for package in BASE},
        "processor": _processor(),
        "native": {
            "path": cpu.current(),
            "paths": list(cpu.supported()),
            "modules": [name for _, name, _ in iter_modules(_native.__path__)],
        },
        "extras": extras,
        "missing": missing,
        "devices": _devices(),
        "fused": _fused(),
    }


def _version(package: str) -> str | None:
    name = {"sklearn": "scikit-learn"}.get(package, package)
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, object]:
    """Return name and features as Linux tells them; elsewhere what the platform knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    parts = (line.partition(":") for line in reversed(lines))
    fields = {key.strip().lower(): value.strip() for key, _, value in parts}
    flags = fields.get("flags", fields.get("features", "")).split()
    return {
        "name": fields.get("model name") or platform.processor() or platform.machine(),
        "features": [name for name in FEATURES if name in flags],
    }


def _devices() -> list[str]:
    if find_spec("torch") is None:
        return ["no torch, so no models: sequences, k-mers and reliability only"]
    torch = import_module("torch")
    lines = [f"cpu, {torch.get_num_threads()} threads in torch {torch.__version__}"]
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        memory, version = about.total_memory / 2**30, f"{about.major}.{about.minor}"
        lines.append(f"cuda:{number}, {about.name}, {memory:.0f} GiB, compute capability {version}")
    return lines


def _fused() -> list[str]:
    if find_spec("torch") is None:
        return []
    support = import_module("fastseq_kernels.support")
    cuda = import_module("torch").device("cuda")
    refused = "; ".join(support.machine(cuda))
    kernels = ", ".join(support.CHECKS)
    here = f"here not, since {refused}" if refused else "here, too"
    return [
        f"on the CPU, plans fold normalisation and run convolutions with bias, skip, activation "
        f"and pool in one pass, of native code ({cpu.current()}) or of oneDNN",
        f"on a GPU, plans run Triton kernels ({kernels}); {here}",
    ]


also_verb(__name__)
