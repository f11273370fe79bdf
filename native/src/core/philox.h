// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), and the
// counter of a dropout mask as linear.h defines it. For host and device code alike; internal linkage, so that translation units
// with different instruction sets never share a copy.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define PP_HOST_DEVICE __host__ __device__
#else
#define PP_HOST_DEVICE
#endif

namespace prunepeft {

struct PhiloxWords {
  uint32_t w[4];
};

struct PhiloxKey {
  uint32_t w[2];
};

constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u;
constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85u;
constexpr int kPhiloxRounds = 10;

PP_HOST_DEVICE static inline PhiloxWords philox_round(PhiloxWords c, PhiloxKey k) {
  const uint64_t product0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c.w[0];
  const uint64_t product1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c.w[2];
  return PhiloxWords{{static_cast<uint32_t>(product1 >> 32) ^ c.w[1] ^ k.w[0], static_cast<uint32_t>(product1),
                      static_cast<uint32_t>(product0 >> 32) ^ c.w[3] ^ k.w[1], static_cast<uint32_t>(product0)}};
}

/** The key of the round after one with key k. */
PP_HOST_DEVICE static inline PhiloxKey next_key(PhiloxKey k) {
  return PhiloxKey{{k.w[0] + kPhiloxWeyl0, k.w[1] + kPhiloxWeyl1}};
}

PP_HOST_DEVICE static inline PhiloxWords philox4x32(PhiloxWords c, PhiloxKey k) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    c = philox_round(c, k);
    k = next_key(k);
  }
  return c;
}

/** The keys of all rounds: made once, not with each draw. */
struct PhiloxKeys {
  PhiloxKey of_round[kPhiloxRounds];
};

PP_HOST_DEVICE static inline PhiloxKeys philox_keys(PhiloxKey k) {
  PhiloxKeys keys = {};
  for (int round = 0; round < kPhiloxRounds; ++round) {
    keys.of_round[round] = k;
    k = next_key(k);
  }
  return keys;
}

PP_HOST_DEVICE static inline PhiloxWords philox4x32_with(PhiloxWords c, const PhiloxKeys& keys) {
  for (int round = 0; round < kPhiloxRounds; ++round) c = philox_round(c, keys.of_round[round]);
  return c;
}

/** A dropout mask in the units that the kernels draw it in. */
struct DropoutMask {
  /** An element is kept when its 16-bit number is at least this; 0: no dropout. */
  uint32_t threshold;
  /** 65536 / (65536 - threshold). */
  float keep_scale;
  uint32_t micro_batch;
  uint32_t step;
  uint64_t seed;
};

/** The step and micro-batch as they lie in a caller's memory; aligned so that one load brings both. */
struct alignas(8) DropoutCounter {
  uint32_t step;
  uint32_t micro_batch;
};

/**
 * What a CUDA kernel is given: a mask whose step and micro-batch may lie in memory. Masks alone can be drawn, so that no kernel
 * can forget to read them.
 */
struct DropoutSpec {
  uint16_t threshold;
  /** Whether `memory` is meant. */
  bool in_memory;
  float keep_scale;
  union {
    DropoutCounter counter;
    const DropoutCounter* memory;
  };
  uint64_t seed;
};
static_assert(sizeof(DropoutSpec) == sizeof(DropoutMask),
              "no more room among a kernel's parameters, where there are tables of them");

constexpr DropoutSpec kNoDropout = {0, false, 1.0f, {{0, 0}}, 0};

/** One load, if the step lies in memory: for a kernel or a tile, not for each draw. */
PP_HOST_DEVICE static inline DropoutMask read_mask(const DropoutSpec& spec) {
  const DropoutCounter counter = spec.in_memory ? *spec.memory : spec.counter;
  return DropoutMask{spec.threshold, spec.keep_scale, counter.micro_batch, counter.step, spec.seed};
}

/** Elements of a row that one Philox block decides. */
constexpr int kDropoutGroup = 8;

/** Groups of one row of K elements. */
PP_HOST_DEVICE static inline int64_t dropout_groups(int64_t K) {
  return (K + kDropoutGroup - 1) / kDropoutGroup;
}

/** The key of masks with that seed. */
PP_HOST_DEVICE static inline PhiloxKey dropout_key(uint64_t seed) {
  return PhiloxKey{{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
}

/** The counter of group `group` (row i, column k: i·ceil(K/8) + k/8) of the mask `mask_name`. */
PP_HOST_DEVICE static inline PhiloxWords dropout_counter(const DropoutMask& mask, uint32_t mask_name, uint64_t group) {
  return PhiloxWords{{static_cast<uint32_t>(group), static_cast<uint32_t>((group >> 32) & 0xFFFFu) | mask.micro_batch << 16,
                      mask.step, mask_name}};
}

/** Bit e is 1 if element e of the group is kept. */
PP_HOST_DEVICE static inline uint32_t dropout_keep_bits(const DropoutMask& mask, uint32_t mask_name, uint64_t group) {
  const PhiloxWords words = philox4x32(dropout_counter(mask, mask_name, group), dropout_key(mask.seed));
  uint32_t bits = 0;
  for (int e = 0; e < kDropoutGroup; ++e) {
    const uint32_t number = (words.w[e / 2] >> (16 * (e % 2))) & 0xFFFFu;
    bits |= static_cast<uint32_t>(number >= mask.threshold) << e;
  }
  return bits;
}

}  // namespace prunepeft
