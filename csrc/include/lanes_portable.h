/* Four floats as the compiler knows them: SSE2, NEON or plain code; lanes_end.h forgets them. */
#ifndef LANES_PORTABLE
#define LANES_PORTABLE
typedef float lanes_4 __attribute__((vector_size(16)));
typedef int32_t lanes_4i __attribute__((vector_size(16)));
static inline lanes_4 lanes_load(const float *p) { lanes_4 v; memcpy(&v, p, 16); return v; }
static inline void lanes_store(float *p, lanes_4 v) { memcpy(p, &v, 16); }
static inline lanes_4 lanes_pick(lanes_4i yes, lanes_4 a, lanes_4 b) {
    return (lanes_4)(((lanes_4i)a & yes) | ((lanes_4i)b & ~yes));
}
#endif
#define FN static inline __attribute__((always_inline))
#define AT static
#define LANES 4
#define WIDEST 2
#define VEC lanes_4
#define LOAD(p) lanes_load(p)
#define STORE(p, v) lanes_store(p, v)
#define SET(x) ((lanes_4){x, x, x, x})
#define FMA(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))
#define MAX(a, b) lanes_pick((a) > (b), a, b)
#define MIN(a, b) lanes_pick((a) < (b), a, b)
#define POWER_OF_TWO(v) ((lanes_4)(((lanes_4i)(v) + 127) << 23))
#define SWAP(v, by) __builtin_shuffle(v, ((lanes_4i){0 ^ (by), 1 ^ (by), 2 ^ (by), 3 ^ (by)}))
