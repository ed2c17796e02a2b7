/* K-mer tables weighted by attribution scores.
 *
 * Scores of a row are divided by their sum and rounded to multiples of 2^-bits, so that every sum
 * below is a sum of 64-bit integers: exact, the same in any order and over any split, and
 * differences of running sums lose nothing. The caller picks the bits so that no table overflows.
 *
 * The word at a position is that of the KLD_LONGEST bases that end there, two bits each, the first
 * base most significant; its low bits are the shorter words with the same end. So one update
 * serves several lengths, and kld_spread_* hands the sums down afterwards.
 */
#ifndef FASTSEQ_KLD_H
#define FASTSEQ_KLD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

enum { KLD_UNKNOWN = 3, /* codes above it are no bases */
       KLD_LONGEST = 12 };

/* The working tables of lengths 3 to 8: those of every length, then a cache line for each word of
 * six with the weights of lengths 6, 5, 4, 3 and those of length 7 by their first base. */
enum {
    KLD_W7 = 64 + 256 + 1024 + 4096,
    KLD_W8 = KLD_W7 + 16384,
    KLD_LINES = KLD_W8 + 65536,
    KLD_WORK = KLD_LINES + 8 * 4096
};

/* what a row of values holds */
enum { KLD_MAP_F32, KLD_MAP_F64, KLD_SCORES_F32, KLD_SCORES_F64 };
/* a score of a map: at the observed base, the norm over the channels, or its square */
enum { KLD_OBSERVED, KLD_NORM, KLD_SQUARE };

typedef int64_t kld_v4 __attribute__((vector_size(32), aligned(8), may_alias));

/* What is summed over rows, and room for one of them. */
typedef struct {
    int lo, hi, kind, score, correct;
    int64_t length;
    int64_t *tables;
    /* windows by their weight */
    int bits;
    /* windows inside attributed blocks: of the `above` highest scores, `buffer` longer */
    int64_t above, buffer;
    double guess; /* the last cutoff as a share of its row: where the next one is looked for */
    double *out; /* where scores go that are asked for themselves */
    double *scores, *spare; /* length and 2 x length + 8 */
    int64_t *running;       /* length + 1 */
    uint32_t *words;        /* length */
} kld_job;

/* AVX2 without fused multiply-add rounds like SSE2: the same bits on either path. */
#define KLD_BOTH(RESULT, NAME, PARAMETERS, ARGUMENTS)                                              \
    static RESULT NAME##_portable PARAMETERS { return NAME ARGUMENTS; }                            \
    AVX2 static RESULT NAME##_avx2 PARAMETERS { return NAME ARGUMENTS; }

static int kld_not_finite(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return (bits & 0x7ff0000000000000u) == 0x7ff0000000000000u;
}

BODY double kld_sum(const double *x, int64_t length) {
    double part[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= length; i += 8)
        for (int j = 0; j < 8; j++)
            part[j] += x[i + j];
    for (; i < length; i++)
        part[i & 7] += x[i];
    for (int j = 0; j < 4; j++)
        part[j] += part[j + 4];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* sqrt() may set errno, which keeps compilers from using vectors for it */
BODY void kld_roots(double *x, int64_t length) {
    int64_t i = 0;
#if FASTSEQ_X86
    for (; i + 2 <= length; i += 2)
        _mm_storeu_pd(x + i, _mm_sqrt_pd(_mm_loadu_pd(x + i)));
#endif
    for (; i < length; i++)
        x[i] = sqrt(x[i]);
}

/* Scores of one map (4, length), less the mean of the channels if `correct`: |x| at the observed
 * base, or x^2 over the channels. Returns a number that is not finite where a value is not. */
#define KLD_SCORE_MAP(NAME, TYPE)                                                                  \
    BODY double NAME(                                                                              \
        const uint8_t *restrict codes, const TYPE *restrict a, int64_t length, int score,          \
        int correct, TYPE *restrict observed, double *restrict out) {                              \
        const TYPE *c = a + length, *g = c + length, *t = g + length;                              \
        const double share = correct ? 0.25 : 0;                                                   \
        for (int64_t i = 0; i < length; i++)                                                       \
            out[i] = ((double)a[i] + (double)c[i]) + ((double)g[i] + (double)t[i]);                \
        const double all = kld_sum(out, length);                                                   \
        if (score != KLD_OBSERVED) {                                                               \
            for (int64_t i = 0; i < length; i++) {                                                 \
                const double mean = out[i] * share, x = a[i] - mean, y = c[i] - mean;              \
                const double z = g[i] - mean, w = t[i] - mean;                                     \
                out[i] = (x * x + y * y) + (z * z + w * w);                                        \
            }                                                                                      \
            return all;                                                                            \
        }                                                                                          \
        /* loads first: compilers then choose without branches, which bases would mispredict */    \
        for (int64_t i = 0; i < length; i++) {                                                     \
            const TYPE x = a[i], y = c[i], z = g[i], w = t[i];                                     \
            const int code = codes[i];                                                             \
            observed[i] = code == 0 ? x : code == 1 ? y : code == 2 ? z : w;                       \
        }                                                                                          \
        for (int64_t i = 0; i < length; i++) {                                                     \
            const double x = fabs((double)observed[i] - out[i] * share);                           \
            out[i] = codes[i] > KLD_UNKNOWN ? 0 : x;                                               \
        }                                                                                          \
        return all;                                                                                \
    }
KLD_SCORE_MAP(kld_score_map_f32, float)
KLD_SCORE_MAP(kld_score_map_f64, double)

/* Ready scores without their sign, turned to the right by `shift`. */
#define KLD_TURN(NAME, TYPE)                                                                       \
    BODY void NAME(const TYPE *x, int64_t length, int64_t shift, double *out) {                    \
        for (int64_t i = 0; i < length - shift; i++)                                               \
            out[shift + i] = fabs((double)x[i]);                                                   \
        for (int64_t i = 0; i < shift; i++)                                                        \
            out[i] = fabs((double)x[length - shift + i]);                                          \
    }
KLD_TURN(kld_turn_f32, float)
KLD_TURN(kld_turn_f64, double)

/* Scores of a row of values of a kind. Returns their sum, not finite where a value is not. */
BODY double kld_scores(
    const uint8_t *codes, const void *values, int kind, int64_t length, int score, int correct,
    int64_t shift, double *room, double *out) {
    double all = 0, total;
    if (kind == KLD_MAP_F32)
        all = kld_score_map_f32(
            codes, (const float *)values, length, score, correct, (float *)room, out);
    else if (kind == KLD_MAP_F64)
        all = kld_score_map_f64(
            codes, (const double *)values, length, score, correct, room, out);
    else if (kind == KLD_SCORES_F32)
        kld_turn_f32((const float *)values, length, shift, out);
    else
        kld_turn_f64((const double *)values, length, shift, out);
    if (kind <= KLD_MAP_F64 && score == KLD_NORM)
        kld_roots(out, length);
    total = kld_sum(out, length);
    return kld_not_finite(all) ? all : total;
}

/* Running sums (length + 1) of a row of scores in units of 2^-bits of its total, which is not 0. */
BODY void kld_running(
    const double *scores, int64_t length, double total, int bits, int64_t *running) {
    /* adding 2^52 rounds a double below it to a whole number in its low bits */
    const double unit = ldexp(1, bits), scale = unit / total, whole = 4503599627370496.0;
    /* a total near the smallest doubles has no finite reciprocal */
    const int tiny = kld_not_finite(scale);
    int64_t sum = 0, bits_of_whole, i = 1;
    memcpy(&bits_of_whole, &whole, 8);
    running[0] = 0;
    for (int64_t j = 0; j < length; j++) {
        const double share = (tiny ? scores[j] / total * unit : scores[j] * scale) + whole;
        int64_t share_bits;
        memcpy(&share_bits, &share, 8);
        running[1 + j] = share_bits - bits_of_whole;
    }
    /* two at a time: the next pair waits for one addition */
    for (; i < length; i += 2) {
        const int64_t one = running[i], two = one + running[i + 1];
        running[i] = sum + one;
        running[i + 1] = sum += two;
    }
    if (i == length)
        running[i] += sum;
}

/* The word at every position; what lies before the row or is unknown counts as some base.
 * Returns whether all bases are known. `room` holds 2 x (length + 8) bytes. */
BODY int kld_words(const uint8_t *codes, int64_t length, uint8_t *room, uint32_t *words) {
    uint8_t *two = room + 8, *four = two + length + 8;
    uint8_t most = 0;
    memset(room, 0, 8);
    memset(four - 8, 0, 8);
    two[0] = codes[0] & 3;
    most = codes[0];
    for (int64_t i = 1; i < length; i++) {
        two[i] = (uint8_t)((codes[i - 1] & 3) << 2 | (codes[i] & 3));
        most = most > codes[i] ? most : codes[i];
    }
    for (int64_t i = 0; i < length; i++)
        four[i] = (uint8_t)(two[i - 2] << 4 | two[i]);
    for (int64_t i = 0; i < length; i++)
        words[i] = (uint32_t)four[i - 8] << 16 | (uint32_t)four[i - 4] << 8 | four[i];
    return most <= KLD_UNKNOWN;
}

/* The end of the first stretch of known bases at or after *first, which is moved to its start. */
static inline int64_t kld_stretch(
    const uint8_t *codes, int64_t length, int known, int64_t *first) {
    int64_t end;
    if (known)
        return length;
    while (*first < length && codes[*first] > KLD_UNKNOWN)
        ++*first;
    for (end = *first; end < length && codes[end] <= KLD_UNKNOWN; end++)
        ;
    return end;
}

/* Where the table of length k starts among those of lengths lo, lo + 1, ... */
static inline int64_t kld_offset(int lo, int k) {
    return (((int64_t)1 << 2 * k) - ((int64_t)1 << 2 * lo)) / 3;
}

static inline uint32_t kld_mask(int k) { return ((uint32_t)1 << 2 * k) - 1; }

/* Add the weights of one row to the tables of lengths lo to hi; for 3 to 8, where four lengths
 * share an update, to the working tables. */
BODY void kld_weigh(
    const uint8_t *codes, const uint32_t *words, int known, const int64_t *running, int64_t length,
    int lo, int hi, int64_t *tables) {
    const int working = lo == 3 && hi == 8;
    for (int64_t first = 0, end; first < length; first = end) {
        int64_t i, near;
        end = kld_stretch(codes, length, known, &first);
        near = working && end - first > 7 ? first + 7 : end;
        for (i = first; i < near; i++)
            for (int k = lo; k <= hi && k <= i - first + 1; k++)
                tables[kld_offset(lo, k) + (words[i] & kld_mask(k))] +=
                    running[i + 1] - running[i + 1 - k];
        for (; i < end; i++) {
            const int64_t *s = running + i + 1, seven = s[0] - s[-7], eight = s[0] - s[-8];
            const uint32_t word = words[i];
            int64_t *line = tables + KLD_LINES + 8 * (word & 4095);
            *(kld_v4 *)line += (kld_v4){*s, *s, *s, *s} - *(const kld_v4 *)(s - 6);
            line[4 + (word >> 12 & 3)] += seven;
            tables[KLD_W8 + (word & 65535)] += eight;
        }
    }
}

/* Hand the lines down to the lengths they stand for. */
static void kld_spread_3to8(int64_t *work) {
    for (int64_t m = 0; m < 4096; m++) {
        const int64_t *line = work + KLD_LINES + 8 * m;
        for (int j = 0; j < 4; j++) {
            work[kld_offset(3, 6 - j) + (m & kld_mask(6 - j))] += line[j];
            work[KLD_W7 + (j << 12 | m)] += line[4 + j];
        }
    }
}

/* Count the longest word of lo to hi bases that ends at each position of first to end. */
BODY void kld_count_stretch(
    const uint32_t *words, int64_t first, int64_t end, int lo, int hi, int64_t *tables) {
    int64_t *longest = tables + kld_offset(lo, hi), i = first + lo - 1;
    for (; i < end && i < first + hi - 1; i++) {
        const int k = (int)(i - first) + 1;
        tables[kld_offset(lo, k) + (words[i] & kld_mask(k))]++;
    }
    for (; i < end; i++)
        longest[words[i] & kld_mask(hi)]++;
}

BODY void kld_count(
    const uint8_t *codes, const uint32_t *words, int known, int64_t begin, int64_t length, int lo,
    int hi, int64_t *tables) {
    for (int64_t first = begin, end; first < length; first = end) {
        end = kld_stretch(codes, length, known, &first);
        kld_count_stretch(words, first, end, lo, hi, tables);
    }
}

/* Every window of k bases is also one of k - 1 with the same end. */
static void kld_spread_counts(int lo, int hi, int64_t *tables) {
    for (int k = hi; k > lo; k--) {
        const int64_t *from = tables + kld_offset(lo, k);
        int64_t *to = tables + kld_offset(lo, k - 1), size = (int64_t)1 << 2 * (k - 1);
        for (int64_t m = 0; m < size; m++)
            to[m] += (from[m] + from[size + m]) + (from[2 * size + m] + from[3 * size + m]);
    }
}

/* The value of rank `rank` (0: smallest) of x, whose content is lost; `spare` is as long. Moves
 * without branches: which side a value goes to cannot be predicted. */
static double kld_select(double *x, double *spare, int64_t n, int64_t rank) {
    for (;;) {
        const double a = x[0], b = x[n / 2], c = x[n - 1];
        const double pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        int64_t below = 0, above = 0;
        for (int64_t i = 0; i < n; i++) {
            const double value = x[i];
            spare[above] = value;
            above += value > pivot;
            x[below] = value;
            below += value < pivot;
        }
        if (rank < below)
            n = below;
        else if (rank < n - above)
            return pivot;
        else {
            double *swap = x;
            rank -= n - above;
            n = above;
            x = spare;
            spare = swap;
        }
    }
}

/* A cutoff that `above` scores exceed, or as many as exceed the next smaller one where that has
 * equals. Counting above a guess that gets better finds it sooner than ordering the scores does. */
BODY double kld_cutoff(
    const double *x, int64_t length, int64_t above, double guess, double *room) {
    double low = 0, high = 0, at = guess;
    int64_t at_low = length, at_high = 0;
    for (int step = 0; step < 12; step++) {
        int64_t found = 0;
        for (int64_t i = 0; i < length; i++)
            found += x[i] > at;
        if (found == above)
            return at;
        if (found > above)
            low = at, at_low = found;
        else
            high = at, at_high = found;
        if (low > 0 && high > 0)
            at = low + (high - low) * (double)(at_low - above) / (double)(at_low - at_high);
        else {
            const double far = 4 * (double)(found - above) / (double)length;
            at *= far > 1 ? 2 : far < -0.5 ? 0.5 : 1 + far;
        }
    }
    memcpy(room, x, length * sizeof *x);
    return kld_select(room, room + length, length, length - 1 - above);
}

/* Count the windows inside attributed blocks: runs of scores above the cutoff, longer by `buffer`
 * to the right, and one block where they share a position. Returns whether there is any. */
BODY int kld_count_blocks(
    const uint8_t *codes, const uint32_t *words, int known, const double *scores, int64_t length,
    double cutoff, int64_t buffer, int lo, int hi, int64_t *positions, int64_t *tables) {
    int64_t n = 0;
    for (int64_t first = 0; first < length; first += 64) {
        uint64_t mask = 0;
        const int64_t many = length - first < 64 ? length - first : 64;
        for (int64_t i = 0; i < many; i++)
            mask |= (uint64_t)(scores[first + i] > cutoff) << i;
        for (; mask; mask &= mask - 1)
            positions[n++] = first + __builtin_ctzll(mask);
    }
    for (int64_t j = 0; j < n;) {
        const int64_t first = positions[j], reach = buffer > 0 ? buffer : 1;
        int64_t last = first;
        while (j < n && positions[j] <= last + reach)
            last = positions[j++];
        last = last + buffer < length ? last + buffer : length - 1;
        if (last - first + 1 >= lo)
            kld_count(codes, words, known, first, last + 1, lo, hi, tables);
    }
    return n > 0;
}

/* Scores and words of a row; returns the sum of the scores, not finite where a value is not. */
BODY double kld_read_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift, int *known) {
    *known = kld_words(codes, job->length, (uint8_t *)job->spare, job->words);
    return kld_scores(
        codes, values, job->kind, job->length, job->score, job->correct, shift, job->spare,
        job->scores);
}

/* Write the scores of a row. */
BODY int kld_score_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift) {
    const double total = kld_scores(
        codes, values, job->kind, job->length, job->score, job->correct, shift, job->spare,
        job->out);
    job->out += job->length;
    return kld_not_finite(total) ? -1 : 1;
}
KLD_BOTH(int, kld_score_row,
    (kld_job *job, const uint8_t *codes, const void *values, int64_t shift),
    (job, codes, values, shift))

/* Add a row to the tables. Returns 1, 0 where it attributes nothing, or -1 where a value is not finite. */
BODY int kld_weigh_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift) {
    int known;
    const double total = kld_read_row(job, codes, values, shift, &known);
    if (kld_not_finite(total))
        return -1;
    if (!(total > 0))
        return 0;
    kld_running(job->scores, job->length, total, job->bits, job->running);
    kld_weigh(
        codes, job->words, known, job->running, job->length, job->lo, job->hi, job->tables);
    return 1;
}
KLD_BOTH(int, kld_weigh_row,
    (kld_job *job, const uint8_t *codes, const void *values, int64_t shift),
    (job, codes, values, shift))

BODY int kld_block_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift) {
    int known;
    const double total = kld_read_row(job, codes, values, shift, &known);
    if (kld_not_finite(total))
        return -1;
    const double cutoff = kld_cutoff(
        job->scores, job->length, job->above, job->guess * total, job->spare);
    if (cutoff > 0)
        job->guess = cutoff / total;
    return kld_count_blocks(
        codes, job->words, known, job->scores, job->length, cutoff, job->buffer, job->lo, job->hi,
        job->running, job->tables);
}
KLD_BOTH(int, kld_block_row,
    (kld_job *job, const uint8_t *codes, const void *values, int64_t shift),
    (job, codes, values, shift))

BODY int kld_count_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift) {
    const int known = kld_words(codes, job->length, (uint8_t *)job->spare, job->words);
    (void)values, (void)shift;
    kld_count(codes, job->words, known, 0, job->length, job->lo, job->hi, job->tables);
    return 1;
}
KLD_BOTH(int, kld_count_row,
    (kld_job *job, const uint8_t *codes, const void *values, int64_t shift),
    (job, codes, values, shift))

/* One row by itself, for one length: its windows are summed per k-mer in `sums` and `counts`
 * (4^k zeros, left as zeros). Adds count x weight per k-mer to `products` unless NULL, and writes
 * the divergence of the row's weights from `prior` (4^k, sums to 1) unless that is NULL. */
static int kld_row(
    kld_job *job, const uint8_t *codes, const void *values, int64_t shift, int64_t *sums,
    int64_t *counts, int64_t *products, const double *prior, double *divergence) {
    const int k = job->lo;
    int known;
    const double sum = kld_read_row(job, codes, values, shift, &known);
    double total = 0, found = 0;
    if (kld_not_finite(sum))
        return -1;
    if (prior)
        *divergence = NAN;
    if (!(sum > 0))
        return 0;
    kld_running(job->scores, job->length, sum, job->bits, job->running);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t first = 0, end; first < job->length; first = end) {
            end = kld_stretch(codes, job->length, known, &first);
            for (int64_t i = first + k - 1; i < end; i++) {
                const uint32_t word = job->words[i] & kld_mask(k);
                if (pass == 0) {
                    const int64_t weight = job->running[i + 1] - job->running[i + 1 - k];
                    sums[word] += weight;
                    counts[word]++;
                    total += (double)weight;
                } else if (counts[word]) {
                    if (products)
                        products[word] += sums[word] * counts[word];
                    if (prior && sums[word]) {
                        const double p = (double)sums[word] / total;
                        found += prior[word] > 0 ? p * log(p / prior[word]) : INFINITY;
                    }
                    sums[word] = counts[word] = 0;
                }
            }
        }
    if (prior && total > 0)
        *divergence = found;
    return 1;
}

/* A count below 2^62 as a double, rounded once; written so that compilers use vectors for it. */
BODY double kld_as_double(int64_t count) {
    const uint64_t two_to_52 = 0x4330000000000000u;
    uint64_t low = two_to_52 | ((uint64_t)count & 0xffffffffu);
    uint64_t high = two_to_52 | ((uint64_t)count >> 32);
    double x, y;
    memcpy(&x, &low, 8);
    memcpy(&y, &high, 8);
    return (y - 4503599627370496.0) * 4294967296.0 + (x - 4503599627370496.0);
}

/* Moves a by a power of two to within a factor 1.5 of b; returns its exponent. Both are normal and
 * above 0; of a = 0 comes some number. */
BODY double kld_move_near(double *a, double b) {
    const uint64_t most = 0x7ff0000000000000u, exponents = 0xfff0000000000000u;
    const uint64_t half = (uint64_t)1 << 51;
    const double whole = 6755399441055744.0; /* 1.5 x 2^52: adds an integer to a double's bits */
    uint64_t a_bits, b_bits, apart, exponent_bits;
    double exponent;
    memcpy(&a_bits, a, 8);
    memcpy(&b_bits, &b, 8);
    memcpy(&exponent_bits, &whole, 8);
    apart = a_bits - b_bits + most + half;
    a_bits += most - (apart & exponents);
    memcpy(a, &a_bits, 8);
    exponent_bits += apart >> 52;
    memcpy(&exponent, &exponent_bits, 8);
    return exponent - (whole + 2047);
}

/* ln((1 + s) / (1 - s)) for |s| <= 0.2: s times a polynomial in s^2, within 3e-17 of it, from its
 * values at Chebyshev points. */
BODY double kld_log_ratio(double s) {
    static const double c[8] = {
        0.153872266991311297, 0.152473238523101464, 0.181865285425799415, 0.222221332144791618,
        0.285714294819971996, 0.399999999954340462, 0.66666666666675377, 2.0,
    };
    const double z = s * s;
    double series = c[0];
    for (int j = 1; j < 8; j++)
        series = series * z + c[j];
    return s * series;
}

/* sum P ln(P / Q) of two integer tables; 0 exactly where they are proportional. */
BODY double kld_divergence(const int64_t *p, const int64_t *q, int64_t size) {
    enum { LANES = 64 };
    int64_t p_total = 0, q_total = 0, lacking = 0, differing = 0;
    for (int64_t m = 0; m < size; m++) {
        p_total += p[m];
        q_total += q[m];
        lacking |= (p[m] != 0) & (q[m] == 0);
    }
    if (p_total == 0 || q_total == 0)
        return NAN;
    if (lacking)
        return INFINITY;
    if (p_total % q_total == 0) {
        const int64_t each = p_total / q_total;
        for (int64_t m = 0; m < size && !differing; m++)
            differing = p[m] != q[m] * each;
        if (!differing)
            return 0;
    }
    const double mean = (double)p_total / (double)q_total;
    /* whole blocks of a fixed size keep compilers from writing each loop three times */
    int64_t few[2][LANES] = {{0}};
    if (size < LANES) {
        memcpy(few[0], p, size * sizeof *p);
        memcpy(few[1], q, size * sizeof *q);
        p = few[0], q = few[1], size = LANES;
    }
    double sum[4] = {0}, weight[LANES], near[LANES], expected[LANES], exponent[LANES];
    for (int64_t first = 0; first < size; first += LANES) {
        for (int i = 0; i < LANES; i++)
            near[i] = weight[i] = kld_as_double(p[first + i]);
        for (int i = 0; i < LANES; i++)
            expected[i] = kld_as_double(q[first + i] + (q[first + i] == 0)) * mean;
        for (int i = 0; i < LANES; i++) {
            exponent[i] = kld_move_near(&near[i], expected[i]);
            near[i] = (near[i] - expected[i]) / (near[i] + expected[i]);
        }
        for (int i = 0; i < LANES; i++)
            weight[i] *= kld_log_ratio(near[i]) + exponent[i] * 0.69314718055994530942;
        for (int i = 0; i < LANES; i += 4)
            for (int j = 0; j < 4; j++)
                sum[j] += weight[i + j];
    }
    const double found = ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (double)p_total;
    return found > 0 ? found : 0;
}
KLD_BOTH(double, kld_divergence, (const int64_t *p, const int64_t *q, int64_t size), (p, q, size))

/* The same for tables of doubles, neither of which need sum to 1. */
static double kld_divergence_f64(const double *p, const double *q, int64_t size) {
    double p_total = kld_sum(p, size), q_total = kld_sum(q, size), sum = 0;
    if (!(p_total > 0) || !(q_total > 0))
        return NAN;
    for (int64_t m = 0; m < size; m++) {
        if (p[m] == 0)
            continue;
        if (q[m] == 0)
            return INFINITY;
        sum += p[m] / p_total * log(p[m] / p_total / (q[m] / q_total));
    }
    return sum > 0 ? sum : 0;
}

#endif
