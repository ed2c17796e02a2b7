/* Windows of rows times weights, for one instruction set and one kind of product, DOT, that names
   the functions by PART; the sums are vectors of floats, or of whole numbers in their bits. */

/* c[R rows][NV vectors] = windows of a, `row` apart, times weights; taps of a window lie `tap` apart */
FN void PART(conv_tile)(float *c, const float *a, int64_t row, int64_t tap, int64_t taps,
                        int64_t words, const float *w, int64_t pitch, const int R, const int NV) {
    VEC sums[6][4];
#pragma GCC unroll 6
    for (int j = 0; j < R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sums[j][v] = SET(0.f);
    for (int64_t t = 0; t < taps; t++) {
        const float *line = a + t * tap;
        for (int64_t k = 0; k < words; k++, w += pitch) {
            VEC weights[4];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) weights[v] = LOAD(w + v * LANES);
#pragma GCC unroll 6
            for (int j = 0; j < R; j++) {
                VEC x = SET(line[j * row + k]);
#pragma GCC unroll 4
                for (int v = 0; v < NV; v++) sums[j][v] = DOT(x, weights[v], sums[j][v]);
            }
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < R; j++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) STORE(c + j * CONV_BLOCK + v * LANES, sums[j][v]);
}

/* all rows of a block, in groups of five or six wherever there are so many */
#define CONV_PRODUCTS(NV)                                                                \
    AT void PART(conv_products_##NV)(float *c, const float *a, int64_t rows, int64_t row,\
                                     int64_t tap, int64_t taps, int64_t words,           \
                                     const float *w, int64_t pitch) {                    \
        const int64_t groups = (rows + 5) / 6;                                           \
        for (int64_t g = 0; g < groups; g++) {                                           \
            const int64_t t = rows * g / groups, more = rows * (g + 1) / groups - t;     \
            float *to = c + t * CONV_BLOCK;                                              \
            const float *from = a + t * row;                                             \
            switch (more) {                                                              \
                case 6: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 6, NV); break; \
                case 5: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 5, NV); break; \
                case 4: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 4, NV); break; \
                case 3: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 3, NV); break; \
                case 2: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 2, NV); break; \
                default: PART(conv_tile)(to, from, row, tap, taps, words, w, pitch, 1, NV);       \
            }                                                                            \
        }                                                                                \
    }
CONV_PRODUCTS(1) CONV_PRODUCTS(2)
#if WIDEST == 4
CONV_PRODUCTS(3) CONV_PRODUCTS(4)
#endif

AT void PART(conv_products)(float *c, const float *a, int64_t rows, int64_t row, int64_t tap,
                            int64_t taps, int64_t words, const float *w, int64_t pitch) {
    if (tap == words) words *= taps, taps = 1;
    for (int64_t v = 0; v * LANES < pitch; v += WIDEST)
        switch (conv_min(pitch / LANES - v, WIDEST)) {
#if WIDEST == 4
            case 4: PART(conv_products_4)(c, a, rows, row, tap, taps, words, w, pitch); break;
            case 3: PART(conv_products_3)(c, a, rows, row, tap, taps, words, w, pitch); break;
#endif
            case 2: PART(conv_products_2)(c + v * LANES, a, rows, row, tap, taps, words,
                                          w + v * LANES, pitch); break;
            default: PART(conv_products_1)(c + v * LANES, a, rows, row, tap, taps, words,
                                           w + v * LANES, pitch);
        }
}

#undef PART
#undef DOT
#undef CONV_PRODUCTS
