"""Compile what the kernels would launch, for GPUs that are not here, and read its resources.

    python -m benchmarks.kernels.aot            # every layer, every target; rows of this triton
    python -m benchmarks.kernels.aot --only "conv1d 110"      # others stay as they were

An op's host function runs on tensors without storage; its launch is caught with everything that
Triton would specialise on, and compiled for sm_80, sm_90 and gfx942. Registers and spills come
from ptxas and from the AMD assembly, instructions from the disassembly: all tools are Triton's own.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import torch
import triton
from fastseq_kernels import launch, library
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction
from triton.tools.tensor_descriptor import TensorDescriptor

from benchmarks.kernels.shapes import LAYERS, Layer
from benchmarks.run import RESULTS, stamp

TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
LAUNCH = ("BM", "BN", "BK", "BS", "BL", "BC", "S", "BR", "BP", "num_warps", "num_stages")
POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int32: "*i32",
}


@dataclass
class Resources:
    """What one program of a compiled kernel takes."""

    registers: int
    spills: int  # bytes on NVIDIA, registers on AMD
    shared: int  # bytes
    matrix: int  # tensor-core instructions in the assembly
    tensor_copies: int  # instructions of Hopper's copy engine
    instructions: int


@dataclass
class Launch:
    """A caught launch: the kernel and all that Triton would specialise it on."""

    kernel: JITFunction
    arguments: dict

    def source(self) -> tuple[ASTSource, dict]:
        """Return the specialised source and its compile options, as the JIT would make them."""
        names = self.kernel.arg_names
        signature, constants, attributes = {}, {}, {}
        for parameter in self.kernel.params:
            name, value = parameter.name, self.arguments[parameter.name]
            free = not (parameter.is_constexpr or parameter.do_not_specialize)
            if isinstance(value, TensorDescriptor):
                kind = POINTERS[value.base.dtype].removeprefix("*")
                signature[name] = f"tensordesc<{kind}{value.block_shape}>"
            elif isinstance(value, torch.Tensor):
                signature[name] = POINTERS[value.dtype]
                attributes[(names.index(name),)] = [["tt.divisibility", 16]]
            elif parameter.is_constexpr or value is None or (free and value == 1):
                signature[name], constants[name] = "constexpr", value
            elif isinstance(value, float):
                signature[name] = "fp32"
            else:
                signature[name] = "i32" if abs(value) < 2**31 else "i64"
                if free and value % 16 == 0:
                    attributes[(names.index(name),)] = [["tt.divisibility", 16]]
        options = {key: value for key, value in self.arguments.items() if key not in names}
        return ASTSource(self.kernel, signature, constants, attributes), options


def catch(layer: Layer, arch: str) -> list[Launch]:
    """Return what 1,024 sequences of a layer would launch on ``arch``."""
    caught = []

    def run(kernel, *args, grid, warmup, **options):
        caught.append(Launch(kernel, dict(zip(kernel.arg_names, args)) | options))

    def make(*shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="cuda")

    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode())
        stack.enter_context(mock.patch.object(JITFunction, "run", run))
        stack.enter_context(mock.patch("fastseq_kernels.support.machine", return_value=()))
        stack.enter_context(mock.patch.object(library, "architecture", return_value=arch))
        layer.run(*layer.arguments(1024, make))
    return caught


def resources(found: Launch, arch: str) -> Resources:
    """Compile a launch for ``arch`` and return what it takes."""
    source, options = found.source()
    compiled = triton.compile(source, target=TARGETS[arch], options=options)
    if arch.startswith("sm_"):
        return _nvidia(compiled, arch)
    assembly = compiled.asm["amdgcn"]

    def number(key: str) -> int:
        return int(re.search(rf"\.{key}:\s+(\d+)", assembly)[1])

    return Resources(
        registers=number("vgpr_count"),
        spills=number("vgpr_spill_count") + number("sgpr_spill_count"),
        shared=compiled.metadata.shared,
        matrix=len(re.findall(r"\bv_mfma", assembly)),
        tensor_copies=0,
        instructions=len(re.findall(r"^\s+[sv]_\w+|^\s+(?:global|buffer|ds)_\w+", assembly, re.M)),
    )


def _nvidia(compiled, arch: str) -> Resources:
    with tempfile.TemporaryDirectory() as folder:
        ptx, cubin = Path(folder, "k.ptx"), Path(folder, "k.cubin")
        ptx.write_text(compiled.asm["ptx"])
        name = "sm_90a" if arch == "sm_90" else arch
        done = subprocess.run(
            [TOOLS / "ptxas", "-v", f"--gpu-name={name}", ptx, "-o", cubin],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        sass = subprocess.run(
            [TOOLS / "nvdisasm", "-c", cubin], capture_output=True, text=True, check=True
        ).stdout
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", done.stderr)
    return Resources(
        registers=int(re.search(r"Used (\d+) registers", done.stderr)[1]),
        spills=sum(map(int, spills)),
        shared=compiled.metadata.shared,
        matrix=len(re.findall(r"\b(?:HGMMA|HMMA)\b", sass)),
        tensor_copies=len(re.findall(r"\bUTMA(?:LDG|STG)\b", sass)),
        instructions=len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/", sass, re.M)),
    )


def faults(found: Resources, arch: str, *, matrix: bool, described: bool) -> list[str]:
    """Return why a compiled kernel may not be shipped, as sentences."""
    limit = launch.SHARED_LIMIT[arch]
    wrong = []
    if found.spills:
        wrong.append(f"spills {found.spills}")
    if found.shared > limit:
        wrong.append(f"asks for {found.shared} bytes of shared memory, of {limit}")
    if matrix and not found.matrix:
        wrong.append("uses no matrix instruction")
    if described and not found.tensor_copies:
        wrong.append("reads tensor descriptors without the copy engine")
    return wrong


def compile_layer(layer: Layer, arch: str) -> list[dict]:
    """Return a row for every kernel that a layer launches on ``arch``."""
    rows = []
    for found in catch(layer, arch):
        took = resources(found, arch)
        described = any(isinstance(v, TensorDescriptor) for v in found.arguments.values())
        rows.append({
            "layer": str(layer), "target": arch, "triton": triton.__version__,
            "kernel": found.kernel.__name__, **asdict(took),
            **{k: v for k, v in found.arguments.items() if k in LAUNCH},
            "faults": faults(took, arch, matrix=layer.matrix, described=described),
        })  # fmt: skip
    return rows


def rows(pairs: list[tuple[Layer, str]], workers: int = 2) -> Iterator[dict]:
    """Yield the rows of layers on targets."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for found in pool.map(compile_layer, *zip(*pairs)):
            yield from found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="layers whose line begins so, on any target")
    parser.add_argument("--target", choices=[*TARGETS], help="one of them alone")
    asked = parser.parse_args()
    pairs = [(layer, target) for layer in LAYERS for target in TARGETS]
    again = [(layer, target) for layer, target in pairs
             if str(layer).startswith(asked.only) and asked.target in (None, target)]  # fmt: skip
    path = RESULTS / "kernels.aot.json"
    lines = {(row["triton"], row["layer"], row["target"], row["kernel"]): row
             for row in json.loads(path.read_text())["rows"]} if path.exists() else {}  # fmt: skip
    shipped = {(str(layer), target) for layer, target in pairs}
    replaced = {(triton.__version__, str(layer), target) for layer, target in again}
    lines = {key: row for key, row in lines.items()
             if key[1:3] in shipped and key[:3] not in replaced}  # fmt: skip
    for row in rows(again):
        lines[row["triton"], row["layer"], row["target"], row["kernel"]] = row
        wrong = "; ".join(row["faults"])
        print(f"{row['layer']:64} {row['target']:7} {row['registers']:4} registers "
              f"{row['shared']:7} bytes {row['matrix']:4} matrix {row['tensor_copies']:3} "
              f"copies {row['instructions']:6} instructions  {wrong}", flush=True)  # fmt: skip
    order = {pair: number for number, pair in enumerate((str(a), b) for a, b in pairs)}
    table = [lines[key] for key in sorted(lines, key=lambda key: (key[0], order[key[1:3]]))]
    text = json.dumps({**stamp("python -m benchmarks.kernels.aot"), "rows": []}, indent=1)
    written = ",\n".join("  " + json.dumps(row) for row in table)
    path.write_text(text.replace('"rows": []', f'"rows": [\n{written}\n ]') + "\n")
    return any(row["faults"] for row in table)


if __name__ == "__main__":
    sys.exit(main())
