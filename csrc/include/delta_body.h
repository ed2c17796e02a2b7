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

/* act(z + d) - act(z); for straight pieces without the rounding of z + d where z keeps its side */
FN VEC NAME(around)(VEC z, VEC d, int64_t activation, VEC slope) {
    if (activation == DELTA_NONE) return d;
    if (activation == DELTA_RELU || activation == DELTA_SLOPE) {
        VEC zero = SET(0.f), above = MAX(ADD(d, MIN(z, zero)), SUB(zero, MAX(z, zero)));
        return activation == DELTA_RELU ? above : FMA(slope, SUB(d, above), above);
    }
    return SUB(NAME(curve)(ADD(z, d), activation, slope), NAME(curve)(z, activation, slope));
}

FN VEC NAME(slope_at)(const delta_step_t *s, int64_t c) {
    return s->slope ? LOAD(s->slope + c) : SET(0.f);
}

/* acc += weights[t0..t1) on R rows of A alternatives, `lane` floats apart; `pitch` is the width of a
   block of weights, of which NV vectors are read */
FN void NAME(tile)(VEC *acc, const ELEMENT *x, int64_t lane, int64_t row, int64_t tap,
                   const ELEMENT *w, int64_t taps, int64_t channels, int64_t pitch,
                   const uint64_t *mask, int64_t mask_row, int64_t mask_tap,
                   const int A, const int R, const int NV) {
    const int64_t words = (channels + 63) / 64;
    VEC sums[6][4];
#pragma GCC unroll 6
    for (int j = 0; j < A * R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[j][v] = SET(0.f);
    for (int64_t t = 0; t < taps; t++) {
        const ELEMENT *lines[6];
#pragma GCC unroll 6
        for (int j = 0; j < A * R; j++) lines[j] = x + t * tap + (j / R) * lane + (j % R) * row;
        const ELEMENT *wt = w + t * channels * pitch;
        for (int64_t word = 0; word < words; word++) {
            int64_t here = channels - word * 64 < 64 ? channels - word * 64 : 64;
            uint64_t all = here == 64 ? ~0ull : (1ull << here) - 1, bits = 0;
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) bits |= mask[t * mask_tap + r * mask_row + word];
#if PAIR == 2
            bits = (bits | bits >> 1) & 0x5555555555555555ull, all &= 0x5555555555555555ull;
#endif
#define ONE_CHANNEL(ci)                                                                  \
    do {                                                                                 \
        const int64_t at = word * 64 + (ci);                                             \
        VEC weights[4];                                                                  \
        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                             \
            weights[v] = LOAD((const void *)(wt + at * pitch + v * LANES * PAIR));       \
        _Pragma("GCC unroll 6") for (int j = 0; j < A * R; j++) {                        \
            VEC d = SPREAD(lines[j] + at);                                               \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                         \
                sums[j][v] = DOT(d, weights[v], sums[j][v]);                             \
        }                                                                                \
    } while (0)
            if (bits == all)
                for (int64_t ci = 0; ci < here; ci += PAIR) ONE_CHANNEL(ci);
            else
                for (; bits; bits &= bits - 1) ONE_CHANNEL(__builtin_ctzll(bits));
#undef ONE_CHANNEL
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < A * R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) acc[j * NV + v] = sums[j][v];
}

/* the reference's map before the activation of a step, null where it ends in none */
FN const float *NAME(before)(const delta_run_t *q, const delta_step_t *s, int64_t site) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    return s->activation == DELTA_NONE ? 0 : delta_seen(q, ref->a, ref->next_a, site);
}

/* R rows of a convolution from row o, NV vectors of channels from channel c */
FN void NAME(conv_rows)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t o,
                        int64_t c, const ELEMENT *w, int64_t pitch, int64_t from, int64_t reads,
                        const int A, const int R, const int NV) {
    const delta_value_t *in = q->values + s->x;
    const int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    const int64_t first = o * s->stride - s->before, words = delta_words(in);
    int64_t t0 = low - first - (R - 1) * s->stride, t1 = high - first;
    if (s->dilation > 1) t0 = delta_ceil(t0, s->dilation), t1 = delta_ceil(t1, s->dilation);
    t0 = delta_max(t0, 0), t1 = delta_min(t1, high > low ? s->kernel : 0);
    VEC acc[24];
    if (t1 > t0)
        NAME(tile)(acc, NAME(row)(q, s->x, site, 0, first + t0 * s->dilation) + from,
                   in->rows * in->channels, s->stride * in->channels, s->dilation * in->channels,
                   w + t0 * reads * pitch, t1 - t0, reads, pitch,
                   delta_mask(q, s->x, site, first + t0 * s->dilation) + from / 64,
                   s->stride * words, s->dilation * words, A, R, NV);
    else
#pragma GCC unroll 24
        for (int j = 0; j < A * R * NV; j++) acc[j] = SET(0.f);
    const float *z = NAME(before)(q, s, site);
    int64_t skip_low = 0, skip_high = 0;
    if (s->y >= 0) skip_low = delta_low(q, s->y)[site], skip_high = delta_high(q, s->y)[site];
    uint64_t *bits = delta_mask(q, s->out, site, o) + c / 64;
    const int64_t out_words = (s->channels + 63) / 64;
#pragma GCC unroll 6
    for (int j = 0; j < A * R; j++) {
        const int64_t r = o + j % R;
        ELEMENT *out = NAME(row)(q, s->out, site, j / R, r) + c;
        const ELEMENT *skip = r >= skip_low && r < skip_high
                                  ? NAME(row)(q, s->y, site, j / R, r) + c : 0;
        uint64_t changed = 0;
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            VEC d = acc[j * NV + v];
            if (skip) d = ADD(d, READ(skip + v * LANES));
            if (s->activation != DELTA_NONE)
                d = NAME(around)(LOAD(z + r * s->channels + c + v * LANES), d, s->activation,
                                 NAME(slope_at)(s, c + v * LANES));
            WRITE(out + v * LANES, d);
            changed |= CHANGED(d) << (v * LANES);
        }
        bits[(j % R) * out_words] |= changed << (c % 64);
    }
}

/* all rows of one site's window: as many at once as 6 lines of accumulators allow, then fewer */
FN void NAME(conv_site)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t c,
                        const ELEMENT *w, int64_t pitch, int64_t from, int64_t reads,
                        const int A, const int NV) {
    int64_t o = delta_low(q, s->out)[site], high = delta_high(q, s->out)[site];
    for (; o + 6 / A <= high; o += 6 / A)
        NAME(conv_rows)(q, s, site, o, c, w, pitch, from, reads, A, 6 / A, NV);
    if (A == 1)
        for (; o + 3 <= high; o += 3)
            NAME(conv_rows)(q, s, site, o, c, w, pitch, from, reads, A, 3, NV);
    for (; o < high; o++) NAME(conv_rows)(q, s, site, o, c, w, pitch, from, reads, A, 1, NV);
}

#define CONV_SITES(A, NV)                                                                \
    AT void NAME(conv_sites_##A##_##NV)(const delta_run_t *q, const delta_step_t *s,     \
                                        int64_t sites, int64_t c, const ELEMENT *w,      \
                                        int64_t pitch, int64_t from, int64_t reads) {    \
        for (int64_t i = 0; i < sites; i++)                                              \
            NAME(conv_site)(q, s, i, c, w, pitch, from, reads, A, NV);                   \
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
                                          int64_t, const ELEMENT *, int64_t, int64_t,
                                          int64_t) = {
        {NAME(conv_sites_1_1), NAME(conv_sites_1_2) WIDE(1)},
        {NAME(conv_sites_2_1), NAME(conv_sites_2_2) WIDE(2)},
        {NAME(conv_sites_3_1), NAME(conv_sites_3_2) WIDE(3)},
    };
    for (int64_t block = 0; block < s->channels; block += DELTA_BLOCK) {
        int64_t pitch = delta_min(DELTA_BLOCK, s->channels - block);
        int64_t from = s->diagonal ? block : 0, reads = s->diagonal ? pitch : s->channels_in;
        const ELEMENT *w = (const ELEMENT *)s->weight +
                           block * s->kernel * (s->diagonal ? DELTA_BLOCK : reads);
        for (int64_t c = 0; c < pitch;) {
            int64_t vectors = delta_min(WIDEST, (pitch - c) / LANES);
            table[q->alternatives - 1][vectors - 1](q, s, sites, block + c, w + c * PAIR, pitch,
                                                    from, reads);
            c += vectors * LANES;
        }
    }
}
#undef CONV_SITES
#undef WIDE

/* out[c] = act(z + d) - act(z), or the sum itself where nothing ends the step */
FN void NAME(finish)(const delta_step_t *s, const float *z, VEC d, int64_t c, ELEMENT *out,
                     uint64_t *bits) {
    if (s->activation != DELTA_NONE)
        d = NAME(around)(LOAD(z + c), d, s->activation, NAME(slope_at)(s, c));
    WRITE(out + c, d);
    bits[c / 64] |= CHANGED(d) << (c % 64);
}

/* what a row holds from channel c on; null is a row of zeros */
FN VEC NAME(at)(const ELEMENT *row, int64_t c) { return row ? READ(row + c) : SET(0.f); }

/* the row of the table that base j of a site adds to result o, null if none */
FN const float *NAME(stem_tap)(const delta_run_t *q, const delta_step_t *s, int64_t site,
                               int64_t alt, int64_t j, int64_t o) {
    int64_t place = q->start[site] + j, tap = place + s->before - o * s->stride;
    if (tap < 0 || tap % s->dilation || tap / s->dilation >= s->kernel) return 0;
    int64_t was = q->codes[q->row[site] * q->bases + place];
    int64_t is = q->inserted[(site * q->alternatives + alt) * q->length + j];
    if (was == is) return 0;
    return (const float *)s->weight +
           ((was * 5 + is) * s->kernel + tap / s->dilation) * s->channels;
}

AT void NAME(stem)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++) {
        const float *z = NAME(before)(q, s, i);
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++) {
            int64_t first = o * s->stride - s->before - q->start[i];
            int64_t last = delta_min(first + (s->kernel - 1) * s->dilation + 1, q->length);
            first = delta_max(first, 0);
            for (int64_t a = 0; a < q->alternatives; a++) {
                ELEMENT *out = NAME(row)(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                const float *seen = z ? z + o * s->channels : 0;
                const float *tap = NAME(stem_tap)(q, s, i, a, first, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    VEC d = tap ? LOAD(tap + c) : SET(0.f);
                    for (int64_t j = first + 1; j < last; j++) {
                        const float *more = NAME(stem_tap)(q, s, i, a, j, o);
                        if (more) d = ADD(d, LOAD(more + c));
                    }
                    NAME(finish)(s, seen, d, c, out, bits);
                }
            }
        }
    }
}

/* the row of a value that holds result o, null outside its window */
FN const ELEMENT *NAME(row_at)(const delta_run_t *q, int64_t value, int64_t site, int64_t alt,
                               int64_t row) {
    if (row < delta_low(q, value)[site] || row >= delta_high(q, value)[site]) return 0;
    return NAME(row)(q, value, site, alt, row);
}

AT void NAME(activate)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++) {
        const float *z = NAME(before)(q, s, i);
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                const ELEMENT *x = NAME(row_at)(q, s->x, i, a, o - s->before);
                for (int64_t c = 0; c < s->channels; c += LANES)
                    NAME(finish)(s, z ? z + o * s->channels : 0, NAME(at)(x, c), c,
                                 NAME(row)(q, s->out, i, a, o), delta_mask(q, s->out, i, o));
            }
    }
}

AT void NAME(add)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++)
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                const ELEMENT *x = NAME(row_at)(q, s->x, i, a, o);
                const ELEMENT *y = NAME(row_at)(q, s->y, i, a, o);
                for (int64_t c = 0; c < s->channels; c += LANES)
                    NAME(finish)(s, 0, ADD(NAME(at)(x, c), NAME(at)(y, c)), c,
                                 NAME(row)(q, s->out, i, a, o), delta_mask(q, s->out, i, o));
            }
}

AT void NAME(concat)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++)
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                const ELEMENT *x = NAME(row_at)(q, s->x, i, a, o);
                const ELEMENT *y = NAME(row_at)(q, s->y, i, a, o);
                for (int64_t c = 0; c < s->channels; c += LANES)
                    NAME(finish)(s, 0, c < s->channels_in ? NAME(at)(x, c)
                                                          : NAME(at)(y, c - s->channels_in),
                                 c, NAME(row)(q, s->out, i, a, o), delta_mask(q, s->out, i, o));
            }
}

AT void NAME(max_pool)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    for (int64_t i = 0; i < sites; i++) {
        const float *seen = delta_seen(q, ref->a, ref->next_a, i);
        const float *best = delta_seen(q, ref->b, ref->next_b, i);
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++) {
            int64_t first = o * s->stride - s->before, last = first + s->kernel;
            first = delta_max(first, 0), last = delta_min(last, s->length_in);
            for (int64_t a = 0; a < q->alternatives; a++) {
                ELEMENT *out = NAME(row)(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    VEC top = SET(-__builtin_inff());
                    for (int64_t r = first; r < last; r++) {
                        const ELEMENT *d = NAME(row_at)(q, s->x, i, a, r);
                        VEC x = LOAD(seen + r * s->channels + c);
                        top = MAX(top, d ? ADD(x, READ(d + c)) : x);
                    }
                    NAME(finish)(s, 0, SUB(top, LOAD(best + o * s->channels + c)), c, out, bits);
                }
            }
        }
    }
}

AT void NAME(mean_pool)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    const float *share = q->references[s - q->steps].a;
    for (int64_t i = 0; i < sites; i++)
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++) {
            int64_t first = o * s->stride - s->before;
            for (int64_t a = 0; a < q->alternatives; a++) {
                ELEMENT *out = NAME(row)(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    VEC sum = SET(0.f);
                    for (int64_t r = first; r < first + s->kernel; r++)
                        sum = ADD(sum, NAME(at)(NAME(row_at)(q, s->x, i, a, r), c));
                    NAME(finish)(s, 0, MUL(sum, SET(share[o])), c, out, bits);
                }
            }
        }
}

/* max(window, best before it, best behind it) - best of all; prefix and suffix have length + 1 rows */
AT void NAME(global_max)(const delta_run_t *q, const delta_step_t *s, int64_t site, float *out) {
    const delta_reference_t *ref = q->references + (s - q->steps);
    const float *seen = delta_seen(q, ref->a, ref->next_a, site);
    const float *prefix = delta_seen(q, ref->b, ref->next_b, site);
    const float *suffix = delta_seen(q, ref->c, ref->next_c, site);
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    for (int64_t a = 0; a < q->alternatives; a++)
        for (int64_t c = 0; c < s->channels; c += LANES) {
            VEC top = MAX(LOAD(prefix + low * s->channels + c), LOAD(suffix + high * s->channels + c));
            for (int64_t r = low; r < high; r++)
                top = MAX(top, ADD(LOAD(seen + r * s->channels + c),
                                   READ(NAME(row)(q, s->x, site, a, r) + c)));
            STORE(out + a * s->channels + c, SUB(top, LOAD(suffix + c)));
        }
}

AT void NAME(global_mean)(const delta_run_t *q, const delta_step_t *s, int64_t site, float *out) {
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    for (int64_t a = 0; a < q->alternatives; a++)
        for (int64_t c = 0; c < s->channels; c += LANES) {
            VEC sum = SET(0.f);
            for (int64_t r = low; r < high; r++)
                sum = ADD(sum, READ(NAME(row)(q, s->x, site, a, r) + c));
            STORE(out + a * s->channels + c, MUL(sum, SET(1.f / s->length_in)));
        }
}

/* the linear layer of the changed rows: rows are the taps of one result, A lanes at once */
FN void NAME(flat_lanes)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t alt,
                         const ELEMENT *w, int64_t pitch, float *out, const int A, const int NV) {
    const delta_value_t *in = q->values + s->x;
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    VEC acc[24];
    NAME(tile)(acc, NAME(row)(q, s->x, site, alt, low), in->rows * in->channels, 0, in->channels,
               w + low * in->channels * pitch, high - low, in->channels, pitch,
               delta_mask(q, s->x, site, low), 0, delta_words(in), A, 1, NV);
#pragma GCC unroll 6
    for (int j = 0; j < A; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) STORE(out + j * s->channels + v * LANES, acc[j * NV + v]);
}

FN void NAME(flat_site)(const delta_run_t *q, const delta_step_t *s, int64_t site,
                        const ELEMENT *w, int64_t pitch, float *out, const int NV) {
    int64_t left = q->alternatives, alt = 0;
    if (left == 3) { NAME(flat_lanes)(q, s, site, 0, w, pitch, out, 3, NV); return; }
    for (; left >= 2; left -= 2, alt += 2)
        NAME(flat_lanes)(q, s, site, alt, w, pitch, out + alt * s->channels, 2, NV);
    if (left) NAME(flat_lanes)(q, s, site, alt, w, pitch, out + alt * s->channels, 1, NV);
}

AT void NAME(flat)(const delta_run_t *q, const delta_step_t *s, int64_t sites, float *out) {
    for (int64_t block = 0; block < s->channels; block += DELTA_BLOCK) {
        int64_t pitch = delta_min(DELTA_BLOCK, s->channels - block);
        const ELEMENT *w = (const ELEMENT *)s->weight + block * s->length_in * s->channels_in;
        for (int64_t i = 0; i < sites; i++)
            for (int64_t c = 0; c < pitch;) {
                float *to = out + i * q->alternatives * s->channels + block + c;
                if ((pitch - c) / LANES >= WIDEST) {
                    NAME(flat_site)(q, s, i, w + c * PAIR, pitch, to, WIDEST);
                    c += WIDEST * LANES;
                } else {
                    NAME(flat_site)(q, s, i, w + c * PAIR, pitch, to, 1);
                    c += LANES;
                }
            }
    }
}

/* a window into a whole map that was zero */
AT void NAME(map)(const delta_run_t *q, const delta_step_t *s, int64_t site, float *out) {
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    for (int64_t a = 0; a < q->alternatives; a++) {
        const ELEMENT *d = NAME(row)(q, s->x, site, a, low);
        float *to = out + (a * s->length_in + low) * s->channels;
        for (int64_t c = 0; c < (high - low) * s->channels; c += LANES) STORE(to + c, READ(d + c));
    }
}

AT void NAME(delta_run)(const delta_run_t *whole) {
    delta_run_t part = *whole;
    const delta_run_t *q = &part;
    for (int64_t base = 0; base < q->n_sites; base += q->chunk) {
        int64_t sites = delta_min(q->chunk, q->n_sites - base);
        part.row = whole->row + base, part.start = whole->start + base;
        part.inserted = whole->inserted + base * q->alternatives * q->length;
        for (const delta_step_t *s = q->steps; s < q->steps + q->n_steps; s++) {
            float *out = q->outs[s - q->steps];
            if (out) {
                int64_t size = s->channels * (s->kind == DELTA_MAP ? s->length_in : 1);
                out += base * q->alternatives * size;
                if (s->kind == DELTA_FLAT) NAME(flat)(q, s, sites, out);
                else
                    for (int64_t i = 0; i < sites; i++, out += q->alternatives * size)
                        if (s->kind == DELTA_GLOBAL_MAX) NAME(global_max)(q, s, i, out);
                        else if (s->kind == DELTA_GLOBAL_MEAN) NAME(global_mean)(q, s, i, out);
                        else NAME(map)(q, s, i, out);
                continue;
            }
            delta_ranges(q, s, sites);
            delta_clear(q, s->out, sites, sizeof(ELEMENT));
            switch (s->kind) {
                case DELTA_STEM: NAME(stem)(q, s, sites); break;
                case DELTA_CONV: NAME(conv)(q, s, sites); break;
                case DELTA_ADD: NAME(add)(q, s, sites); break;
                case DELTA_CONCAT: NAME(concat)(q, s, sites); break;
                case DELTA_MAX_POOL: NAME(max_pool)(q, s, sites); break;
                case DELTA_MEAN_POOL: NAME(mean_pool)(q, s, sites); break;
                default: NAME(activate)(q, s, sites);
            }
        }
    }
}

#undef NAME
#undef CHANGED
#undef ELEMENT
#undef PAIR
#undef DOT
#undef SPREAD
#undef READ
#undef WRITE
