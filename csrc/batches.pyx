"""Rows become a batch of model input in one pass over their bytes."""

from libc.stdint cimport int16_t, int64_t, uint8_t

from doors cimport cpu_level

cdef extern from "batches.h" nogil:
    void expand_rows(const uint8_t*, Py_ssize_t, Py_ssize_t, int, const float*, size_t, float*,
                     int)
    void draw_rows(const uint8_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t, const int64_t*, Py_ssize_t,
                   const int16_t*, Py_ssize_t, const float*, const float*, size_t, float*, int)

cdef const int *cpu = cpu_level()


def expand(const uint8_t[:, ::1] codes not None, const float[:, ::1] table not None,
           float[:, :, ::1] out not None, bint reversed) -> None:
    """Write the channels of codes into `out`, (n, length, channels); `table` is (5, channels)."""
    cdef Py_ssize_t n = codes.shape[0], length = codes.shape[1], channels = table.shape[1]
    if table.shape[0] != 5:
        raise ValueError("table must be (5, channels)")
    if out.shape[0] != n or out.shape[1] != length or out.shape[2] != channels:
        raise ValueError("out must hold rows x length x channels float32")
    if n == 0 or length == 0 or channels == 0:
        return
    with nogil:
        expand_rows(&codes[0, 0], n, length, reversed, &table[0, 0], channels, &out[0, 0, 0],
                    cpu[0])


def draw(const uint8_t[:, ::1] records not None, Py_ssize_t length, bint unknown,
         const int64_t[::1] rows not None, const int16_t[::1] shift,
         Py_ssize_t turned, const float[:, :, :, ::1] words not None,
         const float[:, :, ::1] table not None, float[:, :, ::1] out not None) -> None:
    """Write packed rows into `out`, (n, length, channels); `unknown` says records tell of N.

    `shift`, int16 (n,) or None, moves rows to the right; rows from `turned` on are reversed and
    read table[1] of (2, 5, channels); `words` is (2, 256, 4, channels), four bases at once.
    """
    cdef Py_ssize_t n = rows.shape[0], most = records.shape[0], channels = table.shape[2], i
    cdef Py_ssize_t hidden = (length + 3) // 4 + 1
    cdef const int16_t *by = NULL
    cdef bint beyond = False
    if records.shape[1] != hidden + (length + 7) // 8 * unknown:
        raise ValueError(f"records of {records.shape[1]} bytes hold no rows of {length} bases")
    if table.shape[0] != 2 or table.shape[1] != 5:
        raise ValueError("table must be (2, 5, channels)")
    if words.shape[0] != 2 or words.shape[1] != 256 or words.shape[2] != 4 \
            or words.shape[3] != channels:
        raise ValueError("words must be (2, 256, 4, channels)")
    if out.shape[0] != n or out.shape[1] != length or out.shape[2] != channels:
        raise ValueError("out must hold rows x length x channels float32")
    if n == 0 or length == 0 or channels == 0:
        return
    for i in range(n):
        beyond |= rows[i] < 0 or rows[i] >= most
    if beyond:
        raise IndexError(f"rows must lie in 0..{most - 1}")
    if shift is not None:
        if shift.shape[0] != n:
            raise ValueError("shift must hold one int16 a row")
        for i in range(n):
            beyond |= shift[i] > length or shift[i] < -length
        if beyond:
            raise ValueError(f"a shift lies outside -{length}..{length}")
        by = &shift[0]
    with nogil:
        draw_rows(&records[0, 0], records.shape[1], hidden if unknown else 0, length, &rows[0], n,
                  by, turned, &words[0, 0, 0, 0], &table[0, 0, 0], channels, &out[0, 0, 0],
                  cpu[0])
