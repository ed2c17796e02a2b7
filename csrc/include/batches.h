/* Rows become model input in one pass: of codes, or of bits drawn, shifted and reversed. */
#ifndef FASTSEQ_BATCHES_H
#define FASTSEQ_BATCHES_H

#include "cpu.h"

enum { CODES = 5, WORDS = 256, ROWS_AHEAD = 8, CACHE_LINE = 64 };

/* Write the channels of n unknown bases, `item` floats each, `step` floats apart. */
BODY float *expand_unknown(ptrdiff_t n, const float *table, size_t item, ptrdiff_t step, float *to) {
    for (ptrdiff_t j = 0; j < n; j++, to += step)
        memcpy(to, table + (CODES - 1) * item, item * sizeof(float));
    return to;
}

#if FASTSEQ_X86
/* Four channels, 16 bases a step: (code, channel) picks one of the 20 entries of the table. */
AVX512 static inline ptrdiff_t expand16(const uint8_t *row, ptrdiff_t n, const float *table,
                                        int reversed, float *to) {
    const __m512 low = _mm512_loadu_ps(table);
    const __m512 high = _mm512_castps128_ps512(_mm_loadu_ps(table + 16));
    const __m128i unknown = _mm_set1_epi8(CODES - 1), four = _mm_set1_epi8(4);
    const __m128i channel = _mm_set1_epi32(0x03020100);
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m128i back = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    ptrdiff_t j = 0;
    for (; j + 16 <= n; j += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(row + j));
        if (reversed) c = _mm_shuffle_epi8(c, back);
        c = _mm_min_epu8(c, unknown);
        c = _mm_add_epi8(c, c);
        c = _mm_add_epi8(c, c);
        float *at = reversed ? to - (j + 15) * 4 : to + j * 4;
        __m128i pick = spread;
        for (int part = 0; part < 4; part++, pick = _mm_add_epi8(pick, four)) {
            const __m128i entry = _mm_add_epi8(_mm_shuffle_epi8(c, pick), channel);
            const __m512i index = _mm512_cvtepu8_epi32(entry);
            _mm512_storeu_ps(at + 16 * part, _mm512_permutex2var_ps(low, index, high));
        }
    }
    return j;
}
#endif

/* Write the channels of a row's bases; a reversed one from its last base on. */
BODY void expand_row(const uint8_t *row, ptrdiff_t length, int reversed, const float *table,
                     size_t item, float *out, int cpu) {
    const ptrdiff_t step = reversed ? -(ptrdiff_t)item : (ptrdiff_t)item;
    float *to = reversed ? out + (length - 1) * (ptrdiff_t)item : out;
    ptrdiff_t j = 0;
#if FASTSEQ_X86
    if (item == 4 && cpu == CPU_AVX512) j = expand16(row, length, table, reversed, to);
#endif
    for (to += j * step; j < length; j++, to += step) {
        const uint8_t code = row[j] < CODES ? row[j] : CODES - 1;
        memcpy(to, table + code * item, item * sizeof(float));
    }
}

static inline void expand_rows(const uint8_t *codes, ptrdiff_t n, ptrdiff_t length, int reversed,
                               const float *table, size_t channels, float *out, int cpu) {
    for (ptrdiff_t i = 0; i < n; i++, codes += length, out += length * channels)
        if (channels == 4)
            expand_row(codes, length, reversed, table, 4, out, cpu);
        else
            expand_row(codes, length, reversed, table, channels, out, cpu);
}

/* Four bases of a row from bit `at` on, as one byte; a record has a byte behind its bases. */
BODY unsigned word_at(const uint8_t *bits, ptrdiff_t at) {
    const unsigned both = bits[at >> 3] | (unsigned)bits[(at >> 3) + 1] << 8;
    return both >> (at & 7) & 255;
}

/* Write the first `count` of four bases; `word` holds their channels, in reverse where reversed. */
BODY float *expand_some(const float *word, ptrdiff_t count, int reversed, size_t item, float *to) {
    const float *from = reversed ? word + (4 - count) * (ptrdiff_t)item : word;
    memcpy(reversed ? to - (count - 1) * (ptrdiff_t)item : to, from,
           (size_t)count * item * sizeof(float));
    return reversed ? to - count * (ptrdiff_t)item : to + count * (ptrdiff_t)item;
}

/* How many of up to three bases come before the next write of four keeps to one cache line. */
BODY ptrdiff_t to_cache_line(const float *to, int reversed, size_t item) {
    if (item != 4) return 0;
    const uintptr_t bases = (uintptr_t)to / (item * sizeof(float));
    return (ptrdiff_t)((reversed ? bases + 1 : 0 - bases) & 3);
}

/* Position j shows base (j - shift) of a row; what lies beyond it is unknown. Four bases a step:
   `words` holds their channels, in reverse order where reversed. */
BODY void expand_bits(const uint8_t *bits, ptrdiff_t length, ptrdiff_t shift, int reversed,
                      const float *words, const float *table, size_t item, float *out) {
    const ptrdiff_t step = reversed ? -(ptrdiff_t)item : (ptrdiff_t)item;
    const ptrdiff_t shown = length - (shift < 0 ? -shift : shift);
    float *to = reversed ? out + (length - 1) * (ptrdiff_t)item : out;
    to = expand_unknown(shift > 0 ? shift : 0, table, item, step, to);
    ptrdiff_t at = shift < 0 ? -2 * shift : 0, j = to_cache_line(to, reversed, item);
    if (j > shown) j = shown;
    if (j > 0) to = expand_some(words + word_at(bits, at) * 4 * item, j, reversed, item, to);
    at += 2 * j;
    for (; j + 4 <= shown; j += 4, at += 8, to += 4 * step)
        memcpy(reversed ? to - 3 * item : to, words + word_at(bits, at) * 4 * item,
               4 * item * sizeof(float));
    if (j < shown)
        to = expand_some(words + word_at(bits, at) * 4 * item, shown - j, reversed, item, to);
    expand_unknown(shift < 0 ? -shift : 0, table, item, step, to);
}

/* Write what an unknown base shows where a bit of `unknown` is set, after the row's shift. */
BODY void hide_bases(const uint8_t *unknown, ptrdiff_t length, ptrdiff_t shift, int reversed,
                     const float *table, size_t item, float *out) {
    for (ptrdiff_t i = 0; i < length; i++) {
        if (!(i & 7) && !unknown[i >> 3]) {
            i += 7;
            continue;
        }
        const ptrdiff_t j = i + shift;
        if (!(unknown[i >> 3] >> (i & 7) & 1) || j < 0 || j >= length) continue;
        memcpy(out + (reversed ? length - 1 - j : j) * (ptrdiff_t)item, table + (CODES - 1) * item,
               item * sizeof(float));
    }
}

/* Rows from `turned` on are reversed and read the second table, that of complements. Records are of
   `stride` bytes: two bits a base and a spare byte; then, from byte `hidden` on where that is above
   0, one bit a base that says which are unknown. */
#define DRAWN                                                                                   \
    const uint8_t *records, ptrdiff_t stride, ptrdiff_t hidden, ptrdiff_t length,               \
        const int64_t *rows, ptrdiff_t n, const int16_t *shift, ptrdiff_t turned,               \
        const float *words, const float *table, size_t channels, float *out
#define DRAWN_FROM \
    records, stride, hidden, length, rows, n, shift, turned, words, table, channels, out

BODY void draw_body(DRAWN) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (i + ROWS_AHEAD < n)
            for (ptrdiff_t at = 0; at < stride; at += CACHE_LINE)
                PREFETCH(records + rows[i + ROWS_AHEAD] * stride + at);
        const int reversed = i >= turned;
        const float *letters = table + (reversed ? CODES * channels : 0);
        const float *fours = words + (reversed ? WORDS * 4 * channels : 0);
        const uint8_t *record = records + rows[i] * stride;
        const ptrdiff_t by = shift ? shift[i] : 0;
        float *to = out + (size_t)i * length * channels;
        if (channels == 4)
            expand_bits(record, length, by, reversed, fours, letters, 4, to);
        else
            expand_bits(record, length, by, reversed, fours, letters, channels, to);
        if (hidden) hide_bases(record + hidden, length, by, reversed, letters, channels, to);
    }
}

/* a vector of the processor's own width takes the channels of four bases in one or two moves */
AVX512 static void draw_avx512(DRAWN) { draw_body(DRAWN_FROM); }
AVX2 static void draw_avx2(DRAWN) { draw_body(DRAWN_FROM); }

static inline void draw_rows(DRAWN, int cpu) {
    if (cpu == CPU_AVX512)
        draw_avx512(DRAWN_FROM);
    else if (cpu == CPU_AVX2)
        draw_avx2(DRAWN_FROM);
    else
        draw_body(DRAWN_FROM);
}

#endif
