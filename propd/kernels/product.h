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
  void put(int64_t row, int64_t group, Numbers first, Numbers second) {
    const float most = largest(larger(sizes(first), sizes(second)));
    const Numbers steps = every(most > 0 ? 127.0f / most : 0.0f);
    int8_t* to = codes.data() + row * width + group * GROUP;
    const int32_t total = round_to(first * steps, second * steps, to);
    const float scale = most / 127.0f;
    scales[row * groups + group] = scale;
    sums[row * groups + group] = scale * total;
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
  Numbers squares = zeros();
  for (int64_t at = 0; at < count; at += LANES) {
    squares = fused(widen(x + at), widen(x + at), squares);
  }
  return std::sqrt(sum(squares) + epsilon * count);
}

inline Inputs normed(const float* x, int64_t rows, int64_t width, const float* norm,
                     float epsilon) {
  Inputs inputs(rows, width);
  for_rows(rows, [&](int64_t row) {
    const float* from = x + row * width;
    const Numbers share = every(1.0f / length_of(from, width, epsilon));
    const auto one = [&](int64_t at) { return widen(from + at) * share * widen(norm + at); };
    for (int64_t at = 0; at < width; at += GROUP) {
      inputs.put(row, at / GROUP, one(at), one(at + LANES));
    }
  });
  return inputs;
}

// ROWS rows from `first` on, times the 16 outputs of one block row of W.
template <int BITS, int ROWS>
void multiply(const uint8_t* block, const Inputs& x, int64_t first, const float* bias,
              Numbers* totals) {
  constexpr int64_t CODES = GROUP * LANES * BITS / 8;
  Numbers total[ROWS], whole[ROWS];
  for (int row = 0; row < ROWS; ++row) total[row] = bias ? widen(bias) : zeros();
  for (int64_t group = 0; group < x.groups; ++group, block += CODES + NUMBERS) {
    const int8_t* codes = x.codes.data() + first * x.width + group * GROUP;
    sums_of_codes<BITS, ROWS>(block, codes, x.width, whole);
    const auto* halves = reinterpret_cast<const at::Half*>(block + CODES);
    const Numbers scale = widen(halves), low = widen(halves + LANES);
    for (int row = 0; row < ROWS; ++row) {
      const int64_t at = (first + row) * x.groups + group;
      total[row] = fused(scale * every(x.scales[at]), whole[row], total[row]);
      total[row] = fused(low, every(x.sums[at]), total[row]);
    }
  }
  for (int row = 0; row < ROWS; ++row) totals[row] = total[row];
}

// The same for any number of rows, as many at once as the registers have room for.
template <int BITS, int ROWS = ROWS_AT_ONCE<BITS>>
void multiply_rows(int64_t rows, const uint8_t* block, const Inputs& x, int64_t first,
                   const float* bias, Numbers* totals) {
  for (; rows >= ROWS; rows -= ROWS, first += ROWS, totals += ROWS) {
    multiply<BITS, ROWS>(block, x, first, bias, totals);
  }
  if constexpr (ROWS > 1) {
    if (rows) multiply_rows<BITS, ROWS - 1>(rows, block, x, first, bias, totals);
  }
}

// 16 outputs from `output` on, of the rows from `first` on (at most TILE).
inline void some_outputs(const Weight& weight, const Inputs& x, int64_t output, int64_t first,
                         Numbers* totals) {
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
    Numbers totals[TILE];
    some_outputs(weight, x, output, first, totals);
    for (int64_t row = first; row < std::min(first + TILE, x.rows); ++row) {
      store(row, output, totals[row - first]);
    }
  });
}

}  // namespace propd
