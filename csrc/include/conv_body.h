/* The layers of conv.h for one instruction set; included once for each, with its vectors as macros. */

#include "lanes_exp.h"

/* the second operand of MIN and MAX is the one that may be no number, which they then return */
FN VEC NAME(conv_act)(VEC x, int64_t activation, VEC slope) {
    VEC zero = SET(0.f), one = SET(1.f);
    switch (activation) {
        case CONV_RELU: return MAX(zero, x);
        case CONV_SLOPE: return FMA(slope, MIN(zero, x), MAX(zero, x));
        case CONV_SILU: return DIV(x, ADD(one, NAME(lanes_exp)(SUB(zero, x))));
        case CONV_SIGMOID: return DIV(one, ADD(one, NAME(lanes_exp)(SUB(zero, x))));
        default: return x;
    }
}

FN VEC NAME(conv_read)(const ELEMENT *p, int64_t live) {
    if (live >= LANES) return READ(p);
    ELEMENT part[LANES] = {0};
    memcpy(part, p, live * sizeof(ELEMENT));
    return READ(part);
}
FN void NAME(conv_write)(ELEMENT *p, VEC v, int64_t live) {
    if (live >= LANES) { WRITE(p, v); return; }
    ELEMENT part[LANES];
    WRITE(part, v);
    memcpy(p, part, live * sizeof(ELEMENT));
}

#define PART(name) NAME(name)
#include "conv_products.h"
#ifdef INTEGERS
#define PART(name) NAME(name##_of_integers)
#define DOT INTEGERS
#include "conv_products.h"
#endif
#include "conv_winograd.h"

/* rows [first, first + rows) of a sequence, zeros where it has none; 0 rows are read where all are */
AT const float *NAME(conv_padded)(const conv_layer_t *q, const float *x, int64_t first,
                                  int64_t rows, float *to) {
    if (first >= 0 && first + rows <= q->length_in) return x + first * q->words;
    for (int64_t r = 0; r < rows; r++, to += q->words) {
        const int64_t at = first + r;
        if (at < 0 || at >= q->length_in) memset(to, 0, q->words * sizeof(float));
        else memcpy(to, x + at * q->words, q->words * sizeof(float));
    }
    return to - rows * q->words;
}

/* a block of `tiles` tiles of one sequence, from tile `from` */
AT void NAME(conv_block)(const conv_layer_t *q, const ELEMENT *x, const ELEMENT *skip, ELEMENT *y,
                         int64_t from, int64_t tiles, float *scratch) {
    float *c = scratch, *zeros = c + q->points * q->tiles * CONV_BLOCK, *back = zeros + q->words,
          *v = back + q->tiles;
    const float *in = v;
    int64_t row = q->words, tap = q->words, next = 0;
    if (q->points == 1) {
        row *= q->stride, tap *= q->dilation;
        in = NAME(conv_padded)(q, (const float *)x, from * q->stride - q->before,
                               (tiles - 1) * q->stride + (q->taps - 1) * q->dilation + 1, v);
    } else {
        const int64_t all = tiles + q->taps - 1;
        memset(zeros, 0, q->words * sizeof(float));
        if (q->points == 6)
            NAME(conv_input_of_6)(q, x, from, all, (ELEMENT *)zeros, back, (VALUE *)v);
        else NAME(conv_input_of_8)(q, x, from, all, (ELEMENT *)zeros, back, (VALUE *)v);
        next = all * q->words;
    }
    const float *w = q->weight;
    for (int64_t block = 0; block < q->channels; block += CONV_BLOCK) {
        const int64_t pitch = conv_pitch(conv_min(CONV_BLOCK, q->channels - block));
        for (int64_t p = 0; p < q->points; p++, w += q->taps * q->words * pitch) {
            float *to = c + p * tiles * CONV_BLOCK;
            const float *of = in + p * next;
#ifdef INTEGERS
            if (q->points > 1)
                NAME(conv_products_of_integers)(to, of, tiles, row, tap, q->taps, q->words, w, pitch);
            else
#endif
                NAME(conv_products)(to, of, tiles, row, tap, q->taps, q->words, w, pitch);
        }
        NAME(conv_results)(q, c, from, tiles, block, back, skip, y);
    }
}

AT void NAME(conv_layer)(const conv_layer_t *q, const void *x, const void *skip, void *y,
                         int64_t n, float *scratch) {
    const int64_t all = conv_tiles(q);
    const ELEMENT *in = x, *beside = skip;
    ELEMENT *out = y;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t from = 0; from < all; from += q->tiles)
            NAME(conv_block)(q, in, beside, out, from, conv_min(q->tiles, all - from), scratch);
        in += q->length_in * q->words * (int64_t)(sizeof(float) / sizeof(ELEMENT));
        out += q->length / q->pool * q->channels;
        if (beside) beside += q->length * q->channels;
    }
}

/* NV vectors of channels of a sequence's first layer */
FN void NAME(conv_stem_block)(const conv_stem_t *q, const int32_t *index, int64_t channel,
                              ELEMENT *y, const int NV) {
    int64_t entries = 1;
    for (int64_t i = 0; i < q->letters; i++) entries *= CONV_LETTERS;
    VEC best[4];
    int64_t pooled = 0, rows = conv_rows(q->length, q->pool);
    y += channel;
    for (int64_t o = 0; o < rows; o++) {
        VEC sums[4];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[v] = LOAD(q->bias + channel + v * LANES);
        const int32_t *at = index + o * q->stride;
        const float *table = q->table + channel;
        for (int64_t t = 0; t < q->tables; t++, at += q->letters, table += entries * q->width) {
            const float *row = table + *at * q->width;
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) sums[v] = ADD(sums[v], LOAD(row + v * LANES));
        }
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            VEC slope = q->activation == CONV_SLOPE ? LOAD(q->slope + channel + v * LANES)
                                                    : SET(0.f);
            VEC z = NAME(conv_act)(sums[v], q->activation, slope);
            best[v] = pooled ? MAX(best[v], z) : z;
        }
        if (++pooled < q->pool) continue;
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            NAME(conv_write)(y + v * LANES, best[v], q->channels - channel - v * LANES);
        y += q->channels, pooled = 0;
    }
}

AT void NAME(conv_stem)(const conv_stem_t *q, const uint8_t *codes, void *y, int64_t n,
                        int32_t *index) {
    const int64_t starts = (q->length - 1) * q->stride + (q->tables - 1) * q->letters + 1;
    ELEMENT *out = y;
    for (int64_t i = 0; i < n; i++, codes += q->length_in) {
        for (int64_t s = 0; s < starts; s++) {
            int32_t number = 0;
            for (int64_t j = 0; j < q->letters; j++) {
                const int64_t at = s + j - q->before;
                const int inside = at >= 0 && at < q->length_in;
                number = number * CONV_LETTERS + (inside ? (codes[at] < 4 ? codes[at] : 4) : 5);
            }
            index[s] = number;
        }
        for (int64_t c = 0; c < q->channels; c += WIDEST * LANES)
            switch (conv_min((q->channels - c + LANES - 1) / LANES, WIDEST)) {
#if WIDEST == 4
                case 4: NAME(conv_stem_block)(q, index, c, out, 4); break;
                case 3: NAME(conv_stem_block)(q, index, c, out, 3); break;
#endif
                case 2: NAME(conv_stem_block)(q, index, c, out, 2); break;
                default: NAME(conv_stem_block)(q, index, c, out, 1);
            }
        out += q->length / q->pool * q->channels;
    }
}

/* R results of a vector of grouped channels; `inside` says that no row lies in the padding */
FN void NAME(conv_groups_rows)(const conv_groups_t *q, const ELEMENT *x, int64_t o,
                               int64_t channel, VEC *sums, const int R, const int G,
                               const int inside) {
    const int64_t live = q->channels - channel, pitch = (q->channels + 15) / 16 * 16;
    const float *w = q->weight + channel;
#pragma GCC unroll 4
    for (int j = 0; j < R; j++) sums[j] = LOAD(q->bias + channel);
    for (int64_t t = 0; t < q->taps; t++, w += G * pitch) {
        const int64_t first = o * q->stride - q->before + t * q->dilation;
        VEC weights[4];
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) weights[g] = LOAD(w + g * pitch);
#pragma GCC unroll 4
        for (int j = 0; j < R; j++) {
            const int64_t at = first + j * q->stride;
            if (!inside && (at < 0 || at >= q->length_in)) continue;
            const VEC in = NAME(conv_read)(x + at * q->channels + channel, live);
            sums[j] = FMA(in, weights[0], sums[j]);
            if (G > 1) sums[j] = FMA(SWAP(in, 1), weights[1], sums[j]);
            if (G > 2) {
                sums[j] = FMA(SWAP(in, 2), weights[2], sums[j]);
                sums[j] = FMA(SWAP(in, 3), weights[3], sums[j]);
            }
        }
    }
}

FN void NAME(conv_groups_of)(const conv_groups_t *q, const ELEMENT *x, ELEMENT *y, const int G) {
    const int64_t rows = conv_rows(q->length, q->pool), halo = (q->taps - 1) * q->dilation;
    for (int64_t channel = 0; channel < q->channels; channel += LANES) {
        const VEC slope = q->activation == CONV_SLOPE ? LOAD(q->slope + channel) : SET(0.f);
        ELEMENT *to = y + channel;
        VEC best = SET(0.f);
        int64_t pooled = 0;
        for (int64_t o = 0, more; o < rows; o += more) {
            const int64_t first = o * q->stride - q->before;
            VEC sums[4];
            more = 1;
            if (first >= 0 && o + 4 <= rows && first + 3 * q->stride + halo < q->length_in)
                more = 4, NAME(conv_groups_rows)(q, x, o, channel, sums, 4, G, 1);
            else
                NAME(conv_groups_rows)(q, x, o, channel, sums, 1, G, 0);
            for (int64_t j = 0; j < more; j++) {
                VEC z = NAME(conv_act)(sums[j], q->activation, slope);
                best = pooled ? MAX(best, z) : z;
                if (++pooled < q->pool) continue;
                NAME(conv_write)(to, best, q->channels - channel);
                to += q->channels, pooled = 0;
            }
        }
    }
}

AT void NAME(conv_groups)(const conv_groups_t *q, const void *x, void *y, int64_t n) {
    const ELEMENT *in = x;
    ELEMENT *out = y;
    for (int64_t i = 0; i < n; i++) {
        if (q->group == 1) NAME(conv_groups_of)(q, in, out, 1);
        else if (q->group == 2) NAME(conv_groups_of)(q, in, out, 2);
        else NAME(conv_groups_of)(q, in, out, 4);
        in += q->length_in * q->channels;
        out += q->length / q->pool * q->channels;
    }
}

#undef NAME
#undef ELEMENT
#undef READ
#undef WRITE
#undef VALUE
#undef INTEGERS
