/* The exponential function over the vectors of a lanes_*.h header. */
/* e^x to about one unit in the last place: x = n ln 2 + r, a polynomial in r (Cephes expf) */
FN VEC NAME(lanes_exp)(VEC x) {
    x = MAX(SET(-87.f), MIN(SET(88.f), x));
    VEC n = FMA(x, SET(1.44269504f), SET(12582912.f)), whole = SUB(n, SET(12582912.f));
    VEC r = FMA(whole, SET(-.693359375f), x);
    r = FMA(whole, SET(2.12194440e-4f), r);
    VEC p = FMA(r, SET(1.9875691500e-4f), SET(1.3981999507e-3f));
    p = FMA(p, r, SET(8.3334519073e-3f));
    p = FMA(p, r, SET(4.1665795894e-2f));
    p = FMA(p, r, SET(1.6666665459e-1f));
    p = FMA(p, r, SET(5.0000001201e-1f));
    p = FMA(p, MUL(r, r), ADD(r, SET(1.f)));
    return MUL(p, POWER_OF_TWO(n));
}
