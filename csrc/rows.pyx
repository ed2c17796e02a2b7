"""Rows: pointers to the bytes of sequences, whatever holds them, kept alive while they are read."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_Size
from cpython.list cimport PyList_Size
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

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

cdef extern from "cpu.h" nogil:
    void PREFETCH(const void*)

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(PyObject*, Py_ssize_t*)
    Py_ssize_t PyUnicode_GetLength(PyObject*)
    void PyErr_Clear()
    PyObject* borrowed "PyList_GetItem"(PyObject*, Py_ssize_t)


cdef class Rows:
    """Rows of bytes; `capsule` is what the kernels take.

    `owner` is what the caller handed over. Rows of a list hold a reference to each object, so that
    a list changed by another thread cannot pull a text away from under a kernel.
    """

    cdef rows_t rows
    cdef PyObject **held
    cdef Py_ssize_t n_held
    cdef readonly object owner, capsule
    cdef list extra
    cdef public bint single

    def __cinit__(self):
        self.rows.n = self.rows.longest = self.rows.shortest = self.rows.total = 0
        self.rows.base = NULL
        self.rows.at = NULL
        self.rows.size = NULL
        self.rows.codes = 0
        self.held = NULL
        self.n_held = 0
        self.extra = []
        self.capsule = PyCapsule_New(&self.rows, ROWS_CAPSULE, NULL)

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n_held):
            if i + 16 < self.n_held:
                PREFETCH(self.held[i + 16])
            Py_DECREF(<object>self.held[i])
        free(self.held)
        free(<void*>self.rows.at)
        free(self.rows.size)

    cdef int allot(self, Py_ssize_t n) except -1:
        self.rows.n = n
        self.rows.at = <const uint8_t**>malloc((n or 1) * sizeof(void*))
        self.rows.size = <Py_ssize_t*>malloc((n or 1) * sizeof(Py_ssize_t))
        if self.rows.at == NULL or self.rows.size == NULL:
            raise MemoryError(f"no memory for {n} rows")

    cdef void measure(self) noexcept:
        cdef Py_ssize_t i, size, most = 0, least = 0, total = 0
        for i in range(self.rows.n):
            size = self.rows.size[i]
            most = size if size > most else most
            least = size if i == 0 or size < least else least
            total += size
        self.rows.longest, self.rows.shortest, self.rows.total = most, least, total

    cdef int point(self, Py_ssize_t i, object text) except -1:
        """Let row i be the bytes of a text; bytes that must be made are kept in `extra`."""
        cdef Py_ssize_t size
        cdef const char *data
        if isinstance(text, str):
            data = PyUnicode_AsUTF8AndSize(<PyObject*>text, &size)
            if data == NULL:
                PyErr_Clear()
            if data == NULL or size != PyUnicode_GetLength(<PyObject*>text):
                # not ASCII: one unknown letter for each character, however many bytes it takes
                text = text.encode("ascii", "replace")
                self.extra.append(text)
                data = PyBytes_AsString(text)
                size = PyBytes_Size(text)
        elif isinstance(text, bytes):
            data = PyBytes_AsString(text)
            size = PyBytes_Size(text)
        else:
            try:
                text = bytes(memoryview(text).cast("B"))
            except TypeError:
                raise TypeError(
                    f"row {i} is {type(text).__name__}; expected str, bytes or a buffer of bytes"
                ) from None
            self.extra.append(text)
            data = PyBytes_AsString(text)
            size = PyBytes_Size(text)
        self.rows.at[i] = <const uint8_t*>data
        self.rows.size[i] = size

    @property
    def n(self) -> int:
        return self.rows.n

    @property
    def longest(self) -> int:
        return self.rows.longest

    @property
    def shortest(self) -> int:
        return self.rows.shortest

    @property
    def total(self) -> int:
        return self.rows.total

    @property
    def codes(self) -> bool:
        return self.rows.codes != 0

    def sizes(self, int64_t[::1] out not None) -> None:
        """Write the length of every row."""
        cdef Py_ssize_t i
        for i in range(self.rows.n):
            out[i] = self.rows.size[i] if self.rows.at != NULL else self.rows.longest

    def row(self, Py_ssize_t i) -> bytes:
        """Return the bytes of row i."""
        if not 0 <= i < self.rows.n:
            raise IndexError(i)
        if self.rows.at != NULL:
            return self.rows.at[i][: self.rows.size[i]]
        return (self.rows.base + i * self.rows.stride)[: self.rows.longest]


def of_text(text) -> Rows:
    """Return one row: a str, bytes or other buffer of bytes."""
    cdef Rows made = Rows.__new__(Rows)
    made.owner = text
    made.single = True
    made.allot(1)
    made.point(0, text)
    made.measure()
    return made


def of_list(list texts not None) -> Rows:
    """Return one row for each str or bytes of a list."""
    cdef Rows made = Rows.__new__(Rows)
    cdef Py_ssize_t i, n = PyList_Size(texts)
    cdef PyObject *items = <PyObject*>texts
    made.owner = texts
    made.held = <PyObject**>malloc((n or 1) * sizeof(void*))
    made.allot(n)
    if made.held == NULL:
        raise MemoryError(f"no memory for {n} rows")
    for i in range(n):
        if i + 16 < n:
            PREFETCH(borrowed(items, i + 16))
        made.held[i] = borrowed(items, i)
        Py_INCREF(<object>made.held[i])
        made.n_held = i + 1
        made.point(i, <object>made.held[i])
    made.measure()
    return made


def of_matrix(const uint8_t[:, :] matrix not None, bint codes, bint single) -> Rows:
    """Return the rows of a byte matrix whose last axis is contiguous."""
    cdef Rows made = Rows.__new__(Rows)
    cdef Py_ssize_t n = matrix.shape[0], length = matrix.shape[1]
    if length > 1 and matrix.strides[1] != 1:
        raise ValueError("the last axis of the matrix must be contiguous")
    made.owner = matrix.base
    made.extra.append(matrix)
    made.rows.n = n
    made.rows.longest = made.rows.shortest = length
    made.rows.total = n * length
    made.rows.base = &matrix[0, 0] if n and length else NULL
    made.rows.stride = matrix.strides[0]
    made.rows.codes = codes
    made.single = single
    return made


def of_fixed(const uint8_t[:, ::1] matrix not None) -> Rows:
    """Return the rows of a fixed-width text array, without the NULs that fill them up."""
    cdef Rows made = Rows.__new__(Rows)
    cdef Py_ssize_t i, size
    made.extra.append(matrix)
    made.owner = matrix.base
    made.allot(matrix.shape[0])
    for i in range(matrix.shape[0]):
        size = matrix.shape[1]
        while size and matrix[i, size - 1] == 0:
            size -= 1
        made.rows.at[i] = &matrix[i, 0] if matrix.shape[1] else NULL
        made.rows.size[i] = size
    made.measure()
    return made


def windows(Rows rows not None, Py_ssize_t width, Py_ssize_t step, Py_ssize_t count) -> Rows:
    """Return `count` rows row[j * step : j * step + width] of every row, one row's after another.

    Beyond the end of a row they are short or empty.
    """
    cdef Rows made = Rows.__new__(Rows)
    cdef Py_ssize_t i, j, size
    cdef const uint8_t *data
    if width < 1 or step < 1 or count < 0:
        raise ValueError("width and step must be at least 1, count at least 0")
    made.owner = rows
    made.rows.codes = rows.rows.codes
    made.allot(rows.rows.n * count)
    for i in range(rows.rows.n):
        data = row_at(&rows.rows, i, &size)
        for j in range(count):
            made.rows.at[i * count + j] = data + min(j * step, size)
            made.rows.size[i * count + j] = max(0, min(width, size - j * step))
    made.measure()
    return made


def of_ragged(const uint8_t[::1] data not None, const int64_t[::1] offsets not None,
              bint codes) -> Rows:
    """Return the rows data[offsets[i]:offsets[i + 1]]."""
    cdef Rows made = Rows.__new__(Rows)
    cdef Py_ssize_t i, n = offsets.shape[0] - 1
    if n < 0:
        raise ValueError("offsets are empty; expected n + 1 of them")
    made.extra.append(data)
    made.owner = data.base
    made.allot(n)
    for i in range(n):
        if not 0 <= offsets[i] <= offsets[i + 1] <= data.shape[0]:
            raise ValueError(
                f"offsets {offsets[i]} and {offsets[i + 1]} of row {i} are not ascending within "
                f"the {data.shape[0]} bytes of data"
            )
        made.rows.at[i] = &data[0] + offsets[i] if data.shape[0] else NULL
        made.rows.size[i] = offsets[i + 1] - offsets[i]
    made.rows.codes = codes
    made.measure()
    return made
