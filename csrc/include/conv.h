/* Convolutions of channels-last maps with all that follows them, for whole batches of sequences.

   A convolution of stride 1 runs by Toom and Cook's (Winograd's) algorithm: `points` products give
   `step` results where the direct sum takes step * kernel. One input transform serves all of a long
   kernel's pieces of `step` taps, whose products add up before the output transform. Of bfloat16
   the transforms are integers of 16 bits, scaled tile by tile: 8 bits would not carry them.
   Everything else is the case of one point: windows of the padded rows times the weights. */
#ifndef FASTSEQ_CONV_H
#define FASTSEQ_CONV_H

#include <math.h>

#include "cpu.h"

enum { CONV_BLOCK = 64, CONV_MOST_STEP = 6, CONV_LETTERS = 6 };
/* of transformed input: 16 bits with its sign, and products of it add up within 32 */
#define CONV_LIMIT 24000.f
enum { CONV_NONE, CONV_RELU, CONV_SLOPE, CONV_SILU, CONV_SIGMOID };

/* Channels of the input are counted in words of 32 bits: one float, or two bfloat16.
   Weights lie as [block of 64 channels][point][tap][word in][channel of the block]; a block's width
   is a multiple of 16, padded with zeros. bias and slope are padded alike. A late
   skip is added after the activation. */
typedef struct {
    int64_t words, channels, length_in, length, taps, stride, dilation, before;
    int64_t points, step, tiles, activation, pool, late;
    const float *weight, *bias, *slope;
} conv_layer_t;

/* A first layer: rows of tables, added up. `letters` codes in a row make one index into tables
   [table][index][channel]; code 4 is an unknown base, code 5 is padding. */
typedef struct {
    int64_t tables, letters, channels, width, length_in, length, stride, before, activation, pool;
    const float *table, *bias, *slope;
} conv_stem_t;

/* A grouped convolution of `group` channels in and out a group, a power of two up to 4.
   Weights lie as [tap][partner][channel]: the partner of a channel differs in the bits of its
   number. */
typedef struct {
    int64_t group, channels, length_in, length, taps, stride, dilation, before, activation, pool;
    const float *weight, *bias, *slope;
} conv_groups_t;

static inline int64_t conv_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* rows of the convolution that are needed: whole pools */
static inline int64_t conv_rows(int64_t length, int64_t pool) { return length / pool * pool; }

/* Tiles of a sequence. Those of a dilated convolution take every `dilation`th row, and neighbours
   in number are neighbours in place. */
static inline int64_t conv_tiles(const conv_layer_t *q) {
    const int64_t rows = conv_rows(q->length, q->pool);
    if (q->points == 1) return rows;
    return ((rows + q->dilation - 1) / q->dilation + q->step - 1) / q->step * q->dilation;
}
/* the first result of a tile */
static inline int64_t conv_first(const conv_layer_t *q, int64_t tile) {
    return tile % q->dilation + tile / q->dilation * q->dilation * q->step;
}

static inline int64_t conv_pitch(int64_t channels) { return (channels + 15) / 16 * 16; }
/* [point][channel]: what makes products of integers floats again, behind the weights */
static inline const float *conv_scales(const conv_layer_t *q) {
    return q->weight + q->points * q->taps * q->words * conv_pitch(q->channels);
}

/* floats of scratch: products, a row of zeros, a scale for each tile, transformed or padded input */
static inline int64_t conv_scratch(const conv_layer_t *q) {
    int64_t rows = q->points == 1 ? (q->tiles - 1) * q->stride + (q->taps - 1) * q->dilation + 1
                                  : q->tiles + q->taps - 1;
    return q->points * (rows * q->words + q->tiles * CONV_BLOCK) + q->words + q->tiles;
}

/* powers of the points 2 and 1/2 */
static const float conv_powers[2][CONV_MOST_STEP] = {
    {1, 2, 4, 8, 16, 32}, {1, .5f, .25f, .125f, .0625f, .03125f},
};

/* lane numbers with the bits of a constant turned over */
static const int32_t lanes_xor[4][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
    {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
    {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
};

#if FASTSEQ_X86
#define LANES_TARGET "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,bmi,bmi2"
#include "lanes_avx512.h"
#define NAME(name) name##_bfloat16
#define ELEMENT uint16_t
#define DOT(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))
#define INTEGERS(a, b, c)                                                                \
    (__m512)_mm512_dpwssd_epi32((__m512i)(c), (__m512i)(a), (__m512i)(b))
#define READ(p)                                                                          \
    _mm512_castsi512_ps(_mm512_slli_epi32(                                               \
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(p))), 16))
#define WRITE(p, v) _mm256_storeu_si256((__m256i *)(p), (__m256i)_mm512_cvtneps_pbh(v))
#include "conv_body.h"
#include "lanes_end.h"

#define LANES_TARGET "avx512f,avx512bw,avx512vl,avx512dq,bmi,bmi2"
#include "lanes_avx512.h"
#define NAME(name) name##_avx512
#define ELEMENT float
#define DOT FMA
#define READ LOAD
#define WRITE STORE
#include "conv_body.h"
#include "lanes_end.h"

#define LANES_TARGET "avx2,fma,bmi,bmi2"
#include "lanes_avx2.h"
#define NAME(name) name##_avx2
#define ELEMENT float
#define DOT FMA
#define READ LOAD
#define WRITE STORE
#include "conv_body.h"
#include "lanes_end.h"
#endif

#include "lanes_portable.h"
#define NAME(name) name##_portable
#define ELEMENT float
#define DOT FMA
#define READ LOAD
#define WRITE STORE
#include "conv_body.h"
#include "lanes_end.h"

/* bfloat16 has one form, which needs the processor's own products */
static inline int conv_has_bfloat16(int level) {
#if FASTSEQ_X86
    return level == CPU_AVX512 && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512vnni");
#else
    return 0;
#endif
}

#if FASTSEQ_X86
#define CONV_DOOR(name, ...)                                                             \
    do {                                                                                 \
        if (narrow) { name##_bfloat16(__VA_ARGS__); return; }                            \
        if (level == CPU_AVX512) { name##_avx512(__VA_ARGS__); return; }                 \
        if (level == CPU_AVX2 && __builtin_cpu_supports("fma")) {                        \
            name##_avx2(__VA_ARGS__);                                                    \
            return;                                                                      \
        }                                                                                \
        name##_portable(__VA_ARGS__);                                                    \
    } while (0)
#else
#define CONV_DOOR(name, ...) name##_portable(__VA_ARGS__)
#endif

static inline void conv_run(const conv_layer_t *q, const void *x, const void *skip, void *y,
                            int64_t n, float *scratch, int narrow, int level) {
    CONV_DOOR(conv_layer, q, x, skip, y, n, scratch);
}
static inline void conv_stem_run(const conv_stem_t *q, const uint8_t *codes, void *y, int64_t n,
                                 int32_t *scratch, int narrow, int level) {
    CONV_DOOR(conv_stem, q, codes, y, n, scratch);
}
static inline void conv_groups_run(const conv_groups_t *q, const void *x, void *y, int64_t n,
                                   int narrow, int level) {
    CONV_DOOR(conv_groups, q, x, y, n);
}

#endif
