// y = x W^T with W in groups of 32 weights of 4 or 8 bits and x rounded to 8 bits a group. What is
// computed, and the order of the bytes of a block, is told by propd/models/grouped.py.
//
// A weight is low + scale * code. For one group, with x = s * q:
//   sum_k w_k x_k = (scale * s) * sum_k code_k q_k + low * (s * sum_k q_k)
// The sums of codes are of whole numbers, so exact. Groups are added in their order, in float32,
// and every row is computed by the same operations however many rows there are: a row's result has
// the same bits in any company, and with any number of threads.

#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "numbers.h"

namespace propd {

constexpr int64_t GROUP = 32;
constexpr int64_t TILE = 8;            // rows that are multiplied together
constexpr int64_t SHARED_FROM = 6;     // rows that are worth sharing among threads
constexpr int64_t NUMBERS = 4 * LANES; // bytes behind the codes of a block: scales and lows

// Weights as they lie: (out / 16, in / 32, bytes of a block).
struct Weight {
  const uint8_t* blocks;
  const float* bias;  // (out,), or null
  int64_t outputs, groups, block_bytes;

  Weight(const at::Tensor& tensor, const std::optional<at::Tensor>& added)
      : blocks(tensor.const_data_ptr<uint8_t>()), bias(nullptr), outputs(tensor.size(0) * LANES),
        groups(tensor.size(1)), block_bytes(tensor.size(2)) {
    TORCH_CHECK(tensor.dim() == 3 && tensor.is_contiguous() && (bits() == 4 || bits() == 8),
                "propd: weights in blocks of another order");
    if (added.has_value()) {
      TORCH_CHECK(added->is_contiguous() && added->numel() == outputs, "propd: bias of another size");
      bias = added->const_data_ptr<float>();
    }
  }

  int64_t bits() const { return (block_bytes - NUMBERS) * 8 / (GROUP * LANES); }
};

// Rows in 8 bits: codes q, and for each group its scale s and s * sum q.
struct Inputs {
  int64_t rows, width, groups;
  std::vector<int8_t> codes;
  std::vector<float> scales, sums;

  Inputs(int64_t rows, int64_t width)
      : rows(rows), width(width), groups(width / GROUP), codes(rows * width),
        scales(rows * groups), sums(rows * groups) {}

  // One group of a row, from two halves of 16 numbers.
  void put(int64_t row, int64_t group, __m512 first, __m512 second) {
    const __m512 sizes = _mm512_max_ps(_mm512_abs_ps(first), _mm512_abs_ps(second));
    const float most = _mm512_reduce_max_ps(sizes);
    const __m512 steps = _mm512_set1_ps(most > 0 ? 127.0f / most : 0.0f);
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(first, steps));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(second, steps));
    auto* to = reinterpret_cast<__m128i*>(codes.data() + row * width + group * GROUP);
    _mm_storeu_si128(to, _mm512_cvtsepi32_epi8(low));
    _mm_storeu_si128(to + 1, _mm512_cvtsepi32_epi8(high));
    const float scale = most / 127.0f;
    scales[row * groups + group] = scale;
    sums[row * groups + group] = scale * _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
  }
};

// Calls each(row) for every row, from several threads where there are many.
template <typename Each>
void for_rows(int64_t rows, Each each) {
  at::parallel_for(0, rows, SHARED_FROM, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) each(row);
  });
}

template <typename Number>
Inputs quantized(const Number* x, int64_t rows, int64_t width) {
  Inputs inputs(rows, width);
  for_rows(rows, [&](int64_t row) {
    const Number* from = x + row * width;
    for (int64_t group = 0; group < inputs.groups; ++group, from += GROUP) {
      inputs.put(row, group, widen(from), widen(from + LANES));
    }
  });
  return inputs;
}

// The root mean square norm of n numbers is x / sqrt(sum x^2 + n epsilon), times a weight that
// holds the root of n already (propd/models/layers.py).
inline float length_of(const float* x, int64_t count, float epsilon) {
  __m512 squares = _mm512_setzero_ps();
  for (int64_t at = 0; at < count; at += LANES) {
    squares = _mm512_fmadd_ps(widen(x + at), widen(x + at), squares);
  }
  return std::sqrt(_mm512_reduce_add_ps(squares) + epsilon * count);
}

inline Inputs normed(const float* x, int64_t rows, int64_t width, const float* norm,
                     float epsilon) {
  Inputs inputs(rows, width);
  for_rows(rows, [&](int64_t row) {
    const float* from = x + row * width;
    const __m512 share = _mm512_set1_ps(1.0f / length_of(from, width, epsilon));
    const auto one = [&](int64_t at) {
      return _mm512_mul_ps(_mm512_mul_ps(widen(from + at), share), widen(norm + at));
    };
    for (int64_t at = 0; at < width; at += GROUP) {
      inputs.put(row, at / GROUP, one(at), one(at + LANES));
    }
  });
  return inputs;
}

inline __m512i four_codes(const int8_t* codes) {
  int32_t four;
  std::memcpy(&four, codes, sizeof four);
  return _mm512_set1_epi32(four);
}

// ROWS rows from `first` on, times the 16 outputs of one block row of W.
template <int BITS, int ROWS>
void multiply(const uint8_t* block, const Inputs& x, int64_t first, const float* bias,
              __m512* totals) {
  constexpr int64_t CODES = GROUP * LANES * BITS / 8;
  const __m512i nibble = _mm512_set1_epi8(0x0f);
  __m512 total[ROWS];
  for (int row = 0; row < ROWS; ++row) total[row] = bias ? widen(bias) : _mm512_setzero_ps();
  for (int64_t group = 0; group < x.groups; ++group, block += CODES + NUMBERS) {
    const int8_t* codes = x.codes.data() + first * x.width + group * GROUP;
    __m512i whole[ROWS];
    for (int row = 0; row < ROWS; ++row) whole[row] = _mm512_setzero_si512();
    for (int64_t at = 0; at < CODES; at += 64) {
      const __m512i bytes = _mm512_loadu_si512(block + at);
      if constexpr (BITS == 4) {
        const __m512i low = _mm512_and_si512(bytes, nibble);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble);
        for (int row = 0; row < ROWS; ++row) {
          const int8_t* own = codes + row * x.width + at / 8;
          whole[row] = _mm512_dpbusd_epi32(whole[row], low, four_codes(own));
          whole[row] = _mm512_dpbusd_epi32(whole[row], high, four_codes(own + 4));
        }
      } else {
        for (int row = 0; row < ROWS; ++row) {
          const int8_t* own = codes + row * x.width + at / LANES;
          whole[row] = _mm512_dpbusd_epi32(whole[row], bytes, four_codes(own));
        }
      }
    }
    const auto* halves = reinterpret_cast<const __m256i*>(block + CODES);
    const __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
    const __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256(halves + 1));
    for (int row = 0; row < ROWS; ++row) {
      const int64_t at = (first + row) * x.groups + group;
      const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x.scales[at]));
      total[row] = _mm512_fmadd_ps(both, _mm512_cvtepi32_ps(whole[row]), total[row]);
      total[row] = _mm512_fmadd_ps(low, _mm512_set1_ps(x.sums[at]), total[row]);
    }
  }
  for (int row = 0; row < ROWS; ++row) totals[row] = total[row];
}

// The same for as many rows as are asked for, at most ROWS.
template <int BITS, int ROWS = TILE>
void multiply_rows(int64_t rows, const uint8_t* block, const Inputs& x, int64_t first,
                   const float* bias, __m512* totals) {
  if (rows == ROWS) return multiply<BITS, ROWS>(block, x, first, bias, totals);
  if constexpr (ROWS > 1) multiply_rows<BITS, ROWS - 1>(rows, block, x, first, bias, totals);
}

// 16 outputs from `output` on, of the rows from `first` on (at most TILE).
inline void some_outputs(const Weight& weight, const Inputs& x, int64_t output, int64_t first,
                         __m512* totals) {
  const uint8_t* block = weight.blocks + output / LANES * weight.groups * weight.block_bytes;
  const float* bias = weight.bias ? weight.bias + output : nullptr;
  const int64_t rows = std::min(TILE, x.rows - first);
  if (weight.bits() == 4) {
    multiply_rows<4>(rows, block, x, first, bias, totals);
  } else {
    multiply_rows<8>(rows, block, x, first, bias, totals);
  }
}

// Calls each(output, first) for every 16 outputs and TILE rows, from several threads.
template <typename Each>
void for_tiles(int64_t outputs, int64_t rows, Each each) {
  at::parallel_for(0, outputs / LANES, 1, [&](int64_t begin, int64_t end) {
    for (int64_t number = begin; number < end; ++number) {
      for (int64_t first = 0; first < rows; first += TILE) each(number * LANES, first);
    }
  });
}

// x W^T, each 16 numbers of a row given to store(row, output, numbers).
template <typename Store>
void product(const Weight& weight, const Inputs& x, Store store) {
  TORCH_CHECK(weight.groups == x.groups, "propd: ", x.width, " inputs do not fit the weight");
  for_tiles(weight.outputs, x.rows, [&](int64_t output, int64_t first) {
    __m512 totals[TILE];
    some_outputs(weight, x, output, first, totals);
    for (int64_t row = first; row < std::min(first + TILE, x.rows); ++row) {
      store(row, output, totals[row - first]);
    }
  });
}

}  // namespace propd
