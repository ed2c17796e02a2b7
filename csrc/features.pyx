"""Composition and nearest-neighbour thermodynamics of rows."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from doors cimport cpu_level, row_at, rows_of, rows_t

cdef extern from "composition.h" nogil:
    ctypedef struct lookup_t:
        pass
    ctypedef struct duplex_t:
        pass
    lookup_t text_codes, code_codes
    void letters_init()
    void composition_ "composition"(const uint8_t*, size_t, int, int64_t*, int64_t*, int)
    void duplex_row(const uint8_t*, size_t, const lookup_t*, const duplex_t*, double*, int)

cdef const int *cpu = cpu_level()
letters_init()


def composition(capsule, Py_ssize_t first, Py_ssize_t last, int64_t[::1] gc not None,
                int64_t[::1] known not None) -> None:
    """Write how many bases of rows [first, last) are G or C, and how many are known."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t i, size
    cdef const uint8_t *s
    if gc.shape[0] != rows.n or known.shape[0] != rows.n:
        raise ValueError("gc and known must have an item for each row")
    if rows.n == 0:
        return
    with nogil:
        for i in range(first, last):
            s = row_at(rows, i, &size)
            composition_(s, size, rows.codes, &gc[i], &known[i], cpu[0])


def duplexes(capsule, Py_ssize_t first, Py_ssize_t last, const double[::1] table not None,
             double[:, ::1] out not None) -> None:
    """Write enthalpy, entropy and GC fraction of rows [first, last), nan where one is unknown.

    `table` holds (enthalpy, entropy) of the 16 pairs, of 4 first and 4 last bases, and of a duplex
    with and without G or C.
    """
    cdef const rows_t *rows = rows_of(capsule)
    cdef const lookup_t *letters = &code_codes if rows.codes else &text_codes
    cdef duplex_t duplex
    cdef Py_ssize_t i, size
    cdef const uint8_t *s
    if table.shape[0] * sizeof(double) != sizeof(duplex_t):
        raise ValueError("table must hold 26 pairs of numbers")
    if out.shape[0] != rows.n or out.shape[1] != 3:
        raise ValueError("out must be (n, 3)")
    memcpy(&duplex, &table[0], sizeof(duplex_t))
    if rows.n == 0:
        return
    with nogil:
        for i in range(first, last):
            s = row_at(rows, i, &size)
            duplex_row(s, size, letters, &duplex, &out[i, 0], cpu[0])
