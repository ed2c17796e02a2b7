/* Two bits a base, first base in the low bits, and the runs of bases that are unknown. */
#ifndef FASTSEQ_PACK_H
#define FASTSEQ_PACK_H

#include "letters.h"

/* codes (0..3, unknown ones masked to 0) -> bytes of four; n is rounded up to whole bytes */
BODY void pack_block(const uint8_t *codes, size_t n, uint8_t *o) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint32_t x;
        memcpy(&x, codes + i, 4);
        x &= 0x03030303u;
        o[i / 4] = (uint8_t)(x | x >> 6 | x >> 12 | x >> 18);
    }
    if (i < n) {
        uint8_t byte = 0;
        for (size_t j = i; j < n; j++) byte |= (uint8_t)((codes[j] & 3) << 2 * (j - i));
        o[i / 4] = byte;
    }
}

#if FASTSEQ_X86
/* letters -> packed bytes in one pass; returns whether any letter was unknown */
AVX512 static int pack_avx512(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l) {
    const lookup64_t r = lookup64(l);
    const __m512i pair = _mm512_set1_epi16(0x0401), four = _mm512_set1_epi32(0x00100001);
    const __m512i three = _mm512_set1_epi8(3);
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 m = first_lanes(n - i);
        __m512i c = look64(&r, n - i < 64 ? _mm512_maskz_loadu_epi8(m, s + i)
                                          : _mm512_loadu_si512(s + i));
        bad |= _mm512_mask_cmpgt_epu8_mask(m, c, three);
        c = n - i < 64 ? _mm512_maskz_mov_epi8(m, _mm512_and_si512(c, three))
                       : _mm512_and_si512(c, three);
        c = _mm512_madd_epi16(_mm512_maddubs_epi16(c, pair), four);
        const size_t left = (n - i + 3) / 4;
        if (left >= 16)
            _mm_storeu_si128((__m128i *)(o + i / 4), _mm512_cvtepi32_epi8(c));
        else
            _mm_mask_storeu_epi8(o + i / 4, (__mmask16)((1u << left) - 1), _mm512_cvtepi32_epi8(c));
    }
    return bad != 0;
}

AVX2 static int pack_avx2(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l) {
    const lookup32_t r = lookup32(l);
    const __m256i pair = _mm256_set1_epi16(0x0401), four = _mm256_set1_epi32(0x00100001);
    const __m256i three = _mm256_set1_epi8(3);
    const __m256i gather = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                            -1, 0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                            -1, -1);
    __m256i top = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i c = look32(&r, _mm256_loadu_si256((const __m256i *)(s + i)));
        top = _mm256_max_epu8(top, c);
        c = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256(c, three), pair), four);
        c = _mm256_shuffle_epi8(c, gather);
        const uint32_t low = (uint32_t)_mm256_extract_epi32(c, 0);
        const uint32_t high = (uint32_t)_mm256_extract_epi32(c, 4);
        const uint64_t both = (uint64_t)high << 32 | low;
        memcpy(o + i / 4, &both, 8);
    }
    int bad = !_mm256_testz_si256(_mm256_subs_epu8(top, three), _mm256_set1_epi8(-1));
    uint8_t codes[32];
    if (i < n) {
        for (size_t j = i; j < n; j++) {
            codes[j - i] = l->table[s[j]];
            bad |= codes[j - i] > 3;
        }
        pack_block(codes, n - i, o + i / 4);
    }
    return bad;
}
#endif

static int pack_row(const uint8_t *s, size_t n, uint8_t *o, const lookup_t *l, int cpu) {
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) return pack_avx512(s, n, o, l);
    if (cpu == CPU_AVX2) return pack_avx2(s, n, o, l);
#endif
    uint8_t codes[4096];
    int bad = 0;
    for (size_t i = 0; i < n; i += sizeof codes) {
        size_t m = n - i < sizeof codes ? n - i : sizeof codes;
        bad |= translate(s + i, m, codes, l, CODE_N, cpu);
        for (size_t j = 0; j < m; j++) bad |= codes[j] > 3;
        pack_block(codes, m, o + i / 4);
    }
    return bad;
}

/* Runs of unknown bases of a row, as begin and end pairs; returns how many, writing while they fit */
static ptrdiff_t unknown_runs(const uint8_t *s, ptrdiff_t n, const lookup_t *l, int64_t *runs,
                              ptrdiff_t room) {
    ptrdiff_t found = 0;
    for (ptrdiff_t i = 0; i < n;) {
        if (l->table[s[i]] < 4) {
            i++;
            continue;
        }
        ptrdiff_t begin = i;
        while (i < n && l->table[s[i]] > 3) i++;
        if (found < room) {
            runs[2 * found] = begin;
            runs[2 * found + 1] = i;
        }
        found++;
    }
    return found;
}

BODY void unpack_words(const uint8_t *p, size_t bytes, uint8_t *o) {
    for (size_t i = 0; i < bytes; i++) {
        uint32_t x = p[i];
        x = (x | x << 6 | x << 12 | x << 18) & 0x03030303u;
        memcpy(o + 4 * i, &x, 4);
    }
}
AVX2 static void unpack_words_avx2(const uint8_t *p, size_t bytes, uint8_t *o) {
    unpack_words(p, bytes, o);
}

/* codes of bases [begin, end) of a packed row */
static void unpack_row(const uint8_t *p, size_t begin, size_t end, uint8_t *o, int cpu) {
    while (begin < end && begin % 4) {
        *o++ = p[begin / 4] >> 2 * (begin % 4) & 3;
        begin++;
    }
    const size_t bytes = (end - begin) / 4;
    if (cpu >= CPU_AVX2)
        unpack_words_avx2(p + begin / 4, bytes, o);
    else
        unpack_words(p + begin / 4, bytes, o);
    o += 4 * bytes;
    for (begin += 4 * bytes; begin < end; begin++) *o++ = p[begin / 4] >> 2 * (begin % 4) & 3;
}

#endif
