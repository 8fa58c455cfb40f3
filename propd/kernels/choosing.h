// The largest of many numbers: the model's own choice, and the best guesses of draft heads.

#pragma once

#include <limits>

#include "product.h"

namespace propd {

inline float most_of(const float* row, int64_t width) {
  Numbers most = every(-std::numeric_limits<float>::infinity());
  int64_t at = 0;
  for (; at + LANES <= width; at += LANES) most = larger(widen(row + at), most);
  float found = largest(most);
  for (; at < width; ++at) found = std::max(found, row[at]);
  return found;
}

// The place of the largest, the first of equals.
inline int64_t place_of_most(const float* row, int64_t width) {
  constexpr int64_t BLOCK = 16 * LANES;
  int64_t block = 0;
  float most = -std::numeric_limits<float>::infinity();
  for (int64_t at = 0; at < width; at += BLOCK) {
    const float found = most_of(row + at, std::min(BLOCK, width - at));
    if (found > most) most = found, block = at;
  }
  const int64_t end = std::min(block + BLOCK, width);
  return std::min<int64_t>(std::find(row + block, row + end, most) - row, end - 1);  // or no numbers
}

// log sum e^x of a row.
inline float log_total(const float* row, int64_t width) {
  const float most = most_of(row, width);
  Numbers shares = zeros();
  int64_t at = 0;
  for (; at + LANES <= width; at += LANES) {
    shares = shares + exponential(widen(row + at) - every(most));
  }
  float total = sum(shares);
  for (; at < width; ++at) total += std::exp(row[at] - most);
  return most + std::log(total);
}

// The best `count` of a row, best first, the first of equals first, with their share of e^x.
inline void best_of_row(const float* row, int64_t width, int64_t count, int64_t* places,
                        float* chances) {
  int64_t known = 0;
  const auto take = [&](int64_t place) {
    if (known == count && !(row[place] > row[places[count - 1]])) return;
    int64_t at = known < count ? known++ : count - 1;
    for (; at > 0 && row[place] > row[places[at - 1]]; --at) places[at] = places[at - 1];
    places[at] = place;
  };
  for (int64_t at = 0; at < width; at += LANES) {
    const int64_t end = std::min(at + LANES, width);
    if (known == count && !(most_of(row + at, end - at) > row[places[count - 1]])) continue;
    for (int64_t place = at; place < end; ++place) take(place);
  }
  const float total = log_total(row, width);
  for (int64_t i = 0; i < count; ++i) chances[i] = std::exp(row[places[i]] - total);
}

inline int64_t count_above(const float* row, int64_t width, float score) {
  int64_t count = 0;
  for (int64_t at = 0; at < width; ++at) count += row[at] > score;
  return count;
}

}  // namespace propd
