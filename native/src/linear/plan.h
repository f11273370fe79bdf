// What a prepared linear holds. On the CPU: W packed for both directions, unless it is borrowed, and a padded copy of the bias.
// On CUDA: the caller's pointers.
#pragma once

#include "prunepeft/linear.h"

/** The values of a code of 4 bits. */
constexpr int kCodes = 16;
/** Elements of a block. */
constexpr int64_t kLeastBlock = 32, kMostBlock = 4096;

/** What the codes of a quantised W stand for. */
struct Decoding {
  /** False: W is dense, and nothing else here counts. */
  bool used;
  pp_quantization type;
  float table[kCodes];
  /** PP_NF4: a scale is for 2^block_shift elements. */
  int32_t block_shift;
  /** In the order of W's elements; on the CPU a copy. */
  float* scales;
};

struct pp_linear {
  pp_device_type device_type;
  int32_t device_index;
  pp_dtype dtype;
  int64_t N, K;
  /** As given, W or its codes; on the CPU no longer used once they are packed. */
  const void* w;
  int64_t ldw;
  const void* bias;
  Decoding decoding;
  /** CPU, see linear_cpu.h: Wᵀ (depth K, columns N) and W (depth N, columns K), floats or codes; null on CUDA. */
  void* forward;
  void* backward;
  /** CPU: the bias or zeros; null on CUDA. */
  float* padded_bias;
  /** CPU: a dense W stays where it lies, and `forward` and `backward` are null. */
  bool borrowed;

  /** CPU: whether W is not packed, so that a part of it is brought into order each time that it is multiplied. */
  bool by_runs() const { return borrowed || decoding.used; }
};
