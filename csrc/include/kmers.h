/* k-mers of rows: the first base is the most significant, nothing bridges an unknown base. */
#ifndef FASTSEQ_KMERS_H
#define FASTSEQ_KMERS_H

#include <stdlib.h>

#include "letters.h"
#include "rows.h"

typedef struct {
    int k, span;       /* letters of a word, and of the window it is picked from */
    int canonical;     /* words are the smaller of themselves and their reverse complement */
    int64_t stride;    /* words begin at multiples of it, counted from the start of the row */
    uint64_t mask;     /* the bits of the window that belong to the word, two for a letter */
    int runs;          /* the same as shifts and masks, for processors without bit extraction */
    int shift[32];
    uint64_t keep[32];
} word_t;

static inline uint64_t low_bits(int letters) {
    return letters >= 32 ? ~(uint64_t)0 : ((uint64_t)1 << (2 * letters)) - 1;
}

/* `care` has a bit for each position of the window, the last base in bit 0 */
static void word_init(word_t *w, int span, uint64_t care, int canonical, int64_t stride) {
    memset(w, 0, sizeof *w);
    w->span = span;
    w->canonical = canonical;
    w->stride = stride;
    for (int i = 0; i < span;) {
        if (!((care >> i) & 1)) {
            i++;
            continue;
        }
        int end = i;
        while (end < span && ((care >> end) & 1)) end++;
        /* letters i..end of the window become letters k.. of the word */
        w->shift[w->runs] = 2 * (i - w->k);
        w->keep[w->runs++] = low_bits(end - i) << (2 * w->k);
        w->mask |= low_bits(end - i) << (2 * i);
        w->k += end - i;
        i = end;
    }
}

/* reverse complement of a word: complement all letters, then turn their order around */
static inline uint64_t word_turned(uint64_t x, int k) {
    x = ~x;
    x = ((x >> 2) & 0x3333333333333333u) | ((x & 0x3333333333333333u) << 2);
    x = ((x >> 4) & 0x0F0F0F0F0F0F0F0Fu) | ((x & 0x0F0F0F0F0F0F0F0Fu) << 4);
    return __builtin_bswap64(x) >> (64 - 2 * k);
}

BODY uint64_t word_of(const word_t *w, uint64_t window, int contiguous) {
    uint64_t x = 0;
    if (contiguous)
        x = window & w->mask;
    else
        for (int r = 0; r < w->runs; r++) x |= (window >> w->shift[r]) & w->keep[r];
    if (w->canonical) {
        uint64_t y = word_turned(x, w->k);
        x = y < x ? y : x;
    }
    return x;
}

#define KMER_BLOCK 1024

/* Four codes, first base leading, in 8 bits: the fields of the product never meet. */
static inline uint64_t four_codes(const uint8_t *codes) {
    uint32_t x;
    memcpy(&x, codes, 4);
    return (x * (uint64_t)0x40100401) >> 24 & 255;
}

/* Call EMIT(word), and EMIT2(word) for every other one, for every word of s[:n]. A block of known
   bases runs without a question asked. */
#define SCAN(s, n, w, l, cpu, EMIT, EMIT2)                                                         \
    do {                                                                                           \
        uint8_t codes_[KMER_BLOCK];                                                                \
        uint64_t window_ = 0;                                                                      \
        const int contiguous_ = (w)->runs == 1 && (w)->span == (w)->k, k_ = (w)->k;                \
        const ptrdiff_t span_ = (w)->span, n_ = (n);                                               \
        const uint64_t mask_ = (w)->mask;                                                          \
        ptrdiff_t known_ = 0; /* bases since the last unknown one */                               \
        for (ptrdiff_t b_ = 0; b_ < n_; b_ += KMER_BLOCK) {                                        \
            const ptrdiff_t m_ = n_ - b_ < KMER_BLOCK ? n_ - b_ : KMER_BLOCK;                      \
            const uint8_t bad_ = translate((s) + b_, (size_t)m_, codes_, l, 3, cpu);               \
            ptrdiff_t j_ = 0;                                                                      \
            if (bad_) translate((s) + b_, (size_t)m_, codes_, l, CODE_N, cpu);                     \
            if (!bad_ && (w)->stride == 1) {                                                       \
                for (; j_ < m_ && known_ + j_ + 1 < span_; j_++)                                   \
                    window_ = window_ << 2 | codes_[j_];                                           \
                if (contiguous_ && (w)->canonical) {                                               \
                    uint64_t turned_ = word_turned(window_ & mask_, k_);                           \
                    for (; j_ < m_; j_++) {                                                        \
                        window_ = window_ << 2 | codes_[j_];                                       \
                        turned_ = turned_ >> 2 | (uint64_t)(3 - codes_[j_]) << (2 * k_ - 2);       \
                        const uint64_t word_ = window_ & mask_;                                    \
                        EMIT(turned_ < word_ ? turned_ : word_);                                   \
                    }                                                                              \
                } else if (contiguous_ && k_ <= 28) {                                              \
                    for (; j_ + 4 <= m_; j_ += 4) {                                                \
                        window_ = window_ << 8 | four_codes(codes_ + j_);                          \
                        EMIT(window_ >> 6 & mask_);                                                \
                        EMIT2(window_ >> 4 & mask_);                                               \
                        EMIT(window_ >> 2 & mask_);                                                \
                        EMIT2(window_ & mask_);                                                    \
                    }                                                                              \
                }                                                                                  \
                for (; j_ < m_; j_++) {                                                            \
                    window_ = window_ << 2 | codes_[j_];                                           \
                    EMIT(word_of(w, window_, contiguous_));                                        \
                }                                                                                  \
                known_ += m_;                                                                      \
                continue;                                                                          \
            }                                                                                      \
            for (; j_ < m_; j_++) {                                                                \
                const uint8_t c_ = codes_[j_];                                                     \
                window_ = window_ << 2 | (c_ & 3);                                                 \
                known_ = c_ > 3 ? 0 : known_ + 1;                                                  \
                if (known_ >= span_ &&                                                             \
                    ((w)->stride == 1 || (b_ + j_ + 1 - span_) % (w)->stride == 0))                \
                    EMIT(word_of(w, window_, contiguous_));                                        \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static const lookup_t *codes_lookup(const rows_t *rows) {
    return rows->codes ? &code_codes : &text_codes;
}

/* ---- all rows into one table ---- */

/* Two tables in turn: a repeat like ATAT.. would otherwise wait for its own last store. Both are
   emptied into `out` before a 32-bit count can wrap. */
static void count_small(const rows_t *rows, const word_t *w, ptrdiff_t first, ptrdiff_t last,
                        int64_t *out, uint32_t *tables, int cpu) {
    const size_t size = (size_t)1 << (2 * w->k);
    const lookup_t *l = codes_lookup(rows);
    uint32_t *const a = tables, *const b = tables + size;
    int64_t room = UINT32_MAX;
    memset(tables, 0, 2 * size * sizeof *tables);
    for (ptrdiff_t i = first; i < last; i++) {
        ptrdiff_t all, n;
        const uint8_t *row = row_at(rows, i, &all);
        row_prefetch(rows, i + 8);
        /* a row beyond 2^31 bases goes in overlapping pieces */
        const ptrdiff_t piece = ((ptrdiff_t)1 << 30) / w->stride * w->stride;
        for (ptrdiff_t at = 0; at == 0 || at + w->span <= all; at += piece) {
            n = all - at < piece + w->span - 1 ? all - at : piece + w->span - 1;
            room -= n;
            if (room < 0) {
                for (size_t x = 0; x < size; x++) out[x] += (int64_t)a[x] + b[x];
                memset(tables, 0, 2 * size * sizeof *tables);
                room = (int64_t)UINT32_MAX - n;
            }
#define EMIT(x) a[x]++
#define EMIT2(x) b[x]++
            SCAN(row + at, n, w, l, cpu, EMIT, EMIT2);
#undef EMIT
#undef EMIT2
        }
    }
    for (size_t x = 0; x < size; x++) out[x] += (int64_t)a[x] + b[x];
}

/* A table beyond the caches: ask for the cell, count 64 words later. */
static void count_large(const rows_t *rows, const word_t *w, ptrdiff_t first, ptrdiff_t last,
                        int64_t *out, int cpu) {
    const lookup_t *l = codes_lookup(rows);
    uint64_t ring[64];
    uint64_t seen = 0;
    for (ptrdiff_t i = first; i < last; i++) {
        ptrdiff_t n;
        const uint8_t *row = row_at(rows, i, &n);
        row_prefetch(rows, i + 8);
#define EMIT(x)                                                                                    \
    do {                                                                                           \
        const uint64_t x_ = (x);                                                                   \
        __builtin_prefetch(out + x_, 1);                                                           \
        if (seen >= 64) out[ring[seen & 63]]++;                                                    \
        ring[seen++ & 63] = x_;                                                                    \
    } while (0)
        SCAN(row, n, w, l, cpu, EMIT, EMIT);
#undef EMIT
    }
    for (uint64_t j = seen > 64 ? seen - 64 : 0; j < seen; j++) out[ring[j & 63]]++;
}

/* ---- one table a row ---- */

/* `rank` maps words to columns (canonical), or is NULL. Returns 1 + the row that overflowed. */
#define COUNT_ROWS(T, MOST)                                                                        \
    static ptrdiff_t count_rows_##T(const rows_t *rows, const word_t *w, ptrdiff_t first,          \
                                    ptrdiff_t last, T *out, ptrdiff_t columns,                     \
                                    const uint32_t *rank, int cpu) {                               \
        const lookup_t *l = codes_lookup(rows);                                                    \
        for (ptrdiff_t i = first; i < last; i++) {                                                 \
            ptrdiff_t n;                                                                           \
            const uint8_t *row = row_at(rows, i, &n);                                              \
            T *t = out + i * columns;                                                              \
            memset(t, 0, (size_t)columns * sizeof(T));                                             \
            if (rank == NULL && (double)n <= (double)(MOST)) {                                     \
                SCAN(row, n, w, l, cpu, COUNT_FREELY, COUNT_FREELY);                               \
                continue;                                                                          \
            }                                                                                      \
            int full = 0;                                                                          \
            const double most = (double)(MOST);                                                    \
            SCAN(row, n, w, l, cpu, COUNT_WATCHED, COUNT_WATCHED);                                 \
            if (full) return i + 1;                                                                \
        }                                                                                          \
        return 0;                                                                                  \
    }
#define COUNT_FREELY(x) t[x] += 1
#define COUNT_WATCHED(x)                                                                           \
    do {                                                                                           \
        const uint64_t x_ = (x), c_ = rank ? rank[x_] : x_;                                        \
        full |= (double)t[c_] >= most;                                                             \
        t[c_] += 1;                                                                                \
    } while (0)
/* floats count exactly up to 2^24 and 2^53 */
COUNT_ROWS(uint8_t, UINT8_MAX)
COUNT_ROWS(uint16_t, UINT16_MAX)
COUNT_ROWS(uint32_t, UINT32_MAX)
COUNT_ROWS(int32_t, INT32_MAX)
COUNT_ROWS(int64_t, INT64_MAX)
COUNT_ROWS(float, 16777216.0)
COUNT_ROWS(double, 9007199254740992.0)

/* ---- the words that occur, a row ---- */

/* Write the columns and counts of rows [first, last) of a sparse matrix; return how many there are.
   `table` (4^k) and `marks` (a bit a word) are zero, and zero again afterwards. */
static ptrdiff_t sparse_rows(const rows_t *rows, const word_t *w, ptrdiff_t first, ptrdiff_t last,
                             uint32_t *table, uint64_t *marks, int32_t *columns, int32_t *counts,
                             int64_t *per_row, int cpu) {
    const lookup_t *l = codes_lookup(rows);
    const ptrdiff_t sixty_fours = w->k < 3 ? 1 : (ptrdiff_t)1 << (2 * w->k - 6);
    ptrdiff_t m = 0;
    for (ptrdiff_t i = first; i < last; i++) {
        const ptrdiff_t begin = m;
        ptrdiff_t n;
        const uint8_t *row = row_at(rows, i, &n);
        row_prefetch(rows, i + 8);
#define EMIT(x)                                                                                    \
    do {                                                                                           \
        const uint64_t x_ = (x);                                                                   \
        table[x_]++;                                                                               \
        marks[x_ >> 6] |= (uint64_t)1 << (x_ & 63);                                                \
    } while (0)
        SCAN(row, n, w, l, cpu, EMIT, EMIT);
#undef EMIT
        for (ptrdiff_t j = 0; j < sixty_fours; j++) {
            uint64_t left = marks[j];
            if (left == 0) continue;
            marks[j] = 0;
            for (; left; left &= left - 1) {
                const int32_t x = (int32_t)(64 * j + __builtin_ctzll(left));
                columns[m] = x;
                counts[m++] = (int32_t)table[x];
                table[x] = 0;
            }
        }
        per_row[i - first] = m - begin;
    }
    return m;
}

/* ---- words as a list ---- */

/* Write the words of rows [first, last), one after the other; `found[i]` says how many row i has.
   Row i begins at `at[i]`; its unused places up to at[i + 1] get the largest value of the type, so
   that they sort behind. */
#define LIST_WORDS(T)                                                                              \
    static void list_words_##T(const rows_t *rows, const word_t *w, ptrdiff_t first,               \
                               ptrdiff_t last, const int64_t *at, T *out, int64_t *found,          \
                               int cpu) {                                                          \
        const lookup_t *l = codes_lookup(rows);                                                    \
        for (ptrdiff_t i = first; i < last; i++) {                                                 \
            ptrdiff_t n;                                                                           \
            const uint8_t *row = row_at(rows, i, &n);                                              \
            T *t = out + at[i - first];                                                            \
            row_prefetch(rows, i + 8);                                                             \
            SCAN(row, n, w, l, cpu, LIST_WORD, LIST_WORD);                                         \
            found[i - first] = t - (out + at[i - first]);                                          \
            for (T *end = out + at[i - first + 1]; t < end; t++) *t = (T) ~(T)0;                   \
        }                                                                                          \
    }
#define LIST_WORD(x) *t++ = (x)
LIST_WORDS(uint16_t)
LIST_WORDS(uint32_t)
LIST_WORDS(uint64_t)

/* Sort `words` of `bits` bits into `out`; `words` is scratch. First by the leading bits into
   buckets that fit the second cache, then each bucket by 11 bits at a time from the end. NumPy's
   vector sort takes 6 times as long where compressing stores are slow (Zen 4: 65 ns a word). */
enum { LEAD = 10, DIGIT = 11 };

static int sort_words(uint64_t *words, ptrdiff_t n, int bits, uint64_t *out) {
    const int lead = bits < LEAD ? bits : LEAD, rest = bits - lead;
    const int passes = (rest + DIGIT - 1) / DIGIT;
    ptrdiff_t begin[(1 << LEAD) + 1] = {0}, at[1 << LEAD];
    for (ptrdiff_t i = 0; i < n; i++) begin[(words[i] >> rest) + 1]++;
    for (int b = 0; b < 1 << lead; b++) {
        begin[b + 1] += begin[b];
        at[b] = begin[b];
    }
    for (ptrdiff_t i = 0; i < n; i++) out[at[words[i] >> rest]++] = words[i];
    if (passes == 0) return 0;
    uint32_t(*counts)[1 << DIGIT] = malloc((size_t)passes * sizeof *counts);
    if (counts == NULL) return -1;
    for (int b = 0; b < 1 << lead; b++) {
        /* the bucket's own stretch of `words` is free by now */
        uint64_t *from = out + begin[b], *to = words + begin[b];
        const ptrdiff_t size = begin[b + 1] - begin[b];
        if (size < 2) continue;
        if (size < 64) {
            for (ptrdiff_t i = 1; i < size; i++) {
                const uint64_t x = from[i];
                ptrdiff_t j = i;
                for (; j > 0 && from[j - 1] > x; j--) from[j] = from[j - 1];
                from[j] = x;
            }
            continue;
        }
        memset(counts, 0, (size_t)passes * sizeof *counts);
        for (ptrdiff_t i = 0; i < size; i++)
            for (int p = 0; p < passes; p++)
                counts[p][(from[i] >> (p * DIGIT)) & ((1 << DIGIT) - 1)]++;
        for (int p = 0; p < passes; p++) {
            const int shift = p * DIGIT;
            const int mask = p + 1 < passes ? (1 << DIGIT) - 1 : (1 << (rest - shift)) - 1;
            const uint64_t same = (from[0] >> shift) & (uint64_t)mask;
            uint64_t sum = 0;
            /* the last digit shares its bits with the bucket's own number: fold them together */
            if (p + 1 == passes)
                for (int d = mask + 1; d < 1 << DIGIT; d++) counts[p][d & mask] += counts[p][d];
            if (counts[p][same] == (uint64_t)size) continue;
            for (int d = 0; d <= mask; d++) {
                const uint32_t c = counts[p][d];
                counts[p][d] = (uint32_t)sum;
                sum += c;
            }
            for (ptrdiff_t i = 0; i < size; i++)
                to[counts[p][(from[i] >> shift) & (uint64_t)mask]++] = from[i];
            uint64_t *t = from;
            from = to;
            to = t;
        }
        if (from != out + begin[b]) memcpy(out + begin[b], from, (size_t)size * sizeof *out);
    }
    free(counts);
    return 0;
}

/* Sorted words become distinct words and their counts; returns how many. In place where the types
   agree: the writer never overtakes the reader. */
#define RUN_LENGTHS(T, WORD, COUNT, NAME)                                                          \
    static ptrdiff_t NAME(const T *words, ptrdiff_t n, WORD *distinct, COUNT *counts) {            \
        ptrdiff_t m = 0;                                                                           \
        for (ptrdiff_t i = 0; i < n;) {                                                            \
            ptrdiff_t j = i + 1;                                                                   \
            const T word = words[i];                                                               \
            while (j < n && words[j] == word) j++;                                                 \
            distinct[m] = (WORD)word;                                                              \
            counts[m++] = (COUNT)(j - i);                                                          \
            i = j;                                                                                 \
        }                                                                                          \
        return m;                                                                                  \
    }
RUN_LENGTHS(uint16_t, uint64_t, int64_t, run_lengths_uint16_t)
RUN_LENGTHS(uint32_t, uint64_t, int64_t, run_lengths_uint32_t)
RUN_LENGTHS(uint64_t, uint64_t, int64_t, run_lengths_uint64_t)
/* columns and counts of a sparse matrix with 32-bit indices */
RUN_LENGTHS(uint16_t, int32_t, int32_t, run_columns_uint16_t)
RUN_LENGTHS(uint32_t, int32_t, int32_t, run_columns_uint32_t)

#endif
