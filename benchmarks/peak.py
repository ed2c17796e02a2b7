"""The processor's own limit, measured: multiply-adds that wait for nothing."""

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")


@cache
def _multiply_add() -> Callable[[float], float]:
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "peak.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(built)], check=True)
        run = ctypes.CDLL(str(built)).multiply_add
    run.argtypes, run.restype = [ctypes.c_double], ctypes.c_float
    return run


def multiply_adds(operations: float) -> Callable[[], float]:
    """Return a run of so many float32 operations by one core in its registers."""
    run = _multiply_add()
    return lambda: run(operations)
