/* Sixteen floats of AVX-512, as the bodies see them; lanes_end.h forgets them again. */
#define FN static inline __attribute__((always_inline, target(LANES_TARGET)))
#define AT static __attribute__((target(LANES_TARGET)))
#define LANES 16
#define WIDEST 4
#define VEC __m512
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SET(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define DIV(a, b) _mm512_div_ps(a, b)
#define MAX(a, b) _mm512_max_ps(a, b)
#define MIN(a, b) _mm512_min_ps(a, b)
/* 2 to the power of the integer in the low bits of 12582912 + n */
#define POWER_OF_TWO(v)                                                                  \
    _mm512_castsi512_ps(_mm512_slli_epi32(                                               \
        _mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(127)), 23))
/* the lane whose number differs in the bits of `by`, which is a constant below 16 */
#define SWAP(v, by) _mm512_permutexvar_ps(_mm512_loadu_si512(lanes_xor[by]), v)
