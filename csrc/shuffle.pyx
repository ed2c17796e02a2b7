"""Rows are shuffled so that every k-let is kept."""

from libc.stdint cimport uint8_t, uint64_t

from doors cimport cpu_level, rows_of, rows_t

cdef extern from "shuffle.h" nogil:
    void letters_init()
    int shuffle_rows(const rows_t*, Py_ssize_t, Py_ssize_t, int, Py_ssize_t, Py_ssize_t, uint64_t,
                     uint64_t, uint8_t*, int)

cdef const int *cpu = cpu_level()
letters_init()


def shuffle(capsule, Py_ssize_t first, Py_ssize_t last, int k, uint64_t seed, uint64_t offset,
            uint8_t[:, :, ::1] out not None) -> None:
    """Write out.shape[1] shuffles of each of rows [first, last), uint8 (n, replicates, length)."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t replicates = out.shape[1], length = out.shape[2]
    cdef int failed
    if out.shape[0] != rows.n or length < rows.longest or not 1 <= k <= 12:
        raise ValueError("out must hold every row and k must be 1 to 12")
    if rows.longest >= <Py_ssize_t>1 << 32:
        raise ValueError("rows must be shorter than 2^32")
    if out.size == 0:
        return
    with nogil:
        failed = shuffle_rows(rows, first, last, k, replicates, length, seed, offset,
                              &out[0, 0, 0], cpu[0])
    if failed:
        raise MemoryError("no memory to shuffle")
