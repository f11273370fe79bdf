// One weight's step of AdamW, for host and device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

#include "core/philox.h"

namespace prunepeft {

/** What a step's settings come to, so that an element needs no power and one division. */
struct AdamWFactors {
  float decay;         // 1 - lr·λ
  float beta1, gain1;  // β1, 1 - β1
  float beta2, gain2;
  float rate;  // lr / (1 - β1ᵗ)
  float root;  // 1 / √(1 - β2ᵗ)
  float epsilon;
};

PP_HOST_DEVICE static inline void adamw_update(const AdamWFactors& f, float& w, float g, float& m, float& v) {
  m = f.beta1 * m + f.gain1 * g;
  v = f.beta2 * v + f.gain2 * g * g;
  w = w * f.decay - f.rate * m / (sqrtf(v) * f.root + f.epsilon);
}

/** Where a matrix of the flat buffer is copied to. */
struct WeightCopy {
  int64_t offset;
  int64_t size;
  int64_t columns;
  void* to;
  int64_t ld;
};

/** The first copy that ends behind element `i`; `count` if there is none. */
PP_HOST_DEVICE static inline int64_t copy_from(const WeightCopy* copies, int64_t count, int64_t i) {
  int64_t low = 0;
  while (low < count) {
    const int64_t middle = low + (count - low) / 2;
    if (copies[middle].offset + copies[middle].size > i)
      count = middle;
    else
      low = middle + 1;
  }
  return low;
}

}  // namespace prunepeft
