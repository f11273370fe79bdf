// Philox4x32-10 and the dropout mask of linear.h, written from their descriptions alone and independently of the library.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

inline std::array<uint32_t, 4> naive_philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    const uint64_t left = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t right = uint64_t{0xCD9E8D57u} * counter[2];
    const uint32_t left_high = left >> 32, left_low = left & 0xFFFFFFFFu;
    const uint32_t right_high = right >> 32, right_low = right & 0xFFFFFFFFu;
    counter = {right_high ^ counter[1] ^ key[0], right_low, left_high ^ counter[3] ^ key[1], left_low};
  }
  return counter;
}

struct NaiveDropout {
  double p;
  uint32_t micro_batch, step;
  uint64_t seed;

  /** The factor of element (i, k) of a [M,K] input: 0 or 65536 / (65536 - t). */
  double factor(uint32_t module, int64_t K, int64_t i, int64_t k) const {
    const double t = std::floor(65536.0 * p + 0.5);
    if (t == 0.0) return 1.0;
    const uint64_t g = static_cast<uint64_t>(i) * ((K + 7) / 8) + k / 8;
    const auto words = naive_philox({static_cast<uint32_t>(g & 0xFFFFFFFFu),
                                     static_cast<uint32_t>((g >> 32) % 65536 + 65536ull * micro_batch), step, module},
                                    {static_cast<uint32_t>(seed & 0xFFFFFFFFu), static_cast<uint32_t>(seed >> 32)});
    const int e = static_cast<int>(k % 8);
    const uint32_t number = e % 2 == 0 ? words[e / 2] % 65536 : words[e / 2] / 65536;
    return number >= t ? 65536.0 / (65536.0 - t) : 0.0;
  }
};
