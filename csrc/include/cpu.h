/* Which instruction sets run: chosen once at import, forced by FASTSEQ_CPU, switched in tests. */
#ifndef FASTSEQ_CPU_H
#define FASTSEQ_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CPU_PORTABLE = 0, CPU_AVX2 = 1, CPU_AVX512 = 2 };

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FASTSEQ_X86 1
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi,bmi2,popcnt")))
#else
#define FASTSEQ_X86 0
#define AVX2
#define AVX512
#endif

/* a body written once and compiled for each target that calls it */
#define BODY static inline __attribute__((always_inline))
#define PREFETCH(p) __builtin_prefetch(p)

static inline int cpu_best(void) {
#if FASTSEQ_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return CPU_PORTABLE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vbmi"))
        return CPU_AVX512;
    return CPU_AVX2;
#else
    return CPU_PORTABLE;
#endif
}

#endif
