// 16 numbers in one register: AVX-512 with VNNI. The same as avx2.h has it.

#pragma once

#include <ATen/core/Tensor.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace propd {

using Numbers = __m512;
using Which = __mmask16;

// How much is summed side by side, so that the sums fit the registers: rows of a product by the bits
// of its weights, queries that are scored (against 32 slots) and mixed, parts of 16 numbers mixed.
template <int BITS>
constexpr int ROWS_AT_ONCE = 8;
constexpr int SCORED_AT_ONCE = 8;
template <int PARTS>
constexpr int MIXED_AT_ONCE = PARTS <= 4 ? 4 : 2;
template <int PARTS>
constexpr int PARTS_AT_ONCE = PARTS;

inline Numbers zeros() { return _mm512_setzero_ps(); }
inline Numbers every(float x) { return _mm512_set1_ps(x); }
inline Numbers widen(const float* from) { return _mm512_loadu_ps(from); }

inline Numbers widen(const at::BFloat16* from) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline Numbers widen(const at::Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline void narrow(Numbers value, float* to) { _mm512_storeu_ps(to, value); }

inline void narrow(Numbers value, at::Half* to) {
  const __m256i half = _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), half);
}

// To the nearest, of two as near to the even one, as PyTorch rounds.
inline void narrow(Numbers value, at::BFloat16* to) {
  const __m512i bits = _mm512_castps_si512(value);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m256i half = _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), half);
}

// a * b + c and c - a * b, rounded once
inline Numbers fused(Numbers a, Numbers b, Numbers c) { return _mm512_fmadd_ps(a, b, c); }
inline Numbers fused_less(Numbers a, Numbers b, Numbers c) { return _mm512_fnmadd_ps(a, b, c); }

inline Numbers larger(Numbers a, Numbers b) { return _mm512_max_ps(a, b); }
inline Numbers smaller(Numbers a, Numbers b) { return _mm512_min_ps(a, b); }
inline Numbers sizes(Numbers x) { return _mm512_abs_ps(x); }
inline float largest(Numbers x) { return _mm512_reduce_max_ps(x); }
inline float sum(Numbers x) { return _mm512_reduce_add_ps(x); }

inline Numbers nearest(Numbers x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x * 2^n, n whole
inline Numbers scaled(Numbers x, Numbers n) { return _mm512_scalef_ps(x, n); }

// Which of 16 numbers are 0; those beyond `left` are not.
inline Which zeros_in(const float* from, int64_t left) {
  const auto there = static_cast<Which>(left < 16 ? (1 << left) - 1 : 0xffff);
  const __m512 numbers = _mm512_maskz_loadu_ps(there, from);
  return _mm512_mask_cmp_ps_mask(there, numbers, zeros(), _CMP_EQ_OQ);
}

inline Numbers where(Which which, Numbers yes, Numbers no) {
  return _mm512_mask_mov_ps(no, which, yes);
}

// Rounds 32 numbers to codes of 8 bits, and tells the sum of these.
inline int32_t round_to(Numbers first, Numbers second, int8_t* to) {
  const __m512i low = _mm512_cvtps_epi32(first), high = _mm512_cvtps_epi32(second);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtsepi32_epi8(low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + 1, _mm512_cvtsepi32_epi8(high));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
}

inline __m512i four_codes(const int8_t* codes) {
  int32_t four;
  std::memcpy(&four, codes, sizeof four);
  return _mm512_set1_epi32(four);
}

// Sums of code * code over one group, for 16 outputs of some rows that lie `step` bytes apart.
template <int BITS, int ROWS>
inline void sums_of_codes(const uint8_t* block, const int8_t* codes, int64_t step, Numbers* sums) {
  const __m512i nibble = _mm512_set1_epi8(0x0f);
  __m512i whole[ROWS];
  for (int row = 0; row < ROWS; ++row) whole[row] = _mm512_setzero_si512();
  for (int64_t at = 0; at < 64 * BITS; at += 64) {
    const __m512i bytes = _mm512_loadu_si512(block + at);
    if constexpr (BITS == 4) {
      const __m512i low = _mm512_and_si512(bytes, nibble);
      const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble);
      for (int row = 0; row < ROWS; ++row) {
        const int8_t* own = codes + row * step + at / 8;
        whole[row] = _mm512_dpbusd_epi32(whole[row], low, four_codes(own));
        whole[row] = _mm512_dpbusd_epi32(whole[row], high, four_codes(own + 4));
      }
    } else {
      for (int row = 0; row < ROWS; ++row) {
        const int8_t* own = codes + row * step + at / 16;
        whole[row] = _mm512_dpbusd_epi32(whole[row], bytes, four_codes(own));
      }
    }
  }
  for (int row = 0; row < ROWS; ++row) sums[row] = _mm512_cvtepi32_ps(whole[row]);
}

// 16 rows of 16 numbers, turned about: column c of `from` becomes row c of `to`.
template <typename Number>
inline void transpose(const Number* const* from, int64_t column, float* to) {
  __m512 a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) a[i] = widen(from[i] + column);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  }
  const auto pair = [](__m512 x, __m512 y, bool high) {
    const __m512d one = _mm512_castps_pd(x), other = _mm512_castps_pd(y);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(one, other) : _mm512_unpacklo_pd(one, other));
  };
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 4) {  // a[i + c]: numbers c, c + 4, c + 8, c + 12 of 4 rows
    a[i] = pair(b[i], b[i + 2], false), a[i + 1] = pair(b[i], b[i + 2], true);
    a[i + 2] = pair(b[i + 1], b[i + 3], false), a[i + 3] = pair(b[i + 1], b[i + 3], true);
  }
#pragma GCC unroll 16
  for (int c = 0; c < 4; ++c) {
    const __m512 low = _mm512_shuffle_f32x4(a[c], a[c + 4], 0x88);
    const __m512 high = _mm512_shuffle_f32x4(a[c], a[c + 4], 0xdd);
    const __m512 low2 = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0x88);
    const __m512 high2 = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0xdd);
    narrow(_mm512_shuffle_f32x4(low, low2, 0x88), to + c * 16);
    narrow(_mm512_shuffle_f32x4(high, high2, 0x88), to + (c + 4) * 16);
    narrow(_mm512_shuffle_f32x4(low, low2, 0xdd), to + (c + 8) * 16);
    narrow(_mm512_shuffle_f32x4(high, high2, 0xdd), to + (c + 12) * 16);
  }
}

}  // namespace propd
