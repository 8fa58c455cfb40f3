// Attention in which a node gets the same bits in a tree as in a line, in float32, where products
// over all slots would need float64 for that: every sum runs slot by slot or number by number, in
// their order, and what a node may not see has weight 0, which leaves no trace in a sum.

#pragma once

#include <cmath>
#include <limits>

#include "product.h"

namespace propd {

// Nodes that one thread takes together: many share the turning of K, few leave work for others.
inline int64_t share_of(int64_t nodes) { return nodes <= 12 ? 4 : 8; }

// K or V of a layer: (B, kv heads, capacity, size), any strides but the last. Half precision halves
// what a long past costs: it is all reading.
template <typename Number>
struct Store {
  Number* data;
  int64_t row, head, slot;

  Number* of(int64_t row_number, int64_t head_number) const {
    return data + row_number * row + head_number * head;
  }
};

// Layer `number` of K or V of all layers, (layers, B, kv heads, capacity, size).
template <typename Number>
Store<Number> store_of(const at::Tensor& all, int64_t number) {
  return {all.mutable_data_ptr<Number>() + number * all.stride(0), all.stride(1), all.stride(2),
          all.stride(3)};
}

// The query heads of some nodes that share a K/V head, each of PARTS * 16 numbers. What is kept
// between the steps is one thread's own.
template <int PARTS, typename Number>
class Shared {
  static constexpr int64_t SIZE = PARTS * LANES;
  static constexpr int SCORED = SCORED_AT_ONCE;      // queries scored together
  static constexpr int MIXED = MIXED_AT_ONCE<PARTS>;  // and mixed,
  static constexpr int SOME = PARTS_AT_ONCE<PARTS>;   // so many parts of them
  static constexpr int64_t SLOTS = 2 * LANES;        // that queries are scored with together

 public:
  // Gives every query, scaled, with the mask of its node: (E,), 0 where it may look.
  void begin(int64_t count, int64_t end) {
    end_ = end, room_ = (end + SLOTS - 1) / SLOTS * SLOTS;
    queries_.resize((count + SCORED - 1) / SCORED * SCORED * SIZE);
    weights_.resize(count * room_);
    masks_.clear();
  }

  void add(const float* query, const float* mask) {
    const float scale = 1.0f / std::sqrt(static_cast<float>(SIZE));
    const auto place = static_cast<int64_t>(masks_.size());
    float* to = queries_.data() + place / SCORED * SCORED * SIZE + place % SCORED;
    for (int64_t at = 0; at < SIZE; ++at) to[at * SCORED] = query[at] * scale;
    masks_.push_back(mask);
  }

  void score(const Number* keys, int64_t step) {
    alignas(64) float turned[SIZE * SLOTS];  // one half of the slots, then the other
    const Number* rows[SLOTS];
    for (int64_t slot = 0; slot < end_; slot += SLOTS) {
      for (int64_t i = 0; i < SLOTS; ++i) rows[i] = keys + std::min(slot + i, end_ - 1) * step;
      for (int part = 0; part < PARTS; ++part) {
        float* to = turned + part * LANES * LANES;
        transpose(rows, part * LANES, to);
        transpose(rows + LANES, part * LANES, to + SIZE * LANES);
      }
      const auto count = static_cast<int64_t>(masks_.size());
      for (int64_t query = 0; query < count; query += SCORED) {
        score_some<SCORED>(std::min<int64_t>(SCORED, count - query), query, slot, turned);
      }
    }
  }

  // Scores become e^(score - largest), 0 where the node may not look.
  void weigh() {
    for (size_t query = 0; query < masks_.size(); ++query) {
      float* row = weights_.data() + query * room_;
      const float never = -std::numeric_limits<float>::infinity();
      Numbers most = every(never);
      for (int64_t at = 0; at < end_; at += LANES) {
        most = larger(most, where(open(query, at), widen(row + at), every(never)));
      }
      const Numbers top = every(largest(most));
      for (int64_t at = 0; at < end_; at += LANES) {
        const Numbers weights = exponential(widen(row + at) - top);
        narrow(where(open(query, at), weights, zeros()), row + at);
      }
    }
  }

  // Gives each query's mean of values to tell(query, part, numbers).
  template <typename Tell>
  void mix(const Number* values, int64_t step, Tell tell) const {
    const auto count = static_cast<int64_t>(masks_.size());
    for (int64_t query = 0; query < count; query += MIXED) {
      const int64_t left = std::min<int64_t>(MIXED, count - query);
      for (int part = 0; part < PARTS; part += SOME) {
        mix_some<MIXED>(left, query, part, values, step, tell);
      }
    }
  }

 private:
  int64_t end_ = 0, room_ = 0;   // slots, slots filled up
  std::vector<float> queries_;   // SCORED of them number by number, then the next ones
  std::vector<float> weights_;   // (queries, room)
  std::vector<const float*> masks_;

  Which open(int64_t query, int64_t at) const { return zeros_in(masks_[query] + at, end_ - at); }

  // COUNT queries, or as many as are left.
  template <int COUNT>
  void score_some(int64_t left, int64_t query, int64_t slot, const float* turned) {
    if constexpr (COUNT > 1) {
      if (left < COUNT) return score_some<COUNT - 1>(left, query, slot, turned);
    }
    Numbers first[COUNT], second[COUNT];
#pragma GCC unroll 16
    for (int i = 0; i < COUNT; ++i) first[i] = second[i] = zeros();
    const float* own = queries_.data() + query * SIZE;
    for (int64_t at = 0; at < SIZE; ++at) {
      const Numbers some = widen(turned + at * LANES);
      const Numbers others = widen(turned + (SIZE + at) * LANES);
#pragma GCC unroll 16
      for (int i = 0; i < COUNT; ++i) {
        const Numbers number = every(own[at * SCORED + i]);
        first[i] = fused(number, some, first[i]);
        second[i] = fused(number, others, second[i]);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < COUNT; ++i) {
      float* to = weights_.data() + (query + i) * room_ + slot;
      narrow(first[i], to), narrow(second[i], to + LANES);
    }
  }

  template <int COUNT, typename Tell>
  void mix_some(int64_t left, int64_t query, int part, const Number* values, int64_t step,
                Tell tell) const {
    if constexpr (COUNT > 1) {
      if (left < COUNT) return mix_some<COUNT - 1>(left, query, part, values, step, tell);
    }
    Numbers sums[COUNT][SOME], totals[COUNT];
#pragma GCC unroll 16
    for (int i = 0; i < COUNT; ++i) {
      totals[i] = zeros();
#pragma GCC unroll 16
      for (int at = 0; at < SOME; ++at) sums[i][at] = zeros();
    }
    const float* weights = weights_.data() + query * room_;
    const Number* from = values + part * LANES;
    for (int64_t slot = 0; slot < end_; ++slot, from += step) {
      Numbers value[SOME];
#pragma GCC unroll 16
      for (int at = 0; at < SOME; ++at) value[at] = widen(from + at * LANES);
#pragma GCC unroll 16
      for (int i = 0; i < COUNT; ++i) {
        const Numbers weight = every(weights[i * room_ + slot]);
        totals[i] = totals[i] + weight;
#pragma GCC unroll 16
        for (int at = 0; at < SOME; ++at) sums[i][at] = fused(weight, value[at], sums[i][at]);
      }
    }
    for (int i = 0; i < COUNT; ++i) {
      for (int at = 0; at < SOME; ++at) tell(query + i, part + at, sums[i][at] / totals[i]);
    }
  }
};

// Some nodes of one row.
struct Task {
  int64_t row, first, count;  // `first` of the row's own nodes
  int64_t before;             // nodes of all rows before it
  int64_t end;                // slots of the row
};

inline std::vector<Task> tasks_of(int64_t rows, int64_t nodes, int64_t end, const int64_t* counts,
                                  const int64_t* ends) {
  std::vector<Task> tasks;
  int64_t before = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t own = counts ? counts[row] : nodes, share = share_of(own);
    TORCH_CHECK(own <= nodes && (!ends || ends[row] <= end), "propd: rows beyond their mask");
    for (int64_t first = 0; first < own; first += share) {
      const int64_t count = std::min(share, own - first);
      tasks.push_back({row, first, count, before + first, ends ? ends[row] : end});
    }
    before += own;
  }
  return tasks;
}

// Slots up to the last that one of `count` nodes may look at: of a prompt's first tokens few, and what
// nobody sees leaves no trace anyway. masks: (count, width).
inline int64_t seen_by(const float* masks, int64_t count, int64_t width, int64_t end) {
  int64_t seen = 1;
  for (int64_t node = 0; node < count; ++node) {
    int64_t last = end;
    while (last > seen && masks[node * width + last - 1] != 0.0f) --last;
    seen = std::max(seen, last);
  }
  return seen;
}

// Rows that attend together, from row `first_row` of the cache on: mask (R, 1, N, E).
struct Together {
  const float* mask;
  int64_t nodes, end, first_row;
  std::vector<Task> tasks;

  Together(const at::Tensor& given, const std::optional<at::Tensor>& counts,
           const std::optional<at::Tensor>& ends, int64_t first_row)
      : mask(given.const_data_ptr<float>()), nodes(given.size(2)), end(given.size(3)),
        first_row(first_row) {
    TORCH_CHECK(given.is_contiguous(), "propd: a mask of another order");
    const auto whole = [](const std::optional<at::Tensor>& x) {
      return x.has_value() ? x->const_data_ptr<int64_t>() : nullptr;
    };
    tasks = tasks_of(given.size(0), nodes, end, whole(counts), whole(ends));
  }

  // Nodes of all its rows.
  int64_t count() const { return tasks.empty() ? 0 : tasks.back().before + tasks.back().count; }
};

// Queries (T, query heads, size), `step` numbers from node to node.
struct Asked {
  const float* numbers;
  int64_t step, heads;
};

// The result is (T, query heads * size).
template <int PARTS, typename Number>
void attend(const Asked& asked, const Together& rows, const Store<Number>& keys,
            const Store<Number>& values, int64_t kv_heads, float* result) {
  constexpr int64_t SIZE = PARTS * LANES;
  const int64_t heads = asked.heads, shared = heads / kv_heads;
  const int64_t count = static_cast<int64_t>(rows.tasks.size()) * kv_heads;
  share(count, 1, [&](int64_t turn) {
    thread_local Shared<PARTS, Number> some;
    // from both ends in turn: the last tokens of a prompt see most, and no thread shall have all
    const int64_t at = turn % 2 ? count - 1 - turn / 2 : turn / 2;
    const Task& task = rows.tasks[at / kv_heads];
    const int64_t head = at % kv_heads, row = rows.first_row + task.row;
    const float* masks = rows.mask + (task.row * rows.nodes + task.first) * rows.end;
    some.begin(task.count * shared, seen_by(masks, task.count, rows.end, task.end));
    for (int64_t query = 0; query < task.count * shared; ++query) {
      const int64_t node = query / shared, own = head * shared + query % shared;
      some.add(asked.numbers + (task.before + node) * asked.step + own * SIZE,
               masks + node * rows.end);
    }
    some.score(keys.of(row, head), keys.slot);
    some.weigh();
    some.mix(values.of(row, head), values.slot, [&](int64_t query, int part, Numbers sums) {
      const int64_t place = (task.before + query / shared) * heads + head * shared;
      narrow(sums, result + (place + query % shared) * SIZE + part * LANES);
    });
  });
}

// The same for the sizes of a head that it is written for.
template <typename Number>
void attend(const Asked& asked, const Together& rows, const Store<Number>& keys,
            const Store<Number>& values, int64_t kv_heads, int64_t size, float* result) {
  switch (size % LANES ? 0 : size / LANES) {
    case 1: return attend<1>(asked, rows, keys, values, kv_heads, result);
    case 2: return attend<2>(asked, rows, keys, values, kv_heads, result);
    case 4: return attend<4>(asked, rows, keys, values, kv_heads, result);
    case 5: return attend<5>(asked, rows, keys, values, kv_heads, result);
    case 6: return attend<6>(asked, rows, keys, values, kv_heads, result);
    case 8: return attend<8>(asked, rows, keys, values, kv_heads, result);
    default: TORCH_CHECK(false, "propd: attention is not written for heads of ", size, " numbers");
  }
}

}  // namespace propd
