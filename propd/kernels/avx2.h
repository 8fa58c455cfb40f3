// 16 numbers in two registers: AVX2 with FMA and F16C. The same as avx512.h has it.

#pragma once

#include <ATen/core/Tensor.h>
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace propd {

struct Numbers {
  __m256 low, high;
};
using Which = Numbers;  // all bits of a number, or none

// How much is summed side by side, so that the sums fit the registers: rows of a product by the bits
// of its weights, queries that are scored (against 32 slots) and mixed, parts of 16 numbers mixed.
template <int BITS>
constexpr int ROWS_AT_ONCE = BITS == 8 ? 3 : 6;
constexpr int SCORED_AT_ONCE = 3;
template <int PARTS>
constexpr int MIXED_AT_ONCE = 4;
template <int PARTS>
constexpr int PARTS_AT_ONCE = 1;

inline Numbers operator+(Numbers a, Numbers b) { return {a.low + b.low, a.high + b.high}; }
inline Numbers operator-(Numbers a, Numbers b) { return {a.low - b.low, a.high - b.high}; }
inline Numbers operator*(Numbers a, Numbers b) { return {a.low * b.low, a.high * b.high}; }
inline Numbers operator/(Numbers a, Numbers b) { return {a.low / b.low, a.high / b.high}; }

inline __m256 eight(const float* from) { return _mm256_loadu_ps(from); }

inline __m256 eight(const at::BFloat16* from) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

inline __m256 eight(const at::Half* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

template <typename Number>
inline Numbers widen(const Number* from) {
  return {eight(from), eight(from + 8)};
}

inline Numbers every(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Numbers zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }

inline void narrow(Numbers value, float* to) {
  _mm256_storeu_ps(to, value.low), _mm256_storeu_ps(to + 8, value.high);
}

inline void narrow(Numbers value, at::Half* to) {
  auto* halves = reinterpret_cast<__m128i*>(to);
  _mm_storeu_si128(halves, _mm256_cvtps_ph(value.low, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(value.high, _MM_FROUND_TO_NEAREST_INT));
}

// To the nearest, of two as near to the even one, as PyTorch rounds.
inline void narrow(Numbers value, at::BFloat16* to) {
  const auto rounded = [](__m256 numbers) {
    const __m256i bits = _mm256_castps_si256(numbers);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_srli_epi32(up, 16);
  };
  const __m256i mixed = _mm256_packus_epi32(rounded(value.low), rounded(value.high));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(mixed, 0xd8));
}

// a * b + c and c - a * b, rounded once
inline Numbers fused(Numbers a, Numbers b, Numbers c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Numbers fused_less(Numbers a, Numbers b, Numbers c) {
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

inline Numbers larger(Numbers a, Numbers b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Numbers smaller(Numbers a, Numbers b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Numbers sizes(Numbers x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}

inline float largest(Numbers x) {
  const __m256 half = _mm256_max_ps(x.low, x.high);
  __m128 left = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  left = _mm_max_ps(left, _mm_movehl_ps(left, left));
  return _mm_cvtss_f32(_mm_max_ss(left, _mm_movehdup_ps(left)));
}

inline float sum(Numbers x) {
  const __m256 half = x.low + x.high;
  __m128 left = _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
  left = left + _mm_movehl_ps(left, left);
  return _mm_cvtss_f32(_mm_add_ss(left, _mm_movehdup_ps(left)));
}

inline Numbers nearest(Numbers x) {
  constexpr int HOW = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.low, HOW), _mm256_round_ps(x.high, HOW)};
}

// x * 2^n, n whole: in two factors, as 2^n itself may be too small for a number
inline Numbers scaled(Numbers x, Numbers n) {
  const auto by = [](__m256 numbers, __m256 powers) {
    const auto power = [](__m256i whole) {
      const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(whole, _mm256_set1_epi32(127)), 23);
      return _mm256_castsi256_ps(bits);
    };
    const __m256i whole = _mm256_cvtps_epi32(powers), half = _mm256_srai_epi32(whole, 1);
    return numbers * power(half) * power(_mm256_sub_epi32(whole, half));
  };
  return {by(x.low, n.low), by(x.high, n.high)};
}

// Which of 16 numbers are 0; those beyond `left` are not.
inline Which zeros_in(const float* from, int64_t left) {
  float there[16];
  if (left < 16) {
    for (int64_t i = 0; i < 16; ++i) there[i] = i < left ? from[i] : 1.0f;
    from = there;
  }
  const __m256 zero = _mm256_setzero_ps();
  return {_mm256_cmp_ps(eight(from), zero, _CMP_EQ_OQ),
          _mm256_cmp_ps(eight(from + 8), zero, _CMP_EQ_OQ)};
}

inline Numbers where(Which which, Numbers yes, Numbers no) {
  return {_mm256_blendv_ps(no.low, yes.low, which.low),
          _mm256_blendv_ps(no.high, yes.high, which.high)};
}

// Rounds 32 numbers to codes of 8 bits, and tells the sum of these.
inline int32_t round_to(Numbers first, Numbers second, int8_t* to) {
  const __m256i a = _mm256_cvtps_epi32(first.low), b = _mm256_cvtps_epi32(first.high);
  const __m256i c = _mm256_cvtps_epi32(second.low), d = _mm256_cvtps_epi32(second.high);
  const __m256i mixed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(mixed, order));
  const __m256i all = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
  __m128i left = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  left = _mm_add_epi32(left, _mm_unpackhi_epi64(left, left));
  return _mm_cvtsi128_si32(_mm_add_epi32(left, _mm_shuffle_epi32(left, 1)));
}

inline __m256i four_codes(const int8_t* codes) {
  int32_t four;
  std::memcpy(&four, codes, sizeof four);
  return _mm256_set1_epi32(four);
}

// Sums of code * code over one group, for 16 outputs of some rows that lie `step` bytes apart.
//
// VPMADDUBSW adds two products in 16 bits. Half a byte, at most 15, times at most 127 leaves room
// for the 16 products of a group that meet in one sum: 30,480. So codes of 8 bits are taken in
// halves, too, whose sums are put together at the end.
template <int BITS, int ROWS>
inline void sums_of_codes(const uint8_t* block, const int8_t* codes, int64_t step, Numbers* sums) {
  constexpr int64_t INPUTS = 64 * 8 / BITS / 16;  // that 64 bytes of a block are for
  const __m256i nibble = _mm256_set1_epi8(0x0f), ones = _mm256_set1_epi16(1);
  __m256i lower[ROWS][2], upper[ROWS][2];
#pragma GCC unroll 8
  for (int row = 0; row < ROWS; ++row) {
    for (int part = 0; part < 2; ++part) lower[row][part] = upper[row][part] = _mm256_setzero_si256();
  }
  const auto add = [](__m256i& whole, __m256i weights, __m256i inputs) {
    whole = _mm256_add_epi16(whole, _mm256_maddubs_epi16(weights, inputs));
    asm("" : "+x"(whole));  // or gcc gathers what is to be added, and has no registers left
  };
#pragma GCC unroll 1
  for (int64_t at = 0; at < 64 * BITS; at += 64, codes += INPUTS) {
    const auto* from = reinterpret_cast<const __m256i*>(block + at);
    const __m256i first = _mm256_loadu_si256(from), second = _mm256_loadu_si256(from + 1);
    const __m256i low = _mm256_and_si256(first, nibble), low2 = _mm256_and_si256(second, nibble);
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; ++row) {
      const __m256i inputs = four_codes(codes + row * step);
      add(lower[row][0], low, inputs), add(lower[row][1], low2, inputs);
    }
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(first, 4), nibble);
    const __m256i high2 = _mm256_and_si256(_mm256_srli_epi16(second, 4), nibble);
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; ++row) {
      const __m256i inputs = four_codes(codes + row * step + (BITS == 4 ? 4 : 0));
      auto& whole = BITS == 4 ? lower[row] : upper[row];
      add(whole[0], high, inputs), add(whole[1], high2, inputs);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < ROWS; ++row) {
    const auto all = [&](int part) {
      const __m256i whole = _mm256_madd_epi16(lower[row][part], ones);
      if constexpr (BITS == 4) return _mm256_cvtepi32_ps(whole);
      const __m256i above = _mm256_slli_epi32(_mm256_madd_epi16(upper[row][part], ones), 4);
      return _mm256_cvtepi32_ps(_mm256_add_epi32(whole, above));
    };
    sums[row] = {all(0), all(1)};
  }
}

// 16 rows of 16 numbers, turned about: column c of `from` becomes row c of `to`.
template <typename Number>
inline void transpose(const Number* const* from, int64_t column, float* to) {
  for (int quarter = 0; quarter < 4; ++quarter) {  // 8 rows of 8 numbers
    const int row = quarter / 2 * 8, side = quarter % 2 * 8;
    __m256 a[8], b[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) a[i] = eight(from[row + i] + column + side);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 2) {
      b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {  // a[i + c]: numbers c and c + 4 of 4 rows
      a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
      a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
      a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
      a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      float* first = to + (side + c) * 16 + row;
      _mm256_storeu_ps(first, _mm256_permute2f128_ps(a[c], a[c + 4], 0x20));
      _mm256_storeu_ps(first + 4 * 16, _mm256_permute2f128_ps(a[c], a[c + 4], 0x31));
    }
  }
}

}  // namespace propd
