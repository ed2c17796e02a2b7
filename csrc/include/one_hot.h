/* One row of bytes becomes its one-hot block: channels first (ncl) or letters last (nlc). */
#ifndef FASTSEQ_ONE_HOT_H
#define FASTSEQ_ONE_HOT_H

#include "letters.h"

/* 4 KB of bits stay in the first cache while the channels are written */
#define ONE_HOT_BLOCK 4096

BODY void bits_to_channels_u8(const uint8_t *bits, size_t n, uint8_t *o, size_t channel) {
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i < n; i++) o[k * channel + i] = (bits[i] >> k) & 1;
}

BODY void bits_to_channels_f32(const uint8_t *bits, size_t n, float *o, size_t channel, float rest) {
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i < n; i++)
            o[k * channel + i] = bits[i] ? (float)((bits[i] >> k) & 1) : rest;
}

#if FASTSEQ_X86
/* ---- AVX-512: one bit per base and channel becomes a store mask ---- */

/* A processor that sees whole lines written one after the other does not read them first. So each
   channel is written to its end before the next begins, at line addresses where there are many
   lines. Measured on Zen 4, uint8, L = 2114, in fills of the output: 0.41 with the channels in turn,
   0.85 so; 0.40 with stores past the caches, because lines that two channels share break them. */
AVX512 static inline void channel_u8_avx512(const uint8_t *bits, size_t n, uint8_t *o, int k) {
    const __m512i one = _mm512_set1_epi8(1), bit = _mm512_set1_epi8((char)(1 << k));
    if (n < 64) {
        const __mmask64 m = first_lanes(n);
        const __m512i c = _mm512_maskz_loadu_epi8(m, bits);
        _mm512_mask_storeu_epi8(o, m, _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(c, bit), one));
        return;
    }
    /* first and last vector overlap their neighbours, those between begin a line */
    const size_t head = (64 - ((uintptr_t)o & 63)) & 63;
    for (size_t i = 0;;) {
        const __m512i c = _mm512_loadu_si512(bits + i);
        _mm512_storeu_si512(o + i,
                            _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(c, bit), one));
        if (i + 64 == n) return;
        i = i == 0 && head ? head : i + 64;
        if (i + 64 > n) i = n - 64;
    }
}

/* Rows of 64 to 256 live in registers, the last one overlapping the one before. */
#define NCL_U8_SHORT(VECTORS)                                                                      \
    AVX512 static void ncl_u8_short##VECTORS(const uint8_t *s, ptrdiff_t stride, size_t rows,      \
                                             size_t n, uint8_t *o, const lookup_t *l) {            \
        const lookup64_t r = lookup64(l);                                                          \
        const __m512i one = _mm512_set1_epi8(1);                                                   \
        for (size_t i = 0; i < rows; i++, s += stride) {                                           \
            __m512i c[VECTORS];                                                                    \
            for (int j = 0; j < VECTORS; j++)                                                      \
                c[j] = look64(&r, _mm512_loadu_si512(s + (j + 1 < VECTORS ? 64 * (size_t)j         \
                                                                          : n - 64)));             \
            for (int k = 0; k < 4; k++, o += n) {                                                  \
                const __m512i bit = _mm512_set1_epi8((char)(1 << k));                              \
                for (int j = 0; j < VECTORS; j++)                                                  \
                    _mm512_storeu_si512(                                                           \
                        o + (j + 1 < VECTORS ? 64 * (size_t)j : n - 64),                           \
                        _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(c[j], bit), one));             \
            }                                                                                      \
        }                                                                                          \
    }
NCL_U8_SHORT(1)
NCL_U8_SHORT(2)
NCL_U8_SHORT(3)
NCL_U8_SHORT(4)

AVX512 static void ncl_u8_short_avx512(const uint8_t *s, ptrdiff_t stride, size_t rows, size_t n,
                                       uint8_t *o, const lookup_t *l) {
    switch ((n + 63) / 64) {
        case 1: ncl_u8_short1(s, stride, rows, n, o, l); break;
        case 2: ncl_u8_short2(s, stride, rows, n, o, l); break;
        case 3: ncl_u8_short3(s, stride, rows, n, o, l); break;
        default: ncl_u8_short4(s, stride, rows, n, o, l);
    }
}

AVX512 static void ncl_u8_avx512(const uint8_t *s, size_t n, uint8_t *o, size_t channel,
                                 const lookup_t *l) {
    uint8_t bits[ONE_HOT_BLOCK];
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        const size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate_avx512(s + i, m, bits, l, 255);
        for (int k = 0; k < 4; k++) channel_u8_avx512(bits, m, o + k * channel + i, k);
    }
}

AVX512 static inline void channel_f32_avx512(const uint8_t *bits, size_t n, float *o, int k,
                                             float rest) {
    const __m512 one = _mm512_set1_ps(1.0f), other = _mm512_set1_ps(rest);
    const __m512i bit = _mm512_set1_epi8((char)(1 << k));
    for (size_t i = 0; i < n; i += 64) {
        const size_t left = n - i;
        const __m512i c = left < 64 ? _mm512_maskz_loadu_epi8(first_lanes(left), bits + i)
                                    : _mm512_loadu_si512(bits + i);
        const uint64_t hit = _mm512_test_epi8_mask(c, bit);
        const uint64_t none = rest != 0.0f ? _mm512_testn_epi8_mask(c, c) : 0;
        for (size_t b = 0; b < 64 && b < left; b += 16) {
            __m512 v = _mm512_maskz_mov_ps((__mmask16)(hit >> b), one);
            v = _mm512_mask_mov_ps(v, (__mmask16)(none >> b), other);
            if (left - b < 16)
                _mm512_mask_storeu_ps(o + i + b, (__mmask16)first_lanes(left - b), v);
            else
                _mm512_storeu_ps(o + i + b, v);
        }
    }
}

AVX512 static void ncl_f32_avx512(const uint8_t *s, size_t n, float *o, size_t channel,
                                  const lookup_t *l, float rest) {
    uint8_t bits[ONE_HOT_BLOCK];
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        const size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate_avx512(s + i, m, bits, l, 255);
        for (int k = 0; k < 4; k++) channel_f32_avx512(bits, m, o + k * channel + i, k, rest);
    }
}

#define SPREAD64                                                                                   \
    _mm512_set_epi8(15, 15, 15, 15, 14, 14, 14, 14, 13, 13, 13, 13, 12, 12, 12, 12, 11, 11, 11,    \
                    11, 10, 10, 10, 10, 9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5,   \
                    5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0)

/* stores past the caches ("stream") want 64-byte addresses: the head is written base by base */
AVX512 static void nlc_u8_avx512(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l,
                                 int stream) {
    const lookup64_t r = lookup64(l);
    const __m512i spread = SPREAD64, bits = _mm512_set1_epi32(0x08040201);
    const __m512i one = _mm512_set1_epi8(1), sixteen = _mm512_set1_epi8(16);
    size_t i = 0;
    if (stream && ((uintptr_t)o & 3)) stream = 0;
    if (stream)
        for (; i < n && ((uintptr_t)(o + 4 * i) & 63); i++)
            for (int k = 0; k < 4; k++) o[4 * i + k] = (l->table[s[i]] >> k) & 1;
    for (; i + 64 <= n; i += 64) {
        __m512i c = look64(&r, _mm512_loadu_si512(s + i)), index = spread;
        for (int j = 0; j < 4; j++) {
            __m512i v = _mm512_permutexvar_epi8(index, c);
            v = _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(v, bits), one);
            if (stream)
                _mm512_stream_si512((__m512i *)(o + 4 * i + 64 * j), v);
            else
                _mm512_storeu_si512(o + 4 * i + 64 * j, v);
            index = _mm512_add_epi8(index, sixteen);
        }
    }
    if (stream) _mm_sfence();
    for (; i < n; i += 16) {
        size_t left = n - i < 16 ? n - i : 16;
        __m512i c = look64(&r, _mm512_maskz_loadu_epi8(first_lanes(left), s + i));
        __m512i v = _mm512_permutexvar_epi8(spread, c);
        v = _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(v, bits), one);
        _mm512_mask_storeu_epi8(o + 4 * i, first_lanes(4 * left), v);
    }
}

AVX512 static void nlc_f32_avx512(const uint8_t *s, size_t n, float *o, const lookup_t *l,
                                  float rest, int stream) {
    const lookup64_t r = lookup64(l);
    const __m512i spread = SPREAD64, bits = _mm512_set1_epi32(0x08040201);
    const __m512i sixteen = _mm512_set1_epi8(16);
    const __m512 one = _mm512_set1_ps(1.0f), other = _mm512_set1_ps(rest);
    const int plain = rest == 0.0f;
    size_t i = 0;
    if (stream && ((uintptr_t)o & 15)) stream = 0;
    for (; i < n;) {
        size_t step = n - i < 64 ? n - i : 64;
        if (stream && ((uintptr_t)(o + 4 * i) & 63)) {
            size_t head = (64 - ((uintptr_t)(o + 4 * i) & 63)) / 16;
            if (head < step) step = head;
        }
        __m512i c = look64(&r, step < 64 ? _mm512_maskz_loadu_epi8(first_lanes(step), s + i)
                                         : _mm512_loadu_si512(s + i));
        __m512i index = spread;
        for (size_t j = 0; j < step; j += 16) {
            __m512i wide = _mm512_permutexvar_epi8(index, c);
            uint64_t hit = _mm512_test_epi8_mask(wide, bits);
            uint64_t none = plain ? 0 : _mm512_testn_epi8_mask(wide, wide);
            float *d = o + 4 * (i + j);
            size_t floats = 4 * (step - j);
            for (size_t b = 0; b < 64 && b < floats; b += 16) {
                __m512 v = _mm512_maskz_mov_ps((__mmask16)(hit >> b), one);
                if (!plain) v = _mm512_mask_mov_ps(v, (__mmask16)(none >> b), other);
                if (floats - b < 16)
                    _mm512_mask_storeu_ps(d + b, (__mmask16)first_lanes(floats - b), v);
                else if (stream && step == 64)
                    _mm512_stream_ps(d + b, v);
                else
                    _mm512_storeu_ps(d + b, v);
            }
            index = _mm512_add_epi8(index, sixteen);
        }
        i += step;
    }
    if (stream) _mm_sfence();
}

/* ---- AVX2: bits first, then the compiler's own vectors; nlc bytes by shuffles ---- */

AVX2 static void ncl_u8_avx2(const uint8_t *s, size_t n, uint8_t *o, size_t channel,
                             const lookup_t *l) {
    uint8_t bits[ONE_HOT_BLOCK];
    const __m256i one = _mm256_set1_epi8(1);
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        const size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate_avx2(s + i, m, bits, l, 255);
        if (m < 32) {
            bits_to_channels_u8(bits, m, o + i, channel);
            continue;
        }
        for (int k = 0; k < 4; k++)
            /* the last vector overlaps the one before: no scalar tail */
            for (size_t j = 0;; j = j + 64 > m ? m - 32 : j + 32) {
                /* bit k of every byte becomes its bit 0 */
                const __m256i c = _mm256_loadu_si256((const __m256i *)(bits + j));
                _mm256_storeu_si256((__m256i *)(o + k * channel + i + j),
                                    _mm256_and_si256(_mm256_srli_epi16(c, k), one));
                if (j + 32 == m) break;
            }
    }
}

AVX2 static void ncl_f32_avx2(const uint8_t *s, size_t n, float *o, size_t channel,
                              const lookup_t *l, float rest) {
    uint8_t bits[ONE_HOT_BLOCK + 8];
    const __m256 one = _mm256_set1_ps(1.0f), other = _mm256_set1_ps(rest);
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        const size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate_avx2(s + i, m, bits, l, 255);
        if (m < 8) {
            bits_to_channels_f32(bits, m, o + i, channel, rest);
            continue;
        }
        for (int k = 0; k < 4; k++)
            for (size_t j = 0;; j = j + 16 > m ? m - 8 : j + 8) {
                const __m256i c =
                    _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(bits + j)));
                const __m256i hit = _mm256_srai_epi32(_mm256_slli_epi32(c, 31 - k), 31);
                __m256 v = _mm256_and_ps(_mm256_castsi256_ps(hit), one);
                if (rest != 0.0f) {
                    const __m256i none = _mm256_cmpeq_epi32(c, _mm256_setzero_si256());
                    v = _mm256_blendv_ps(v, other, _mm256_castsi256_ps(none));
                }
                _mm256_storeu_ps(o + k * channel + i + j, v);
                if (j + 8 == m) break;
            }
    }
}

AVX2 static void nlc_u8_avx2(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l) {
    const lookup32_t r = lookup32(l);
    const __m256i bits = _mm256_set1_epi32(0x08040201), one = _mm256_set1_epi8(1);
    const __m256i spread = _mm256_set_epi8(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3,
                                           3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i c = look32(&r, _mm256_loadu_si256((const __m256i *)(s + i)));
        __m256i quarter[4] = {
            _mm256_permute4x64_epi64(c, 0x00), _mm256_permute4x64_epi64(c, 0x55),
            _mm256_permute4x64_epi64(c, 0xAA), _mm256_permute4x64_epi64(c, 0xFF)};
        for (int j = 0; j < 4; j++) {
            __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(quarter[j], spread), bits);
            v = _mm256_and_si256(_mm256_cmpeq_epi8(v, bits), one);
            _mm256_storeu_si256((__m256i *)(o + 4 * i + 32 * j), v);
        }
    }
    for (; i < n; i++)
        for (int k = 0; k < 4; k++) o[4 * i + k] = (l->table[s[i]] >> k) & 1;
}
#endif

static void one_hot_ncl_u8(const uint8_t *s, size_t n, uint8_t *o, size_t channel,
                           const lookup_t *l, int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) {
        ncl_u8_avx512(s, n, o, channel, l);
        return;
    }
    if (cpu == CPU_AVX2) {
        ncl_u8_avx2(s, n, o, channel, l);
        return;
    }
#endif
    uint8_t bits[ONE_HOT_BLOCK];
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate(s + i, m, bits, l, 255, cpu);
        bits_to_channels_u8(bits, m, o + i, channel);
    }
}

static void one_hot_ncl_f32(const uint8_t *s, size_t n, float *o, size_t channel,
                            const lookup_t *l, float rest, int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) {
        ncl_f32_avx512(s, n, o, channel, l, rest);
        return;
    }
    if (cpu == CPU_AVX2) {
        ncl_f32_avx2(s, n, o, channel, l, rest);
        return;
    }
#endif
    uint8_t bits[ONE_HOT_BLOCK];
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        translate(s + i, m, bits, l, 255, cpu);
        bits_to_channels_f32(bits, m, o + i, channel, rest);
    }
}

/* Any letters, any item size: `table` holds 256 rows of `width` bytes (all letters of one base). */
BODY void copy_letters(const uint8_t *s, size_t n, uint8_t *o, const uint8_t *table, size_t width) {
    for (size_t i = 0; i < n; i++) memcpy(o + i * width, table + s[i] * width, width);
}

static void table_nlc(const uint8_t *s, size_t n, uint8_t *o, const uint8_t *table, size_t width) {
    switch (width) {
        case 4: copy_letters(s, n, o, table, 4); break;
        case 8: copy_letters(s, n, o, table, 8); break;
        case 16: copy_letters(s, n, o, table, 16); break;
        case 32: copy_letters(s, n, o, table, 32); break;
        default: copy_letters(s, n, o, table, width);
    }
}

BODY void copy_channels(const uint8_t *s, size_t n, uint8_t *o, size_t channel,
                        const uint8_t *table, size_t letters, size_t item) {
    for (size_t k = 0; k < letters; k++)
        for (size_t i = 0; i < n; i++)
            memcpy(o + (k * channel + i) * item, table + (s[i] * letters + k) * item, item);
}

static void table_ncl(const uint8_t *s, size_t n, uint8_t *o, size_t channel, const uint8_t *table,
                      size_t letters, size_t item) {
    for (size_t i = 0; i < n; i += ONE_HOT_BLOCK) {
        size_t m = n - i < ONE_HOT_BLOCK ? n - i : ONE_HOT_BLOCK;
        uint8_t *d = o + i * item;
        switch (item) {
            case 1: copy_channels(s + i, m, d, channel, table, letters, 1); break;
            case 2: copy_channels(s + i, m, d, channel, table, letters, 2); break;
            case 4: copy_channels(s + i, m, d, channel, table, letters, 4); break;
            case 8: copy_channels(s + i, m, d, channel, table, letters, 8); break;
            default: copy_channels(s + i, m, d, channel, table, letters, item);
        }
    }
}

static void one_hot_nlc_u8(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l,
                           const uint8_t *table, int stream, int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) {
        nlc_u8_avx512(s, n, o, l, stream);
        return;
    }
    if (cpu == CPU_AVX2) {
        nlc_u8_avx2(s, n, o, l);
        return;
    }
#endif
    (void)stream;
    table_nlc(s, n, o, table, 4);
}

static void one_hot_nlc_f32(const uint8_t *s, size_t n, float *o, const lookup_t *l,
                            const uint8_t *table, float rest, int stream, int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) {
        nlc_f32_avx512(s, n, o, l, rest, stream);
        return;
    }
#endif
    (void)stream;
    /* 16 bytes at a time from a 4 KB table runs at the store limit without any vector code */
    table_nlc(s, n, (uint8_t *)o, table, 16);
}

#endif
