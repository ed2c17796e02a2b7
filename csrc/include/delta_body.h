/* The steps of delta.h for one instruction set; included once for each, with its vectors as macros. */

#include "lanes_exp.h"

/* the activations that take an exponential; a call, since it would stand in every unrolled row */
AT __attribute__((noinline)) VEC NAME(curve)(VEC x, int64_t activation, VEC slope) {
    VEC zero = SET(0.f), one = SET(1.f);
    if (activation == DELTA_ELU)
        return FMA(slope, SUB(NAME(lanes_exp)(MIN(x, zero)), one), MAX(x, zero));
    if (activation == DELTA_TANH)
        return SUB(DIV(SET(2.f), ADD(one, NAME(lanes_exp)(MUL(SET(-2.f), x)))), one);
    VEC rest = ADD(one, NAME(lanes_exp)(SUB(zero, x)));
    return DIV(activation == DELTA_SILU ? x : one, rest);
}

/* max(x, 0) + slope * min(x, 0): one summand is zero, so no rounding is added */
FN VEC NAME(act)(VEC x, int64_t activation, VEC slope) {
    VEC zero = SET(0.f);
    if (activation == DELTA_RELU) return MAX(x, zero);
    if (activation == DELTA_SLOPE) return FMA(slope, MIN(x, zero), MAX(x, zero));
    return NAME(curve)(x, activation, slope);
}

/* act(z + d) - act(z) */
FN VEC NAME(around)(VEC z, VEC d, int64_t activation, VEC slope) {
    if (activation == DELTA_NONE) return d;
    return SUB(NAME(act)(ADD(z, d), activation, slope), NAME(act)(z, activation, slope));
}

FN VEC NAME(slope_at)(const delta_step_t *s, int64_t c) {
    return s->slope ? LOAD(s->slope + c) : SET(0.f);
}

/* acc += weights[t0..t1) on R rows of A alternatives, `lane` floats apart; `pitch` is the width of a
   block of weights, of which NV vectors are read */
FN void NAME(tile)(VEC *acc, const float *x, int64_t lane, int64_t row, int64_t tap,
                   const float *w, int64_t taps, int64_t channels, int64_t pitch,
                   const uint64_t *mask, int64_t mask_row, int64_t mask_tap,
                   const int A, const int R, const int NV) {
    const int64_t words = (channels + 63) / 64;
    VEC sums[6][4];
#pragma GCC unroll 6
    for (int j = 0; j < A * R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[j][v] = SET(0.f);
    for (int64_t t = 0; t < taps; t++) {
        const float *lines[6];
#pragma GCC unroll 6
        for (int j = 0; j < A * R; j++) lines[j] = x + t * tap + (j / R) * lane + (j % R) * row;
        const float *wt = w + t * channels * pitch;
        for (int64_t word = 0; word < words; word++) {
            int64_t here = channels - word * 64 < 64 ? channels - word * 64 : 64;
            uint64_t all = here == 64 ? ~0ull : (1ull << here) - 1, bits = 0;
#pragma GCC unroll 6
            for (int r = 0; r < R; r++) bits |= mask[t * mask_tap + r * mask_row + word];
#define ONE_CHANNEL(ci)                                                                  \
    do {                                                                                 \
        const int64_t at = word * 64 + (ci);                                             \
        VEC weights[4];                                                                  \
        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                             \
            weights[v] = LOAD(wt + at * pitch + v * LANES);                              \
        _Pragma("GCC unroll 6") for (int j = 0; j < A * R; j++) {                        \
            VEC d = SET(lines[j][at]);                                                   \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                         \
                sums[j][v] = FMA(d, weights[v], sums[j][v]);                             \
        }                                                                                \
    } while (0)
            if (bits == all)
                for (int64_t ci = 0; ci < here; ci++) ONE_CHANNEL(ci);
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
                        int64_t c, const float *w, int64_t pitch,
                        const int A, const int R, const int NV) {
    const delta_value_t *in = q->values + s->x;
    const int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    const int64_t first = o * s->stride - s->before, words = delta_words(in);
    int64_t t0 = low - first - (R - 1) * s->stride, t1 = high - first;
    if (s->dilation > 1) t0 = delta_ceil(t0, s->dilation), t1 = delta_ceil(t1, s->dilation);
    t0 = delta_max(t0, 0), t1 = delta_min(t1, high > low ? s->kernel : 0);
    VEC acc[24];
    if (t1 > t0)
        NAME(tile)(acc, delta_row(q, s->x, site, 0, first + t0 * s->dilation),
                   in->rows * in->channels, s->stride * in->channels, s->dilation * in->channels,
                   w + t0 * in->channels * pitch, t1 - t0, in->channels, pitch,
                   delta_mask(q, s->x, site, first + t0 * s->dilation), s->stride * words,
                   s->dilation * words, A, R, NV);
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
        float *out = delta_row(q, s->out, site, j / R, r) + c;
        const float *skip = r >= skip_low && r < skip_high
                                ? delta_row(q, s->y, site, j / R, r) + c : 0;
        uint64_t changed = 0;
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            VEC d = acc[j * NV + v];
            if (skip) d = ADD(d, LOAD(skip + v * LANES));
            if (s->activation != DELTA_NONE)
                d = NAME(around)(LOAD(z + r * s->channels + c + v * LANES), d, s->activation,
                                 NAME(slope_at)(s, c + v * LANES));
            STORE(out + v * LANES, d);
            changed |= CHANGED(d) << (v * LANES);
        }
        bits[(j % R) * out_words] |= changed << (c % 64);
    }
}

/* all rows of one site's window: as many at once as 6 lines of accumulators allow, then fewer */
FN void NAME(conv_site)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t c,
                        const float *w, int64_t pitch, const int A, const int NV) {
    int64_t o = delta_low(q, s->out)[site], high = delta_high(q, s->out)[site];
    for (; o + 6 / A <= high; o += 6 / A)
        NAME(conv_rows)(q, s, site, o, c, w, pitch, A, 6 / A, NV);
    if (A == 1)
        for (; o + 3 <= high; o += 3) NAME(conv_rows)(q, s, site, o, c, w, pitch, A, 3, NV);
    for (; o < high; o++) NAME(conv_rows)(q, s, site, o, c, w, pitch, A, 1, NV);
}

#define CONV_SITES(A, NV)                                                                \
    AT void NAME(conv_sites_##A##_##NV)(const delta_run_t *q, const delta_step_t *s,     \
                                        int64_t sites, int64_t c, const float *w,        \
                                        int64_t pitch) {                                 \
        for (int64_t i = 0; i < sites; i++)                                              \
            NAME(conv_site)(q, s, i, c, w, pitch, A, NV);                                \
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
                                          int64_t, const float *, int64_t) = {
        {NAME(conv_sites_1_1), NAME(conv_sites_1_2) WIDE(1)},
        {NAME(conv_sites_2_1), NAME(conv_sites_2_2) WIDE(2)},
        {NAME(conv_sites_3_1), NAME(conv_sites_3_2) WIDE(3)},
    };
    for (int64_t block = 0; block < s->channels; block += DELTA_BLOCK) {
        int64_t pitch = delta_min(DELTA_BLOCK, s->channels - block);
        const float *w = s->weight + block * s->kernel * s->channels_in;
        for (int64_t c = 0; c < pitch;) {
            int64_t vectors = delta_min(WIDEST, (pitch - c) / LANES);
            table[q->alternatives - 1][vectors - 1](q, s, sites, block + c, w + c, pitch);
            c += vectors * LANES;
        }
    }
}
#undef CONV_SITES
#undef WIDE

/* out = act(z + d) - act(z) over one row; `d` may be the row itself, or null for zeros */
FN void NAME(finish_row)(const delta_step_t *s, const float *z, const float *d, float *out,
                         uint64_t *bits) {
    for (int64_t c = 0; c < s->channels; c += LANES) {
        VEC x = d ? LOAD(d + c) : SET(0.f);
        if (s->activation != DELTA_NONE)
            x = NAME(around)(LOAD(z + c), x, s->activation, NAME(slope_at)(s, c));
        STORE(out + c, x);
        bits[c / 64] |= CHANGED(x) << (c % 64);
    }
}

/* the row of the table that base j of a site adds to result o, null if none */
FN const float *NAME(stem_tap)(const delta_run_t *q, const delta_step_t *s, int64_t site,
                               int64_t alt, int64_t j, int64_t o) {
    int64_t place = q->start[site] + j, tap = place + s->before - o * s->stride;
    if (tap < 0 || tap % s->dilation || tap / s->dilation >= s->kernel) return 0;
    int64_t was = q->codes[q->row[site] * q->bases + place];
    int64_t is = q->inserted[(site * q->alternatives + alt) * q->length + j];
    if (was == is) return 0;
    return s->weight + ((was * 5 + is) * s->kernel + tap / s->dilation) * s->channels;
}

AT void NAME(stem)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++) {
        const float *z = NAME(before)(q, s, i);
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                float *out = delta_row(q, s->out, i, a, o);
                const float *d = 0;
                for (int64_t j = 0; j < q->length; j++) {
                    const float *more = NAME(stem_tap)(q, s, i, a, j, o);
                    if (!more) continue;
                    if (d)
                        for (int64_t c = 0; c < s->channels; c += LANES)
                            STORE(out + c, ADD(LOAD(d + c), LOAD(more + c)));
                    d = d ? out : more;
                }
                NAME(finish_row)(s, z ? z + o * s->channels : 0, d, out,
                                 delta_mask(q, s->out, i, o));
            }
    }
}

/* the row of a value that holds result o, null outside its window */
FN const float *NAME(row_at)(const delta_run_t *q, int64_t value, int64_t site, int64_t alt,
                             int64_t row) {
    if (row < delta_low(q, value)[site] || row >= delta_high(q, value)[site]) return 0;
    return delta_row(q, value, site, alt, row);
}

AT void NAME(activate)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++) {
        const float *z = NAME(before)(q, s, i);
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++)
                NAME(finish_row)(s, z ? z + o * s->channels : 0,
                                 NAME(row_at)(q, s->x, i, a, o - s->before),
                                 delta_row(q, s->out, i, a, o), delta_mask(q, s->out, i, o));
    }
}

AT void NAME(add)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++)
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                const float *x = NAME(row_at)(q, s->x, i, a, o);
                const float *y = NAME(row_at)(q, s->y, i, a, o);
                float *out = delta_row(q, s->out, i, a, o);
                if (x && y)
                    for (int64_t c = 0; c < s->channels; c += LANES)
                        STORE(out + c, ADD(LOAD(x + c), LOAD(y + c)));
                NAME(finish_row)(s, 0, x && y ? out : x ? x : y, out, delta_mask(q, s->out, i, o));
            }
}

AT void NAME(concat)(const delta_run_t *q, const delta_step_t *s, int64_t sites) {
    for (int64_t i = 0; i < sites; i++)
        for (int64_t o = delta_low(q, s->out)[i]; o < delta_high(q, s->out)[i]; o++)
            for (int64_t a = 0; a < q->alternatives; a++) {
                const float *x = NAME(row_at)(q, s->x, i, a, o);
                const float *y = NAME(row_at)(q, s->y, i, a, o);
                float *out = delta_row(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    const float *from = c < s->channels_in ? x : y;
                    VEC d = from ? LOAD(from + (c < s->channels_in ? c : c - s->channels_in))
                                 : SET(0.f);
                    STORE(out + c, d);
                    bits[c / 64] |= CHANGED(d) << (c % 64);
                }
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
                float *out = delta_row(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    VEC top = SET(-__builtin_inff());
                    for (int64_t r = first; r < last; r++) {
                        const float *d = NAME(row_at)(q, s->x, i, a, r);
                        VEC x = LOAD(seen + r * s->channels + c);
                        top = MAX(top, d ? ADD(x, LOAD(d + c)) : x);
                    }
                    VEC d = SUB(top, LOAD(best + o * s->channels + c));
                    STORE(out + c, d);
                    bits[c / 64] |= CHANGED(d) << (c % 64);
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
                float *out = delta_row(q, s->out, i, a, o);
                uint64_t *bits = delta_mask(q, s->out, i, o);
                for (int64_t c = 0; c < s->channels; c += LANES) {
                    VEC sum = SET(0.f);
                    for (int64_t r = first; r < first + s->kernel; r++) {
                        const float *d = NAME(row_at)(q, s->x, i, a, r);
                        if (d) sum = ADD(sum, LOAD(d + c));
                    }
                    sum = MUL(sum, SET(share[o]));
                    STORE(out + c, sum);
                    bits[c / 64] |= CHANGED(sum) << (c % 64);
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
                                   LOAD(delta_row(q, s->x, site, a, r) + c)));
            STORE(out + a * s->channels + c, SUB(top, LOAD(suffix + c)));
        }
}

AT void NAME(global_mean)(const delta_run_t *q, const delta_step_t *s, int64_t site, float *out) {
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    for (int64_t a = 0; a < q->alternatives; a++)
        for (int64_t c = 0; c < s->channels; c += LANES) {
            VEC sum = SET(0.f);
            for (int64_t r = low; r < high; r++)
                sum = ADD(sum, LOAD(delta_row(q, s->x, site, a, r) + c));
            STORE(out + a * s->channels + c, MUL(sum, SET(1.f / s->length_in)));
        }
}

/* the linear layer of the changed rows: rows are the taps of one result, A lanes at once */
FN void NAME(flat_lanes)(const delta_run_t *q, const delta_step_t *s, int64_t site, int64_t alt,
                         const float *w, int64_t pitch, float *out, const int A, const int NV) {
    const delta_value_t *in = q->values + s->x;
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    VEC acc[24];
    NAME(tile)(acc, delta_row(q, s->x, site, alt, low), in->rows * in->channels, 0, in->channels,
               w + low * in->channels * pitch, high - low, in->channels, pitch,
               delta_mask(q, s->x, site, low), 0, delta_words(in), A, 1, NV);
#pragma GCC unroll 6
    for (int j = 0; j < A; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) STORE(out + j * s->channels + v * LANES, acc[j * NV + v]);
}

FN void NAME(flat_site)(const delta_run_t *q, const delta_step_t *s, int64_t site, const float *w,
                        int64_t pitch, float *out, const int NV) {
    int64_t left = q->alternatives, alt = 0;
    if (left == 3) { NAME(flat_lanes)(q, s, site, 0, w, pitch, out, 3, NV); return; }
    for (; left >= 2; left -= 2, alt += 2)
        NAME(flat_lanes)(q, s, site, alt, w, pitch, out + alt * s->channels, 2, NV);
    if (left) NAME(flat_lanes)(q, s, site, alt, w, pitch, out + alt * s->channels, 1, NV);
}

AT void NAME(flat)(const delta_run_t *q, const delta_step_t *s, int64_t sites, float *out) {
    for (int64_t block = 0; block < s->channels; block += DELTA_BLOCK) {
        int64_t pitch = delta_min(DELTA_BLOCK, s->channels - block);
        const float *w = s->weight + block * s->length_in * s->channels_in;
        for (int64_t i = 0; i < sites; i++)
            for (int64_t c = 0; c < pitch;) {
                float *to = out + i * q->alternatives * s->channels + block + c;
                if ((pitch - c) / LANES >= WIDEST) {
                    NAME(flat_site)(q, s, i, w + c, pitch, to, WIDEST);
                    c += WIDEST * LANES;
                } else {
                    NAME(flat_site)(q, s, i, w + c, pitch, to, 1);
                    c += LANES;
                }
            }
    }
}

/* a window into a whole map that was zero */
AT void NAME(map)(const delta_run_t *q, const delta_step_t *s, int64_t site, float *out) {
    int64_t low = delta_low(q, s->x)[site], high = delta_high(q, s->x)[site];
    for (int64_t a = 0; a < q->alternatives; a++)
        memcpy(out + (a * s->length_in + low) * s->channels, delta_row(q, s->x, site, a, low),
               (high - low) * s->channels * sizeof(float));
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
            delta_clear(q, s->out, sites);
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
