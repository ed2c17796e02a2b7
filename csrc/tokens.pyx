"""Rows become token ids of a vocabulary of bases or k-mers."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from doors cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer, row_at,
    row_prefetch, rows_of, rows_t
)

cdef extern from "tokens.h" nogil:
    ctypedef struct vocabulary_t:
        uint8_t code[256]
        int64_t letter[256]
        const int32_t *word
        int k
        int64_t first, last, pad
    Py_ssize_t count_tokens(const vocabulary_t*, const uint8_t*, Py_ssize_t)
    void write_tokens_int32_t(const vocabulary_t*, const uint8_t*, Py_ssize_t, int32_t*,
                              Py_ssize_t)
    void write_tokens_int64_t(const vocabulary_t*, const uint8_t*, Py_ssize_t, int64_t*,
                              Py_ssize_t)


cdef class Ids:
    """The ids of a vocabulary, for rows of text or of codes.

    `code` holds the code of each byte, `letter` the ids of A, C, G, T and of what is unknown,
    `word` the id of each of 4**k k-mers; -1 for `first` or `last` leaves it out.
    """

    cdef vocabulary_t vocabulary
    cdef object kept

    def __init__(self, const uint8_t[::1] code not None, const int64_t[::1] letter not None,
                 const int32_t[::1] word not None, int k, int64_t first, int64_t last,
                 int64_t pad):
        cdef int i
        if code.shape[0] != 256 or letter.shape[0] != 5 or not 1 <= k <= 12:
            raise ValueError("expected 256 codes, 5 letters, and k of 1 to 12")
        if word.shape[0] != 4 ** k:
            raise ValueError(f"{word.shape[0]} words; expected 4 ** {k}")
        self.kept = word
        for i in range(256):
            self.vocabulary.code[i] = code[i]
            self.vocabulary.letter[i] = letter[min(code[i], <uint8_t>4)]
        self.vocabulary.word = &word[0]
        self.vocabulary.k = k
        self.vocabulary.first, self.vocabulary.last = first, last
        self.vocabulary.pad = pad


def longest(capsule, Ids ids not None) -> int:
    """Return the most tokens that a row takes."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t i, size, count, most = 0
    cdef const uint8_t *s
    with nogil:
        for i in range(rows.n):
            s = row_at(rows, i, &size)
            row_prefetch(rows, i + 16)
            count = count_tokens(&ids.vocabulary, s, size)
            most = count if count > most else most
    return most


def write(capsule, Ids ids not None, Py_ssize_t first, Py_ssize_t last, out, Py_ssize_t width,
          int item) -> None:
    """Write rows [first, last) into `out`, (n, width) of `item` = 4 or 8 bytes.

    `width` is at least what `longest` returned.
    """
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_buffer view
    cdef Py_ssize_t i, size
    cdef const uint8_t *s
    if item not in (4, 8):
        raise ValueError(f"item is {item}; expected 4 or 8")
    PyObject_GetBuffer(out, &view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
    try:
        if view.len != rows.n * width * item:
            raise ValueError(f"out holds {view.len} bytes; expected rows x width x item")
        with nogil:
            for i in range(first, last):
                s = row_at(rows, i, &size)
                row_prefetch(rows, i + 16)
                if item == 4:
                    write_tokens_int32_t(&ids.vocabulary, s, size,
                                         <int32_t*>view.buf + i * width, width)
                else:
                    write_tokens_int64_t(&ids.vocabulary, s, size,
                                         <int64_t*>view.buf + i * width, width)
    finally:
        PyBuffer_Release(&view)
