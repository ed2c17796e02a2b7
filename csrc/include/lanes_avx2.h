/* Eight floats of AVX2, as the bodies see them; lanes_end.h forgets them again. */
#define FN static inline __attribute__((always_inline, target(LANES_TARGET)))
#define AT static __attribute__((target(LANES_TARGET)))
#define LANES 8
#define WIDEST 2
#define VEC __m256
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SET(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define DIV(a, b) _mm256_div_ps(a, b)
#define MAX(a, b) _mm256_max_ps(a, b)
#define MIN(a, b) _mm256_min_ps(a, b)
#define POWER_OF_TWO(v)                                                                  \
    _mm256_castsi256_ps(_mm256_slli_epi32(                                               \
        _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(127)), 23))
#define SWAP(v, by)                                                                      \
    _mm256_permutevar8x32_ps(v, _mm256_loadu_si256((const __m256i *)lanes_xor[by]))
