// 16 numbers at a time: conversions, the exponential.

#pragma once

#include <ATen/core/Tensor.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace propd {

constexpr int64_t LANES = 16;

inline __m512 widen(const float* from) { return _mm512_loadu_ps(from); }

inline __m512 widen(const at::BFloat16* from) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline __m512 widen(const at::Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline void narrow(__m512 value, float* to) { _mm512_storeu_ps(to, value); }

// To the nearest, of two as near to the even one, as PyTorch rounds.
inline void narrow(__m512 value, at::BFloat16* to) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m256i half = _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), half);
}

// e^x to about the last bit: x = n ln 2 + r, and a polynomial of r (Cephes, expf).
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(88.0f)), _mm512_set1_ps(-104.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  for (const float next : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f, 1.0f, 1.0f}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(next));
  }
  return _mm512_scalef_ps(p, n);
}

// x / (1 + e^-x)
inline __m512 silu(__m512 x) {
  const __m512 below = _mm512_sub_ps(_mm512_setzero_ps(), x);
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), exponential(below)));
}

}  // namespace propd
