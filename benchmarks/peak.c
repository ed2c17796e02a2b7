// Fused multiply-adds in registers alone: how fast a core multiplies that never waits for memory.
typedef float wide __attribute__((vector_size(64)));
enum { CHAINS = 12, LANES = 16 };  // chains enough to hide how long one multiply-add takes

// Runs at least so many floating-point operations, a multiply-add counted as two.
float multiply_add(double operations) {
    wide sums[CHAINS], factor, step, total = {0};
    for (int lane = 0; lane < LANES; lane++) factor[lane] = 0.5f, step[lane] = lane + 1;
#pragma GCC unroll 12
    for (int chain = 0; chain < CHAINS; chain++) sums[chain] = step * (float)chain;  // no two alike
    for (long left = operations / (2 * CHAINS * LANES) + 1; left; left--) {
#pragma GCC unroll 12
        for (int chain = 0; chain < CHAINS; chain++) sums[chain] = sums[chain] * factor + step;
    }
#pragma GCC unroll 12
    for (int chain = 0; chain < CHAINS; chain++) total += sums[chain];
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += total[lane];
    return sum;
}
