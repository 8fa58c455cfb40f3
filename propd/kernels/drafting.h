// Draft heads in one go: a step drafts for one position a row, where small operations cost more than
// their sums.

#pragma once

#include <ATen/ops/empty.h>

#include "kinds.h"

namespace propd {

// What one residual block holds, and how it follows the others in propd/heads/kernel_draft.py.
enum BlockPart { INNER, INNER_BIAS, OUTER, BLOCK_PARTS };

// x + W2 silu(W1 seen): x (T, H) -> (T, H), `step` numbers from row to row.
template <typename Weight>
void add_block(const typename Weight::Inputs& seen, const float* x, const Parts& parts,
               int64_t number, float* to, int64_t step) {
  const int64_t first = number * BLOCK_PARTS;
  const Weight inner(*parts.get(first + INNER), parts.get(first + INNER_BIAS));
  const Weight outer(*parts.get(first + OUTER), std::nullopt);
  TORCH_CHECK(outer.width == inner.outputs, "propd: weights of another block");
  const int64_t width = outer.outputs;
  std::vector<float> made(seen.rows * inner.outputs);
  product(inner, seen, [&](int64_t row, int64_t at, Numbers sums) {
    narrow(silu(sums), made.data() + row * inner.outputs + at);
  });
  using Inputs = typename Weight::Inputs;
  const Inputs ready_now = ready<Inputs>(made.data(), seen.rows, inner.outputs);
  product(outer, ready_now, [&](int64_t row, int64_t at, Numbers sums) {
    narrow(widen(x + row * width + at) + sums, to + row * step + at);
  });
}

// Independent draft heads behind a trunk that also sees the root: hidden and root (B, H) ->
// (B, heads, H), ready for their LM head. weights: of the trunk, then of each head.
inline at::Tensor draft_heads(const at::Tensor& hidden, const at::Tensor& root,
                              const Parts& weights, double epsilon) {
  check_rows(hidden);
  check_rows(root);
  const int64_t rows = hidden.size(0), width = hidden.size(1);
  const int64_t heads = static_cast<int64_t>(weights.size()) / BLOCK_PARTS - 1;
  TORCH_CHECK(root.sizes() == hidden.sizes() && heads > 0, "propd: hidden states without roots");
  const auto* x = hidden.const_data_ptr<float>();
  const float whole = std::sqrt(static_cast<float>(width));
  std::vector<float> both(rows * 2 * width), trunk(rows * width);
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = root.const_data_ptr<float>() + row * width;
    const float share = whole / length_of(from, width, epsilon);
    float* to = both.data() + row * 2 * width;
    std::copy(x + row * width, x + (row + 1) * width, to);
    for (int64_t at = 0; at < width; ++at) to[width + at] = from[at] * share;
  }
  at::Tensor found = at::empty({rows, heads, width}, hidden.options());
  with_kind(*weights.get(0), [&]<typename Weight>() {
    using Inputs = typename Weight::Inputs;
    add_block<Weight>(ready<Inputs>(both.data(), rows, 2 * width), x, weights, 0, trunk.data(),
                      width);
    const Inputs seen = ready<Inputs>(trunk.data(), rows, width);
    for (int64_t head = 0; head < heads; ++head) {
      add_block<Weight>(seen, trunk.data(), weights, head + 1,
                        found.mutable_data_ptr<float>() + head * width, heads * width);
    }
  });
  return found;
}

}  // namespace propd
