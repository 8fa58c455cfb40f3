// y = x W^T: what products have in common, whatever the weights are made of.
//
// A kind of weight has `Inputs`, rows made ready for it, which take 32 numbers of a row at a time
// (`put`), the number of rows that it multiplies together (`ROWS`), and `times`, 16 outputs of so
// many rows. Each of a row's outputs is computed by the same operations in the same order however
// many rows there are: a row's result has the same bits in any company, and with any threads.

#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "numbers.h"
#include "team.h"

namespace propd {

constexpr int64_t GROUP = 32;
constexpr int64_t ROWS_TOGETHER = 4;  // fewer are not worth sharing among threads

// Threads of this caller while PyTorch has but one (propd.kernels.alone); 0: as many as PyTorch has.
inline thread_local int own_threads = 0;

// Calls each(turn) for 0 to count, from several threads, `least` turns and more at a time.
template <typename Each>
void share(int64_t count, int64_t least, Each each) {
  Team::get().share(own_threads ? own_threads : at::get_num_threads(), count, least, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) each(begin);
  });
}

// Rows as they are.
template <typename Inputs, typename Number>
Inputs ready(const Number* x, int64_t rows, int64_t width) {
  Inputs inputs(rows, width);
  share(rows, ROWS_TOGETHER, [&](int64_t row) {
    const Number* from = x + row * width;
    for (int64_t at = 0; at < width; at += GROUP, from += GROUP) {
      inputs.put(row, at, widen(from), widen(from + LANES));
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

template <typename Inputs>
Inputs normed(const float* x, int64_t rows, int64_t width, const float* norm, float epsilon) {
  Inputs inputs(rows, width);
  share(rows, ROWS_TOGETHER, [&](int64_t row) {
    const float* from = x + row * width;
    const Numbers share = every(1.0f / length_of(from, width, epsilon));
    const auto one = [&](int64_t at) { return widen(from + at) * share * widen(norm + at); };
    for (int64_t at = 0; at < width; at += GROUP) inputs.put(row, at, one(at), one(at + LANES));
  });
  return inputs;
}

// Calls each(output, first, count) for every 16 outputs and at most MOST rows, from several
// threads. Rows are shared out evenly: one left over would cost nearly what four do.
template <int64_t MOST, typename Each>
void for_tiles(int64_t outputs, int64_t rows, Each each) {
  const int64_t tiles = (rows + MOST - 1) / MOST;
  share(outputs / LANES, 1, [&](int64_t number) {
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t first = rows * tile / tiles, next = rows * (tile + 1) / tiles;
      each(number * LANES, first, next - first);
    }
  });
}

// x W^T, each 16 numbers of a row given to store(row, output, numbers).
template <typename Weight, typename Store>
void product(const Weight& weight, const typename Weight::Inputs& x, Store store) {
  TORCH_CHECK(weight.width == x.width, "propd: ", x.width, " inputs do not fit the weight");
  for_tiles<Weight::ROWS>(weight.outputs, x.rows, [&](int64_t output, int64_t first, int64_t count) {
    Numbers totals[Weight::ROWS];
    weight.times(x, output, first, count, totals);
    for (int64_t row = 0; row < count; ++row) store(first + row, output, totals[row]);
  });
}

// Brings the beginnings of a weight nearer, where two threads will begin (`Team`): while rows are made
// ready and attention runs, memory is idle.
template <typename Weight>
void fetch_beginnings(const Weight& weight) {
  constexpr int64_t SOME = 2048, LINE = 64;
  const auto* from = static_cast<const char*>(weight.start());
  for (int64_t at = 0; at < std::min(SOME, weight.bytes() / 4); at += LINE) {
    fetch(from + at), fetch(from + weight.bytes() / 4 + at);
  }
}

inline const float* bias_of(const std::optional<at::Tensor>& bias, int64_t outputs) {
  if (!bias.has_value()) return nullptr;
  TORCH_CHECK(bias->is_contiguous() && bias->numel() == outputs, "propd: bias of another size");
  return bias->const_data_ptr<float>();
}

}  // namespace propd
