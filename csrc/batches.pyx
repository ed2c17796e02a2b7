"""Chosen rows become a batch of model input in one pass over their bytes."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release,
    PyObject_GetBuffer
)
from libc.stdint cimport int16_t, int64_t, uint8_t

from doors cimport cpu_level

cdef extern from "batches.h" nogil:
    void gather_rows(const uint8_t*, Py_ssize_t, const int64_t*, Py_ssize_t, const int16_t*,
                     Py_ssize_t, const float*, size_t, float*, int)

cdef const int *cpu = cpu_level()


def gather(const uint8_t[:, ::1] codes not None, const int64_t[::1] rows not None, shift,
           Py_ssize_t turned, const float[:, :, ::1] table not None, out) -> None:
    """Write codes[rows] into `out`, float32 (n, length, channels).

    `shift`, int16 (n,) or None, moves rows to the right; rows from `turned` on are reversed and
    read table[1]; `table` is (2, 5, channels).
    """
    cdef Py_ssize_t n = rows.shape[0], length = codes.shape[1], most = codes.shape[0], i
    cdef Py_ssize_t channels = table.shape[2]
    cdef const int16_t *by = NULL
    cdef Py_buffer target, moves
    cdef bint beyond = False
    if table.shape[0] != 2 or table.shape[1] != 5:
        raise ValueError("table must be (2, 5, channels)")
    if n == 0 or length == 0 or channels == 0:
        return
    PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if target.len != n * length * channels * <Py_ssize_t>sizeof(float):
            raise ValueError("out must hold rows x length x channels float32")
        for i in range(n):
            beyond |= rows[i] < 0 or rows[i] >= most
        if beyond:
            raise IndexError(f"rows must lie in 0..{most - 1}")
        if shift is None:
            with nogil:
                gather_rows(&codes[0, 0], length, &rows[0], n, NULL, turned, &table[0, 0, 0],
                            channels, <float*>target.buf, cpu[0])
            return
        PyObject_GetBuffer(shift, &moves, PyBUF_C_CONTIGUOUS)
        try:
            if moves.len != n * <Py_ssize_t>sizeof(int16_t):
                raise ValueError("shift must hold one int16 a row")
            by = <const int16_t*>moves.buf
            for i in range(n):
                beyond |= by[i] > length or by[i] < -length
            if beyond:
                raise ValueError(f"a shift lies outside -{length}..{length}")
            with nogil:
                gather_rows(&codes[0, 0], length, &rows[0], n, by, turned, &table[0, 0, 0],
                            channels, <float*>target.buf, cpu[0])
        finally:
            PyBuffer_Release(&moves)
    finally:
        PyBuffer_Release(&target)
