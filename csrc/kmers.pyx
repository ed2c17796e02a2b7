"""k-mers of rows: counted into one table, into a table a row, or listed."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from doors cimport cpu_level, rows_of, rows_t

cdef extern from "kmers.h" nogil:
    ctypedef struct word_t:
        int k, span
    void letters_init()
    void word_init(word_t*, int, uint64_t, int, int64_t)
    uint64_t word_turned(uint64_t, int)
    void count_small(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, int64_t*, uint32_t*,
                     int)
    void count_large(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, int64_t*, int)
    Py_ssize_t count_rows_uint8_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, uint8_t*,
                                  Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_uint16_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t,
                                   uint16_t*, Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_uint32_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t,
                                   uint32_t*, Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_int32_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, int32_t*,
                                  Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_int64_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, int64_t*,
                                  Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_float(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, float*,
                                Py_ssize_t, const uint32_t*, int)
    Py_ssize_t count_rows_double(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, double*,
                                 Py_ssize_t, const uint32_t*, int)
    Py_ssize_t sparse_rows_ "sparse_rows"(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t,
                                          uint32_t*, uint64_t*, int32_t*, int32_t*, int64_t*, int)
    void list_words_uint16_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, const int64_t*,
                             uint16_t*, int64_t*, int)
    void list_words_uint32_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, const int64_t*,
                             uint32_t*, int64_t*, int)
    void list_words_uint64_t(const rows_t*, const word_t*, Py_ssize_t, Py_ssize_t, const int64_t*,
                             uint64_t*, int64_t*, int)
    int sort_words_ "sort_words"(uint64_t*, Py_ssize_t, int, uint64_t*)
    Py_ssize_t run_lengths_uint16_t(const uint16_t*, Py_ssize_t, uint64_t*, int64_t*)
    Py_ssize_t run_lengths_uint32_t(const uint32_t*, Py_ssize_t, uint64_t*, int64_t*)
    Py_ssize_t run_lengths_uint64_t(const uint64_t*, Py_ssize_t, uint64_t*, int64_t*)
    Py_ssize_t run_columns_uint16_t(const uint16_t*, Py_ssize_t, int32_t*, int32_t*)
    Py_ssize_t run_columns_uint32_t(const uint32_t*, Py_ssize_t, int32_t*, int32_t*)

ctypedef fused count_t:
    uint8_t
    uint16_t
    uint32_t
    int32_t
    int64_t
    float
    double

ctypedef fused word_type:
    uint16_t
    uint32_t
    uint64_t

ctypedef fused small_word:
    uint16_t
    uint32_t

cdef const int *cpu = cpu_level()
letters_init()


cdef class Word:
    """Which letters of a window make a word; the last base of the window is bit 0 of `care`."""

    cdef word_t word

    def __init__(self, int span, uint64_t care, bint canonical, int64_t stride):
        if not 1 <= span <= 32 or stride < 1:
            raise ValueError("span must be 1..32 and stride at least 1")
        word_init(&self.word, span, care, canonical, stride)


def count(capsule, Word word not None, Py_ssize_t first, Py_ssize_t last,
          int64_t[::1] out not None, bint large) -> None:
    """Add the words of rows [first, last) to `out`, int64 (4^k,)."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t size = <Py_ssize_t>1 << (2 * word.word.k)
    cdef uint32_t *tables
    if out.shape[0] != size:
        raise ValueError(f"out has {out.shape[0]} items; expected {size}")
    if large:
        with nogil:
            count_large(rows, &word.word, first, last, &out[0], cpu[0])
        return
    tables = <uint32_t*>malloc(2 * size * sizeof(uint32_t))
    if tables == NULL:
        raise MemoryError(f"no memory for two tables of {size} counts")
    with nogil:
        count_small(rows, &word.word, first, last, &out[0], tables, cpu[0])
        free(tables)


def count_rows(capsule, Word word not None, Py_ssize_t first, Py_ssize_t last,
               count_t[:, ::1] out not None, const uint32_t[::1] rank=None) -> int:
    """Write the counts of rows [first, last); return the row whose counts overflow, or -1."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t full, columns = out.shape[1], size = <Py_ssize_t>1 << (2 * word.word.k)
    cdef const uint32_t *order = &rank[0] if rank is not None else NULL
    if out.shape[0] != rows.n or (rank is None and columns != size):
        raise ValueError("out must have a row for each sequence and a column for each word")
    if rank is not None and rank.shape[0] != size:
        raise ValueError("rank must hold a column for each word")
    if rows.n == 0:
        return -1
    with nogil:
        if count_t is uint8_t:
            full = count_rows_uint8_t(rows, &word.word, first, last, &out[0, 0], columns, order,
                                      cpu[0])
        elif count_t is uint16_t:
            full = count_rows_uint16_t(rows, &word.word, first, last, &out[0, 0], columns, order,
                                       cpu[0])
        elif count_t is uint32_t:
            full = count_rows_uint32_t(rows, &word.word, first, last, &out[0, 0], columns, order,
                                       cpu[0])
        elif count_t is int32_t:
            full = count_rows_int32_t(rows, &word.word, first, last, &out[0, 0], columns, order,
                                      cpu[0])
        elif count_t is int64_t:
            full = count_rows_int64_t(rows, &word.word, first, last, &out[0, 0], columns, order,
                                      cpu[0])
        elif count_t is float:
            full = count_rows_float(rows, &word.word, first, last, &out[0, 0], columns, order,
                                    cpu[0])
        else:
            full = count_rows_double(rows, &word.word, first, last, &out[0, 0], columns, order,
                                     cpu[0])
    return full - 1


def sparse_rows(capsule, Word word not None, Py_ssize_t first, Py_ssize_t last,
                uint32_t[::1] table not None, uint64_t[::1] marks not None,
                int32_t[::1] columns not None, int32_t[::1] counts not None,
                int64_t[::1] per_row not None) -> int:
    """Write columns and counts of rows [first, last); return how many. `table`, `marks` stay 0."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t got, i, length, room = 0, size = <Py_ssize_t>1 << (2 * word.word.k)
    if not 0 <= first <= last <= rows.n or per_row.shape[0] != last - first:
        raise ValueError("expected rows that are there, and a number for each")
    if table.shape[0] != size or 64 * marks.shape[0] < size:
        raise ValueError("table and marks must hold every word")
    for i in range(first, last):
        length = (rows.size[i] if rows.at != NULL else rows.longest) - word.word.span + 1
        room += max(0, min(length, size))
    if columns.shape[0] < room or counts.shape[0] < room:
        raise ValueError(f"columns and counts must have room for {room} words")
    if room == 0:
        per_row[:] = 0
        return 0
    with nogil:
        got = sparse_rows_(rows, &word.word, first, last, &table[0], &marks[0], &columns[0],
                           &counts[0], &per_row[0], cpu[0])
    return got


def list_words(capsule, Word word not None, Py_ssize_t first, Py_ssize_t last,
               const int64_t[::1] at not None, word_type[::1] out not None,
               int64_t[::1] found not None) -> None:
    """Write the words of rows [first, last); row first + i begins at `at[i]` and has `found[i]`."""
    cdef const rows_t *rows = rows_of(capsule)
    cdef Py_ssize_t i, size
    if at.shape[0] != last - first + 1 or found.shape[0] != last - first or first == last:
        raise ValueError("expected n + 1 places and n numbers for n >= 1 rows")
    for i in range(last - first):
        size = rows.size[first + i] if rows.at != NULL else rows.longest
        if at[i + 1] - at[i] < size - word.word.span + 1 or at[i] < 0 or at[i] > at[i + 1]:
            raise ValueError("a row has more words than places")
    if at[last - first] > out.shape[0]:
        raise ValueError("places lie beyond out")
    if out.shape[0] == 0:
        found[:] = 0
        return
    with nogil:
        if word_type is uint16_t:
            list_words_uint16_t(rows, &word.word, first, last, &at[0], &out[0], &found[0], cpu[0])
        elif word_type is uint32_t:
            list_words_uint32_t(rows, &word.word, first, last, &at[0], &out[0], &found[0], cpu[0])
        else:
            list_words_uint64_t(rows, &word.word, first, last, &at[0], &out[0], &found[0], cpu[0])


def sort_words(uint64_t[::1] words not None, int k, uint64_t[::1] out not None) -> None:
    """Write words of k letters in ascending order into `out`; `words` is scratch afterwards."""
    cdef int failed
    if out.shape[0] != words.shape[0] or words.shape[0] >= <int64_t>1 << 32:
        raise ValueError("words and out must be of one length below 2^32")
    if words.shape[0] == 0:
        return
    with nogil:
        failed = sort_words_(&words[0], words.shape[0], 2 * k, &out[0])
    if failed:
        raise MemoryError("no memory to sort words")


def run_lengths(const word_type[::1] words not None, uint64_t[::1] distinct not None,
                int64_t[::1] counts not None) -> int:
    """Write the distinct words of a sorted array and their counts; return how many they are."""
    cdef Py_ssize_t n = words.shape[0]
    if distinct.shape[0] < n or counts.shape[0] < n:
        raise ValueError("distinct and counts must be as long as words")
    if n == 0:
        return 0
    with nogil:
        if word_type is uint16_t:
            n = run_lengths_uint16_t(&words[0], n, &distinct[0], &counts[0])
        elif word_type is uint32_t:
            n = run_lengths_uint32_t(&words[0], n, &distinct[0], &counts[0])
        else:
            n = run_lengths_uint64_t(&words[0], n, &distinct[0], &counts[0])
    return n


def row_run_lengths(const word_type[:, ::1] words not None, const int64_t[::1] found not None,
                    uint64_t[::1] distinct not None, int64_t[::1] counts not None,
                    int64_t[::1] per_row not None) -> int:
    """The same for each sorted row, of which the first `found[i]` words count."""
    cdef Py_ssize_t i, m = 0, got, n = words.shape[0]
    if found.shape[0] != n or per_row.shape[0] != n:
        raise ValueError("found and per_row must have an item for each row")
    if distinct.shape[0] < words.size or counts.shape[0] < words.size:
        raise ValueError("distinct and counts must be as large as words")
    if n == 0 or words.shape[1] == 0:
        per_row[:] = 0
        return 0
    with nogil:
        for i in range(n):
            got = 0
            if found[i] > 0:
                if word_type is uint16_t:
                    got = run_lengths_uint16_t(&words[i, 0], found[i], &distinct[m], &counts[m])
                elif word_type is uint32_t:
                    got = run_lengths_uint32_t(&words[i, 0], found[i], &distinct[m], &counts[m])
                else:
                    got = run_lengths_uint64_t(&words[i, 0], found[i], &distinct[m], &counts[m])
            per_row[i] = got
            m += got
    return m


def row_run_columns(const small_word[:, ::1] words not None, const int64_t[::1] found not None,
                    int32_t[::1] columns not None, int32_t[::1] counts not None,
                    int64_t[::1] per_row not None) -> int:
    """The same as the 32-bit columns and counts of a sparse matrix."""
    cdef Py_ssize_t i, m = 0, got, n = words.shape[0]
    if found.shape[0] != n or per_row.shape[0] != n:
        raise ValueError("found and per_row must have an item for each row")
    if columns.shape[0] < words.size or counts.shape[0] < words.size:
        raise ValueError("columns and counts must be as large as words")
    if n == 0 or words.shape[1] == 0:
        per_row[:] = 0
        return 0
    with nogil:
        for i in range(n):
            got = 0
            if found[i] > 0:
                if small_word is uint16_t:
                    got = run_columns_uint16_t(&words[i, 0], found[i], &columns[m], &counts[m])
                else:
                    got = run_columns_uint32_t(&words[i, 0], found[i], &columns[m], &counts[m])
            per_row[i] = got
            m += got
    return m


def turned(const uint64_t[::1] words not None, int k, uint64_t[::1] out not None) -> None:
    """Write the reverse complement of each word of k letters."""
    cdef Py_ssize_t i
    for i in range(min(words.shape[0], out.shape[0])):
        out[i] = word_turned(words[i], k)
