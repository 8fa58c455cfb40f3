// The operators of a layer with weights in groups: everything but the embedding, on a processor with
// AVX2 or AVX-512 VNNI. Hidden states are float32, K and V float16. See propd/models/grouped_math.py.

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "attention.h"
#include "product.h"

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

template <typename Number>
void write_product(const Weight& weight, const Inputs& x, Tensor& y) {
  auto* to = y.mutable_data_ptr<Number>();
  product(weight, x, [&](int64_t row, int64_t output, Numbers sums) {
    narrow(sums, to + row * weight.outputs + output);
  });
}

// x (T, in) in bfloat16 or float32 -> (T, out): in float32 if wide, else as x is.
Tensor grouped_product(const Tensor& given, const Tensor& blocks, const Maybe& bias, bool wide) {
  const Tensor x = given.contiguous();
  check_rows(x);
  const Weight weight(blocks, bias);
  const bool half = x.scalar_type() == at::kBFloat16;
  const Inputs inputs = half ? quantized(x.const_data_ptr<at::BFloat16>(), x.size(0), x.size(1))
                             : quantized(x.const_data_ptr<float>(), x.size(0), x.size(1));
  Tensor y = rows_like(x, weight.outputs, half && !wide ? at::kBFloat16 : at::kFloat);
  half && !wide ? write_product<at::BFloat16>(weight, inputs, y)
                : write_product<float>(weight, inputs, y);
  return y;
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
  const Weight weight(qkv, bias);
  const int64_t rows = hidden.size(0), heads = query_heads + 2 * kv_heads;
  const int64_t size = weight.outputs / heads;
  TORCH_CHECK(turns.is_contiguous() && turns.scalar_type() == at::kComplexFloat &&
                  turns.size(0) == rows && turns.size(-1) * 2 == size && size % LANES == 0,
              "propd: turns of other heads");
  check_norm(norm, hidden.size(1));
  const Inputs x = normed(hidden.const_data_ptr<float>(), rows, hidden.size(1),
                          norm.const_data_ptr<float>(), epsilon);
  Tensor made = rows_like(hidden, weight.outputs);
  write_product<float>(weight, x, made);
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
  const Store k(keys), v(values);
  Tensor mixed = at::empty({queries.size(0), heads * size}, queries.options());
  auto* to = mixed.mutable_data_ptr<float>();
  switch (size % LANES ? 0 : size / LANES) {
    case 1: attend<1>(queries, mask, k, v, kv_heads, tasks, to); break;
    case 2: attend<2>(queries, mask, k, v, kv_heads, tasks, to); break;
    case 4: attend<4>(queries, mask, k, v, kv_heads, tasks, to); break;
    case 5: attend<5>(queries, mask, k, v, kv_heads, tasks, to); break;
    case 6: attend<6>(queries, mask, k, v, kv_heads, tasks, to); break;
    case 8: attend<8>(queries, mask, k, v, kv_heads, tasks, to); break;
    default: TORCH_CHECK(false, "propd: attention is not written for heads of ", size, " numbers");
  }
  return mixed;
}

// What comes after attention: hidden (T, H) and mixed (T, heads * size) -> (T, H).
Tensor after_attention(const Tensor& hidden, const Tensor& mixed, const Tensor& output,
                       const Maybe& output_bias, const Tensor& norm, double epsilon,
                       const Tensor& gate_up, const Maybe& gate_up_bias, const Tensor& down,
                       const Maybe& down_bias) {
  check_rows(hidden);
  check_rows(mixed);
  const int64_t rows = hidden.size(0), width = hidden.size(1);
  const Weight first(output, output_bias), second(gate_up, gate_up_bias), third(down, down_bias);
  Tensor result = rows_like(hidden, width);
  auto* to = result.mutable_data_ptr<float>();
  const auto* from = hidden.const_data_ptr<float>();
  const auto add_to = [&](const float* before) {
    return [=](int64_t row, int64_t at, Numbers sums) {
      narrow(widen(before + row * width + at) + sums, to + row * width + at);
    };
  };
  product(first, quantized(mixed.const_data_ptr<float>(), rows, mixed.size(1)), add_to(from));
  const Inputs x = normed(to, rows, width, norm.const_data_ptr<float>(), epsilon);
  const int64_t inner = second.outputs / 2;
  TORCH_CHECK(second.groups == x.groups && inner % GROUP == 0 && third.outputs == width &&
                  first.outputs == width && mixed.size(0) == rows,
              "propd: weights of another layer");
  check_norm(norm, width);
  std::vector<float> gated(rows * inner);
  for_tiles(inner, rows, [&](int64_t at, int64_t row) {
    Numbers gates[TILE], ups[TILE];
    some_outputs(second, x, at, row, gates);
    some_outputs(second, x, inner + at, row, ups);
    for (int64_t i = 0; i < std::min(TILE, rows - row); ++i) {
      narrow(silu(gates[i]) * ups[i], gated.data() + (row + i) * inner + at);
    }
  });
  product(third, quantized(gated.data(), rows, inner), add_to(to));
  return result;
}

}  // namespace

TORCH_LIBRARY(propd, library) {
  library.def("grouped_product(Tensor x, Tensor blocks, Tensor? bias, bool wide) -> Tensor",
              &grouped_product);
  library.def(
      "before_attention(Tensor hidden, Tensor norm, float epsilon, Tensor qkv, Tensor? bias, "
      "Tensor? query_norm, Tensor? key_norm, Tensor turns, int query_heads, int kv_heads) "
      "-> (Tensor, Tensor, Tensor)",
      &before_attention);
  library.def(
      "attention(Tensor queries, Tensor mask, Tensor keys, Tensor values, Tensor? counts, "
      "Tensor? ends) -> Tensor",
      &attention);
  library.def(
      "after_attention(Tensor hidden, Tensor mixed, Tensor output, Tensor? output_bias, "
      "Tensor norm, float epsilon, Tensor gate_up, Tensor? gate_up_bias, Tensor down, "
      "Tensor? down_bias) -> Tensor",
      &after_attention);
}
