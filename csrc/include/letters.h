/* Bytes become codes (or one-hot bits) through 256-entry tables, 64 or 32 at a time where all that
   differs lies among the letters (text) or among 0..31 (codes). */
#ifndef FASTSEQ_LETTERS_H
#define FASTSEQ_LETTERS_H

#include "cpu.h"

/* `base` is where the 32 interesting entries begin, the same again 32 higher when base is 64
   (lower case); every other byte gives `outside`. base < 0: any table, no vector path. */
typedef struct {
    uint8_t table[256];
    int base;
    uint8_t outside;
} lookup_t;

enum { CODE_N = 4, CODE_FOREIGN = 5 };

/* letters and codes, to codes and to one-hot bits */
static lookup_t text_codes, text_bits, code_codes, code_bits;

static void letters_init(void) {
    const char *letters = "ACGTU";
    memset(text_codes.table, CODE_FOREIGN, 256);
    memset(code_codes.table, CODE_FOREIGN, 256);
    memset(text_bits.table, 0, 256);
    memset(code_bits.table, 0, 256);
    for (int i = 0; i < 5; i++) {
        int code = i < 4 ? i : 3;
        text_codes.table[(int)letters[i]] = text_codes.table[letters[i] | 32] = (uint8_t)code;
        text_bits.table[(int)letters[i]] = text_bits.table[letters[i] | 32] = (uint8_t)(1 << code);
    }
    text_codes.table['N'] = text_codes.table['n'] = CODE_N;
    for (int i = 0; i < 5; i++) code_codes.table[i] = (uint8_t)i;
    for (int i = 0; i < 4; i++) code_bits.table[i] = (uint8_t)(1 << i);
    text_codes.base = text_bits.base = 64;
    code_codes.base = code_bits.base = 0;
    text_codes.outside = code_codes.outside = CODE_FOREIGN;
    text_bits.outside = code_bits.outside = 0;
}

#if FASTSEQ_X86
typedef struct {
    __m256i low, high, range, want, outside;
} lookup32_t;

AVX2 static inline lookup32_t lookup32(const lookup_t *l) {
    const uint8_t *t = l->table + l->base;
    lookup32_t r;
    r.low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t));
    r.high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t + 16)));
    r.range = _mm256_set1_epi8((char)(l->base ? 0xC0 : 0xE0));
    r.want = _mm256_set1_epi8((char)l->base);
    r.outside = _mm256_set1_epi8((char)l->outside);
    return r;
}

AVX2 static inline __m256i look32(const lookup32_t *r, __m256i x) {
    __m256i five = _mm256_and_si256(x, _mm256_set1_epi8(31));
    __m256i upper = _mm256_cmpgt_epi8(five, _mm256_set1_epi8(15));
    __m256i inside = _mm256_cmpeq_epi8(_mm256_and_si256(x, r->range), r->want);
    __m256i found = _mm256_blendv_epi8(_mm256_shuffle_epi8(r->low, five),
                                       _mm256_shuffle_epi8(r->high, five), upper);
    return _mm256_blendv_epi8(r->outside, found, inside);
}

typedef struct {
    __m512i low, high, outside;
} lookup64_t;

AVX512 static inline lookup64_t lookup64(const lookup_t *l) {
    lookup64_t r;
    r.low = _mm512_loadu_si512(l->table);
    r.high = _mm512_loadu_si512(l->table + 64);
    r.outside = _mm512_set1_epi8((char)l->outside);
    return r;
}

AVX512 static inline __m512i look64(const lookup64_t *r, __m512i x) {
    __m512i found = _mm512_permutex2var_epi8(r->low, x, r->high);
    return _mm512_mask_mov_epi8(found, _mm512_movepi8_mask(x), r->outside);
}

AVX512 static inline __mmask64 first_lanes(size_t n) {
    return n >= 64 ? ~(__mmask64)0 : (((__mmask64)1 << n) - 1);
}

AVX512 static inline uint8_t translate_avx512(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l,
                                       uint8_t most) {
    const lookup64_t r = lookup64(l);
    const __m512i cap = _mm512_set1_epi8((char)most);
    __m512i top = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        __m512i c = look64(&r, _mm512_loadu_si512(s + i));
        top = _mm512_max_epu8(top, c);
        _mm512_storeu_si512(o + i, _mm512_min_epu8(c, cap));
    }
    if (i < n) {
        __mmask64 m = first_lanes(n - i);
        __m512i c = look64(&r, _mm512_maskz_loadu_epi8(m, s + i));
        top = _mm512_mask_max_epu8(top, m, top, c);
        _mm512_mask_storeu_epi8(o + i, m, _mm512_min_epu8(c, cap));
    }
    return _mm512_cmpgt_epu8_mask(top, cap) != 0;
}

AVX2 static inline uint8_t translate_avx2(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l,
                                   uint8_t most) {
    const lookup32_t r = lookup32(l);
    const __m256i cap = _mm256_set1_epi8((char)most);
    __m256i top = _mm256_setzero_si256();
    uint8_t beyond = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i c = look32(&r, _mm256_loadu_si256((const __m256i *)(s + i)));
        top = _mm256_max_epu8(top, c);
        _mm256_storeu_si256((__m256i *)(o + i), _mm256_min_epu8(c, cap));
    }
    for (; i < n; i++) {
        uint8_t c = l->table[s[i]];
        beyond |= c > most;
        o[i] = c < most ? c : most;
    }
    __m256i over = _mm256_subs_epu8(top, cap);
    return beyond | !_mm256_testz_si256(over, over);
}
#endif

/* Write min(table[s], most); return whether any entry was above `most`. */
static inline uint8_t translate(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l, uint8_t most,
                         int cpu) {
#if FASTSEQ_X86
    if (l->base >= 0 && cpu == CPU_AVX512) return translate_avx512(s, n, o, l, most);
    if (l->base >= 0 && cpu == CPU_AVX2 && n >= 32) return translate_avx2(s, n, o, l, most);
#endif
    (void)cpu;
    uint8_t beyond = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = l->table[s[i]];
        beyond |= c > most;
        o[i] = c < most ? c : most;
    }
    return beyond;
}

#endif
