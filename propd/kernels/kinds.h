// Weights of whatever kind, as they come from Python.

#pragma once

#include "dense.h"
#include "grouped.h"

namespace propd {

using Maybe = std::optional<at::Tensor>;
using Parts = c10::List<Maybe>;

inline void check_rows(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && x.size(1) % GROUP == 0,
              "propd: rows of numbers side by side, a multiple of ", GROUP, " in each");
}

// Calls go.operator()<Weight>() for the kind of weight that blocks are of.
template <typename Go>
auto with_kind(const at::Tensor& blocks, Go go) {
  switch (blocks.scalar_type()) {
    case at::kByte: return go.template operator()<Grouped>();
    case at::kFloat: return go.template operator()<Dense<float>>();
    case at::kBFloat16: return go.template operator()<Dense<at::BFloat16>>();
    default: TORCH_CHECK(false, "propd: no weights are of type ", blocks.scalar_type());
  }
}

}  // namespace propd
