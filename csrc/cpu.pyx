"""The instruction sets in use, one choice for all native modules."""

from cpython.pycapsule cimport PyCapsule_New

import os

cdef extern from "cpu.h" nogil:
    int cpu_best()

NAMES = ("portable", "avx2", "avx512")

cdef int level = cpu_best()
LEVEL = PyCapsule_New(&level, "fastseq.cpu", NULL)


def supported() -> tuple:
    """Return the names of the paths that this processor runs."""
    return NAMES[: cpu_best() + 1]


def current() -> str:
    """Return the name of the path that runs now."""
    return NAMES[level]


def use(str name) -> str:
    """Force a path; return the one that ran before."""
    global level
    if name not in supported():
        raise ValueError(
            f"FASTSEQ_CPU is {name!r}; expected one of {', '.join(supported())} on this processor"
        )
    before = NAMES[level]
    level = NAMES.index(name)
    return before


if os.environ.get("FASTSEQ_CPU"):
    use(os.environ["FASTSEQ_CPU"])
