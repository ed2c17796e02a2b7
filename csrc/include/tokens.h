/* Rows of bases become the token ids of a language model: one a base, or one a k-mer. */
#ifndef FASTSEQ_TOKENS_H
#define FASTSEQ_TOKENS_H

#include "rows.h"

#define NO_TOKEN (-1)

typedef struct {
    uint8_t code[256];   /* of a byte: 0..3, anything above is unknown */
    int64_t letter[256]; /* its id where it stands alone */
    const int32_t *word; /* id of each k-mer, unless k is 1 */
    int k;
    int64_t first, last, pad; /* ids around a row, NO_TOKEN where there is none; and after it */
} vocabulary_t;

/* How many bases from s[0] on are known, k at most; where it is k, their number is written. */
static inline int known_bases(const vocabulary_t *v, const uint8_t *s, ptrdiff_t left,
                              uint32_t *kmer) {
    const uint8_t *c = v->code;
    if (v->k == 6 && left >= 6) { /* the usual k, without a branch for each base */
        uint32_t a = c[s[0]], b = c[s[1]], d = c[s[2]], e = c[s[3]], f = c[s[4]], g = c[s[5]];
        *kmer = a << 10 | b << 8 | d << 6 | e << 4 | f << 2 | g;
        if ((a | b | d | e | f | g) < 4) return 6;
    }
    uint32_t found = 0;
    int i = 0;
    for (; i < v->k && i < left && c[s[i]] < 4; i++) found = found << 2 | c[s[i]];
    *kmer = found;
    return i;
}

/* Letters until one is unknown or the row ends cannot begin a k-mer: they stand alone. */
static inline ptrdiff_t alone(const vocabulary_t *v, int known, ptrdiff_t left) {
    return known == v->k ? 0 : known < left ? known + 1 : known;
}

static inline ptrdiff_t count_tokens(const vocabulary_t *v, const uint8_t *s, ptrdiff_t size) {
    ptrdiff_t count = (v->first != NO_TOKEN) + (v->last != NO_TOKEN);
    uint32_t kmer;
    if (v->k == 1) return count + size;
    for (ptrdiff_t i = 0; i < size;) {
        ptrdiff_t single = alone(v, known_bases(v, s + i, size - i, &kmer), size - i);
        count += single ? single : 1;
        i += single ? single : v->k;
    }
    return count;
}

#define DEFINE_WRITE(T)                                                                           \
    static inline void write_tokens_##T(const vocabulary_t *v, const uint8_t *s, ptrdiff_t size,  \
                                        T *out, ptrdiff_t width) {                                \
        T *end = out + width;                                                                     \
        uint32_t kmer;                                                                            \
        if (v->first != NO_TOKEN) *out++ = (T)v->first;                                           \
        if (v->k == 1) {                                                                          \
            for (ptrdiff_t i = 0; i < size; i++) *out++ = (T)v->letter[s[i]];                    \
        } else {                                                                                  \
            for (ptrdiff_t i = 0; i < size;) {                                                    \
                ptrdiff_t single = alone(v, known_bases(v, s + i, size - i, &kmer), size - i);    \
                if (!single) {                                                                    \
                    *out++ = (T)v->word[kmer];                                                    \
                    i += v->k;                                                                    \
                }                                                                                 \
                for (; single; single--) *out++ = (T)v->letter[s[i++]];                          \
            }                                                                                     \
        }                                                                                         \
        if (v->last != NO_TOKEN) *out++ = (T)v->last;                                             \
        while (out < end) *out++ = (T)v->pad;                                                     \
    }

DEFINE_WRITE(int32_t)
DEFINE_WRITE(int64_t)

#endif
