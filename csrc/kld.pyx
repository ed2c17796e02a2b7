"""Attribution-weighted k-mer tables and their divergences."""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

from doors cimport cpu_level

cdef extern from "kld.h" nogil:
    int KLD_WORK
    int kld_score_map_f32_portable(
        const uint8_t *codes, const float *map, int64_t length, int norm, int correct,
        double *mean, double *out) noexcept
    int kld_score_map_f32_avx2(
        const uint8_t *codes, const float *map, int64_t length, int norm, int correct,
        double *mean, double *out) noexcept
    int kld_score_map_f64_portable(
        const uint8_t *codes, const double *map, int64_t length, int norm, int correct,
        double *mean, double *out) noexcept
    int kld_score_map_f64_avx2(
        const uint8_t *codes, const double *map, int64_t length, int norm, int correct,
        double *mean, double *out) noexcept
    int kld_running(
        const double *scores, int64_t length, int64_t shift, int bits, int64_t *running) noexcept
    void kld_weigh_3to8(
        const uint8_t *codes, const int64_t *running, int64_t length, int64_t *work) noexcept
    void kld_spread_3to8(int64_t *work) noexcept
    int64_t kld_offset(int lo, int k) noexcept
    void kld_weigh(
        const uint8_t *codes, const int64_t *running, int64_t length, int lo, int hi,
        int64_t *tables) noexcept
    void kld_count(
        const uint8_t *codes, int64_t length, int lo, int hi, int64_t *tables) noexcept
    void kld_spread_counts(int lo, int hi, int64_t *tables) noexcept
    double kld_quantile_portable(
        const double *x, int64_t length, double quantile, double *room) noexcept
    double kld_quantile_avx2(
        const double *x, int64_t length, double quantile, double *room) noexcept
    int kld_count_attributed(
        const uint8_t *codes, const double *scores, int64_t length, double cutoff,
        int64_t buffer, int lo, int hi, int64_t *positions, int64_t *tables) noexcept
    double kld_row(
        const uint8_t *codes, const int64_t *running, int64_t length, int k, int64_t *sums,
        int64_t *counts, int64_t *products, const double *prior) noexcept
    double kld_divergence_portable(
        const int64_t *p, const int64_t *q, int64_t size) noexcept
    double kld_divergence_avx2(const int64_t *p, const int64_t *q, int64_t size) noexcept
    double kld_divergence_f64(const double *p, const double *q, int64_t size) noexcept

ctypedef int (*score_f32)(
    const uint8_t *, const float *, int64_t, int, int, double *, double *) noexcept nogil
ctypedef int (*score_f64)(
    const uint8_t *, const double *, int64_t, int, int, double *, double *) noexcept nogil
ctypedef double (*quantile_of)(const double *, int64_t, double, double *) noexcept nogil
ctypedef double (*divergence_of)(const int64_t *, const int64_t *, int64_t) noexcept nogil

cdef const int *cpu = cpu_level()

ctypedef fused real:
    float
    double

WORK = KLD_WORK
LONGEST = 12


def table_offset(int lo, int k):
    """Return where the table of length k starts among those of lengths lo, lo + 1, ..."""
    return kld_offset(lo, k)


cdef int _check_tables(Py_ssize_t size, int lo, int hi) except -1:
    if lo < 1 or hi > LONGEST or lo > hi or size != kld_offset(lo, hi + 1):
        raise ValueError("tables do not fit the lengths")
    return 0


cdef int _check_rows(
    Py_ssize_t rows, const int64_t[::1] source, const int64_t[::1] shifts, Py_ssize_t scores,
    Py_ssize_t length,
) except -1:
    cdef Py_ssize_t row
    if source.shape[0] != rows or shifts.shape[0] != rows:
        raise ValueError("codes, source and shifts differ in rows")
    for row in range(rows):
        if not 0 <= source[row] < scores or not 0 <= shifts[row] <= length:
            raise ValueError("a source row or a shift is out of range")
    return 0


cdef void *_allocate(Py_ssize_t size) except NULL:
    cdef void *memory = malloc(size + 64)
    if memory == NULL:
        raise MemoryError
    return memory


def score_maps(
    const uint8_t[:, ::1] codes not None,
    const real[:, :, ::1] maps not None,
    bint norm,
    bint correct,
    double[:, ::1] out not None,
):
    """Fill out (n, length) with scores of maps (n, 4, length); return a row not finite or -1."""
    cdef Py_ssize_t row, rows = codes.shape[0], length = codes.shape[1]
    cdef Py_ssize_t bad = -1
    cdef double *mean
    cdef int finite
    cdef score_f32 of_floats = kld_score_map_f32_portable
    cdef score_f64 of_doubles = kld_score_map_f64_portable
    if cpu[0]:
        of_floats, of_doubles = kld_score_map_f32_avx2, kld_score_map_f64_avx2
    if (maps.shape[0] != rows or maps.shape[1] != 4 or maps.shape[2] != length
            or out.shape[0] != rows or out.shape[1] != length):
        raise ValueError("codes, maps and out differ in shape")
    if rows == 0 or length == 0:
        return -1
    mean = <double *>_allocate(length * sizeof(double))
    with nogil:
        for row in range(rows):
            if real is float:
                finite = of_floats(
                    &codes[row, 0], &maps[row, 0, 0], length, norm, correct, mean, &out[row, 0])
            else:
                finite = of_doubles(
                    &codes[row, 0], &maps[row, 0, 0], length, norm, correct, mean, &out[row, 0])
            if not finite:
                bad = row
                break
    free(mean)
    return bad


def weigh(
    const uint8_t[:, ::1] codes not None,
    const double[:, ::1] scores not None,
    const int64_t[::1] source not None,
    const int64_t[::1] shifts not None,
    int bits,
    int lo,
    int hi,
    int64_t[::1] tables not None,
):
    """Add the window weights of row r under scores[source[r]], turned by shifts[r], to tables.

    For lengths 3 to 8 tables are the WORK working values that `spread` turns into tables.
    Returns how many rows have no scores.
    """
    cdef Py_ssize_t silent = 0, row, rows = codes.shape[0], length = codes.shape[1]
    cdef int64_t *running
    cdef bint working = lo == 3 and hi == 8
    _check_rows(rows, source, shifts, scores.shape[0], length)
    if scores.shape[1] != length:
        raise ValueError("codes and scores differ in length")
    if working:
        if tables.shape[0] != KLD_WORK:
            raise ValueError("tables do not fit the lengths")
    else:
        _check_tables(tables.shape[0], lo, hi)
    if rows == 0 or length == 0:
        return rows
    running = <int64_t *>_allocate((length + 1) * sizeof(int64_t))
    with nogil:
        for row in range(rows):
            silent += not kld_running(
                &scores[source[row], 0], length, shifts[row], bits, running)
            if working:
                kld_weigh_3to8(&codes[row, 0], running, length, &tables[0])
            else:
                kld_weigh(&codes[row, 0], running, length, lo, hi, &tables[0])
    free(running)
    return silent


def spread(int64_t[::1] work not None):
    """Turn the working values of `weigh` into tables of lengths 3 to 8, which they begin with."""
    if work.shape[0] != KLD_WORK:
        raise ValueError("expected the working values of lengths 3 to 8")
    with nogil:
        kld_spread_3to8(&work[0])


def count(
    const uint8_t[:, ::1] codes not None, int lo, int hi, int64_t[::1] tables not None
):
    """Add the windows of codes to tables, each to its longest length; `spread_counts` ends it."""
    cdef Py_ssize_t row, length = codes.shape[1]
    _check_tables(tables.shape[0], lo, hi)
    if length == 0:
        return
    with nogil:
        for row in range(codes.shape[0]):
            kld_count(&codes[row, 0], length, lo, hi, &tables[0])


def count_attributed(
    const uint8_t[:, ::1] codes not None,
    const double[:, ::1] scores not None,
    const int64_t[::1] source not None,
    const int64_t[::1] shifts not None,
    double quantile,
    int64_t buffer,
    int lo,
    int hi,
    int64_t[::1] tables not None,
):
    """Add the windows inside attributed blocks to tables; `spread_counts` ends it.

    Returns how many rows have no position above their cutoff.
    """
    cdef Py_ssize_t silent = 0, row, i, rows = codes.shape[0], length = codes.shape[1]
    cdef double cutoff
    cdef quantile_of quantile_of_row = kld_quantile_avx2 if cpu[0] else kld_quantile_portable
    cdef double *turned
    cdef double *room
    cdef int64_t *positions
    cdef int64_t shift
    _check_rows(rows, source, shifts, scores.shape[0], length)
    _check_tables(tables.shape[0], lo, hi)
    if scores.shape[1] != length:
        raise ValueError("codes and scores differ in length")
    if not 0 <= quantile <= 1 or buffer < 0:
        raise ValueError("expected 0 <= quantile <= 1 and buffer >= 0")
    if rows == 0 or length == 0:
        return rows
    turned = <double *>_allocate(length * 5 * sizeof(double))
    room = turned + length
    positions = <int64_t *>(room + 3 * length)
    with nogil:
        for row in range(rows):
            shift = shifts[row]
            for i in range(shift):
                turned[i] = scores[source[row], length - shift + i]
            for i in range(shift, length):
                turned[i] = scores[source[row], i - shift]
            cutoff = quantile_of_row(turned, length, quantile, room)
            silent += not kld_count_attributed(
                &codes[row, 0], turned, length, cutoff, buffer, lo, hi, positions, &tables[0])
    free(turned)
    return silent


def spread_counts(int lo, int hi, int64_t[::1] tables not None):
    """Let every window count for its shorter lengths, too."""
    _check_tables(tables.shape[0], lo, hi)
    with nogil:
        kld_spread_counts(lo, hi, &tables[0])


def by_row(
    const uint8_t[:, ::1] codes not None,
    const double[:, ::1] scores not None,
    const int64_t[::1] source not None,
    const int64_t[::1] shifts not None,
    int bits,
    int k,
    int64_t[::1] products,
    const double[::1] prior,
    double[::1] divergences,
):
    """Sum each row's windows per k-mer by itself.

    Adds count x weight to products (4^k), or writes each row's divergence from prior (4^k).
    Returns how many rows have no scores.
    """
    cdef Py_ssize_t silent = 0, row, rows = codes.shape[0], length = codes.shape[1]
    cdef Py_ssize_t size = 1 << (2 * k)
    cdef int64_t *running
    cdef int64_t *sums
    cdef int64_t *to = NULL
    cdef const double *reference = NULL
    cdef double divergence
    _check_rows(rows, source, shifts, scores.shape[0], length)
    if scores.shape[1] != length or not 1 <= k <= LONGEST:
        raise ValueError("codes and scores differ in length, or k is out of range")
    if products is not None:
        if products.shape[0] != size:
            raise ValueError("products do not fit the length")
        to = &products[0]
    if prior is not None:
        if prior.shape[0] != size or divergences is None or divergences.shape[0] != rows:
            raise ValueError("prior or divergences do not fit")
        reference = &prior[0]
    if rows == 0 or length == 0:
        return rows
    running = <int64_t *>_allocate((length + 1 + 2 * size) * sizeof(int64_t))
    sums = running + length + 1
    with nogil:
        for row in range(2 * size):
            sums[row] = 0
        for row in range(rows):
            silent += not kld_running(
                &scores[source[row], 0], length, shifts[row], bits, running)
            divergence = kld_row(
                &codes[row, 0], running, length, k, sums, sums + size, to, reference)
            if reference != NULL:
                divergences[row] = divergence
    free(running)
    return silent


def divergence(const int64_t[::1] p not None, const int64_t[::1] q not None):
    """Return sum P ln(P / Q) of two integer tables: nan where one is empty, inf where Q lacks P."""
    cdef double value
    cdef divergence_of compare = kld_divergence_avx2 if cpu[0] else kld_divergence_portable
    if p.shape[0] != q.shape[0] or p.shape[0] == 0:
        raise ValueError("tables differ in size")
    with nogil:
        value = compare(&p[0], &q[0], p.shape[0])
    return value


def divergence_of_weights(const double[::1] p not None, const double[::1] q not None):
    """Return sum P ln(P / Q) of two tables of doubles, as `divergence` does."""
    cdef double value
    if p.shape[0] != q.shape[0] or p.shape[0] == 0:
        raise ValueError("tables differ in size")
    with nogil:
        value = kld_divergence_f64(&p[0], &q[0], p.shape[0])
    return value
