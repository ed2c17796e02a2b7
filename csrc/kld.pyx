"""Attribution-weighted k-mer tables and their divergences."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from doors cimport cpu_level

cdef extern from "kld.h" nogil:
    int KLD_WORK, KLD_LONGEST
    int KLD_MAP_F32, KLD_MAP_F64, KLD_SCORES_F32, KLD_SCORES_F64
    int KLD_OBSERVED, KLD_NORM, KLD_SQUARE
    ctypedef struct kld_job:
        int lo, hi, kind, score, correct
        int64_t length
        int64_t *tables
        int bits
        int64_t above, buffer
        double guess
        double *out
        double *scores
        double *spare
        int64_t *running
        uint32_t *words
    int kld_weigh_row_portable(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_weigh_row_avx2(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_block_row_portable(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_block_row_avx2(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_score_row_portable(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_score_row_avx2(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_count_row_portable(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_count_row_avx2(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift) noexcept
    int kld_row(
        kld_job *job, const uint8_t *codes, const void *values, int64_t shift, int64_t *sums,
        int64_t *counts, int64_t *products, const double *prior, double *divergence) noexcept
    void kld_spread_3to8(int64_t *work) noexcept
    void kld_spread_counts(int lo, int hi, int64_t *tables) noexcept
    int64_t kld_offset(int lo, int k) noexcept
    double kld_divergence_portable(
        const int64_t *p, const int64_t *q, int64_t size) noexcept
    double kld_divergence_avx2(const int64_t *p, const int64_t *q, int64_t size) noexcept
    double kld_divergence_f64(const double *p, const double *q, int64_t size) noexcept

ctypedef int (*row_pass)(kld_job *, const uint8_t *, const void *, int64_t) noexcept nogil
ctypedef double (*divergence_of)(const int64_t *, const int64_t *, int64_t) noexcept nogil

cdef const int *cpu = cpu_level()

ctypedef fused real:
    float
    double

WORK = KLD_WORK
LONGEST = KLD_LONGEST
# which score of a map (n, 4, length): at the observed base, the norm over the bases, its square
OBSERVED, NORM, SQUARE = KLD_OBSERVED, KLD_NORM, KLD_SQUARE

cdef const int64_t[::1] NOTHING = None


def table_offset(int lo, int k):
    """Return where the table of length k starts among those of lengths lo, lo + 1, ..."""
    return kld_offset(lo, k)


cdef int _check_tables(Py_ssize_t size, int lo, int hi) except -1:
    if lo < 1 or hi > KLD_LONGEST or lo > hi or size != kld_offset(lo, hi + 1):
        raise ValueError("tables do not fit the lengths")
    return 0


cdef int _check_rows(
    const uint8_t[:, ::1] codes, Py_ssize_t rows, Py_ssize_t width,
    const int64_t[::1] source, const int64_t[::1] shifts,
) except -1:
    cdef Py_ssize_t row, n = codes.shape[0], length = codes.shape[1]
    if width != length and width != 4 * length:
        raise ValueError("values are neither maps nor scores of these codes")
    if source is None and rows != n:
        raise ValueError("codes and values differ in rows")
    if source is not None and source.shape[0] != n or shifts is not None and shifts.shape[0] != n:
        raise ValueError("codes, source and shifts differ in rows")
    if shifts is not None and width != length:
        raise ValueError("only scores can be turned")
    for row in range(n):
        if (source is not None and not 0 <= source[row] < rows
                or shifts is not None and not 0 <= shifts[row] <= length):
            raise ValueError("a source row or a shift is out of range")
    return 0


cdef int _open(kld_job *job, Py_ssize_t length) except -1:
    """Give a job of rows of this length its room."""
    cdef Py_ssize_t doubles = length + 2 * length + 8 + length + 1 + length
    job.scores = <double *>malloc(doubles * sizeof(double))
    if job.scores == NULL:
        raise MemoryError
    job.length = length
    job.spare = job.scores + length
    job.running = <int64_t *>(job.spare + 2 * length + 8)
    job.words = <uint32_t *>(job.running + length + 1)
    job.guess = 2.0 / (length + 1)
    return 0


cdef tuple _pass(
    row_pass add, kld_job *job, const uint8_t[:, ::1] codes, const real[:, ::1] values,
    const int64_t[::1] source, const int64_t[::1] shifts,
):
    """Return the first row that is not finite, or -1, and how many rows attribute nothing."""
    cdef Py_ssize_t row, rows = codes.shape[0], length = codes.shape[1]
    cdef Py_ssize_t bad = -1, silent = 0
    cdef int answer
    _check_rows(codes, values.shape[0], values.shape[1], source, shifts)
    if rows == 0 or length == 0:
        return -1, rows
    _open(job, length)
    if values.shape[1] == length:
        job.kind = KLD_SCORES_F32 if real is float else KLD_SCORES_F64
    else:
        job.kind = KLD_MAP_F32 if real is float else KLD_MAP_F64
    with nogil:
        for row in range(rows):
            answer = add(
                job, &codes[row, 0], &values[row if source is None else source[row], 0],
                0 if shifts is None else shifts[row])
            if answer < 0:
                bad = row
                break
            silent += answer == 0
    free(job.scores)
    return bad, silent


def score(
    const uint8_t[:, ::1] codes not None,
    const real[:, ::1] values not None,
    int score,
    bint correct,
    double[:, ::1] out not None,
):
    """Fill out (n, length) with scores of maps (n, 4 x length) or, without sign, of scores.

    Returns the first row that is not finite, or -1.
    """
    cdef kld_job job
    cdef row_pass add = kld_score_row_avx2 if cpu[0] else kld_score_row_portable
    job.score, job.correct = score, correct
    if out.shape[0] != codes.shape[0] or out.shape[1] != codes.shape[1]:
        raise ValueError("codes and out differ in shape")
    if out.shape[0] and out.shape[1]:
        job.out = &out[0, 0]
    return _pass(add, &job, codes, values, NOTHING, NOTHING)[0]


def weigh(
    const uint8_t[:, ::1] codes not None,
    const real[:, ::1] values not None,
    const int64_t[::1] source,
    const int64_t[::1] shifts,
    int score,
    bint correct,
    int bits,
    int lo,
    int hi,
    int64_t[::1] tables not None,
):
    """Add the window weights of row r under values[source[r]], turned by shifts[r], to tables.

    Values are maps (n, 4 x length) or scores (n, length). For lengths 3 to 8 tables are the WORK
    working values that `spread` turns into tables. Returns the first row that is not finite, or
    -1, and how many rows have no scores.
    """
    cdef kld_job job
    cdef row_pass add = kld_weigh_row_avx2 if cpu[0] else kld_weigh_row_portable
    if lo == 3 and hi == 8:
        if tables.shape[0] != KLD_WORK:
            raise ValueError("tables do not fit the lengths")
    else:
        _check_tables(tables.shape[0], lo, hi)
    job.lo, job.hi, job.score, job.correct, job.bits = lo, hi, score, correct, bits
    job.tables = &tables[0]
    return _pass(add, &job, codes, values, source, shifts)


def spread(int64_t[::1] work not None):
    """Turn the working values of `weigh` into tables of lengths 3 to 8, which they begin with."""
    if work.shape[0] != KLD_WORK:
        raise ValueError("expected the working values of lengths 3 to 8")
    with nogil:
        kld_spread_3to8(&work[0])


def count_blocks(
    const uint8_t[:, ::1] codes not None,
    const real[:, ::1] values not None,
    const int64_t[::1] source,
    const int64_t[::1] shifts,
    int score,
    bint correct,
    double quantile,
    int64_t buffer,
    int lo,
    int hi,
    int64_t[::1] tables not None,
):
    """Add the windows inside attributed blocks to tables; `spread_counts` ends it.

    Values, source, shifts and what comes back are those of `weigh`; a row counts as one without
    scores when none lies above its cutoff.
    """
    cdef kld_job job
    cdef Py_ssize_t length = codes.shape[1]
    cdef row_pass add = kld_block_row_avx2 if cpu[0] else kld_block_row_portable
    _check_tables(tables.shape[0], lo, hi)
    if not 0 <= quantile < 1 or buffer < 0:
        raise ValueError("expected 0 <= quantile < 1 and buffer >= 0")
    job.lo, job.hi, job.score, job.correct, job.buffer = lo, hi, score, correct, buffer
    job.above = length - 1 - <int64_t>(quantile * (length - 1))
    job.tables = &tables[0]
    return _pass(add, &job, codes, values, source, shifts)


def count(
    const uint8_t[:, ::1] codes not None, int lo, int hi, int64_t[::1] tables not None
):
    """Add the windows of codes to tables, each to its longest length; `spread_counts` ends it."""
    cdef kld_job job
    cdef Py_ssize_t row, length = codes.shape[1]
    cdef row_pass add = kld_count_row_avx2 if cpu[0] else kld_count_row_portable
    _check_tables(tables.shape[0], lo, hi)
    if codes.shape[0] == 0 or length == 0:
        return
    _open(&job, length)
    job.lo, job.hi, job.tables = lo, hi, &tables[0]
    with nogil:
        for row in range(codes.shape[0]):
            add(&job, &codes[row, 0], NULL, 0)
    free(job.scores)


def spread_counts(int lo, int hi, int64_t[::1] tables not None):
    """Let every window count for its shorter lengths, too."""
    _check_tables(tables.shape[0], lo, hi)
    with nogil:
        kld_spread_counts(lo, hi, &tables[0])


def by_row(
    const uint8_t[:, ::1] codes not None,
    const double[:, ::1] scores not None,
    const int64_t[::1] source,
    const int64_t[::1] shifts,
    int bits,
    int k,
    int64_t[::1] products,
    const double[::1] prior,
    double[::1] divergences,
):
    """Sum each row's windows per k-mer by itself.

    Adds count x weight to products (4^k), or writes each row's divergence from prior (4^k).
    Returns the first row that is not finite, or -1, and how many rows have no scores.
    """
    cdef kld_job job
    cdef Py_ssize_t silent = 0, bad = -1, row, rows = codes.shape[0], length = codes.shape[1]
    cdef Py_ssize_t size = 1 << (2 * k)
    cdef int64_t *sums
    cdef int64_t *to = NULL
    cdef const double *reference = NULL
    cdef double divergence = 0
    cdef int answer
    _check_rows(codes, scores.shape[0], scores.shape[1], source, shifts)
    if scores.shape[1] != length or not 1 <= k <= KLD_LONGEST:
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
        return -1, rows
    sums = <int64_t *>calloc(2 * size, sizeof(int64_t))
    if sums == NULL:
        raise MemoryError
    _open(&job, length)
    job.lo, job.kind, job.bits, job.score, job.correct = k, KLD_SCORES_F64, bits, 0, 0
    with nogil:
        for row in range(rows):
            answer = kld_row(
                &job, &codes[row, 0], &scores[row if source is None else source[row], 0],
                0 if shifts is None else shifts[row], sums, sums + size, to, reference,
                &divergence)
            if answer < 0:
                bad = row
                break
            silent += answer == 0
            if reference != NULL:
                divergences[row] = divergence
    free(job.scores)
    free(sums)
    return bad, silent


def divergence(const int64_t[::1] p not None, const int64_t[::1] q not None):
    """Return sum P ln(P / Q) of two integer tables: nan where one is empty, inf where Q lacks P."""
    cdef double value
    cdef divergence_of compare = kld_divergence_avx2 if cpu[0] else kld_divergence_portable
    if p.shape[0] != q.shape[0] or p.shape[0] == 0 or p.shape[0] % 4:
        raise ValueError("tables differ in size, or are none of words")
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
