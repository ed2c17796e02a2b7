/* Differences of a few edits carried through a network around cached references.

   A value is a map of positions by channels; an edit changes a window of it. The windows of a chunk
   of sites lie behind each other as [site][alternative][guard + rows + guard][channels], where the
   alternatives of a site share its window, and guard rows are zero. One bit a channel and row says
   whether any alternative differs there, so that a convolution skips what is exactly zero. Channels
   are padded to LANE of them; padded ones are zero throughout. Differences and the weights they
   meet are float, or bfloat16 where the processor multiplies it; sums, references and what leaves
   are float. A vector is a map of one position. */
#ifndef FASTSEQ_DELTA_H
#define FASTSEQ_DELTA_H

#include "cpu.h"

enum { DELTA_LANE = 16, DELTA_BLOCK = 64 };
enum {
    DELTA_STEM, DELTA_CONV, DELTA_ACTIVATE, DELTA_ADD, DELTA_CONCAT, DELTA_MAX_POOL,
    DELTA_MEAN_POOL, DELTA_GLOBAL_MAX
};
enum {
    DELTA_NONE, DELTA_RELU, DELTA_SLOPE, DELTA_ELU, DELTA_SILU, DELTA_SIGMOID, DELTA_TANH,
    DELTA_GELU, DELTA_SOFTPLUS, DELTA_EXP
};

/* Step `out` = activation(linear part of x and y), y < 0 where there is one input. A convolution adds
   y to its sums, or `late` to what its activation gives. Its weights lie as [block of 64 channels]
   [tap][channel in][channel of the block], in bfloat16 two channels in beside each other; those of
   a stem, the convolution over bases, as [old code][new code][tap][channel], always float. The
   blocks of a diagonal convolution read only the channels in that have their own numbers, as groups
   within a block do. A linear layer over a whole map is a convolution with one result. */
typedef struct {
    int64_t kind, x, y, out, kernel, stride, dilation, before;
    int64_t channels_in, channels, length_in, length, activation, diagonal, late;
    const void *weight;
    const float *slope;
} delta_step_t;

/* where a value's windows begin in the scratch, in differences and in mask words */
typedef struct {
    int64_t channels, rows, guard, data, mask;
} delta_value_t;

/* what a step reads of the first reference, in rows of channels: before the activation | a pool's
   input and output, or inverse divisors | map, prefix and suffix maxima; the next reference's lie so
   many floats behind */
typedef struct {
    const float *a, *b, *c;
    int64_t next_a, next_b, next_c;
} delta_reference_t;

typedef struct {
    const delta_step_t *steps;
    const delta_value_t *values;
    const delta_reference_t *references;
    float *const *outs;             /* of the steps whose result leaves, [site][alternative] maps */
    const uint8_t *codes;           /* [reference][bases] */
    const int64_t *row;             /* the reference of every site */
    const int64_t *start;           /* of every site */
    const uint8_t *inserted;        /* [site][alternative][length] */
    void *data;
    uint64_t *masks;
    int64_t *ranges;                /* [value][low, high][site of the chunk] */
    int64_t n_steps, n_values, n_sites, bases, length, alternatives, chunk, done;
} delta_run_t;

static inline int64_t delta_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t delta_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t delta_floor(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t delta_ceil(int64_t a, int64_t b) { return a / b + (a % b > 0); }

static inline const float *delta_seen(const delta_run_t *q, const float *first, int64_t next,
                                      int64_t site) {
    return first + q->row[site] * next;
}

/* where an alternative's row of a step's result leaves to */
static inline float *delta_leaving(const delta_run_t *q, const delta_step_t *s, int64_t site,
                                   int64_t alt, int64_t row) {
    int64_t lane = (q->done + site) * q->alternatives + alt;
    return q->outs[s - q->steps] + (lane * s->length + row) * s->channels;
}

static inline int64_t *delta_low(const delta_run_t *q, int64_t value) {
    return q->ranges + 2 * value * q->chunk;
}
static inline int64_t *delta_high(const delta_run_t *q, int64_t value) {
    return delta_low(q, value) + q->chunk;
}
/* where a row of a window lies in the scratch */
static inline int64_t delta_place(const delta_run_t *q, int64_t value, int64_t site, int64_t alt,
                                  int64_t row) {
    const delta_value_t *v = q->values + value;
    int64_t lane = site * q->alternatives + alt;
    return v->data + (lane * v->rows + row - delta_low(q, value)[site] + v->guard) * v->channels;
}
static inline int64_t delta_words(const delta_value_t *v) { return (v->channels + 63) / 64; }
static inline uint64_t *delta_mask(const delta_run_t *q, int64_t value, int64_t site, int64_t row) {
    const delta_value_t *v = q->values + value;
    return q->masks + v->mask +
           (site * v->rows + row - delta_low(q, value)[site] + v->guard) * delta_words(v);
}

/* the results that a step's input window touches, clipped; an empty window touches nothing */
static inline void delta_reach(const delta_step_t *s, int64_t low, int64_t high, int64_t *to_low,
                               int64_t *to_high) {
    *to_low = *to_high = 0;
    if (high <= low) return;
    int64_t halo = (s->kernel - 1) * s->dilation;
    int64_t first = delta_ceil(low - halo + s->before, s->stride);
    int64_t last = delta_floor(high - 1 + s->before, s->stride) + 1;
    first = delta_min(delta_max(first, 0), s->length);
    last = delta_min(delta_max(last, 0), s->length);
    if (last > first) *to_low = first, *to_high = last;
}

/* the first tap of a result that reads `ahead` positions or more behind what tap 0 reads */
static inline int64_t delta_tap(const delta_step_t *s, int64_t ahead) {
    if (s->dilation > 1) ahead = delta_ceil(ahead, s->dilation);
    return delta_min(delta_max(ahead, 0), s->kernel);
}

static inline void delta_ranges(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    int64_t *low = delta_low(q, s->out), *high = delta_high(q, s->out);
    for (int64_t i = 0; i < sites; i++) {
        int64_t lo = q->start[i], hi = lo + q->length;
        if (s->kind != DELTA_STEM) lo = delta_low(q, s->x)[i], hi = delta_high(q, s->x)[i];
        delta_reach(s, lo, hi, low + i, high + i);
        if (s->y < 0) continue;
        int64_t other = delta_low(q, s->y)[i], end = delta_high(q, s->y)[i];
        if (end <= other) continue;
        int empty = high[i] <= low[i];
        low[i] = empty ? other : delta_min(low[i], other);
        high[i] = empty ? end : delta_max(high[i], end);
    }
}

/* zeros before and behind every window, and in all of its masks */
static inline void delta_clear(const delta_run_t *q, int64_t value, int64_t sites, size_t size) {
    const delta_value_t *v = q->values + value;
    size_t guard = v->guard * v->channels * size;
    char *data = q->data;
    for (int64_t i = 0; i < sites; i++) {
        int64_t low = delta_low(q, value)[i], high = delta_high(q, value)[i];
        for (int64_t a = 0; a < q->alternatives; a++) {
            memset(data + delta_place(q, value, i, a, low - v->guard) * size, 0, guard);
            memset(data + delta_place(q, value, i, a, high) * size, 0, guard);
        }
        memset(delta_mask(q, value, i, low - v->guard), 0,
               (high - low + 2 * v->guard) * delta_words(v) * sizeof(uint64_t));
    }
}

/* two differences beside each other */
static inline int32_t delta_pair(const uint16_t *p) {
    int32_t both;
    memcpy(&both, p, sizeof both);
    return both;
}

#if FASTSEQ_X86
/* The bits below the sign: GCC 12 may spill the mask of a comparison as 16 bits and read it back
   as 64, that of a test it extends. */
#define DELTA_CHANGED_512(v)                                                             \
    ((uint64_t)_mm512_test_epi32_mask(_mm512_castps_si512(v), _mm512_set1_epi32(INT32_MAX)))

#define LANES_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,bmi,bmi2"
#include "lanes_avx512.h"
#define NAME(name) name##_bfloat16
#define CHANGED DELTA_CHANGED_512
#define ELEMENT uint16_t
#define PAIR 2
#define DOT(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define SPREAD(p) _mm512_castsi512_ps(_mm512_set1_epi32(delta_pair(p)))
#define READ(p)                                                                          \
    _mm512_castsi512_ps(_mm512_slli_epi32(                                               \
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(p))), 16))
#define WRITE(p, v) _mm256_storeu_si256((__m256i *)(p), (__m256i)_mm512_cvtneps_pbh(v))
#include "delta_body.h"
#include "lanes_end.h"

#define LANES_TARGET "avx512f,avx512bw,avx512vl,avx512dq,bmi,bmi2"
#include "lanes_avx512.h"
#define NAME(name) name##_avx512
#define CHANGED DELTA_CHANGED_512
#include "delta_body.h"
#include "lanes_end.h"

#define LANES_TARGET "avx2,fma,bmi,bmi2"
#include "lanes_avx2.h"
#define NAME(name) name##_avx2
#define CHANGED(v) \
    ((uint64_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ)))
#include "delta_body.h"
#include "lanes_end.h"
#endif

#include "lanes_portable.h"
static inline uint64_t delta_changed(lanes_4 v) {
    return (v[0] != 0) | (v[1] != 0) << 1 | (v[2] != 0) << 2 | (v[3] != 0) << 3;
}
#define NAME(name) name##_portable
#define CHANGED(v) delta_changed(v)
#include "delta_body.h"
#include "lanes_end.h"

/* bfloat16 has one form, which needs the processor's own products */
static inline int delta_has_bfloat16(int level) {
#if FASTSEQ_X86
    return level == CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

static inline void delta_run(const delta_run_t *q, int narrow, int level) {
#if FASTSEQ_X86
    if (narrow) { delta_run_bfloat16(q); return; }
    if (level == CPU_AVX512) { delta_run_avx512(q); return; }
    if (level == CPU_AVX2 && __builtin_cpu_supports("fma")) { delta_run_avx2(q); return; }
#endif
    delta_run_portable(q);
}

#endif
