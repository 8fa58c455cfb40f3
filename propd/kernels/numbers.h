// 16 numbers at a time, whatever registers hold them; the exponential.

#pragma once

#ifdef __AVX512VNNI__
#include "avx512.h"
#else
#include "avx2.h"
#endif

namespace propd {

constexpr int64_t LANES = 16;

// Brings a cache line nearer, if there is one.
inline void fetch(const void* from) { _mm_prefetch(static_cast<const char*>(from), _MM_HINT_T1); }

// e^x to about the last bit: x = n ln 2 + r, and a polynomial of r (Cephes, expf).
inline Numbers exponential(Numbers x) {
  x = larger(smaller(x, every(88.0f)), every(-104.0f));
  const Numbers n = nearest(x * every(1.44269504f));
  Numbers r = fused_less(n, every(0.693359375f), x);
  r = fused_less(n, every(-2.12194440e-4f), r);
  Numbers p = every(1.9875691500e-4f);
  for (const float next : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f, 1.0f, 1.0f}) {
    p = fused(p, r, every(next));
  }
  return scaled(p, n);
}

// x / (1 + e^-x)
inline Numbers silu(Numbers x) { return x / (every(1.0f) + exponential(zeros() - x)); }

}  // namespace propd
