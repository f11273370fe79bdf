// An adapter's weights and their gradients as kernels take them; shapes are those of prunepeft/adapter.h.
#pragma once

#include "prunepeft/adapter.h"

namespace prunepeft {

struct AdapterWeights {
  const void* down;
  int64_t ldd;
  const void* down_bias;
  const void* up;
  int64_t ldu;
  const void* up_bias;
  pp_activation activation;
};

struct AdapterGradients {
  float* down;
  int64_t ldd;
  float* down_bias;
  float* up;
  int64_t ldu;
  float* up_bias;
};

}  // namespace prunepeft
