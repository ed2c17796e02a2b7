/* The other strand, and one-hot back to letters. */
#ifndef FASTSEQ_STRAND_H
#define FASTSEQ_STRAND_H

#include "letters.h"

/* o[n - 1 - i] = complement of s[i]; bytes that are no letters stay, case is kept. `l->outside` is
   not used: whatever the table does not name is its own complement. */
#if FASTSEQ_X86
AVX512 static void reverse_complement_avx512(const uint8_t *s, size_t n, uint8_t *o,
                                             const lookup_t *l) {
    uint8_t order[64];
    for (int i = 0; i < 64; i++) order[i] = (uint8_t)(63 - i);
    const __m512i low = _mm512_loadu_si512(l->table), high = _mm512_loadu_si512(l->table + 64);
    const __m512i turn = _mm512_loadu_si512(order);
    for (size_t i = 0;; i = i + 128 > n ? n - 64 : i + 64) {
        __m512i x = _mm512_permutexvar_epi8(turn, _mm512_loadu_si512(s + i));
        __m512i y = _mm512_permutex2var_epi8(low, x, high);
        y = _mm512_mask_mov_epi8(y, _mm512_movepi8_mask(x), x);
        _mm512_storeu_si512(o + n - 64 - i, y);
        if (i + 64 == n) return;
    }
}

AVX512 static void reverse_u8_avx512(const uint8_t *s, size_t n, uint8_t *o) {
    uint8_t order[64];
    for (int i = 0; i < 64; i++) order[i] = (uint8_t)(63 - i);
    const __m512i turn = _mm512_loadu_si512(order);
    for (size_t i = 0;; i = i + 128 > n ? n - 64 : i + 64) {
        _mm512_storeu_si512(o + n - 64 - i,
                            _mm512_permutexvar_epi8(turn, _mm512_loadu_si512(s + i)));
        if (i + 64 == n) return;
    }
}

AVX2 static inline __m256i turn32(__m256i x) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(x, order), 0x4E);
}

AVX2 static void reverse_complement_avx2(const uint8_t *s, size_t n, uint8_t *o,
                                         const lookup_t *l) {
    lookup32_t r = lookup32(l);
    const __m256i small = _mm256_set1_epi8(l->base ? 0x20 : 0);
    for (size_t i = 0;; i = i + 64 > n ? n - 32 : i + 32) {
        __m256i x = turn32(_mm256_loadu_si256((const __m256i *)(s + i)));
        r.outside = x;
        __m256i y = _mm256_or_si256(look32(&r, x), _mm256_and_si256(x, small));
        _mm256_storeu_si256((__m256i *)(o + n - 32 - i), y);
        if (i + 32 == n) return;
    }
}

AVX2 static void reverse_u8_avx2(const uint8_t *s, size_t n, uint8_t *o) {
    for (size_t i = 0;; i = i + 64 > n ? n - 32 : i + 32) {
        _mm256_storeu_si256((__m256i *)(o + n - 32 - i),
                            turn32(_mm256_loadu_si256((const __m256i *)(s + i))));
        if (i + 32 == n) return;
    }
}

AVX512 static void reverse_u32_avx512(const uint32_t *s, size_t n, uint32_t *o) {
    const __m512i turn = _mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t i = 0;; i = i + 32 > n ? n - 16 : i + 16) {
        _mm512_storeu_si512(o + n - 16 - i,
                            _mm512_permutexvar_epi32(turn, _mm512_loadu_si512(s + i)));
        if (i + 16 == n) return;
    }
}
#endif

static void reverse_complement_row(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l,
                                   int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512 && n >= 64) {
        reverse_complement_avx512(s, n, o, l);
        return;
    }
    if (cpu >= CPU_AVX2 && n >= 32) {
        reverse_complement_avx2(s, n, o, l);
        return;
    }
#endif
    (void)cpu;
    for (size_t i = 0; i < n; i++) o[n - 1 - i] = l->table[s[i]];
}

/* One-hot in the order ACGT: the complement is the reversed channel axis, so both layouts turn by
   reversing the 4 * length items of a row. */
static void reverse_items(const uint8_t *s, size_t n, uint8_t *o, size_t item, int cpu) {
#if FASTSEQ_X86
    if (item == 1 && cpu == CPU_AVX512 && n >= 64) {
        reverse_u8_avx512(s, n, o);
        return;
    }
    if (item == 1 && cpu >= CPU_AVX2 && n >= 32) {
        reverse_u8_avx2(s, n, o);
        return;
    }
    if (item == 4 && cpu == CPU_AVX512 && n >= 16) {
        reverse_u32_avx512((const uint32_t *)s, n, (uint32_t *)o);
        return;
    }
#endif
    (void)cpu;
    switch (item) {
        case 1:
            for (size_t i = 0; i < n; i++) o[n - 1 - i] = s[i];
            break;
        case 4:
            for (size_t i = 0; i < n; i++) memcpy(o + 4 * (n - 1 - i), s + 4 * i, 4);
            break;
        case 8:
            for (size_t i = 0; i < n; i++) memcpy(o + 8 * (n - 1 - i), s + 8 * i, 8);
            break;
        default:
            for (size_t i = 0; i < n; i++) memcpy(o + item * (n - 1 - i), s + item * i, item);
    }
}

/* ---- one-hot -> letters: which channels are not zero (4 bits), then a table of 16 letters ---- */

#define DECODE_BLOCK 2048

/* `sign` clears the sign bit of floats, so that -0.0 is zero */
#define BITS_OF(T)                                                                                 \
    BODY void bits_ncl_##T(const T *x, size_t n, size_t channel, T sign, uint8_t *bits) {          \
        const T *a = x, *c = x + channel, *g = x + 2 * channel, *t = x + 3 * channel;              \
        for (size_t i = 0; i < n; i++)                                                             \
            bits[i] = (uint8_t)(((a[i] & sign) != 0) | ((c[i] & sign) != 0) << 1 |                 \
                                ((g[i] & sign) != 0) << 2 | ((t[i] & sign) != 0) << 3);            \
    }                                                                                              \
    BODY void bits_nlc_##T(const T *x, size_t n, T sign, uint8_t *bits) {                          \
        for (size_t i = 0; i < n; i++)                                                             \
            bits[i] = (uint8_t)(((x[4 * i] & sign) != 0) | ((x[4 * i + 1] & sign) != 0) << 1 |     \
                                ((x[4 * i + 2] & sign) != 0) << 2 |                                \
                                ((x[4 * i + 3] & sign) != 0) << 3);                                \
    }
BITS_OF(uint8_t)
BITS_OF(uint16_t)
BITS_OF(uint32_t)
BITS_OF(uint64_t)

/* four bytes of one base in a word: 0/1 each, then one multiplication gathers the bits */
BODY void bits_nlc_words(const uint8_t *x, size_t n, uint8_t *bits) {
    for (size_t i = 0; i < n; i++) {
        uint32_t w;
        memcpy(&w, x + 4 * i, 4);
        w = ((((w & 0x7F7F7F7Fu) + 0x7F7F7F7Fu) | w) >> 7) & 0x01010101u;
        bits[i] = (uint8_t)((w * 0x01020408u) >> 24);
    }
}

BODY void bits_of_block(const uint8_t *x, size_t n, size_t channel, int item, uint64_t sign,
                        int last, uint8_t *bits) {
    if (item == 1 && last) bits_nlc_words(x, n, bits);
    if (item == 1 && !last) bits_ncl_uint8_t(x, n, channel, (uint8_t)sign, bits);
    if (item == 2 && last) bits_nlc_uint16_t((const uint16_t *)x, n, (uint16_t)sign, bits);
    if (item == 2 && !last)
        bits_ncl_uint16_t((const uint16_t *)x, n, channel, (uint16_t)sign, bits);
    if (item == 4 && last) bits_nlc_uint32_t((const uint32_t *)x, n, (uint32_t)sign, bits);
    if (item == 4 && !last)
        bits_ncl_uint32_t((const uint32_t *)x, n, channel, (uint32_t)sign, bits);
    if (item == 8 && last) bits_nlc_uint64_t((const uint64_t *)x, n, sign, bits);
    if (item == 8 && !last) bits_ncl_uint64_t((const uint64_t *)x, n, channel, sign, bits);
}

#if FASTSEQ_X86
AVX512 static void decode_block_avx512(const uint8_t *x, size_t n, size_t channel, int item,
                                       uint64_t sign, int last, const uint8_t *letters,
                                       uint8_t *o) {
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)letters));
    size_t i = 0;
    if (item == 1 && last) {
        const __m512i one = _mm512_set1_epi8(1), weight = _mm512_set1_epi32(0x08040201);
        const __m512i pair = _mm512_set1_epi16(1);
        for (; i + 64 <= n; i += 64) {
            __m128i part[4];
            for (int j = 0; j < 4; j++) {
                __m512i v = _mm512_loadu_si512(x + 4 * i + 64 * j);
                v = _mm512_maddubs_epi16(_mm512_min_epu8(v, one), weight);
                part[j] = _mm512_cvtepi32_epi8(_mm512_madd_epi16(v, pair));
            }
            __m512i b = _mm512_castsi128_si512(part[0]);
            b = _mm512_inserti32x4(b, part[1], 1);
            b = _mm512_inserti32x4(b, part[2], 2);
            b = _mm512_inserti32x4(b, part[3], 3);
            _mm512_storeu_si512(o + i, _mm512_shuffle_epi8(table, b));
        }
    }
    if (item == 1 && !last) {
        const __m512i one = _mm512_set1_epi8(1);
        for (; i < n; i += 64) {
            __mmask64 m = first_lanes(n - i);
            __m512i b = _mm512_setzero_si512();
            for (int k = 3; k >= 0; k--) {
                __m512i v = _mm512_maskz_loadu_epi8(m, x + k * channel + i);
                b = _mm512_or_si512(_mm512_add_epi8(b, b), _mm512_min_epu8(v, one));
            }
            _mm512_mask_storeu_epi8(o + i, m, _mm512_shuffle_epi8(table, b));
        }
        return;
    }
    if (i == n) return;
    uint8_t bits[DECODE_BLOCK];
    size_t item_bytes = (size_t)item * (last ? 4 : 1);
    bits_of_block(x + i * item_bytes, n - i, channel, item, sign, last, bits);
    for (size_t j = 0; i + j < n; j += 64) {
        __mmask64 m = first_lanes(n - i - j);
        __m512i b = _mm512_maskz_loadu_epi8(m, bits + j);
        _mm512_mask_storeu_epi8(o + i + j, m, _mm512_shuffle_epi8(table, b));
    }
}

AVX2 static void decode_block_avx2(const uint8_t *x, size_t n, size_t channel, int item,
                                   uint64_t sign, int last, const uint8_t *letters, uint8_t *o) {
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)letters));
    uint8_t bits[DECODE_BLOCK];
    bits_of_block(x, n, channel, item, sign, last, bits);
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        _mm256_storeu_si256(
            (__m256i *)(o + i),
            _mm256_shuffle_epi8(table, _mm256_loadu_si256((const __m256i *)(bits + i))));
    for (; i < n; i++) o[i] = letters[bits[i]];
}
#endif

/* `channel` counts items between the channels of ncl; `last` says nlc */
static void decode_row(const uint8_t *x, size_t n, size_t channel, int item, uint64_t sign,
                       int last, const uint8_t *letters, uint8_t *o, int cpu) {
    size_t step = (size_t)item * (last ? 4 : 1);
    for (size_t i = 0; i < n; i += DECODE_BLOCK) {
        size_t m = n - i < DECODE_BLOCK ? n - i : DECODE_BLOCK;
        const uint8_t *part = x + i * step;
#if FASTSEQ_X86
        if (cpu == CPU_AVX512) {
            decode_block_avx512(part, m, channel, item, sign, last, letters, o + i);
            continue;
        }
        if (cpu == CPU_AVX2) {
            decode_block_avx2(part, m, channel, item, sign, last, letters, o + i);
            continue;
        }
#endif
        uint8_t bits[DECODE_BLOCK];
        bits_of_block(part, m, channel, item, sign, last, bits);
        for (size_t j = 0; j < m; j++) o[i + j] = letters[bits[j]];
    }
    (void)cpu;
}

#endif
