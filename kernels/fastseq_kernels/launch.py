"""Launch configurations: a committed table per op, read once, chosen by a pure function.

A table maps an architecture to rows, tried in order; the first whose ``when`` holds is taken.
``when`` compares facts of the call: a list means one of, ``max_<fact>`` means at most. Nothing is
tuned at run time: `benchmarks/kernels/bench_gpu.py` measures, a commit changes the table.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch

CONFIGS = Path(__file__).parent / "configs"

# bytes of shared memory that one program may ask for; sm_80 rows also serve sm_86, sm_89 and
# sm_120, whose limit is the smallest of the four
SHARED_LIMIT = {"sm_80": 101_376, "sm_90": 232_448, "gfx942": 65_536}


@cache
def table(op: str) -> dict[str, list[dict]]:
    """Return an op's committed table."""
    return json.loads((CONFIGS / f"{op}.json").read_text())


@cache
def architecture(device: torch.device) -> str:
    """Return the name under which a device stands in the tables; "cpu" is the interpreter."""
    if device.type != "cuda":
        return "cpu"
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return "gfx942"
    # 9.x and 10.x have 227 KB of shared memory a block, 12.x has 99 KB like 8.6 and 8.9
    return "sm_90" if properties.major in (9, 10) else "sm_80"


def multiply(precision: str, arch: str) -> str:
    """Return how a kernel multiplies float32: three passes of tf32 come within 2^-21 of exact."""
    if precision == "tf32":
        return "tf32"
    return "tf32x3" if arch.startswith("sm_") else "ieee"


def choose(op: str, arch: str, facts: Mapping[str, object]) -> dict:
    """Return the launch configuration of one call.

    Parameters
    ----------
    op : str
        Name of the table in ``configs/``.
    arch : str
        As `architecture` gives it.
    facts : mapping
        What the call is like: ``bytes`` of an element, ``channels_out``, ``gated``, ...

    Returns
    -------
    dict
        Block sizes in capitals, ``num_warps``, ``num_stages``.

    Raises
    ------
    ValueError
        The table has no row for it.
    """
    for row in table(op)[arch]:
        if all(_holds(name, wanted, facts) for name, wanted in row.get("when", {}).items()):
            return {name: value for name, value in row.items() if name != "when"}
    raise ValueError(f"configs/{op}.json has no row for {arch} and {dict(facts)}")


def _holds(name: str, wanted: object, facts: Mapping[str, object]) -> bool:
    if name.startswith("max_"):
        return facts[name.removeprefix("max_")] <= wanted
    return facts[name] in wanted if isinstance(wanted, list) else facts[name] == wanted


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below ``n``."""
    return 1 << max(n - 1, 0).bit_length()


def chunk(total: int, limit: int) -> int:
    """Return the block along a summed axis: the largest power of two that divides it, in bounds.

    Matrix units want 16 at least; where no such power divides, the limit is taken and masked.
    """
    largest = min(limit, total & -total)
    return largest if largest >= 16 else min(limit, max(16, power_of_two(total)))


def tile(total: int, limit: int, least: int) -> int:
    """Return the block along an axis whose last block may hang over its end.

    The largest power of two from ``least`` to ``limit`` that keeps nine tenths busy, or else the
    largest of those that keep most busy.
    """
    sizes = [limit >> i for i in range(limit.bit_length()) if limit >> i >= least]
    busy = {size: total / (-(-total // size) * size) for size in sizes}
    return next((size for size in sizes if busy[size] >= 0.9), max(sizes, key=busy.__getitem__))
