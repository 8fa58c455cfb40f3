// Weights in groups of 32 of 4 or 8 bits, and inputs rounded to 8 bits a group. What is computed, and
// the order of the bytes of a block, is told by propd/models/grouped.py.
//
// A weight is low + scale * code. For one group, with x = s * q:
//   sum_k w_k x_k = (scale * s) * sum_k code_k q_k + low * (s * sum_k q_k)
// The sums of codes are of whole numbers, so exact. Groups are added in their order, in float32.

#pragma once

#include "product.h"

namespace propd {

constexpr int64_t NUMBERS = 4 * LANES;  // bytes behind the codes of a block: scales and lows

// Rows in 8 bits: codes q, and for each group its scale s and s * sum q.
struct Codes {
  int64_t rows, width, groups;
  std::vector<int8_t> codes;
  std::vector<float> scales, sums;

  Codes(int64_t rows, int64_t width)
      : rows(rows), width(width), groups(width / GROUP), codes(rows * width),
        scales(rows * groups), sums(rows * groups) {}

  void put(int64_t row, int64_t at, Numbers first, Numbers second) {
    const float most = largest(larger(sizes(first), sizes(second)));
    const Numbers steps = every(most > 0 ? 127.0f / most : 0.0f);
    const int32_t total = round_to(first * steps, second * steps, codes.data() + row * width + at);
    const float scale = most / 127.0f;
    scales[row * groups + at / GROUP] = scale;
    sums[row * groups + at / GROUP] = scale * total;
  }
};

// ROWS rows from `first` on, times the 16 outputs of one block row of W.
template <int BITS, int ROWS>
void multiply(const uint8_t* block, const Codes& x, int64_t first, const float* bias,
              Numbers* totals) {
  constexpr int64_t CODES = GROUP * LANES * BITS / 8;
  Numbers total[ROWS], whole[ROWS];
  for (int row = 0; row < ROWS; ++row) total[row] = bias ? widen(bias) : zeros();
  for (int64_t group = 0; group < x.groups; ++group, block += CODES + NUMBERS) {
    const int8_t* codes = x.codes.data() + first * x.width + group * GROUP;
    for (int64_t at = 0; at < CODES + NUMBERS; at += 64) {  // of the next block, meanwhile
      fetch(block + x.groups * (CODES + NUMBERS) + at);
    }
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
void multiply_rows(int64_t rows, const uint8_t* block, const Codes& x, int64_t first,
                   const float* bias, Numbers* totals) {
  for (; rows >= ROWS; rows -= ROWS, first += ROWS, totals += ROWS) {
    multiply<BITS, ROWS>(block, x, first, bias, totals);
  }
  if constexpr (ROWS > 1) {
    if (rows) multiply_rows<BITS, ROWS - 1>(rows, block, x, first, bias, totals);
  }
}

// Weights as they lie: (out / 16, in / 32, bytes of a block).
struct Grouped {
  using Inputs = Codes;
  static constexpr int64_t ROWS = ROWS_AT_ONCE<4>;

  const uint8_t* blocks;
  int64_t outputs, width, block_bytes;
  const float* bias;  // (out,), or null

  Grouped(const at::Tensor& tensor, const std::optional<at::Tensor>& added)
      : blocks(tensor.const_data_ptr<uint8_t>()), outputs(tensor.size(0) * LANES),
        width(tensor.size(1) * GROUP), block_bytes(tensor.size(2)), bias(bias_of(added, outputs)) {
    TORCH_CHECK(tensor.dim() == 3 && tensor.is_contiguous() && (bits() == 4 || bits() == 8),
                "propd: weights in blocks of another order");
  }

  const void* start() const { return blocks; }
  int64_t bytes() const { return outputs / LANES * (width / GROUP) * block_bytes; }
  int64_t bits() const { return (block_bytes - NUMBERS) * 8 / (GROUP * LANES); }

  // 16 outputs from `output` on, of the rows from `first` on.
  void times(const Codes& x, int64_t output, int64_t first, int64_t rows, Numbers* totals) const {
    const uint8_t* block = blocks + output / LANES * x.groups * block_bytes;
    const float* added = bias ? bias + output : nullptr;
    if (bits() == 4) {
      multiply_rows<4>(rows, block, x, first, added, totals);
    } else {
      multiply_rows<8>(rows, block, x, first, added, totals);
    }
  }
};

}  // namespace propd
