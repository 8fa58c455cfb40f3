// The operators, on a processor with AVX2 or AVX-512 VNNI: products, layers with everything but the
// embedding (propd/models/kernel_layers.py), draft heads (propd/heads/kernel_draft.py), and the
// largest of many numbers. Weights are in groups, float32 or bfloat16, hidden states float32, K and V
// float16 or float32.

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "choosing.h"
#include "drafting.h"
#include "layers.h"

namespace {

using at::Tensor;
using namespace propd;

template <typename Number, typename Weight>
void write_product(const Weight& weight, const typename Weight::Inputs& inputs, Tensor& y) {
  auto* to = y.mutable_data_ptr<Number>();
  product(weight, inputs, [&](int64_t row, int64_t output, Numbers sums) {
    narrow(sums, to + row * weight.outputs + output);
  });
}

// x (T, in) in bfloat16 or float32 -> (T, out): in float32 if wide, else as x is.
Tensor blocked_product(const Tensor& given, const Tensor& blocks, const Maybe& bias, bool wide) {
  const Tensor x = given.contiguous();
  check_rows(x);
  const int64_t rows = x.size(0), width = x.size(1);
  const bool half = x.scalar_type() == at::kBFloat16;
  return with_kind(blocks, [&]<typename Weight>() {
    using Inputs = typename Weight::Inputs;
    const Weight weight(blocks, bias);
    const Inputs inputs = half ? ready<Inputs>(x.const_data_ptr<at::BFloat16>(), rows, width)
                               : ready<Inputs>(x.const_data_ptr<float>(), rows, width);
    const auto type = half && !wide ? at::kBFloat16 : at::kFloat;
    Tensor y = at::empty({rows, weight.outputs}, x.options().dtype(type));
    half && !wide ? write_product<at::BFloat16>(weight, inputs, y)
                  : write_product<float>(weight, inputs, y);
    return y;
  });
}

// T nodes of R rows, row after row: queries (T, query heads, size), mask (R, 1, N, E) with 0 where a
// node may look, keys and values (R, kv heads, E, size) -> (T, query heads * size). counts, ends:
// (R,) nodes and slots of each row; without them N and E.
Tensor attention(const Tensor& queries, const Tensor& mask, const Tensor& keys,
                 const Tensor& values, const Maybe& counts, const Maybe& ends) {
  const Together rows(mask, counts, ends, 0);
  const int64_t heads = queries.size(1), size = queries.size(2), kv_heads = keys.size(1);
  TORCH_CHECK(queries.dim() == 3 && queries.stride(2) == 1 && queries.stride(1) == size &&
                  keys.dim() == 4 && keys.stride(3) == 1 && keys.size(2) == rows.end &&
                  keys.size(0) == mask.size(0) && keys.size(3) == size && heads % kv_heads == 0 &&
                  keys.sizes() == values.sizes() && values.strides() == keys.strides(),
              "propd: queries, mask, K and V do not fit");
  TORCH_CHECK(rows.count() == queries.size(0), "propd: ", queries.size(0),
              " queries are not those of the rows");
  Tensor mixed = at::empty({queries.size(0), heads * size}, queries.options());
  const Asked asked{queries.const_data_ptr<float>(), queries.stride(0), heads};
  const auto go = [&]<typename Number>(Number) {
    attend(asked, rows, store_of<Number>(keys.unsqueeze(0), 0),
           store_of<Number>(values.unsqueeze(0), 0), kv_heads, size,
           mixed.mutable_data_ptr<float>());
  };
  keys.scalar_type() == at::kFloat ? go(float{}) : go(at::Half{});
  return mixed;
}

// Some layers over T nodes: (T, H) -> (T, H). turns: (T, 1, size / 2) complex. rows, slots: (T,) where
// K and V of the nodes go. keys, values: (layers, B, kv heads, capacity, size). Blocks of rows attend
// for themselves, from row first_rows[b] of the cache on; masks[b] (R, 1, N, E), counts and ends (R,)
// each.
Tensor run_layers(const Tensor& given, const Tensor& turns, const Tensor& rows, const Tensor& slots,
                  const Tensor& keys, const Tensor& values, const std::vector<Tensor>& masks,
                  const std::vector<Tensor>& counts, const std::vector<Tensor>& ends,
                  at::IntArrayRef first_rows, const Parts& weights, double epsilon,
                  int64_t query_heads) {
  check_rows(given);
  const int64_t layers = keys.size(0), nodes = given.size(0), width = given.size(1);
  Standing at{nodes, reinterpret_cast<const float*>(turns.const_data_ptr()),
              rows.const_data_ptr<int64_t>(), slots.const_data_ptr<int64_t>(), {},
              query_heads, keys.size(2), keys.size(4), static_cast<float>(epsilon)};
  int64_t told = 0;
  for (size_t block = 0; block < masks.size(); ++block) {
    at.blocks.emplace_back(masks[block], counts[block], ends[block], first_rows[block]);
    told += at.blocks.back().count();
    TORCH_CHECK(at.blocks.back().end <= keys.size(3), "propd: a mask beyond the cache");
  }
  TORCH_CHECK(static_cast<int64_t>(weights.size()) == layers * LAYER_PARTS && told == nodes &&
                  values.sizes() == keys.sizes() && keys.stride(4) == 1 && values.stride(4) == 1 &&
                  rows.numel() == nodes && slots.numel() == nodes &&
                  query_heads % at.kv_heads == 0,
              "propd: weights, cache and nodes do not fit");
  TORCH_CHECK(turns.is_contiguous() && turns.scalar_type() == at::kComplexFloat &&
                  turns.size(0) == nodes && turns.size(-1) * 2 == at.size && at.size % LANES == 0,
              "propd: turns of other heads");
  Tensor hidden = given.clone();
  with_kind(*weights.get(QKV), [&]<typename Weight>() {
    const auto go = [&]<typename Number>(Number) {
      Pass<Weight, Number> pass(at, width, hidden.mutable_data_ptr<float>());
      for (int64_t number = 0; number < layers; ++number) {
        pass.run(Layer<Weight>(weights, number * LAYER_PARTS), store_of<Number>(keys, number),
                 store_of<Number>(values, number));
      }
    };
    keys.scalar_type() == at::kFloat ? go(float{}) : go(at::Half{});
  });
  return hidden;
}

void check_scores(const Tensor& scores) {
  TORCH_CHECK(scores.dim() == 2 && scores.is_contiguous() && scores.size(1) > 0,
              "propd: rows of scores side by side");
}

// (T, V) -> (T,) places of the largest.
Tensor largest_places(const Tensor& scores) {
  check_scores(scores);
  Tensor places = at::empty({scores.size(0)}, scores.options().dtype(at::kLong));
  const auto* from = scores.const_data_ptr<float>();
  auto* to = places.mutable_data_ptr<int64_t>();
  share(scores.size(0), 1, [&](int64_t row) {
    to[row] = place_of_most(from + row * scores.size(1), scores.size(1));
  });
  return places;
}

// (T, V) -> (T, count) places of the best, and their chances.
std::tuple<Tensor, Tensor> best(const Tensor& scores, int64_t count) {
  check_scores(scores);
  const int64_t width = scores.size(1);
  TORCH_CHECK(0 < count && count <= width, "propd: ", count, " of ", width, " numbers");
  Tensor places = at::empty({scores.size(0), count}, scores.options().dtype(at::kLong));
  Tensor chances = at::empty({scores.size(0), count}, scores.options());
  const auto* from = scores.const_data_ptr<float>();
  auto* to = places.mutable_data_ptr<int64_t>();
  auto* likely = chances.mutable_data_ptr<float>();
  share(scores.size(0), 1, [&](int64_t row) {
    best_of_row(from + row * width, width, count, to + row * count, likely + row * count);
  });
  return {places, chances};
}

// Scores (I, V) of words, and C candidates: candidate c belongs to row rows[c] and has a score of its
// own. Returns (C,) how many words of its row score higher, and its chance among them.
std::tuple<Tensor, Tensor> ranks(const Tensor& scores, const Tensor& rows, const Tensor& own) {
  check_scores(scores);
  const int64_t width = scores.size(1), count = rows.numel();
  TORCH_CHECK(own.numel() == count && own.is_contiguous() && rows.is_contiguous(),
              "propd: candidates without scores");
  Tensor places = at::empty({count}, scores.options().dtype(at::kLong));
  Tensor chances = at::empty({count}, scores.options());
  std::vector<float> totals(scores.size(0));
  const auto* from = scores.const_data_ptr<float>();
  const auto* of = rows.const_data_ptr<int64_t>();
  const auto* score = own.const_data_ptr<float>();
  auto* to = places.mutable_data_ptr<int64_t>();
  auto* likely = chances.mutable_data_ptr<float>();
  share(scores.size(0), 1, [&](int64_t row) { totals[row] = log_total(from + row * width, width); });
  share(count, 1, [&](int64_t at) {
    to[at] = count_above(from + of[at] * width, width, score[at]);
    likely[at] = std::min(1.0f, std::exp(score[at] - totals[of[at]]));
  });
  return {places, chances};
}

void use_threads(int64_t count) { own_threads = static_cast<int>(count); }

}  // namespace

TORCH_LIBRARY(propd, library) {
  library.def("blocked_product(Tensor x, Tensor blocks, Tensor? bias, bool wide) -> Tensor",
              &blocked_product);
  library.def(
      "attention(Tensor queries, Tensor mask, Tensor keys, Tensor values, Tensor? counts, "
      "Tensor? ends) -> Tensor",
      &attention);
  library.def(
      "run_layers(Tensor hidden, Tensor turns, Tensor rows, Tensor slots, Tensor keys, "
      "Tensor values, Tensor[] masks, Tensor[] counts, Tensor[] ends, int[] first_rows, "
      "Tensor?[] weights, float epsilon, int query_heads) -> Tensor",
      &run_layers);
  library.def("draft_heads(Tensor hidden, Tensor root, Tensor?[] weights, float epsilon) -> Tensor",
              &draft_heads);
  library.def("ranks(Tensor scores, Tensor rows, Tensor own) -> (Tensor, Tensor)", &ranks);
  library.def("use_threads(int count) -> ()", &use_threads);
  library.def("largest_places(Tensor scores) -> Tensor", &largest_places);
  library.def("best(Tensor scores, int count) -> (Tensor, Tensor)", &best);
}
