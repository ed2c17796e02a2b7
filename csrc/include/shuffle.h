/* Shuffles that keep every k-let: uniform over all arrangements with the same k-lets.

   The words of k - 1 letters are vertices, the k-lets edges; an arrangement is a path that uses
   every edge once. A uniform spanning tree towards the last vertex (Wilson 1996) fixes the last
   edge out of each vertex; any order of the other edges then gives such a path (the BEST theorem),
   so that random orders make all paths equally likely. */
#ifndef FASTSEQ_SHUFFLE_H
#define FASTSEQ_SHUFFLE_H

#include <stdlib.h>

#include "letters.h"
#include "rows.h"

/* Counter-based random numbers (splitmix64): a key for each seed, row and replicate, so that
   neither threads nor batches change what a row gets. */
typedef struct {
    uint64_t state, bits;
    int half;
} random_t;

static inline uint64_t mix64(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline random_t random_of(uint64_t seed, uint64_t row, uint64_t replicate) {
    random_t r = {0, 0, 0};
    r.state = mix64(mix64(mix64(seed + 0x9E3779B97F4A7C15u) ^ (row + 0xD1342543DE82EF95u)) ^
                    (replicate + 0x2545F4914F6CDD1Du));
    return r;
}

static inline uint64_t random_bits(random_t *r) {
    return mix64(r->state += 0x9E3779B97F4A7C15u);
}

/* below n: 32 bits of randomness for small n (a bias under n / 2^32), 64 for large ones */
static inline uint64_t random_below(random_t *r, uint64_t n) {
    if (n > 4096) return (uint64_t)(((unsigned __int128)random_bits(r) * n) >> 64);
    r->half = !r->half;
    if (r->half) r->bits = random_bits(r);
    const uint64_t draw = r->half ? r->bits >> 32 : r->bits & 0xFFFFFFFFu;
    return draw * n >> 32;
}

static inline void shuffle_bytes(uint8_t *x, size_t n, random_t *r) {
    for (size_t i = n; i > 1; i--) {
        const size_t j = random_below(r, i);
        const uint8_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* scratch for graphs of up to `vertices` vertices and rows of up to `length` bases */
typedef struct {
    uint8_t *edges, *in_tree;
    uint32_t *begin, *count, *last, *used;
    size_t vertices;
} graph_t;

static int graph_init(graph_t *g, size_t vertices, size_t length) {
    g->vertices = vertices;
    g->edges = malloc(length + vertices + 1);
    g->begin = malloc(4 * vertices * sizeof(uint32_t));
    if (g->edges == NULL || g->begin == NULL) {
        free(g->edges);
        free(g->begin);
        return -1;
    }
    g->in_tree = g->edges + length;
    g->count = g->begin + vertices;
    g->last = g->count + vertices;
    g->used = g->last + vertices;
    return 0;
}

static void graph_free(graph_t *g) {
    free(g->edges);
    free(g->begin);
}

/* Shuffle known bases s[:n] into o; words have k letters, k >= 2. */
static void shuffle_klets(const uint8_t *s, size_t n, int k, uint8_t *o, graph_t *g, random_t *r) {
    const size_t mask = g->vertices - 1, fixed = (size_t)k - 1;
    memcpy(o, s, n < fixed ? n : fixed);
    if (n <= fixed) return;
    size_t first = 0, x;
    for (size_t i = 0; i < fixed; i++) first = first << 2 | s[i];
    memset(g->count, 0, g->vertices * sizeof *g->count);
    memset(g->in_tree, 0, g->vertices);
    x = first;
    for (size_t i = fixed; i < n; i++) {
        g->count[x]++;
        x = (x << 2 | s[i]) & mask;
    }
    const size_t root = x;
    uint32_t sum = 0;
    for (size_t v = 0; v < g->vertices; v++) {
        g->begin[v] = g->used[v] = sum;
        sum += g->count[v];
    }
    x = first;
    for (size_t i = fixed; i < n; i++) {
        g->edges[g->used[x]++] = s[i];
        x = (x << 2 | s[i]) & mask;
    }
    /* a random walk from each vertex to the tree; its loops are forgotten as `last` is overwritten */
    g->in_tree[root] = 1;
    for (size_t v = 0; v < g->vertices; v++) {
        if (!g->count[v] || g->in_tree[v]) continue;
        for (x = v; !g->in_tree[x]; x = (x << 2 | g->edges[g->last[x]]) & mask)
            g->last[x] = g->begin[x] + (uint32_t)random_below(r, g->count[x]);
        for (x = v; !g->in_tree[x]; x = (x << 2 | g->edges[g->last[x]]) & mask) g->in_tree[x] = 1;
    }
    for (size_t v = 0; v < g->vertices; v++) {
        uint32_t m = g->count[v];
        if (!m) continue;
        if (v != root) {
            const uint32_t end = g->begin[v] + --m;
            const uint8_t t = g->edges[g->last[v]];
            g->edges[g->last[v]] = g->edges[end];
            g->edges[end] = t;
        }
        shuffle_bytes(g->edges + g->begin[v], m, r);
        g->used[v] = g->begin[v];
    }
    x = first;
    for (size_t i = fixed; i < n; i++) {
        const uint8_t c = g->edges[g->used[x]++];
        o[i] = c;
        x = (x << 2 | c) & mask;
    }
}

/* Unknown bases stay where they are; each stretch between them is shuffled for itself. */
static void shuffle_row(const uint8_t *codes, size_t n, int k, uint8_t *o, graph_t *g,
                        random_t *r) {
    for (size_t i = 0; i < n;) {
        if (codes[i] > 3) {
            o[i] = CODE_N;
            i++;
            continue;
        }
        size_t end = i;
        while (end < n && codes[end] < 4) end++;
        if (k == 1) {
            memcpy(o + i, codes + i, end - i);
            shuffle_bytes(o + i, end - i, r);
        } else
            shuffle_klets(codes + i, end - i, k, o + i, g, r);
        i = end;
    }
}

/* Rows [first, last) with `replicates` shuffles each, `length` codes a shuffle, padded with 4. */
static int shuffle_rows(const rows_t *rows, ptrdiff_t first, ptrdiff_t last, int k,
                        ptrdiff_t replicates, ptrdiff_t length, uint64_t seed, uint64_t offset,
                        uint8_t *out, int cpu) {
    const lookup_t *l = rows->codes ? &code_codes : &text_codes;
    graph_t g;
    uint8_t *codes = malloc((size_t)length + 1);
    if (codes == NULL) return -1;
    if (graph_init(&g, (size_t)1 << (2 * (k - 1)), (size_t)length) < 0) {
        free(codes);
        return -1;
    }
    for (ptrdiff_t i = first; i < last; i++) {
        ptrdiff_t size;
        const uint8_t *s = row_at(rows, i, &size);
        translate(s, (size_t)size, codes, l, CODE_N, cpu);
        for (ptrdiff_t j = 0; j < replicates; j++) {
            random_t r = random_of(seed, offset + (uint64_t)i, (uint64_t)j);
            uint8_t *o = out + (i * replicates + j) * length;
            shuffle_row(codes, (size_t)size, k, o, &g, &r);
            memset(o + size, CODE_N, (size_t)(length - size));
        }
    }
    graph_free(&g);
    free(codes);
    return 0;
}

#endif
