/* What a row is made of: its bases, and the nearest neighbours that decide how it melts. */
#ifndef FASTSEQ_COMPOSITION_H
#define FASTSEQ_COMPOSITION_H

#include "letters.h"

#if FASTSEQ_X86
AVX512 static void composition_avx512(const uint8_t *s, size_t n, const lookup_t *l, int64_t *gc,
                                      int64_t *known) {
    const lookup64_t r = lookup64(l);
    int64_t g = 0, k = 0;
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 m = first_lanes(n - i);
        const __m512i bits = look64(&r, _mm512_maskz_loadu_epi8(m, s + i));
        g += _mm_popcnt_u64(_mm512_mask_test_epi8_mask(m, bits, _mm512_set1_epi8(6)));
        k += _mm_popcnt_u64(_mm512_mask_test_epi8_mask(m, bits, bits));
    }
    *gc = g;
    *known = k;
}

AVX2 static void composition_avx2(const uint8_t *s, size_t n, const lookup_t *l, int64_t *gc,
                                  int64_t *known) {
    const lookup32_t r = lookup32(l);
    const __m256i zero = _mm256_setzero_si256(), six = _mm256_set1_epi8(6);
    int64_t g = 0, k = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i bits = look32(&r, _mm256_loadu_si256((const __m256i *)(s + i)));
        const __m256i no_gc = _mm256_cmpeq_epi8(_mm256_and_si256(bits, six), zero);
        g += 32 - _mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(no_gc));
        k += 32 - _mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bits, zero)));
    }
    for (; i < n; i++) {
        g += (l->table[s[i]] & 6) != 0;
        k += l->table[s[i]] != 0;
    }
    *gc = g;
    *known = k;
}
#endif

/* How many bases are G or C, and how many are known. */
static void composition(const uint8_t *s, size_t n, int codes, int64_t *gc, int64_t *known,
                        int cpu) {
    const lookup_t *l = codes ? &code_bits : &text_bits;
#if FASTSEQ_X86
    if (cpu == CPU_AVX512) {
        composition_avx512(s, n, l, gc, known);
        return;
    }
    if (cpu == CPU_AVX2) {
        composition_avx2(s, n, l, gc, known);
        return;
    }
#endif
    (void)cpu;
    *gc = *known = 0;
    for (size_t i = 0; i < n; i++) {
        *gc += (l->table[s[i]] & 6) != 0;
        *known += l->table[s[i]] != 0;
    }
}

/* How often each pair of neighbours occurs, counts[16]; returns whether all bases are known. Four
   tables in turn, so that a repeat does not wait for its own last store. */
static int neighbours(const uint8_t *s, size_t n, const lookup_t *l, uint32_t *counts,
                      uint8_t *first, uint8_t *last, int cpu) {
    uint8_t codes[1024 + 8];
    uint32_t tables[4][16] = {{0}};
    uint64_t window = 0;
    for (size_t b = 0; b < n; b += 1024) {
        const size_t m = n - b < 1024 ? n - b : 1024;
        if (translate(s + b, m, codes, l, 3, cpu)) return 0;
        size_t j = 0;
        if (b == 0) {
            *first = codes[0];
            window = codes[0];
            j = 1;
        }
        for (; j + 4 <= m; j += 4) {
            uint32_t x;
            memcpy(&x, codes + j, 4);
            window = window << 8 | ((x * (uint64_t)0x40100401) >> 24 & 255);
            tables[0][window >> 6 & 15]++;
            tables[1][window >> 4 & 15]++;
            tables[2][window >> 2 & 15]++;
            tables[3][window & 15]++;
        }
        for (; j < m; j++) {
            window = window << 2 | codes[j];
            tables[0][window & 15]++;
        }
        *last = codes[m - 1];
    }
    for (int i = 0; i < 16; i++)
        counts[i] = tables[0][i] + tables[1][i] + tables[2][i] + tables[3][i];
    return 1;
}

/* Enthalpy and entropy of every pair, of the end by its base (5' and 3'), and of a duplex with and
   without G or C; all as (enthalpy, entropy). */
typedef struct {
    double pair[16][2], first[4][2], last[4][2], any_gc[2], no_gc[2];
} duplex_t;

/* out[0..2] = enthalpy, entropy, fraction of G and C; nan where a base is unknown or n < 2 */
static void duplex_row(const uint8_t *s, size_t n, const lookup_t *l, const duplex_t *d,
                       double *out, int cpu) {
    uint32_t counts[16];
    uint8_t first = 0, last = 0;
    if (n < 2 || !neighbours(s, n, l, counts, &first, &last, cpu)) {
        out[0] = out[1] = out[2] = __builtin_nan("");
        return;
    }
    double h = d->first[first][0] + d->last[last][0], e = d->first[first][1] + d->last[last][1];
    uint64_t gc = first == 1 || first == 2;
    for (int i = 0; i < 16; i++) {
        h += counts[i] * d->pair[i][0];
        e += counts[i] * d->pair[i][1];
        if ((i & 3) == 1 || (i & 3) == 2) gc += counts[i];
    }
    out[0] = h + (gc ? d->any_gc[0] : d->no_gc[0]);
    out[1] = e + (gc ? d->any_gc[1] : d->no_gc[1]);
    out[2] = (double)gc / (double)n;
}

#endif
