"""Rows are packed to two bits a base and unpacked again, from any base to any base."""

from libc.stdint cimport int64_t, uint8_t

from doors cimport cpu_level, row_at, rows_of, rows_t

cdef extern from "pack.h" nogil:
    ctypedef struct lookup_t:
        pass
    lookup_t text_codes, code_codes
    void letters_init()
    int pack_row(const uint8_t*, size_t, uint8_t*, const lookup_t*, int)
    Py_ssize_t unknown_runs(const uint8_t*, Py_ssize_t, const lookup_t*, int64_t*, Py_ssize_t)
    void unpack_row(const uint8_t*, size_t, size_t, uint8_t*, int)

cdef const int *cpu = cpu_level()
letters_init()


def pack(capsule, Py_ssize_t first, Py_ssize_t last, const int64_t[::1] at not None,
         uint8_t[::1] out not None, uint8_t[::1] unknown not None) -> None:
    """Write rows [first, last) from byte `at[i]` on; `unknown[i]` says whether row i has any."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef const lookup_t *table = &code_codes if rows.codes else &text_codes
    cdef Py_ssize_t i, size
    cdef const uint8_t *s
    if at.shape[0] != rows.n + 1 or unknown.shape[0] != rows.n:
        raise ValueError("expected a place for each row and one behind them")
    for i in range(first, last):
        row_at(rows, i, &size)
        if at[i] < 0 or at[i] + (size + 3) // 4 > out.shape[0]:
            raise ValueError(f"row {i} lies beyond out")
    if out.shape[0] == 0:
        return
    with nogil:
        for i in range(first, last):
            s = row_at(rows, i, &size)
            unknown[i] = pack_row(s, size, &out[at[i]], table, cpu[0]) if size else 0


def runs(capsule, Py_ssize_t row, int64_t[:, ::1] out not None) -> int:
    """Write begin and end of the runs of unknown bases of a row; return how many there are."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef const lookup_t *table = &code_codes if rows.codes else &text_codes
    cdef Py_ssize_t size
    cdef const uint8_t *s = row_at(rows, row, &size)
    cdef int64_t none[2]
    if out.shape[1] != 2:
        raise ValueError("out must have two columns")
    return unknown_runs(s, size, table, &out[0, 0] if out.shape[0] else none, out.shape[0])


def unpack(const uint8_t[::1] packed not None, Py_ssize_t begin, Py_ssize_t end,
           uint8_t[::1] out not None) -> None:
    """Write the codes of bases [begin, end) of one packed row."""
    if not 0 <= begin <= end <= 4 * packed.shape[0] or out.shape[0] != end - begin:
        raise ValueError("bases lie beyond the packed row or out is not as long as they are")
    if begin == end:
        return
    with nogil:
        unpack_row(&packed[0], begin, end, &out[0], cpu[0])


def unpack_rows(const uint8_t[::1] packed not None, const int64_t[::1] at not None,
                const int64_t[::1] sizes not None, Py_ssize_t first, Py_ssize_t last,
                uint8_t[:, ::1] out not None) -> None:
    """Write the codes of rows [first, last), padded with 4."""
    cdef Py_ssize_t i, j, length = out.shape[1]
    for i in range(first, last):
        if sizes[i] > length or at[i] < 0 or at[i] + (sizes[i] + 3) // 4 > packed.shape[0]:
            raise ValueError(f"row {i} lies beyond packed or out")
    if length == 0:
        return
    with nogil:
        for i in range(first, last):
            if sizes[i]:
                unpack_row(&packed[at[i]], 0, sizes[i], &out[i, 0], cpu[0])
            for j in range(sizes[i], length):
                out[i, j] = 4
