"""What every native module shares: the rows it reads and the instruction sets it may use."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
)
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint8_t

cdef extern from "rows.h" nogil:
    const char* ROWS_CAPSULE
    ctypedef struct rows_t:
        Py_ssize_t n, longest, shortest, total
        const uint8_t *base
        Py_ssize_t stride
        const uint8_t **at
        Py_ssize_t *size
        int codes
    const uint8_t* row_at(const rows_t*, Py_ssize_t, Py_ssize_t*)
    void row_prefetch(const rows_t*, Py_ssize_t)


cdef inline const rows_t* rows_of(object capsule) except NULL:
    return <const rows_t*>PyCapsule_GetPointer(capsule, ROWS_CAPSULE)


cdef inline const int* cpu_level() except NULL:
    from fastseq._native import cpu
    return <const int*>PyCapsule_GetPointer(cpu.LEVEL, "fastseq.cpu")
