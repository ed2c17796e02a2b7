"""Rows become codes or one-hot blocks; codes and one-hot become letters or the other strand."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from doors cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer,
    cpu_level, row_at, rows_of, rows_t
)

cdef extern from "encode.h" nogil:
    ctypedef struct lookup_t:
        uint8_t table[256]
        int base
        uint8_t outside
    ctypedef struct form_t:
        int kind, last
        Py_ssize_t letters, item
        float rest
        const uint8_t *text
        const uint8_t *codes
        const uint8_t *blank
    lookup_t text_codes, code_codes
    void letters_init()
    void encode_rows(const rows_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, uint8_t*,
                     Py_ssize_t, int, int, uint8_t, const lookup_t*, int)
    int first_foreign_ "first_foreign"(const rows_t*, const lookup_t*, uint8_t, int,
                                       Py_ssize_t*, Py_ssize_t*)
    void one_hot_rows(const rows_t*, const form_t*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                      Py_ssize_t, uint8_t*, Py_ssize_t, int, int, int)

cdef extern from "strand.h" nogil:
    void reverse_complement_row(const uint8_t*, size_t, uint8_t*, const lookup_t*, int)
    void reverse_items_ "reverse_items"(const uint8_t*, size_t, uint8_t*, size_t, int)
    void decode_row(const uint8_t*, size_t, size_t, int, uint64_t, int, const uint8_t*,
                    uint8_t*, int)

cdef const int *cpu = cpu_level()
letters_init()


cdef class Lookup:
    """A table of 256 codes for an alphabet of its own."""

    cdef lookup_t lookup

    def __init__(self, const uint8_t[::1] table not None, int base=-1):
        memcpy(self.lookup.table, &table[0], 256)
        self.lookup.base = base
        self.lookup.outside = table[255]


cdef const lookup_t* lookup_of(const rows_t *rows, Lookup lookup):
    if lookup is not None:
        return &lookup.lookup
    return &code_codes if rows.codes else &text_codes


cdef class Form:
    """What a one-hot block looks like: layout, item size, and the bytes of every letter.

    `kind` is 0 for tables, 1 for bytes and 2 for float32 of A, C, G, T; `text` and `codes` hold
    256 rows of `letters` items each, `blank` one row, for padding.
    """

    cdef form_t form
    cdef object kept

    def __init__(self, int kind, bint last, Py_ssize_t letters, Py_ssize_t item, float rest,
                 const uint8_t[::1] text not None, const uint8_t[::1] codes not None,
                 const uint8_t[::1] blank not None):
        if text.shape[0] != 256 * letters * item or codes.shape[0] != 256 * letters * item:
            raise ValueError("tables must hold 256 x letters x item bytes")
        if blank.shape[0] != letters * item:
            raise ValueError("blank must hold letters x item bytes")
        self.kept = (text, codes, blank)
        self.form.kind, self.form.last = kind, last
        self.form.letters, self.form.item, self.form.rest = letters, item, rest
        self.form.text, self.form.codes = &text[0], &codes[0]
        self.form.blank = &blank[0]


def codes(capsule, Py_ssize_t first, Py_ssize_t last, Py_ssize_t begin, Py_ssize_t end, out,
          Py_ssize_t length, int pad, int cut, uint8_t fill, Lookup lookup=None) -> None:
    """Write positions [begin, end) of rows [first, last) into `out`, uint8 (n, length)."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef const lookup_t *table = lookup_of(rows, lookup)
    cdef Py_buffer view
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if view.len != rows.n * length:
            raise ValueError(f"out holds {view.len} bytes; expected {rows.n * length}")
        with nogil:
            encode_rows(rows, first, last, begin, end, <uint8_t*>view.buf, length, pad, cut, fill,
                        table, cpu[0])
    finally:
        PyBuffer_Release(&view)


def first_foreign(capsule, uint8_t most, Lookup lookup=None):
    """Return (row, position) of the first byte that is no letter of the alphabet, or None."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef const lookup_t *table = lookup_of(rows, lookup)
    cdef Py_ssize_t row = 0, position = 0
    cdef int found
    with nogil:
        found = first_foreign_(rows, table, most, cpu[0], &row, &position)
    return (row, position) if found else None


def one_hot(capsule, Form form not None, Py_ssize_t first, Py_ssize_t last, Py_ssize_t begin,
            Py_ssize_t end, out, Py_ssize_t length, int pad, int cut) -> None:
    """Write positions [begin, end) of rows [first, last) into `out` as `form` says."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_buffer view
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if view.len != rows.n * length * form.form.letters * form.form.item:
            raise ValueError(f"out holds {view.len} bytes; expected rows x length x letters")
        with nogil:
            one_hot_rows(rows, &form.form, first, last, begin, end, <uint8_t*>view.buf, length,
                         pad, cut, cpu[0])
    finally:
        PyBuffer_Release(&view)


def one_hot_whole(capsule, Form form not None, out) -> None:
    """Write all rows, padded to the longest, on this thread: a call with little to unpack."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_buffer view
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if view.len != rows.n * rows.longest * form.form.letters * form.form.item:
            raise ValueError(f"out holds {view.len} bytes; expected rows x length x letters")
        with nogil:
            one_hot_rows(rows, &form.form, 0, rows.n, 0, rows.longest, <uint8_t*>view.buf,
                         rows.longest, 0, 0, cpu[0])
    finally:
        PyBuffer_Release(&view)


def translate_reversed(capsule, Py_ssize_t first, Py_ssize_t last, out, Lookup lookup not None
                       ) -> None:
    """Write rows [first, last), reversed and complemented, one after the other into `out`."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_buffer view
    cdef Py_ssize_t i, size, offset = 0
    cdef const uint8_t *s
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if view.len != rows.total:
            raise ValueError(f"out holds {view.len} bytes; expected {rows.total}")
        with nogil:
            for i in range(first):
                row_at(rows, i, &size)
                offset += size
            for i in range(first, last):
                s = row_at(rows, i, &size)
                reverse_complement_row(s, size, <uint8_t*>view.buf + offset, &lookup.lookup,
                                       cpu[0])
                offset += size
    finally:
        PyBuffer_Release(&view)


def reverse_items(x, out, Py_ssize_t n, Py_ssize_t count, Py_ssize_t item, Py_ssize_t first,
                  Py_ssize_t last) -> None:
    """Reverse the `count` items of rows [first, last) of `x` into `out`."""
    cdef Py_buffer source, target
    cdef Py_ssize_t i
    PyObject_GetBuffer(x, &source, PyBUF_C_CONTIGUOUS)
    try:
        PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if source.len != n * count * item or target.len != source.len:
                raise ValueError("x and out must both hold n x count items")
            with nogil:
                for i in range(first, last):
                    reverse_items_(<const uint8_t*>source.buf + i * count * item, count,
                                   <uint8_t*>target.buf + i * count * item, item, cpu[0])
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)


def decode(x, out, Py_ssize_t n, Py_ssize_t length, int item, uint64_t sign, bint last_axis,
           const uint8_t[::1] letters not None, Py_ssize_t first, Py_ssize_t last) -> None:
    """Write the letters of one-hot rows [first, last) into `out`, uint8 (n, length).

    `sign` masks the bits that make an item differ from zero; `letters` holds 16 of them, one for
    each set of channels that are not zero.
    """
    cdef Py_buffer source, target
    cdef Py_ssize_t i
    if letters.shape[0] != 16 or item not in (1, 2, 4, 8):
        raise ValueError("expected 16 letters and items of 1, 2, 4 or 8 bytes")
    PyObject_GetBuffer(x, &source, PyBUF_C_CONTIGUOUS)
    try:
        PyObject_GetBuffer(out, &target, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        try:
            if source.len != n * length * 4 * item or target.len != n * length:
                raise ValueError("x must hold n x 4 x length items, out n x length bytes")
            with nogil:
                if last_axis:
                    decode_row(<const uint8_t*>source.buf + first * length * 4 * item,
                               (last - first) * length, 0, item, sign, 1, &letters[0],
                               <uint8_t*>target.buf + first * length, cpu[0])
                else:
                    for i in range(first, last):
                        decode_row(<const uint8_t*>source.buf + i * length * 4 * item, length,
                                   length, item, sign, 0, &letters[0],
                                   <uint8_t*>target.buf + i * length, cpu[0])
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)
