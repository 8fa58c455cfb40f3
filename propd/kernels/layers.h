// Decoder layers: everything between the embedding and the final norm.

#pragma once

#include "attention.h"
#include "kinds.h"

namespace propd {

// What a layer holds, in the order in which propd/models/kernel_layers.py tells it.
enum LayerPart {
  ATTENTION_NORM, QKV, QKV_BIAS, QUERY_NORM, KEY_NORM, OUTPUT, OUTPUT_BIAS,
  MLP_NORM, GATE_UP, GATE_UP_BIAS, DOWN, DOWN_BIAS, LAYER_PARTS
};

template <typename Weight>
struct Layer {
  Weight qkv, output, gate_up, down;
  const float *attention_norm, *query_norm, *key_norm, *mlp_norm;

  Layer(const Parts& parts, int64_t first)
      : qkv(*parts.get(first + QKV), parts.get(first + QKV_BIAS)),
        output(*parts.get(first + OUTPUT), parts.get(first + OUTPUT_BIAS)),
        gate_up(*parts.get(first + GATE_UP), parts.get(first + GATE_UP_BIAS)),
        down(*parts.get(first + DOWN), parts.get(first + DOWN_BIAS)) {
    const auto norm = [&](LayerPart part, int64_t width) -> const float* {
      const Maybe found = parts.get(first + part);
      if (!found.has_value()) return nullptr;
      TORCH_CHECK(found->is_contiguous() && (width == 0 || found->numel() == width),
                  "propd: norm of another size");
      return found->template const_data_ptr<float>();
    };
    attention_norm = norm(ATTENTION_NORM, qkv.width), mlp_norm = norm(MLP_NORM, gate_up.width);
    query_norm = norm(QUERY_NORM, 0), key_norm = norm(KEY_NORM, 0);
  }
};

// The nodes of a pass: where they stand, and who looks at whom.
struct Standing {
  int64_t nodes;
  const float* turns;          // (T, size / 2) complex
  const int64_t *rows, *slots;  // (T,) where K and V go
  std::vector<Together> blocks;
  int64_t query_heads, kv_heads, size;
  float epsilon;
};

// Norm and turn of one head: pairs of numbers side by side turn as complex numbers.
inline void settle_head(float* head, int64_t size, const float* norm, float epsilon,
                        const float* turns) {
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

// Layers over T nodes whose hidden states change in place. What is kept between the steps is kept
// for the next layer too.
template <typename Weight, typename Number>
class Pass {
  using Inputs = typename Weight::Inputs;

 public:
  Pass(const Standing& standing, int64_t width, float* hidden)
      : at_(standing), width_(width), hidden_(hidden),
        heads_(standing.query_heads + 2 * standing.kv_heads),
        made_(standing.nodes * heads_ * standing.size),
        mixed_(standing.nodes * standing.query_heads * standing.size) {}

  void run(const Layer<Weight>& layer, const Store<Number>& keys, const Store<Number>& values) {
    const int64_t rows = at_.nodes, inner = layer.down.width;
    TORCH_CHECK(layer.qkv.width == width_ && layer.qkv.outputs == heads_ * at_.size &&
                    layer.output.width == at_.query_heads * at_.size &&
                    layer.output.outputs == width_ && layer.gate_up.width == width_ &&
                    layer.gate_up.outputs == 2 * inner && layer.down.outputs == width_ &&
                    inner % GROUP == 0,
                "propd: weights of another layer");
    fetch_beginnings(layer.qkv);
    product(layer.qkv, normed<Inputs>(hidden_, rows, width_, layer.attention_norm, at_.epsilon),
            [&](int64_t row, int64_t at, Numbers sums) {
              narrow(sums, made_.data() + row * layer.qkv.outputs + at);
            });
    settle(layer, keys, values);
    fetch_beginnings(layer.output);
    mix(keys, values);
    const auto add = [&](int64_t row, int64_t at, Numbers sums) {
      float* to = hidden_ + row * width_ + at;
      narrow(widen(to) + sums, to);
    };
    product(layer.output, ready<Inputs>(mixed_.data(), rows, layer.output.width), add);
    fetch_beginnings(layer.gate_up);
    gate(layer.gate_up, normed<Inputs>(hidden_, rows, width_, layer.mlp_norm, at_.epsilon), inner);
    fetch_beginnings(layer.down);
    product(layer.down, ready<Inputs>(gated_.data(), rows, inner), add);
  }

 private:
  const Standing& at_;
  int64_t width_;
  float* hidden_;
  int64_t heads_;              // of queries, keys and values
  std::vector<float> made_;    // (T, heads, size)
  std::vector<float> mixed_;   // (T, query heads * size)
  std::vector<float> gated_;   // (T, inner)

  // Turns queries and keys, and brings K and V where they belong.
  void settle(const Layer<Weight>& layer, const Store<Number>& keys, const Store<Number>& values) {
    const int64_t size = at_.size, asking = at_.query_heads, kept = at_.kv_heads;
    share(at_.nodes, ROWS_TOGETHER, [&](int64_t node) {
      float* own = made_.data() + node * heads_ * size;
      for (int64_t head = 0; head < asking + kept; ++head) {
        settle_head(own + head * size, size, head < asking ? layer.query_norm : layer.key_norm,
                    at_.epsilon, at_.turns + node * size);
      }
      for (int64_t head = 0; head < kept; ++head) {
        bring(own + (asking + head) * size, keys, node, head);
        bring(own + (asking + kept + head) * size, values, node, head);
      }
    });
  }

  void bring(const float* from, const Store<Number>& to, int64_t node, int64_t head) {
    Number* place = to.of(at_.rows[node], head) + at_.slots[node] * to.slot;
    for (int64_t at = 0; at < at_.size; at += LANES) narrow(widen(from + at), place + at);
  }

  void mix(const Store<Number>& keys, const Store<Number>& values) {
    const int64_t step = heads_ * at_.size, wide = at_.query_heads * at_.size;
    int64_t node = 0;
    for (const Together& rows : at_.blocks) {
      const Asked asked{made_.data() + node * step, step, at_.query_heads};
      attend(asked, rows, keys, values, at_.kv_heads, at_.size, mixed_.data() + node * wide);
      node += rows.count();
    }
  }

  void gate(const Weight& gate_up, const Inputs& x, int64_t inner) {
    gated_.resize(at_.nodes * inner);
    for_tiles<Weight::ROWS>(inner, at_.nodes, [&](int64_t at, int64_t first, int64_t count) {
      Numbers gates[Weight::ROWS], ups[Weight::ROWS];
      gate_up.times(x, at, first, count, gates);
      gate_up.times(x, inner + at, first, count, ups);
      for (int64_t i = 0; i < count; ++i) {
        narrow(silu(gates[i]) * ups[i], gated_.data() + (first + i) * inner + at);
      }
    });
  }
};

}  // namespace propd
