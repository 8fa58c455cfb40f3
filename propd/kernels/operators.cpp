// The operators, on a processor with AVX2 or AVX-512 VNNI: layers with everything but the embedding
// (propd/models/kernel_layers.py), draft heads (propd/heads/kernel_draft.py), and the largest of many
// numbers. Weights are in groups, float32 or bfloat16, hidden states float32, K and V float16 or
// float32.

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "attention.h"
#include "choosing.h"
#include "dense.h"
#include "grouped.h"

namespace {

using at::Tensor;
using Maybe = std::optional<Tensor>;
using namespace propd;

void check_rows(const Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.is_contiguous() && x.size(1) % GROUP == 0,
              "propd: rows of numbers side by side, a multiple of ", GROUP, " in each");
}

void check_norm(const Tensor& norm, int64_t width) {
  TORCH_CHECK(norm.is_contiguous() && norm.numel() == width, "propd: norm of another size");
}

Tensor rows_like(const Tensor& x, int64_t width, at::ScalarType type = at::kFloat) {
  return at::empty({x.size(0), width}, x.options().dtype(type));
}

const float* numbers(const Maybe& x) { return x.has_value() ? x->const_data_ptr<float>() : nullptr; }

// Calls go.operator()<Weight>() for the kind of weight that blocks are of.
template <typename Go>
auto with_kind(const Tensor& blocks, Go go) {
  switch (blocks.scalar_type()) {
    case at::kByte: return go.template operator()<Grouped>();
    case at::kFloat: return go.template operator()<Dense<float>>();
    case at::kBFloat16: return go.template operator()<Dense<at::BFloat16>>();
    default: TORCH_CHECK(false, "propd: no weights are of type ", blocks.scalar_type());
  }
}

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
    Tensor y = rows_like(x, weight.outputs, half && !wide ? at::kBFloat16 : at::kFloat);
    half && !wide ? write_product<at::BFloat16>(weight, inputs, y)
                  : write_product<float>(weight, inputs, y);
    return y;
  });
}

// Norm and turn of one head: pairs of numbers side by side turn as complex numbers.
void settle_head(float* head, int64_t size, const float* norm, float epsilon, const float* turns) {
  if (norm) {
    const float share = 1.0f / length_of(head, size, epsilon);
    for (int64_t i = 0; i < size; ++i) head[i] = head[i] * share * norm[i];
  }
  for (int64_t i = 0; i < size; i += 2) {
    const float real = head[i], other = head[i + 1];
    head[i] = real * turns[i] - other * turns[i + 1];
    head[i + 1] = real * turns[i + 1] + other * turns[i];
  }
}

// What comes before attention: hidden (T, H) -> queries, keys and values (T, heads, size).
// turns: (T, 1, size / 2) complex.
std::tuple<Tensor, Tensor, Tensor> before_attention(
    const Tensor& hidden, const Tensor& norm, double epsilon, const Tensor& qkv, const Maybe& bias,
    const Maybe& query_norm, const Maybe& key_norm, const Tensor& turns, int64_t query_heads,
    int64_t kv_heads) {
  check_rows(hidden);
  check_norm(norm, hidden.size(1));
  const int64_t rows = hidden.size(0), heads = query_heads + 2 * kv_heads;
  Tensor made = with_kind(qkv, [&]<typename Weight>() {
    const Weight weight(qkv, bias);
    Tensor y = rows_like(hidden, weight.outputs);
    write_product<float>(weight,
                         normed<typename Weight::Inputs>(hidden.const_data_ptr<float>(), rows,
                                                         hidden.size(1),
                                                         norm.const_data_ptr<float>(), epsilon),
                         y);
    return y;
  });
  const int64_t size = made.size(1) / heads;
  TORCH_CHECK(turns.is_contiguous() && turns.scalar_type() == at::kComplexFloat &&
                  turns.size(0) == rows && turns.size(-1) * 2 == size && size % LANES == 0,
              "propd: turns of other heads");
  auto* all = made.mutable_data_ptr<float>();
  const auto* angles = reinterpret_cast<const float*>(turns.const_data_ptr());
  for_rows(rows, [&](int64_t row) {
    for (int64_t head = 0; head < query_heads + kv_heads; ++head) {
      settle_head(all + (row * heads + head) * size, size,
                  numbers(head < query_heads ? query_norm : key_norm), epsilon,
                  angles + row * size);
    }
  });
  const Tensor by_head = made.view({rows, heads, size});
  return {by_head.narrow(1, 0, query_heads), by_head.narrow(1, query_heads, kv_heads),
          by_head.narrow(1, query_heads + kv_heads, kv_heads)};
}

template <typename Number>
void attend_by_size(const Tensor& queries, const Tensor& mask, const Tensor& keys,
                    const Tensor& values, const std::vector<Task>& tasks, float* to) {
  const Store<Number> k(keys), v(values);
  const int64_t size = keys.size(3), kv_heads = keys.size(1);
  switch (size % LANES ? 0 : size / LANES) {
    case 1: return attend<1>(queries, mask, k, v, kv_heads, tasks, to);
    case 2: return attend<2>(queries, mask, k, v, kv_heads, tasks, to);
    case 4: return attend<4>(queries, mask, k, v, kv_heads, tasks, to);
    case 5: return attend<5>(queries, mask, k, v, kv_heads, tasks, to);
    case 6: return attend<6>(queries, mask, k, v, kv_heads, tasks, to);
    case 8: return attend<8>(queries, mask, k, v, kv_heads, tasks, to);
    default: TORCH_CHECK(false, "propd: attention is not written for heads of ", size, " numbers");
  }
}

// T nodes of R rows, row after row: queries (T, query heads, size), mask (R, 1, N, E) with 0 where a
// node may look, keys and values (R, kv heads, E, size) -> (T, query heads * size). counts, ends:
// (R,) nodes and slots of each row; without them N and E.
Tensor attention(const Tensor& queries, const Tensor& mask, const Tensor& keys,
                 const Tensor& values, const Maybe& counts, const Maybe& ends) {
  const int64_t rows = mask.size(0), nodes = mask.size(2), end = mask.size(3);
  const int64_t heads = queries.size(1), size = queries.size(2), kv_heads = keys.size(1);
  TORCH_CHECK(queries.dim() == 3 && queries.stride(2) == 1 && mask.is_contiguous() &&
                  keys.size(2) == end && keys.size(0) == rows && keys.size(3) == size &&
                  heads % kv_heads == 0 && keys.sizes() == values.sizes(),
              "propd: queries, mask, K and V do not fit");
  const auto whole = [](const Maybe& x) {
    return x.has_value() ? x->const_data_ptr<int64_t>() : nullptr;
  };
  const std::vector<Task> tasks = tasks_of(rows, nodes, end, whole(counts), whole(ends));
  TORCH_CHECK(!tasks.empty() && tasks.back().before + tasks.back().count == queries.size(0),
              "propd: ", queries.size(0), " queries are not those of the rows");
  Tensor mixed = at::empty({queries.size(0), heads * size}, queries.options());
  auto* to = mixed.mutable_data_ptr<float>();
  if (keys.scalar_type() == at::kFloat) {
    attend_by_size<float>(queries, mask, keys, values, tasks, to);
  } else {
    attend_by_size<at::Half>(queries, mask, keys, values, tasks, to);
  }
  return mixed;
}

// One product after another: x W1^T added to hidden, its norm W2^T halved by the gate, W3^T added.
template <typename Weight>
void finish_layer(const float* hidden, const float* mixed, int64_t rows, const Weight& output,
                  const float* norm, float epsilon, const Weight& gate_up, const Weight& down,
                  float* to) {
  using Inputs = typename Weight::Inputs;
  const int64_t width = output.outputs, inner = down.width;
  const auto add_to = [&](const float* before) {
    return [=](int64_t row, int64_t at, Numbers sums) {
      narrow(widen(before + row * width + at) + sums, to + row * width + at);
    };
  };
  product(output, ready<Inputs>(mixed, rows, output.width), add_to(hidden));
  const Inputs x = normed<Inputs>(to, rows, width, norm, epsilon);
  std::vector<float> gated(rows * inner);
  for_tiles<Weight::ROWS>(inner, rows, [&](int64_t at, int64_t first, int64_t count) {
    Numbers gates[Weight::ROWS], ups[Weight::ROWS];
    gate_up.times(x, at, first, count, gates);
    gate_up.times(x, inner + at, first, count, ups);
    for (int64_t i = 0; i < count; ++i) {
      narrow(silu(gates[i]) * ups[i], gated.data() + (first + i) * inner + at);
    }
  });
  product(down, ready<Inputs>(gated.data(), rows, inner), add_to(to));
}

// What comes after attention: hidden (T, H) and mixed (T, heads * size) -> (T, H).
Tensor after_attention(const Tensor& hidden, const Tensor& mixed, const Tensor& output,
                       const Maybe& output_bias, const Tensor& norm, double epsilon,
                       const Tensor& gate_up, const Maybe& gate_up_bias, const Tensor& down,
                       const Maybe& down_bias) {
  check_rows(hidden);
  check_rows(mixed);
  const int64_t rows = hidden.size(0), width = hidden.size(1);
  check_norm(norm, width);
  TORCH_CHECK(gate_up.scalar_type() == output.scalar_type() &&
                  down.scalar_type() == output.scalar_type(), "propd: weights of several kinds");
  Tensor result = rows_like(hidden, width);
  with_kind(output, [&]<typename Weight>() {
    const Weight first(output, output_bias), second(gate_up, gate_up_bias), third(down, down_bias);
    TORCH_CHECK(first.width == mixed.size(1) && first.outputs == width && second.width == width &&
                    second.outputs == 2 * third.width && third.width % GROUP == 0 &&
                    third.outputs == width && mixed.size(0) == rows,
                "propd: weights of another layer");
    finish_layer(hidden.const_data_ptr<float>(), mixed.const_data_ptr<float>(), rows, first,
                 norm.const_data_ptr<float>(), epsilon, second, third,
                 result.mutable_data_ptr<float>());
  });
  return result;
}

// What a layer holds, in the order in which propd/models/kernel_layers.py tells it.
struct Layer {
  enum Part {
    ATTENTION_NORM, QKV, QKV_BIAS, QUERY_NORM, KEY_NORM, OUTPUT, OUTPUT_BIAS,
    MLP_NORM, GATE_UP, GATE_UP_BIAS, DOWN, DOWN_BIAS, PARTS
  };
  const c10::List<Maybe>& parts;
  int64_t first;

  Maybe maybe(Part part) const { return parts.get(first + part); }
  Tensor operator[](Part part) const { return *maybe(part); }
};

// K or V (T, kv heads, size) to the rows and slots of its nodes: (B, kv heads, capacity, size).
template <typename Number>
void write_to(Tensor& store, const Tensor& news, const int64_t* rows, const int64_t* slots) {
  auto* to = store.mutable_data_ptr<Number>();
  const auto* from = news.const_data_ptr<float>();
  const int64_t heads = news.size(1), size = news.size(2);
  for (int64_t node = 0; node < news.size(0); ++node) {
    for (int64_t head = 0; head < heads; ++head) {
      Number* place = to + rows[node] * store.stride(0) + head * store.stride(1) +
                      slots[node] * store.stride(2);
      const float* own = from + node * news.stride(0) + head * size;
      for (int64_t at = 0; at < size; at += LANES) narrow(widen(own + at), place + at);
    }
  }
}

void remember(Tensor store, const Tensor& news, const Tensor& rows, const Tensor& slots) {
  const auto* at = rows.const_data_ptr<int64_t>();
  const auto* slot = slots.const_data_ptr<int64_t>();
  if (store.scalar_type() == at::kFloat) return write_to<float>(store, news, at, slot);
  write_to<at::Half>(store, news, at, slot);
}

// Some layers over T nodes: (T, H) -> (T, H). rows, slots: (T,) where K and V of the nodes go.
// keys, values: (layers, B, kv heads, capacity, size). Blocks of rows attend for themselves, from
// row first_rows[b] of the cache on, and end before node last_nodes[b]; masks[b] (R, 1, N, E), counts
// and ends (R,) each.
Tensor run_layers(const Tensor& given, const Tensor& turns, const Tensor& rows, const Tensor& slots,
                  const Tensor& keys, const Tensor& values, const std::vector<Tensor>& masks,
                  const std::vector<Tensor>& counts, const std::vector<Tensor>& ends,
                  at::IntArrayRef first_rows, at::IntArrayRef last_nodes,
                  const c10::List<Maybe>& weights, double epsilon, int64_t query_heads) {
  const int64_t layers = keys.size(0), kv_heads = keys.size(2);
  TORCH_CHECK(static_cast<int64_t>(weights.size()) == layers * Layer::PARTS &&
                  values.sizes() == keys.sizes() && rows.numel() == given.size(0) &&
                  slots.numel() == given.size(0) && last_nodes.back() == given.size(0),
              "propd: weights, cache and nodes do not fit");
  Tensor hidden = given;
  for (int64_t number = 0; number < layers; ++number) {
    const Layer layer{weights, number * Layer::PARTS};
    const auto [queries, new_keys, new_values] = before_attention(
        hidden, layer[Layer::ATTENTION_NORM], epsilon, layer[Layer::QKV],
        layer.maybe(Layer::QKV_BIAS), layer.maybe(Layer::QUERY_NORM), layer.maybe(Layer::KEY_NORM),
        turns, query_heads, kv_heads);
    const Tensor own_keys = keys[number], own_values = values[number];
    remember(own_keys, new_keys, rows, slots);
    remember(own_values, new_values, rows, slots);
    std::vector<Tensor> mixed;
    int64_t node = 0;
    for (size_t block = 0; block < masks.size(); ++block) {
      const Tensor& mask = masks[block];
      const auto seen = [&](const Tensor& store) {
        return store.narrow(0, first_rows[block], mask.size(0)).narrow(2, 0, mask.size(3));
      };
      mixed.push_back(attention(queries.narrow(0, node, last_nodes[block] - node), mask,
                                seen(own_keys), seen(own_values), counts[block], ends[block]));
      node = last_nodes[block];
    }
    hidden = after_attention(hidden, mixed.size() == 1 ? mixed[0] : at::cat(mixed),
                             layer[Layer::OUTPUT], layer.maybe(Layer::OUTPUT_BIAS),
                             layer[Layer::MLP_NORM], epsilon, layer[Layer::GATE_UP],
                             layer.maybe(Layer::GATE_UP_BIAS), layer[Layer::DOWN],
                             layer.maybe(Layer::DOWN_BIAS));
  }
  return hidden;
}

// What one residual block holds, and how it follows the others in propd/heads/kernel_draft.py.
enum BlockPart { INNER, INNER_BIAS, OUTER, BLOCK_PARTS };

// x + W2 silu(W1 seen): x (T, H) -> (T, H), `step` numbers from row to row.
template <typename Weight>
void add_block(const typename Weight::Inputs& seen, const float* x, const c10::List<Maybe>& parts,
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
Tensor draft_heads(const Tensor& hidden, const Tensor& root, const c10::List<Maybe>& weights,
                   double epsilon) {
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
  Tensor found = at::empty({rows, heads, width}, hidden.options());
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
  at::parallel_for(0, scores.size(0), 1, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) to[begin] = place_of_most(from + begin * scores.size(1), scores.size(1));
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
  at::parallel_for(0, scores.size(0), 1, [&](int64_t begin, int64_t end) {
    for (; begin < end; ++begin) {
      best_of_row(from + begin * width, width, count, to + begin * count, likely + begin * count);
    }
  });
  return {places, chances};
}

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
      "int[] last_nodes, Tensor?[] weights, float epsilon, int query_heads) -> Tensor",
      &run_layers);
  library.def("draft_heads(Tensor hidden, Tensor root, Tensor?[] weights, float epsilon) -> Tensor",
              &draft_heads);
  library.def("largest_places(Tensor scores) -> Tensor", &largest_places);
  library.def("best(Tensor scores, int count) -> (Tensor, Tensor)", &best);
}
