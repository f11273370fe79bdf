// What a prepared linear holds. On the CPU: W packed for both directions and a padded copy of the bias. On CUDA: the caller's
// pointers.
#pragma once

#include "prunepeft/linear.h"

struct pp_linear {
  pp_device_type device_type;
  int32_t device_index;
  pp_dtype dtype;
  int64_t N, K;
  /** As given; on the CPU no longer used once they are packed. */
  const void* w;
  int64_t ldw;
  const void* bias;
  /** CPU, see linear_cpu.h: Wᵀ (depth K, columns N), W (depth N, columns K), and the bias or zeros; all null on CUDA. */
  float* forward;
  float* backward;
  float* padded_bias;
};
