// Philox4x32-10, the counter-based generator of Salmon et al. (SC11), and the layout of dropout masks on it (lora.h tells it).
// For the host and for CUDA alike.
#pragma once

#include <cmath>
#include <cstdint>

#include "prunepeft/lora.h"

#if defined(__CUDACC__)
#define PP_HOST_DEVICE __host__ __device__
#else
#define PP_HOST_DEVICE
#endif

namespace pp {

/** Elements of a row that share one call of the generator. */
constexpr int kDropoutGroup = 8;

struct Philox4 {
  uint32_t word[4];
};

PP_HOST_DEVICE inline Philox4 philox(Philox4 counter, uint64_t seed) {
  uint32_t key0 = static_cast<uint32_t>(seed);
  uint32_t key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/** A dropout mask, ready to draw. */
struct DropoutMask {
  uint64_t seed;
  uint32_t micro_batch;
  uint32_t step;
  uint32_t module;
  /** An element is kept when its 16-bit number is at least this; 0 keeps all. */
  uint32_t threshold;
  /** What a kept element is multiplied by. */
  float keep_scale;

  PP_HOST_DEVICE bool active() const { return threshold != 0; }

  /** The eight 16-bit numbers of a group, two to a word, the low half first. */
  PP_HOST_DEVICE Philox4 draw(uint64_t group) const {
    return philox(
        {{static_cast<uint32_t>(group), static_cast<uint32_t>((group >> 32) & 0xffffu) | (micro_batch << 16), step, module}},
        seed);
  }

  /** The factor of element `lane` of a group that was drawn: 0 or keep_scale. */
  PP_HOST_DEVICE float factor(const Philox4& numbers, int lane) const {
    const uint32_t number = (numbers.word[lane / 2] >> (16 * (lane % 2))) & 0xffffu;
    return number >= threshold ? keep_scale : 0.0f;
  }
};

/** round(65536 p); `dropout` may be null. */
inline uint32_t dropout_threshold(const pp_dropout* dropout) {
  return dropout == nullptr ? 0 : static_cast<uint32_t>(std::lround(65536.0 * dropout->p));
}

inline DropoutMask dropout_mask(const pp_dropout* dropout, uint32_t module) {
  const uint32_t threshold = dropout_threshold(dropout);
  if (threshold == 0) return {0, 0, 0, module, 0, 1.0f};
  return {
      dropout->seed, dropout->micro_batch, dropout->step, module, threshold, 65536.0f / static_cast<float>(65536 - threshold)};
}

}  // namespace pp
