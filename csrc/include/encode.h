/* Many rows at once: codes, one-hot blocks, and where the first foreign letter stands. */
#ifndef FASTSEQ_ENCODE_H
#define FASTSEQ_ENCODE_H

#include "one_hot.h"
#include "rows.h"

/* Positions [begin, end) of rows [first, last) as codes; `out` holds `length` bytes a row. */
static void encode_rows(const rows_t *rows, ptrdiff_t first, ptrdiff_t last, ptrdiff_t begin,
                        ptrdiff_t end, uint8_t *out, ptrdiff_t length, int pad, int cut,
                        uint8_t fill, const lookup_t *l, int cpu) {
    for (ptrdiff_t i = first; i < last; i++) {
        ptrdiff_t size;
        const uint8_t *s = row_at(rows, i, &size);
        row_prefetch(rows, i + 32);
        place_t p = place(size, length, pad, cut);
        ptrdiff_t from = p.start < begin ? begin : p.start;
        ptrdiff_t to = p.start + p.count > end ? end : p.start + p.count;
        uint8_t *o = out + i * length;
        if (to <= from) {
            memset(o + begin, fill, (size_t)(end - begin));
            continue;
        }
        memset(o + begin, fill, (size_t)(from - begin));
        translate(s + p.skip + from - p.start, (size_t)(to - from), o + from, l, fill, cpu);
        memset(o + to, fill, (size_t)(end - to));
    }
}

/* Row and position of the first byte whose code is above `most`; 0 when there is none. */
static int first_foreign(const rows_t *rows, const lookup_t *l, uint8_t most, int cpu,
                         ptrdiff_t *row, ptrdiff_t *position) {
    uint8_t scratch[4096];
    for (ptrdiff_t i = 0; i < rows->n; i++) {
        ptrdiff_t size;
        const uint8_t *s = row_at(rows, i, &size);
        for (ptrdiff_t b = 0; b < size; b += (ptrdiff_t)sizeof scratch) {
            ptrdiff_t m = size - b < (ptrdiff_t)sizeof scratch ? size - b : (ptrdiff_t)sizeof scratch;
            if (!translate(s + b, (size_t)m, scratch, l, most, cpu)) continue;
            while (l->table[s[b]] <= most) b++;
            *row = i;
            *position = b;
            return 1;
        }
    }
    return 0;
}

enum { FORM_TABLE, FORM_U8, FORM_F32 };

typedef struct {
    int kind, last; /* last: the letters are the last axis */
    ptrdiff_t letters, item;
    float rest;           /* value of all four letters at an unknown base (FORM_F32) */
    const uint8_t *text;  /* one-hot bytes of each letter of text, 256 x letters x item */
    const uint8_t *codes; /* the same of each code */
    const uint8_t *blank; /* the same of padding, letters x item */
} form_t;

static void one_hot_blank(const form_t *f, uint8_t *o, ptrdiff_t n, ptrdiff_t length) {
    if (n <= 0) return;
    if (f->last) {
        for (ptrdiff_t i = 0; i < n; i++)
            memcpy(o + i * f->letters * f->item, f->blank, (size_t)(f->letters * f->item));
        return;
    }
    for (ptrdiff_t k = 0; k < f->letters; k++)
        for (ptrdiff_t i = 0; i < n; i++)
            memcpy(o + (k * length + i) * f->item, f->blank + k * f->item, (size_t)f->item);
}

static void one_hot_part(const form_t *f, const uint8_t *s, ptrdiff_t n, uint8_t *o,
                         ptrdiff_t length, int codes, int stream, int cpu) {
    const lookup_t *bits = codes ? &code_bits : &text_bits;
    const uint8_t *table = codes ? f->codes : f->text;
    size_t m = (size_t)n, channel = (size_t)length;
    if (f->kind == FORM_U8 && f->last)
        one_hot_nlc_u8(s, m, o, bits, table, stream, cpu);
    else if (f->kind == FORM_U8)
        one_hot_ncl_u8(s, m, o, channel, bits, cpu);
    else if (f->kind == FORM_F32 && f->last)
        one_hot_nlc_f32(s, m, (float *)o, bits, table, f->rest, stream, cpu);
    else if (f->kind == FORM_F32)
        one_hot_ncl_f32(s, m, (float *)o, channel, bits, f->rest, cpu);
    else if (f->last)
        table_nlc(s, m, o, table, (size_t)(f->letters * f->item));
    else
        table_ncl(s, m, o, channel, table, (size_t)f->letters, (size_t)f->item);
}

/* stores past the caches pay once the output is beyond half of a last-level cache */
#define STREAM_BYTES ((ptrdiff_t)16 << 20)

/* Positions [begin, end) of row i; `o` is where its block begins. */
static void one_hot_row(const rows_t *rows, const form_t *f, ptrdiff_t i, ptrdiff_t begin,
                        ptrdiff_t end, uint8_t *o, ptrdiff_t length, int pad, int cut, int stream,
                        int cpu) {
    ptrdiff_t size;
    const uint8_t *s = row_at(rows, i, &size);
    row_prefetch(rows, i + 32);
    place_t p = place(size, length, pad, cut);
    ptrdiff_t from = p.start < begin ? begin : p.start;
    ptrdiff_t to = p.start + p.count > end ? end : p.start + p.count;
    /* bytes from one position to the next */
    const ptrdiff_t step = f->last ? f->letters * f->item : f->item;
    if (to <= from) {
        one_hot_blank(f, o + begin * step, end - begin, length);
        return;
    }
    one_hot_blank(f, o + begin * step, from - begin, length);
    one_hot_part(f, s + p.skip + from - p.start, to - from, o + from * step, length, rows->codes,
                 stream && to - from >= 512, cpu);
    one_hot_blank(f, o + to * step, end - to, length);
}

/* `n` rows of `length` without gaps of padding, `stride` bytes apart. */
static void one_hot_matrix(const form_t *f, const uint8_t *s, ptrdiff_t stride, ptrdiff_t n,
                           uint8_t *o, ptrdiff_t length, int codes, int stream, int cpu) {
    const ptrdiff_t row_bytes = length * f->letters * f->item;
    if (f->last && stride == length) {
        /* one long row */
        one_hot_part(f, s, n * length, o, 0, codes, stream, cpu);
        return;
    }
#if FASTSEQ_X86
    if (f->kind == FORM_U8 && !f->last && cpu == CPU_AVX512 && length >= 64 && length <= 256) {
        ncl_u8_short_avx512(s, stride, (size_t)n, (size_t)length, o,
                            codes ? &code_bits : &text_bits);
        return;
    }
#endif
    for (ptrdiff_t i = 0; i < n; i++)
        one_hot_part(f, s + i * stride, length, o + i * row_bytes, length, codes,
                     stream && length >= 512, cpu);
}

/* Rows that lie anywhere are gathered in the first cache, some at a time, and padded with a byte
   that is no letter and no code: loads that miss between the stores would cost the stores their
   stream (measured for a shuffled list of 110 bp: 210 ns a row one by one). */
#define GATHER_BYTES 16384

static void one_hot_rows(const rows_t *rows, const form_t *f, ptrdiff_t first, ptrdiff_t last,
                         ptrdiff_t begin, ptrdiff_t end, uint8_t *out, ptrdiff_t length, int pad,
                         int cut, int cpu) {
    const ptrdiff_t row_bytes = length * f->letters * f->item;
    const int whole = begin == 0 && end == length;
    const int stream = rows->n * row_bytes >= STREAM_BYTES;
    if (!rows->at && rows->longest == length && whole) {
        one_hot_matrix(f, rows->base + first * rows->stride, rows->stride, last - first,
                       out + first * row_bytes, length, rows->codes, stream, cpu);
        return;
    }
    if (!whole || length > GATHER_BYTES / 2 || last - first == 1) {
        for (ptrdiff_t i = first; i < last; i++)
            one_hot_row(rows, f, i, begin, end, out + i * row_bytes, length, pad, cut, stream, cpu);
        return;
    }
    uint8_t block[GATHER_BYTES];
    const ptrdiff_t most = length ? GATHER_BYTES / length : last - first;
    for (ptrdiff_t i = first; i < last; i += most) {
        const ptrdiff_t n = last - i < most ? last - i : most;
        for (ptrdiff_t j = 0; j < n; j++) {
            ptrdiff_t size;
            const uint8_t *s = row_at(rows, i + j, &size);
            uint8_t *o = block + j * length;
            row_prefetch(rows, i + j + 16);
            const place_t p = place(size, length, pad, cut);
            if (p.count < length) memset(o, 255, (size_t)length);
            memcpy(o + p.start, s + p.skip, (size_t)p.count);
        }
        one_hot_matrix(f, block, length, n, out + i * row_bytes, length, rows->codes, stream, cpu);
    }
}

#endif
