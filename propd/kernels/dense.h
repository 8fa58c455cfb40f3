// Weights as numbers, of 32 or 16 bits, in blocks of 16 outputs: (out / 16, in, 16). The sum of an
// output runs input by input, in float32.

#pragma once

#include "product.h"

namespace propd {

// Rows as they are, in float32.
struct Plain {
  int64_t rows, width;
  std::vector<float> numbers;

  Plain(int64_t rows, int64_t width) : rows(rows), width(width), numbers(rows * width) {}

  void put(int64_t row, int64_t at, Numbers first, Numbers second) {
    float* to = numbers.data() + row * width + at;
    narrow(first, to), narrow(second, to + LANES);
  }
};

template <typename Number>
struct Dense {
  using Inputs = Plain;
  static constexpr int64_t ROWS = ROWS_AT_ONCE<32>;

  const Number* blocks;
  int64_t outputs, width;
  const float* bias;  // (out,), or null

  Dense(const at::Tensor& tensor, const std::optional<at::Tensor>& added)
      : blocks(tensor.const_data_ptr<Number>()), outputs(tensor.size(0) * LANES),
        width(tensor.size(1)), bias(bias_of(added, outputs)) {
    TORCH_CHECK(tensor.dim() == 3 && tensor.is_contiguous() && tensor.size(2) == LANES,
                "propd: weights in blocks of another order");
  }

  const void* start() const { return blocks; }
  int64_t bytes() const { return outputs * width * static_cast<int64_t>(sizeof(Number)); }

  // 16 outputs from `output` on, of the rows from `first` on.
  void times(const Plain& x, int64_t output, int64_t first, int64_t rows, Numbers* totals) const {
    const float* from = x.numbers.data() + first * width;
    some<ROWS>(rows, blocks + output * width, from, bias ? bias + output : nullptr, totals);
  }

 private:
  template <int COUNT>
  void some(int64_t rows, const Number* block, const float* x, const float* added,
            Numbers* totals) const {
    if constexpr (COUNT > 1) {
      if (rows < COUNT) return some<COUNT - 1>(rows, block, x, added, totals);
    }
    Numbers total[COUNT];
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; ++row) total[row] = added ? widen(added) : zeros();
    for (int64_t at = 0; at < width; ++at) {
      const Numbers weights = widen(block + at * LANES);
      fetch(block + (width + at) * LANES);  // of the next block, while this one is computed with
#pragma GCC unroll 16
      for (int row = 0; row < COUNT; ++row) {
        total[row] = fused(every(x[row * width + at]), weights, total[row]);
      }
    }
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; ++row) totals[row] = total[row];
  }
};

}  // namespace propd
