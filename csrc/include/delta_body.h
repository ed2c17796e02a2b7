/* The steps of delta.h for one instruction set; included once for each, with its vectors as macros. */

#include "lanes_exp.h"

#ifndef ELEMENT
#define ELEMENT float
#define PAIR 1
#define DOT FMA
#define SPREAD(p) SET(*(p))
#define READ LOAD
#define WRITE STORE
#endif

FN ELEMENT *NAME(row)(const delta_run_t *q, int64_t value, int64_t site, int64_t alt,
                      int64_t row) {
    return (ELEMENT *)q->data + delta_place(q, value, site, alt, row);
}

/* the rows [low, high) of a value that one site changes, the first alternative's; the next one's lie
   `lane` elements behind */
typedef struct {
    ELEMENT *rows;
    int64_t low, high, channels, lane;
} NAME(window);

FN NAME(window) NAME(window_of)(const delta_run_t *q, int64_t value, int64_t site) {
    const int64_t low = delta_low(q, value)[site], high = delta_high(q, value)[site];
    const delta_value_t *v = q->values + value;
    return (NAME(window)){NAME(row)(q, value, site, 0, low), low, high, v->channels,
                          v->rows * v->channels};
}

FN ELEMENT *NAME(cell)(NAME(window) w, int64_t alt, int64_t row, int64_t c) {
    return w.rows + alt * w.lane + (row - w.low) * w.channels + c;
}

/* a difference, zero outside the window */
FN VEC NAME(at)(NAME(window) w, int64_t alt, int64_t row, int64_t c) {
    return row >= w.low && row < w.high ? READ(NAME(cell)(w, alt, row, c)) : SET(0.f);
}

/* max(x, 0) - |x| erfc(|x| / sqrt 2) / 2; the scaled erfc is t p(t), t = 1 / (1 + z / 2), with p
   fitted here to 5e-8 of it for every z >= 0 */
FN VEC NAME(gelu)(VEC x) {
    static const float p[] = {-.0300543539f, .14472305f, -.248414788f, .144257573f, -.01669951f,
                              .102680215f, .121239689f, .141226921f, .141041179f};
    VEC zero = SET(0.f), one = SET(1.f), size = MAX(x, SUB(zero, x));
    VEC z = MUL(size, SET(.70710678f)), t = DIV(one, FMA(z, SET(.5f), one)), tail = SET(p[0]);
#pragma GCC unroll 8
    for (int i = 1; i < 9; i++) tail = FMA(tail, t, SET(p[i]));
    tail = MUL(MUL(tail, t), NAME(lanes_exp)(MUL(SET(-.5f), MUL(x, x))));
    return SUB(MAX(x, zero), MUL(size, tail));
}

/* max(x, 0) + log(1 + e^-|x|), the logarithm as 2 atanh(u / (2 + u)) */
FN VEC NAME(softplus)(VEC x) {
    VEC zero = SET(0.f), least = MIN(x, SUB(zero, x)), u = NAME(lanes_exp)(least);
    VEC s = DIV(u, ADD(u, SET(2.f))), square = MUL(s, s), sum = SET(2.f / 15);
#pragma GCC unroll 7
    for (int i = 13; i > 0; i -= 2) sum = FMA(sum, square, SET(2.f / i));
    return FMA(s, sum, MAX(x, zero));
}

/* the activations that take an exponential; a call, since it would stand in every unrolled row */
AT __attribute__((noinline)) VEC NAME(curve)(VEC x, int64_t activation, VEC slope) {
    VEC zero = SET(0.f), one = SET(1.f);
    if (activation == DELTA_EXP) return NAME(lanes_exp)(x);
    if (activation == DELTA_GELU) return NAME(gelu)(x);
    if (activation == DELTA_SOFTPLUS) return NAME(softplus)(x);
    if (activation == DELTA_ELU)
        return FMA(slope, SUB(NAME(lanes_exp)(MIN(x, zero)), one), MAX(x, zero));
    if (activation == DELTA_TANH)
        return SUB(DIV(SET(2.f), ADD(one, NAME(lanes_exp)(MUL(SET(-2.f), x)))), one);
    VEC rest = ADD(one, NAME(lanes_exp)(SUB(zero, x)));
    return DIV(activation == DELTA_SILU ? x : one, rest);
}

/* an activation around z, for all alternatives of a row: of straight pieces the two bounds of what
   stays above zero, of a curve z and its result */
typedef struct { VEC a, b, slope; } NAME(bend);

FN int NAME(is_straight)(int64_t activation) {
    return activation == DELTA_RELU || activation == DELTA_SLOPE;
}

FN NAME(bend) NAME(bend_at)(const delta_step_t *s, const float *z, int64_t c) {
    const VEC at = LOAD(z + c), zero = SET(0.f), slope = s->slope ? LOAD(s->slope + c) : zero;
    if (NAME(is_straight)(s->activation))
        return (NAME(bend)){MIN(at, zero), SUB(zero, MAX(at, zero)), slope};
    return (NAME(bend)){at, NAME(curve)(at, s->activation, slope), slope};
}

/* act(z + d) - act(z); for straight pieces without the rounding of z + d where z keeps its side */
FN VEC NAME(bent)(NAME(bend) z, VEC d, int64_t activation) {
    if (!NAME(is_straight)(activation))
        return SUB(NAME(curve)(ADD(z.a, d), activation, z.slope), z.b);
    VEC above = MAX(ADD(d, z.a), z.b);
    return activation == DELTA_RELU ? above : FMA(z.slope, SUB(d, above), above);
}

/* the reference's map before the activation of a step, null where it ends in none */
FN const float *NAME(before)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    return s->activation == DELTA_NONE ? 0 : delta_seen(q, ref->a, ref->next_a, site);
}

/* vectors of output channels from `first` on: where their weights begin in a block `pitch` channels
   wide, and the channels in [from, from + reads) that they read */
typedef struct {
    const ELEMENT *weights;
    int64_t first, pitch, from, reads;
} NAME(columns);

/* sums += taps [t0, t1) in A alternatives of rows [r0, r1) of R, NV vectors wide; x and mask lie where
   tap 0 of row 0 reads. Channels in which no alternative of any row differs are skipped. */
FN void NAME(taps)(VEC (*sums)[4], NAME(columns) k, const ELEMENT *x, int64_t lane, int64_t row,
                   int64_t tap, const uint64_t *mask, int64_t mask_row, int64_t mask_tap,
                   int64_t t0, int64_t t1, const int r0, const int r1, const int A, const int R,
                   const int NV) {
    for (int64_t t = t0; t < t1; t++)
        for (int64_t word = 0; word * 64 < k.reads; word++) {
            const int64_t here = delta_min(k.reads - word * 64, 64);
            uint64_t all = ~0ull >> (64 - here), bits = 0;
#pragma GCC unroll 6
            for (int r = r0; r < r1; r++) bits |= mask[t * mask_tap + r * mask_row + word];
#if PAIR == 2
            bits = (bits | bits >> 1) & 0x5555555555555555ull, all &= 0x5555555555555555ull;
#endif
            const ELEMENT *w = k.weights + (t * k.reads + word * 64) * k.pitch;
            const ELEMENT *d = x + t * tap + word * 64;
#define ONE_CHANNEL(ci)                                                                  \
    do {                                                                                 \
        VEC weights[4];                                                                  \
        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                             \
            weights[v] = LOAD((const void *)(w + (ci) * k.pitch + v * LANES * PAIR));    \
        _Pragma("GCC unroll 3") for (int a = 0; a < A; a++)                              \
            _Pragma("GCC unroll 6") for (int r = r0; r < r1; r++) {                      \
                VEC changed = SPREAD(d + a * lane + r * row + (ci));                     \
                _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                     \
                    sums[a * R + r][v] = DOT(changed, weights[v], sums[a * R + r][v]);   \
            }                                                                            \
    } while (0)
            if (bits == all)
                for (int64_t ci = 0; ci < here; ci += PAIR) ONE_CHANNEL(ci);
            else
                for (; bits; bits &= bits - 1) ONE_CHANNEL(__builtin_ctzll(bits));
#undef ONE_CHANNEL
        }
}

/* R rows of a convolution from row o */
FN void NAME(conv_rows)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t o,
                        NAME(columns) k, const int A, const int R, const int NV) {
    const NAME(window) x = NAME(window_of)(q, s->x, site), to = NAME(window_of)(q, s->out, site);
    const int64_t reads = o * s->stride - s->before, words = delta_words(q->values + s->x);
    const uint64_t *mask = delta_mask(q, s->x, site, reads) + k.from / 64;
    VEC sums[6][4];
#pragma GCC unroll 6
    for (int j = 0; j < A * R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[j][v] = SET(0.f);
#define TAPS(t0, t1, r0, r1)                                                             \
    NAME(taps)(sums, k, NAME(cell)(x, 0, reads, k.from), x.lane, s->stride * x.channels, \
               s->dilation * x.channels, mask, s->stride * words, s->dilation * words,   \
               t0, t1, r0, r1, A, R, NV)
    /* the taps that fall into the window, [t0, t1) of the first row and [u0, u1) of the last */
    const int64_t apart = (R - 1) * s->stride;
    const int64_t t0 = delta_tap(s, x.low - reads), t1 = delta_tap(s, x.high - reads);
    const int64_t u0 = delta_tap(s, x.low - reads - apart);
    const int64_t u1 = delta_tap(s, x.high - reads - apart);
    if (R == 2) {
        TAPS(u0, delta_min(t0, u1), 1, 2);
        TAPS(t0, u1, 0, 2);
        TAPS(delta_max(t0, u1), t1, 0, 1);
    } else if (x.high > x.low) /* rows without a tap meet the zeros of the guard */
        TAPS(u0, t1, 0, R);
#undef TAPS
    const float *z = NAME(before)(q, s, site);
    const NAME(window) y = s->y < 0 ? (NAME(window)){0} : NAME(window_of)(q, s->y, site);
    const int64_t activation = s->activation, late = s->late;
    const int leaves = q->outs[s - q->steps] != 0;
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
        uint64_t changed = 0;
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            const int64_t c = k.first + v * LANES;
            NAME(bend) bend = {0};
            if (z) bend = NAME(bend_at)(s, z + (o + r) * to.channels, c);
#pragma GCC unroll 3
            for (int a = 0; a < A; a++) {
                VEC d = sums[a * R + r][v];
                if (s->y >= 0 && !late) d = ADD(d, NAME(at)(y, a, o + r, c));
                if (z) d = NAME(bent)(bend, d, activation);
                if (s->y >= 0 && late) d = ADD(d, NAME(at)(y, a, o + r, c));
                WRITE(NAME(cell)(to, a, o + r, c), d);
                if (leaves) STORE(delta_leaving(q, s, site, a, o + r) + c, d);
                changed |= CHANGED(d) << (v * LANES);
            }
        }
        delta_mask(q, s->out, site, o + r)[k.first / 64] |= changed << (k.first % 64);
    }
}

/* all rows of one site's window: as many at once as 6 lines of accumulators allow, then fewer */
FN void NAME(conv_site)(const delta_run_t *q, const delta_step_t *s, int64_t site,
                        NAME(columns) k, const int A, const int NV) {
    int64_t o = delta_low(q, s->out)[site], high = delta_high(q, s->out)[site];
    for (; o + 6 / A <= high; o += 6 / A) NAME(conv_rows)(q, s, site, o, k, A, 6 / A, NV);
    if (A == 1)
        for (; o + 3 <= high; o += 3) NAME(conv_rows)(q, s, site, o, k, A, 3, NV);
    for (; o < high; o++) NAME(conv_rows)(q, s, site, o, k, A, 1, NV);
}

#define CONV_SITES(A, NV)                                                                \
    AT void NAME(conv_sites_##A##_##NV)(const delta_run_t *q, const delta_step_t *s,     \
                                        int64_t sites, NAME(columns) k) {                \
        for (int64_t i = 0; i < sites; i++) NAME(conv_site)(q, s, i, k, A, NV);          \
    }
CONV_SITES(1, 1) CONV_SITES(1, 2) CONV_SITES(2, 1) CONV_SITES(2, 2) CONV_SITES(3, 1)
CONV_SITES(3, 2)
#if WIDEST == 4
CONV_SITES(1, 3) CONV_SITES(1, 4) CONV_SITES(2, 3) CONV_SITES(2, 4) CONV_SITES(3, 3)
CONV_SITES(3, 4)
#define WIDE(A) , NAME(conv_sites_##A##_3), NAME(conv_sites_##A##_4)
#else
#define WIDE(A)
#endif

AT void NAME(conv)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    static void (*const table[3][WIDEST])(const delta_run_t *, const delta_step_t *, int64_t,
                                          NAME(columns)) = {
        {NAME(conv_sites_1_1), NAME(conv_sites_1_2) WIDE(1)},
        {NAME(conv_sites_2_1), NAME(conv_sites_2_2) WIDE(2)},
        {NAME(conv_sites_3_1), NAME(conv_sites_3_2) WIDE(3)},
    };
    const ELEMENT *block = s->weight;
    for (int64_t first = 0; first < s->channels; first += DELTA_BLOCK) {
        NAME(columns) k = {block, first, delta_min(DELTA_BLOCK, s->channels - first), 0,
                           s->channels_in};
        if (s->diagonal) k.from = first, k.reads = k.pitch;
        block += s->kernel * k.reads * k.pitch;
        for (int64_t left = k.pitch / LANES, vectors; left > 0; left -= vectors) {
            vectors = delta_min(WIDEST, left);
            table[q->alternatives - 1][vectors - 1](q, s, sites, k);
            k.first += vectors * LANES, k.weights += vectors * LANES * PAIR;
        }
    }
}
#undef CONV_SITES
#undef WIDE

/* for every row o and vector of channels c that a step answers, in all alternatives a: D is what
   changes before the activation, FIRST runs once a row */
#define EACH_ROW(q, s, i, FIRST, D)                                                      \
    do {                                                                                 \
        const NAME(window) to = NAME(window_of)(q, s->out, i);                           \
        const int64_t alternatives = q->alternatives, activation = s->activation;        \
        const float *z = NAME(before)(q, s, i);                                          \
        const int leaves = q->outs[s - q->steps] != 0;                                   \
        for (int64_t o = to.low; o < to.high; o++) {                                     \
            uint64_t *bits = delta_mask(q, s->out, i, o);                                \
            FIRST;                                                                       \
            for (int64_t c = 0; c < to.channels; c += LANES) {                           \
                uint64_t changed = 0;                                                    \
                NAME(bend) bend = {0};                                                   \
                if (z) bend = NAME(bend_at)(s, z + o * to.channels, c);                  \
                for (int64_t a = 0; a < alternatives; a++) {                             \
                    VEC d = D;                                                           \
                    if (z) d = NAME(bent)(bend, d, activation);                          \
                    WRITE(NAME(cell)(to, a, o, c), d);                                   \
                    if (leaves) STORE(delta_leaving(q, s, i, a, o) + c, d);              \
                    changed |= CHANGED(d);                                               \
                }                                                                        \
                bits[c / 64] |= changed << (c % 64);                                     \
            }                                                                            \
        }                                                                                \
    } while (0)

/* the row of the table that base j of a site adds to result o, null if none */
FN const float *NAME(stem_row)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t a,
                               int64_t o, int64_t j) {
    int64_t place = q->start[site] + j, tap = place + s->before - o * s->stride;
    if (tap < 0 || tap % s->dilation || tap / s->dilation >= s->kernel) return 0;
    int64_t was = q->codes[q->row[site] * q->bases + place];
    int64_t is = q->inserted[(site * q->alternatives + a) * q->length + j];
    if (was == is) return 0;
    return (const float *)s->weight +
           ((was * 5 + is) * s->kernel + tap / s->dilation) * s->channels;
}

/* `first`, and what bases [more, end) add to it */
FN VEC NAME(stem_sum)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t a,
                      int64_t o, int64_t c, const float *first, int64_t more, int64_t end) {
    VEC sum = first ? LOAD(first + c) : SET(0.f);
    for (int64_t j = more; j < end; j++) {
        const float *row = NAME(stem_row)(q, s, site, a, o, j);
        if (row) sum = ADD(sum, LOAD(row + c));
    }
    return sum;
}

AT void NAME(stem)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const int64_t reach = (s->kernel - 1) * s->dilation + 1;
    const float *first[3];
    int64_t begin, end; /* the bases under the taps of a row */
    EACH_ROW(q, s, site,
             begin = o * s->stride - s->before - q->start[site];
             end = delta_min(begin + reach, q->length); begin = delta_max(begin, 0);
             for (int a = 0; a < alternatives; a++)
                 first[a] = NAME(stem_row)(q, s, site, a, o, begin),
             NAME(stem_sum)(q, s, site, a, o, c, first[a], begin + 1, end));
}

AT void NAME(activate)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const NAME(window) x = NAME(window_of)(q, s->x, site);
    const int64_t before = s->before;
    EACH_ROW(q, s, site, , NAME(at)(x, a, o - before, c));
}

AT void NAME(add)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const NAME(window) x = NAME(window_of)(q, s->x, site), y = NAME(window_of)(q, s->y, site);
    EACH_ROW(q, s, site, , ADD(NAME(at)(x, a, o, c), NAME(at)(y, a, o, c)));
}

AT void NAME(concat)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const NAME(window) x = NAME(window_of)(q, s->x, site), y = NAME(window_of)(q, s->y, site);
    EACH_ROW(q, s, site, , c < x.channels ? NAME(at)(x, a, o, c)
                                        : NAME(at)(y, a, o, c - x.channels));
}

/* the largest of rows [first, last) of the reference `seen` with its changes */
FN VEC NAME(top)(NAME(window) x, const float *seen, int64_t first, int64_t last, int64_t a,
                 int64_t c) {
    VEC top = SET(-__builtin_inff());
    for (int64_t r = first; r < last; r++)
        top = MAX(top, ADD(LOAD(seen + r * x.channels + c), NAME(at)(x, a, r, c)));
    return top;
}

AT void NAME(max_pool)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    const float *seen = delta_seen(q, ref->a, ref->next_a, site);
    const float *best = delta_seen(q, ref->b, ref->next_b, site);
    const NAME(window) x = NAME(window_of)(q, s->x, site);
    const int64_t stride = s->stride, before = s->before, kernel = s->kernel, end = s->length_in;
    EACH_ROW(q, s, site, ,
             SUB(NAME(top)(x, seen, delta_max(o * stride - before, 0),
                           delta_min(o * stride - before + kernel, end), a, c),
                 LOAD(best + o * x.channels + c)));
}

AT void NAME(global_max)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    const float *seen = delta_seen(q, ref->a, ref->next_a, site);
    const float *prefix = delta_seen(q, ref->b, ref->next_b, site);
    const float *suffix = delta_seen(q, ref->c, ref->next_c, site);
    const NAME(window) x = NAME(window_of)(q, s->x, site);
    const float *before = prefix + x.low * x.channels, *behind = suffix + x.high * x.channels;
    EACH_ROW(q, s, site, ,
             SUB(MAX(NAME(top)(x, seen, x.low, x.high, a, c),
                     MAX(LOAD(before + c), LOAD(behind + c))), LOAD(suffix + c)));
}

/* the sum of what changes in rows [first, last) */
FN VEC NAME(sum)(NAME(window) x, int64_t first, int64_t last, int64_t a, int64_t c) {
    VEC sum = SET(0.f);
    first = delta_max(first, x.low), last = delta_min(last, x.high);
    for (int64_t r = first; r < last; r++) sum = ADD(sum, READ(NAME(cell)(x, a, r, c)));
    return sum;
}

AT void NAME(mean_pool)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const float *share = q->references[s - q->steps].a;
    const NAME(window) x = NAME(window_of)(q, s->x, site);
    const int64_t stride = s->stride, before = s->before, kernel = s->kernel;
    EACH_ROW(q, s, site, ,
             MUL(NAME(sum)(x, o * stride - before, o * stride - before + kernel, a, c),
                 SET(share[o])));
}

FN void NAME(rows)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    switch (s->kind) {
        case DELTA_STEM: NAME(stem)(q, s, site); break;
        case DELTA_ADD: NAME(add)(q, s, site); break;
        case DELTA_CONCAT: NAME(concat)(q, s, site); break;
        case DELTA_MAX_POOL: NAME(max_pool)(q, s, site); break;
        case DELTA_MEAN_POOL: NAME(mean_pool)(q, s, site); break;
        case DELTA_GLOBAL_MAX: NAME(global_max)(q, s, site); break;
        default: NAME(activate)(q, s, site);
    }
}

AT void NAME(delta_run)(const delta_run_t *whole) {
    delta_run_t part = *whole;
    const delta_run_t *q = &part;
    for (; part.done < whole->n_sites; part.done += q->chunk) {
        const int64_t sites = delta_min(q->chunk, q->n_sites - q->done);
        part.row = whole->row + q->done, part.start = whole->start + q->done;
        part.inserted = whole->inserted + q->done * q->alternatives * q->length;
        for (const delta_step_t *s = q->steps; s < q->steps + q->n_steps; s++) {
            delta_ranges(q, s, sites);
            delta_clear(q, s->out, sites, sizeof(ELEMENT));
            if (s->kind == DELTA_CONV) NAME(conv)(q, s, sites);
            else
                for (int64_t i = 0; i < sites; i++) NAME(rows)(q, s, i);
        }
    }
}

#undef EACH_ROW
#undef NAME
#undef CHANGED
#undef ELEMENT
#undef PAIR
#undef DOT
#undef SPREAD
#undef READ
#undef WRITE
