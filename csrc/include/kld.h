/* K-mer tables weighted by attribution scores.
 *
 * Scores of a row are divided by their sum and rounded to multiples of 2^-s, so that every sum
 * below is a sum of 64-bit integers: exact, the same in any order and over any split, and
 * differences of running sums lose nothing. The caller picks s so that no table can overflow.
 *
 * The code of a window is that of the k bases that end at a position; the first base is the most
 * significant. A window of 8 holds the shorter windows with the same end, so one update serves
 * several lengths, and kld_spread_* hands the sums down afterwards.
 */
#ifndef FASTSEQ_KLD_H
#define FASTSEQ_KLD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

#define KLD_UNKNOWN 3 /* codes above it are no bases */

/* the working tables of lengths 3 to 8: those of every length, then 4^6 x (v6, v5, v4, v3) */
enum {
    KLD_W3 = 0,
    KLD_W4 = KLD_W3 + 64,
    KLD_W5 = KLD_W4 + 256,
    KLD_W6 = KLD_W5 + 1024,
    KLD_W7 = KLD_W6 + 4096,
    KLD_W8 = KLD_W7 + 16384,
    KLD_T6 = KLD_W8 + 65536,
    KLD_WORK = KLD_T6 + 4 * 4096
};

typedef int64_t kld_v2 __attribute__((vector_size(16), aligned(8), may_alias));

/* AVX2 without fused multiply-add rounds like SSE2: the same bits on either path. */
#define KLD_BOTH(RESULT, NAME, PARAMETERS, ARGUMENTS)                                              \
    static RESULT NAME##_portable PARAMETERS { return NAME ARGUMENTS; }                            \
    AVX2 static RESULT NAME##_avx2 PARAMETERS { return NAME ARGUMENTS; }

BODY int kld_not_finite(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return (bits & 0x7ff0000000000000u) == 0x7ff0000000000000u;
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

/* Scores of one map (4, length): |x - mean| at the observed base, or the norm over the channels.
 * Without correction the mean is not taken off. Returns whether every value is finite. */
#define KLD_SCORE_MAP(NAME, TYPE)                                                                  \
    BODY int NAME(                                                                                 \
        const uint8_t *codes, const TYPE *map, int64_t length, int norm, int correct,              \
        double *mean, double *out) {                                                               \
        const TYPE *a = map, *c = map + length, *g = c + length, *t = g + length;                  \
        const double share = correct ? 1 : 0;                                                      \
        int bad = 0;                                                                               \
        for (int64_t i = 0; i < length; i++) {                                                     \
            mean[i] = 0.25 * (((double)a[i] + (double)c[i]) + ((double)g[i] + (double)t[i]));      \
            bad |= kld_not_finite(mean[i]);                                                        \
            mean[i] *= share;                                                                      \
        }                                                                                          \
        if (norm) {                                                                                \
            for (int64_t i = 0; i < length; i++) {                                                 \
                double x = a[i] - mean[i], y = c[i] - mean[i];                                     \
                double z = g[i] - mean[i], w = t[i] - mean[i];                                     \
                out[i] = (x * x + y * y) + (z * z + w * w);                                        \
            }                                                                                      \
            kld_roots(out, length);                                                                \
        } else {                                                                                   \
            for (int64_t i = 0; i < length; i++) {                                                 \
                double x = fabs((double)map[(codes[i] & 3) * length + i] - mean[i]);               \
                out[i] = codes[i] > KLD_UNKNOWN ? 0 : x;                                           \
            }                                                                                      \
        }                                                                                          \
        /* squares and differences of floats are finite doubles */                                 \
        for (int64_t i = 0; sizeof(TYPE) == 8 && i < length; i++)                                  \
            bad |= kld_not_finite(out[i]);                                                         \
        return !bad;                                                                               \
    }
#define KLD_SCORE_ARGUMENTS (codes, map, length, norm, correct, mean, out)
KLD_SCORE_MAP(kld_score_map_f32, float)
KLD_BOTH(int, kld_score_map_f32,
    (const uint8_t *codes, const float *map, int64_t length, int norm, int correct,
     double *mean, double *out), KLD_SCORE_ARGUMENTS)
KLD_SCORE_MAP(kld_score_map_f64, double)
KLD_BOTH(int, kld_score_map_f64,
    (const uint8_t *codes, const double *map, int64_t length, int norm, int correct,
     double *mean, double *out), KLD_SCORE_ARGUMENTS)

static double kld_sum(const double *x, int64_t length) {
    double part[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= length; i += 4)
        for (int j = 0; j < 4; j++)
            part[j] += x[i + j];
    for (; i < length; i++)
        part[0] += x[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* Running sums (length + 1) of a row of scores in units of 2^-bits of its total; `shift` turns the
 * row to the right, circularly. A row without scores gives zeros and is answered with 0. */
static int kld_running(
    const double *scores, int64_t length, int64_t shift, int bits, int64_t *running) {
    double total = kld_sum(scores, length), unit = ldexp(1, bits), scale = unit / total;
    int64_t sum = 0, to = 0;
    /* a total near the smallest doubles has no finite reciprocal */
    int tiny = kld_not_finite(scale);
    running[0] = 0;
    if (!(total > 0)) {
        memset(running, 0, (length + 1) * sizeof *running);
        return 0;
    }
    for (int64_t i = length - shift; to < length; i = 0)
        for (; i < length && to < length; i++) {
            double share = tiny ? scores[i] / total * unit : scores[i] * scale;
            sum += (int64_t)(share + 0.5);
            running[++to] = sum;
        }
    return 1;
}

/* Add the weights of one row to the working tables of lengths 3 to 8. */
static void kld_weigh_3to8(
    const uint8_t *codes, const int64_t *running, int64_t length, int64_t *work) {
    uint32_t h = 0;
    int64_t run = 0;
    for (int64_t i = 0; i < length; i++) {
        uint32_t code = codes[i];
        const int64_t *s = running + i + 1;
        if (__builtin_expect(code > KLD_UNKNOWN, 0)) {
            run = 0;
            continue;
        }
        h = h << 2 | code;
        run++;
        if (__builtin_expect(run >= 6, 1)) {
            kld_v2 top = {*s, *s}, *entry = (kld_v2 *)(work + KLD_T6 + 4 * (h & 4095));
            entry[0] += top - *(const kld_v2 *)(s - 6);
            entry[1] += top - *(const kld_v2 *)(s - 4);
            if (__builtin_expect(run >= 7, 1))
                work[KLD_W7 + (h & 16383)] += s[0] - s[-7];
            if (__builtin_expect(run >= 8, 1))
                work[KLD_W8 + (h & 65535)] += s[0] - s[-8];
            continue;
        }
        /* too near a start for the table of four */
        if (run >= 3)
            work[KLD_W3 + (h & 63)] += s[0] - s[-3];
        if (run >= 4)
            work[KLD_W4 + (h & 255)] += s[0] - s[-4];
        if (run >= 5)
            work[KLD_W5 + (h & 1023)] += s[0] - s[-5];
    }
}

/* Hand the table of four down to the lengths it stands for. */
static void kld_spread_3to8(int64_t *work) {
    for (int64_t m = 0; m < 4096; m++) {
        const int64_t *four = work + KLD_T6 + 4 * m;
        work[KLD_W6 + m] += four[0];
        work[KLD_W5 + (m & 1023)] += four[1];
        work[KLD_W4 + (m & 255)] += four[2];
        work[KLD_W3 + (m & 63)] += four[3];
    }
}

/* Where the table of length k starts among those of lengths lo, lo + 1, ... */
static inline int64_t kld_offset(int lo, int k) {
    return (((int64_t)1 << 2 * k) - ((int64_t)1 << 2 * lo)) / 3;
}

/* Add the weights of one row to the tables of lengths lo to hi. */
static void kld_weigh(
    const uint8_t *codes, const int64_t *running, int64_t length, int lo, int hi,
    int64_t *tables) {
    uint64_t h = 0;
    int64_t run = 0;
    for (int64_t i = 0; i < length; i++) {
        if (codes[i] > KLD_UNKNOWN) {
            run = 0;
            continue;
        }
        h = h << 2 | codes[i];
        run++;
        for (int k = lo; k <= hi && k <= run; k++)
            tables[kld_offset(lo, k) + (int64_t)(h & (((uint64_t)1 << 2 * k) - 1))] +=
                running[i + 1] - running[i + 1 - k];
    }
}

/* Count the longest window of lo to hi bases that ends at each position. */
static void kld_count(
    const uint8_t *codes, int64_t length, int lo, int hi, int64_t *tables) {
    const uint64_t mask = ((uint64_t)1 << 2 * hi) - 1;
    int64_t *longest = tables + kld_offset(lo, hi);
    uint64_t h = 0;
    int64_t run = 0;
    for (int64_t i = 0; i < length; i++) {
        if (codes[i] > KLD_UNKNOWN) {
            run = 0;
            continue;
        }
        h = h << 2 | codes[i];
        run++;
        if (__builtin_expect(run >= hi, 1))
            longest[h & mask]++;
        else if (run >= lo)
            tables[kld_offset(lo, (int)run) + (int64_t)(h & (((uint64_t)1 << 2 * run) - 1))]++;
    }
}

/* Every window of k bases is also one of k - 1 with the same end. */
static void kld_spread_counts(int lo, int hi, int64_t *tables) {
    for (int k = hi; k > lo; k--) {
        const int64_t *from = tables + kld_offset(lo, k);
        int64_t *to = tables + kld_offset(lo, k - 1), size = (int64_t)1 << 2 * (k - 1);
        for (int p = 0; p < 4; p++)
            for (int64_t m = 0; m < size; m++)
                to[m] += from[p * size + m];
    }
}

/* The value of rank `rank` (0: smallest) of x, whose content is lost; `spare` is as long. Moves
 * without branches: which side a value goes to cannot be predicted. */
BODY double kld_select(double *x, double *spare, int64_t n, int64_t rank) {
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

/* NumPy's linear quantile of values of 0 or more; `room` holds 3 x length values. Only values above
 * a guess from a sample are put in order. */
BODY double kld_quantile(const double *x, int64_t length, double quantile, double *room) {
    enum { SAMPLE = 16 };
    double sample[SAMPLE], *kept = room, at = quantile * (double)(length - 1), pivot = 0;
    int64_t low = (int64_t)at, held = 0, above = length - low;
    /* the wanted values are the `above` largest; guess a value that a few more exceed */
    int64_t guess = SAMPLE - 3 - SAMPLE * above / length;
    if (length > 4 * SAMPLE && guess > 0) {
        for (int64_t i = 0; i < SAMPLE; i++)
            sample[i] = x[i * length / SAMPLE];
        pivot = kld_select(sample, room, SAMPLE, guess);
    }
    for (int pass = 0; pass < 2 && held < above; pass++) {
        held = 0;
        for (int64_t i = 0; i < length; i++) {
            kept[held] = x[i];
            held += x[i] >= pivot;
        }
        pivot = 0; /* too high a guess: all of them */
    }
    memcpy(room + length, kept, held * sizeof *kept);
    const double value = kld_select(room + length, room + 2 * length, held, held - above);
    const double weight = at - (double)low;
    if (weight == 0)
        return value;
    /* the next larger value; equal ones above the rank come first */
    int64_t larger = 0;
    double next = INFINITY;
    for (int64_t i = 0; i < held; i++) {
        const double later = kept[i] > value ? kept[i] : INFINITY;
        larger += kept[i] > value;
        next = later < next ? later : next;
    }
    return larger == above - 1 ? value + (next - value) * weight : value;
}
KLD_BOTH(double, kld_quantile,
    (const double *x, int64_t length, double quantile, double *room), (x, length, quantile, room))

/* Count the windows inside attributed blocks: runs of scores above the cutoff, longer by `buffer` to
 * the right, and one block where they share a position. Returns whether there is any. */
static int kld_count_attributed(
    const uint8_t *codes, const double *scores, int64_t length, double cutoff, int64_t buffer,
    int lo, int hi, int64_t *positions, int64_t *tables) {
    int64_t n = 0;
    for (int64_t i = 0; i < length; i++) {
        positions[n] = i;
        n += scores[i] > cutoff;
    }
    for (int64_t j = 0; j < n;) {
        const int64_t first = positions[j], reach = buffer > 0 ? buffer : 1;
        int64_t last = first;
        while (j < n && positions[j] <= last + reach)
            last = positions[j++];
        last = last + buffer < length ? last + buffer : length - 1;
        if (last - first + 1 >= lo)
            kld_count(codes + first, last - first + 1, lo, hi, tables);
    }
    return n > 0;
}

/* One row by itself, for one length: its windows are summed per k-mer in `sums` and `counts`
 * (4^k zeros, left as zeros). Adds count x weight per k-mer to `products` unless NULL, and returns
 * the divergence of the row's weights from `prior` (4^k, sums to 1) unless that is NULL. */
static double kld_row(
    const uint8_t *codes, const int64_t *running, int64_t length, int k, int64_t *sums,
    int64_t *counts, int64_t *products, const double *prior) {
    const uint64_t mask = ((uint64_t)1 << 2 * k) - 1;
    double divergence = 0, total = 0;
    for (int pass = 0; pass < 2; pass++) {
        uint64_t h = 0;
        int64_t run = 0;
        for (int64_t i = 0; i < length; i++) {
            if (codes[i] > KLD_UNKNOWN) {
                run = 0;
                continue;
            }
            h = (h << 2 | codes[i]) & mask;
            if (++run < k)
                continue;
            if (pass == 0) {
                int64_t weight = running[i + 1] - running[i + 1 - k];
                sums[h] += weight;
                counts[h]++;
                total += (double)weight;
            } else if (counts[h]) {
                if (products)
                    products[h] += sums[h] * counts[h];
                if (prior && sums[h]) {
                    double p = (double)sums[h] / total;
                    divergence += prior[h] > 0 ? p * log(p / prior[h]) : INFINITY;
                }
                sums[h] = counts[h] = 0;
            }
        }
    }
    return total > 0 ? divergence : NAN;
}

/* A count below 2^63 as a double, rounded once; written so that compilers use vectors for it. */
BODY double kld_as_double(int64_t count) {
    const uint64_t two_to_52 = 0x4330000000000000u;
    uint64_t low = two_to_52 | ((uint64_t)count & 0xffffffffu);
    uint64_t high = two_to_52 | ((uint64_t)count >> 32);
    double x, y;
    memcpy(&x, &low, 8);
    memcpy(&y, &high, 8);
    return (y - 4503599627370496.0) * 4294967296.0 + (x - 4503599627370496.0);
}

/* ln of a normal number above 0. The series 2 (s + s^3/3 + s^5/5 ..), s = (m - 1) / (m + 1), is
 * within 1e-17 after 10 terms for m within a factor sqrt(2) of 1; without branches, for vectors. */
BODY double kld_log(double x) {
    const uint64_t low = 0x3fe6a09e667f3bcdu, one = 0x3ff0000000000000u; /* sqrt(1/2), 1 */
    const double shift = 6755399441055744.0; /* 1.5 x 2^52: adds an integer to a double's bits */
    uint64_t bits, exponent, shift_bits;
    double m, e;
    memcpy(&bits, &x, 8);
    memcpy(&shift_bits, &shift, 8);
    bits += one - low;
    exponent = shift_bits + (bits >> 52) - 1023;
    bits = (bits & 0x000fffffffffffffu) + low;
    memcpy(&m, &bits, 8);
    memcpy(&e, &exponent, 8);
    const double s = (m - 1) / (m + 1), z = s * s;
    double series = 1.0 / 19;
    for (int j = 17; j > 0; j -= 2)
        series = series * z + 1.0 / j;
    return 2 * s * series + (e - shift) * 0.69314718055994530942;
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
    const double scale = (double)q_total / (double)p_total;
    double sum = 0, term[LANES];
    for (int64_t first = 0; first < size; first += LANES) {
        const int n = size - first < LANES ? (int)(size - first) : LANES;
        for (int i = 0; i < n; i++) {
            const double weight = kld_as_double(p[first + i]);
            double ratio = weight / kld_as_double(q[first + i]) * scale;
            /* 1 where there is no weight, without a branch */
            const uint64_t one = 0x3ff0000000000000u, kept = -(uint64_t)(p[first + i] != 0);
            uint64_t bits;
            memcpy(&bits, &ratio, 8);
            bits = (bits & kept) | (one & ~kept);
            memcpy(&ratio, &bits, 8);
            term[i] = weight * kld_log(ratio);
        }
        for (int i = 0; i < n; i++)
            sum += term[i];
    }
    sum /= (double)p_total;
    return sum > 0 ? sum : 0;
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
