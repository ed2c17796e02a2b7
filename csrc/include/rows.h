/* Sequences as rows of bytes: a strided matrix, or one pointer and one size for each row. */
#ifndef FASTSEQ_ROWS_H
#define FASTSEQ_ROWS_H

#include <stddef.h>
#include <stdint.h>

#define ROWS_CAPSULE "fastseq.rows"

typedef struct {
    ptrdiff_t n, longest, shortest, total;
    const uint8_t *base; /* row i begins at base + i * stride, all rows `longest` wide ... */
    ptrdiff_t stride;
    const uint8_t **at; /* ... unless `at` is set: then row i is at[i][:size[i]] */
    ptrdiff_t *size;
    int codes; /* bytes are codes 0..4, not letters */
} rows_t;

static inline const uint8_t *row_at(const rows_t *rows, ptrdiff_t i, ptrdiff_t *size) {
    if (rows->at) {
        *size = rows->size[i];
        return rows->at[i];
    }
    *size = rows->longest;
    return rows->base + i * rows->stride;
}

/* rows of a shuffled list lie anywhere: ask for them some rows ahead */
static inline void row_prefetch(const rows_t *rows, ptrdiff_t i) {
    if (rows->at && i < rows->n)
        for (ptrdiff_t b = 0; b < rows->size[i] + 63 && b < 512; b += 64)
            __builtin_prefetch(rows->at[i] + b);
}

/* Which part of a row of `size` bytes lands where in `length` positions. */
enum { SIDE_RIGHT = 0, SIDE_LEFT = 1, SIDE_CENTER = 2 };

typedef struct {
    ptrdiff_t skip, start, count; /* row[skip : skip + count] -> out[start : start + count] */
} place_t;

static inline place_t place(ptrdiff_t size, ptrdiff_t length, int pad, int cut) {
    place_t p = {0, 0, size < length ? size : length};
    ptrdiff_t excess = size - length;
    if (excess > 0) p.skip = cut == SIDE_RIGHT ? 0 : cut == SIDE_LEFT ? excess : excess / 2;
    if (excess < 0) p.start = pad == SIDE_RIGHT ? 0 : pad == SIDE_LEFT ? -excess : -excess / 2;
    return p;
}

#endif
