/* One ALT allele against the genome: outcome, REF check, trimming, left alignment, edit. */
#ifndef FASTSEQ_ALLELES_H
#define FASTSEQ_ALLELES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    ALLELE_OK, ALLELE_REF_MISMATCH, ALLELE_SYMBOLIC, ALLELE_SPANNING_DELETION, ALLELE_NO_ALT,
    ALLELE_REF_EQUALS_ALT, ALLELE_BREAKEND, ALLELE_OUT_OF_BOUNDS, ALLELE_UNKNOWN_CONTIG,
    ALLELE_NON_ACGT
};
enum { ALLELE_LEFT_SHIFTED = 4, ALLELE_SWAPPED = 8, ALLELE_FORCED = 16 };
enum { MISMATCH_SKIP, MISMATCH_SWAP, MISMATCH_FORCE };

typedef struct {
    const uint8_t *contig;      /* codes */
    int64_t offset, size;       /* where it begins in the genome, and its length */
    const int64_t *ambiguous;   /* ascending genome positions of ambiguity letters */
    const uint8_t *members;     /* and the bases each stands for */
    int64_t ambiguities;
} allele_genome;

typedef struct {
    uint8_t status, flags;
    uint8_t patched;            /* the REF text is to be written into the reference row */
    int64_t anchor;             /* 0-based base that the window is centred on */
    int64_t start, removed, inserted;   /* the edit, 0-based in the contig */
    int64_t ref_length, alt_length;     /* of the normalised texts */
} allele_result;

static inline uint8_t allele_code(uint8_t byte)
{
    switch (byte & 0xDF) {
    case 'A': return 0;
    case 'C': return 1;
    case 'G': return 2;
    case 'T': return 3;
    }
    return 4;
}

static inline int allele_is_bases(const uint8_t *text, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        if (allele_code(text[i]) > 3)
            return 0;
    return 1;
}

/* bases that an unknown position of the genome may be, as bits; N may be any */
static inline uint8_t allele_members(const allele_genome *g, int64_t position)
{
    int64_t low = 0, high = g->ambiguities;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (g->ambiguous[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low < g->ambiguities && g->ambiguous[low] == position ? g->members[low] : 15;
}

/* 0: the text differs from the genome; 1: equal; 2: equal where ambiguous letters match members */
static inline int allele_matches(const allele_genome *g, int64_t at, const uint8_t *text,
                                 int64_t size)
{
    int answer = 1;
    if (at + size > g->size)
        return 0;
    for (int64_t i = 0; i < size; i++) {
        uint8_t base = g->contig[at + i], code = allele_code(text[i]);
        if (base == code)
            continue;
        if (base < 4 || !(allele_members(g, g->offset + at + i) >> code & 1))
            return 0;
        answer = 2;
    }
    return answer;
}

static inline uint8_t allele_class(const uint8_t *alt, int64_t size)
{
    if (size == 0 || (size == 1 && alt[0] == '.'))
        return ALLELE_NO_ALT;
    if (size == 1 && alt[0] == '*')
        return ALLELE_SPANNING_DELETION;
    if (memchr(alt, '[', (size_t)size) || memchr(alt, ']', (size_t)size) || alt[0] == '.'
        || alt[size - 1] == '.')
        return ALLELE_BREAKEND;
    if (alt[0] == '<')
        return ALLELE_SYMBOLIC;
    return ALLELE_OK;
}

/* Resolve one allele. contig < 0 in `known` means an unknown contig. `inserted` takes the codes of
   the edit (at most the longer allele), `normal` the normalised REF and ALT as text, one after the
   other (at most both alleles and two bases). A deletion may be written with ALT "-". */
static void allele_resolve(const allele_genome *g, int known, int64_t pos, const uint8_t *ref,
                           int64_t r, const uint8_t *alt, int64_t a, int normalize, int mismatch,
                           uint8_t *inserted, uint8_t *normal, allele_result *out)
{
    static const uint8_t letters[] = "ACGTN";
    memset(out, 0, sizeof *out);
    out->status = allele_class(alt, a);
    if (out->status != ALLELE_OK)
        return;
    int dash = a == 1 && alt[0] == '-';
    if (dash)
        a = 0;
    if (!known) {
        out->status = ALLELE_UNKNOWN_CONTIG;
        return;
    }
    int64_t begin = pos - 1;
    if (begin < 0 || begin >= g->size || begin + r > g->size) {
        out->status = ALLELE_OUT_OF_BOUNDS;
        return;
    }
    if (r == 0 || !allele_is_bases(ref, r) || !allele_is_bases(alt, a)) {
        out->status = ALLELE_NON_ACGT;
        return;
    }
    if (r == a) {
        int64_t i = 0;
        while (i < r && allele_code(ref[i]) == allele_code(alt[i]))
            i++;
        if (i == r) {
            out->status = ALLELE_REF_EQUALS_ALT;
            return;
        }
    }
    /* held: the allele that the reference row holds; other: the one the edit makes of it */
    const uint8_t *held = ref, *other = alt;
    int64_t h = r, o = a;
    int match = allele_matches(g, begin, ref, r);
    if (match == 0 && mismatch == MISMATCH_SWAP && a && allele_matches(g, begin, alt, a) == 1) {
        held = alt, other = ref, h = a, o = r;
        out->flags |= ALLELE_SWAPPED;
    } else if (match == 0 && mismatch == MISMATCH_FORCE) {
        out->flags |= ALLELE_FORCED;
        out->patched = 1;
    } else if (match == 0) {
        out->status = ALLELE_REF_MISMATCH;
        return;
    } else if (match == 2) {
        out->patched = 1;
    }
    /* trim what both share: the end first, so that an indel comes to lie as far left as it can */
    int64_t skip = 0;
    if (normalize) {
        while (h && o && allele_code(held[h - 1]) == allele_code(other[o - 1]))
            h--, o--;
        while (skip < h && skip < o && allele_code(held[skip]) == allele_code(other[skip]))
            skip++;
    } else {
        while (skip < h && skip < o && allele_code(held[skip]) == allele_code(other[skip]))
            skip++;
        while (h > skip && o > skip && allele_code(held[h - 1]) == allele_code(other[o - 1]))
            h--, o--;
    }
    int64_t start = begin + skip, roll = 0;
    const uint8_t *cut = held + skip, *put = other + skip;
    h -= skip;
    o -= skip;
    int64_t m = h ? h : o;
    if (normalize && (h == 0 || o == 0)) {
        const uint8_t *moving = h ? cut : put;
        while (start > 0) {
            int64_t before = start - 1;
            uint8_t base = before >= begin ? allele_code(held[before - begin]) : g->contig[before];
            if (base > 3 || base != allele_code(moving[(m - 1 - roll % m)]))
                break;
            start = before;
            roll++;
        }
    }
    out->start = start;
    out->removed = h;
    out->inserted = o;
    for (int64_t i = 0; i < o; i++)
        inserted[i] = allele_code(put[roll ? (i + m - roll % m) % m : i]);
    if (!normalize) {
        out->anchor = begin;
        for (int64_t i = 0; i < r; i++)
            normal[i] = letters[allele_code(ref[i])];
        for (int64_t i = 0; i < a; i++)
            normal[r + i] = letters[allele_code(alt[i])];
        if (dash)
            normal[r] = '-';
        out->ref_length = r;
        out->alt_length = a + dash;
        return;
    }
    /* VCF writes an indel with the base before it, at the start of a contig with the one behind */
    int padded = h == 0 || o == 0, behind = padded && start == 0;
    uint8_t pad = 4;
    if (padded) {
        int64_t at = behind ? start + h : start - 1;
        if (at >= begin && at < begin + (held == ref ? r : a))
            pad = allele_code(held[at - begin]);
        else if (at < g->size)
            pad = g->contig[at];
    }
    out->anchor = padded && !behind ? start - 1 : start;
    if (roll && out->anchor < begin)
        out->flags |= ALLELE_LEFT_SHIFTED;
    int64_t at = 0;
    for (int allele = 0; allele < 2; allele++) {
        /* REF of the file comes first, whichever of the two the genome holds */
        int is_held = (allele == 0) == (held == ref);
        const uint8_t *text = is_held ? cut : put;
        int64_t size = is_held ? h : o, from = at;
        if (padded && !behind)
            normal[at++] = letters[pad];
        for (int64_t i = 0; i < size; i++)
            normal[at++] = letters[allele_code(text[roll ? (i + m - roll % m) % m : i])];
        if (behind)
            normal[at++] = letters[pad];
        if (allele == 0)
            out->ref_length = at - from;
        else
            out->alt_length = at - from;
    }
}

#endif
