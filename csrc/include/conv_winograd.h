/* The transforms of Winograd's convolutions for one instruction set. */

/* values of a tile of P rows at the points 0, 1, -1, 2, -2, then 1/2, -1/2, and infinity: of each
   pair of points the even part and the odd, added and subtracted */
FN void NAME(conv_values)(const VEC *x, VEC *v, const int P) {
    VEC even, odd;
    if (P == 6) {
        v[0] = FMA(SET(4.f), x[0], FMA(SET(-5.f), x[2], x[4]));
        even = FMA(SET(-4.f), x[2], x[4]), odd = FMA(SET(-4.f), x[1], x[3]);
        v[1] = ADD(even, odd), v[2] = SUB(even, odd);
        even = SUB(x[4], x[2]), odd = SUB(x[3], x[1]);
        v[3] = FMA(SET(2.f), odd, even), v[4] = FMA(SET(-2.f), odd, even);
        v[5] = FMA(SET(4.f), x[1], FMA(SET(-5.f), x[3], x[5]));
        return;
    }
    v[0] = FMA(SET(5.25f), SUB(x[2], x[4]), SUB(x[6], x[0]));
    even = FMA(SET(-4.25f), x[4], ADD(x[2], x[6])), odd = FMA(SET(-4.25f), x[3], ADD(x[1], x[5]));
    v[1] = ADD(even, odd), v[2] = SUB(even, odd);
    even = FMA(SET(.25f), x[2], FMA(SET(-1.25f), x[4], x[6]));
    odd = FMA(SET(.25f), x[1], FMA(SET(-1.25f), x[3], x[5]));
    v[3] = FMA(SET(2.f), odd, even), v[4] = FMA(SET(-2.f), odd, even);
    even = FMA(SET(4.f), x[2], FMA(SET(-5.f), x[4], x[6]));
    odd = FMA(SET(4.f), x[1], FMA(SET(-5.f), x[3], x[5]));
    v[5] = FMA(SET(.5f), odd, even), v[6] = FMA(SET(-.5f), odd, even);
    v[7] = FMA(SET(5.25f), SUB(x[3], x[5]), SUB(x[7], x[1]));
}

/* M results of a tile from its products at the points of conv_values */
FN void NAME(conv_sums)(const VEC *c, VEC *y, const int P, const int M) {
    VEC even[3], odd[3];
#pragma GCC unroll 3
    for (int j = 0; j < P / 2 - 1; j++)
        even[j] = ADD(c[1 + 2 * j], c[2 + 2 * j]), odd[j] = SUB(c[1 + 2 * j], c[2 + 2 * j]);
#pragma GCC unroll 6
    for (int i = 0; i < M; i++) {
        const VEC *part = i % 2 ? odd : even;
        y[i] = FMA(SET(conv_powers[0][i]), part[1], part[0]);
        if (P == 8) y[i] = FMA(SET(conv_powers[1][i]), part[2], y[i]);
        if (i == 0) y[i] = ADD(y[i], c[0]);
        if (i == M - 1) y[i] = ADD(y[i], c[P - 1]);
    }
}

#ifdef INTEGERS
/* what makes the values of a tile integers up to CONV_LIMIT, which sums of up to 10 or 15 times the
   largest x would be; `back` undoes it, and is no number where one of x is none */
FN VEC NAME(conv_scale)(const ELEMENT *const *rows, int64_t channels, float *back, const int P) {
    __m512i most = _mm512_setzero_si512(), sign = _mm512_set1_epi16(0x7fff);
    for (int j = 0; j < P; j++)
        for (int64_t c = 0; c < channels; c += 32) {
            if (c + 32 > channels) c = channels - 32;
            most = _mm512_max_epu16(
                most, _mm512_and_si512(sign, _mm512_loadu_si512((const void *)(rows[j] + c))));
        }
    most = _mm512_max_epu32(_mm512_srli_epi32(most, 16),
                            _mm512_and_si512(most, _mm512_set1_epi32(0xffff)));
    const uint32_t bits = _mm512_reduce_max_epu32(most) << 16;
    float largest;
    memcpy(&largest, &bits, 4);
    const float most_of_one = CONV_LIMIT / (P == 6 ? 10.f : 15.f);
    /* nothing is divided by zero, and no quotient becomes infinite */
    if (largest < 1e-30f) largest = 1e-30f;
    *back = bits < 0x7f800000u ? largest / most_of_one : NAN;
    return SET(bits < 0x7f800000u ? most_of_one / largest : 0.f);
}
#define VALUE uint16_t
#define PUT(p, x)                                                                        \
    _mm256_storeu_si256((__m256i *)(p), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x)))
#else
#define VALUE float
#define PUT STORE
#endif

/* v[point][tile][channel]: the input transform of tiles of P rows; `back` as conv_scale has it */
FN void NAME(conv_input)(const conv_layer_t *q, const ELEMENT *x, int64_t from, int64_t tiles,
                         const ELEMENT *zeros, float *back, VALUE *v, const int P) {
    const int64_t channels = q->words * (int64_t)(sizeof(float) / sizeof(ELEMENT));
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t first = conv_first(q, from + t) - q->before;
        const ELEMENT *rows[8];
        for (int j = 0; j < P; j++) {
            const int64_t at = first + j * q->dilation;
            rows[j] = at < 0 || at >= q->length_in ? zeros : x + at * channels;
        }
#ifdef INTEGERS
        const VEC scale = NAME(conv_scale)(rows, channels, back + t, P);
#endif
        for (int64_t c = 0; c < channels; c += LANES) {
            if (c + LANES > channels) c = channels - LANES;
            VEC in[8], out[8];
#pragma GCC unroll 8
            for (int j = 0; j < P; j++) in[j] = READ(rows[j] + c);
#ifdef INTEGERS
#pragma GCC unroll 8
            for (int j = 0; j < P; j++) in[j] = MUL(scale, in[j]);
#endif
            NAME(conv_values)(in, out, P);
#pragma GCC unroll 8
            for (int p = 0; p < P; p++) PUT(v + (p * tiles + t) * channels + c, out[p]);
        }
    }
}
AT void NAME(conv_input_of_6)(const conv_layer_t *q, const ELEMENT *x, int64_t from, int64_t tiles,
                              const ELEMENT *zeros, float *back, VALUE *v) {
    NAME(conv_input)(q, x, from, tiles, zeros, back, v, 6);
}
AT void NAME(conv_input_of_8)(const conv_layer_t *q, const ELEMENT *x, int64_t from, int64_t tiles,
                              const ELEMENT *zeros, float *back, VALUE *v) {
    NAME(conv_input)(q, x, from, tiles, zeros, back, v, 8);
}

/* results of a block of channels from its products: output transform, bias, skip, activation, pool */
FN void NAME(conv_output)(const conv_layer_t *q, const float *c, int64_t from, int64_t tiles,
                          int64_t block, const float *back, const ELEMENT *skip, ELEMENT *y,
                          const int P, const int M) {
    const int64_t end = conv_rows(q->length, q->pool), apart = P == 1 ? 1 : q->dilation;
    for (int64_t v = 0; v < CONV_BLOCK; v += LANES) {
        const int64_t channel = block + v, live = q->channels - channel;
        if (live <= 0) return;
        const VEC bias = LOAD(q->bias + channel);
        const VEC slope = q->activation == CONV_SLOPE ? LOAD(q->slope + channel) : SET(0.f);
        ELEMENT *to = y + from * M / q->pool * q->channels + channel;
        VEC best = bias;
        int64_t pooled = 0;
        for (int64_t t = 0; t < tiles; t++) {
            VEC out[6], in[8];
#pragma GCC unroll 8
            for (int p = 0; p < P; p++) in[p] = LOAD(c + (p * tiles + t) * CONV_BLOCK + v);
            if (P == 1) out[0] = ADD(bias, in[0]);
            else {
#ifdef INTEGERS
                const float *scale = conv_scales(q) + channel;
                const int64_t pitch = conv_pitch(q->channels);
#pragma GCC unroll 8
                for (int p = 0; p < P; p++)
                    in[p] = MUL(LOAD(scale + p * pitch), _mm512_cvtepi32_ps((__m512i)in[p]));
#endif
                NAME(conv_sums)(in, out, P, M);
#pragma GCC unroll 6
                for (int i = 0; i < M; i++)
#ifdef INTEGERS
                    out[i] = FMA(SET(back[t]), out[i], bias);
#else
                    out[i] = ADD(out[i], bias);
#endif
            }
            int64_t o = (from + t) * M;
            if (apart > 1) o = conv_first(q, from + t), to = y + o * q->channels + channel;
#pragma GCC unroll 6
            for (int i = 0; i < M; i++, o += apart) {
                if (o >= end) break;
                VEC z = out[i], beside;
                if (skip) beside = NAME(conv_read)(skip + o * q->channels + channel, live);
                if (skip && !q->late) z = ADD(z, beside);
                z = NAME(conv_act)(z, q->activation, slope);
                if (skip && q->late) z = ADD(z, beside);
                best = pooled ? MAX(best, z) : z;
                if (++pooled < q->pool) continue;
                NAME(conv_write)(to, best, live);
                to += apart * q->channels, pooled = 0;
            }
        }
    }
}
#define CONV_RESULTS(P, M)                                                               \
    AT void NAME(conv_output_##P##_##M)(const conv_layer_t *q, const float *c, int64_t from,\
                                        int64_t tiles, int64_t block, const float *back, \
                                        const ELEMENT *skip, ELEMENT *y) {               \
        NAME(conv_output)(q, c, from, tiles, block, back, skip, y, P, M);                \
    }
CONV_RESULTS(1, 1) CONV_RESULTS(6, 2) CONV_RESULTS(6, 3) CONV_RESULTS(6, 4) CONV_RESULTS(8, 2)
CONV_RESULTS(8, 3) CONV_RESULTS(8, 4) CONV_RESULTS(8, 5) CONV_RESULTS(8, 6)

AT void NAME(conv_results)(const conv_layer_t *q, const float *c, int64_t from, int64_t tiles,
                           int64_t block, const float *back, const ELEMENT *skip, ELEMENT *y) {
#define CONV_CASE(P, M)                                                                  \
    case P * 8 + M: NAME(conv_output_##P##_##M)(q, c, from, tiles, block, back, skip, y); break
    switch (q->points * 8 + q->step) {
        CONV_CASE(1, 1); CONV_CASE(6, 2); CONV_CASE(6, 3); CONV_CASE(6, 4); CONV_CASE(8, 2);
        CONV_CASE(8, 3); CONV_CASE(8, 4); CONV_CASE(8, 5); CONV_CASE(8, 6);
    }
#undef CONV_CASE
}

#undef CONV_RESULTS
#undef PUT
