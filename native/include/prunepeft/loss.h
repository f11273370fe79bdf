// Cross-entropy of a large vocabulary, with its gradient: what follows an output layer's product. A row of logits is read from
// memory once. CPU; float32 and bfloat16, with sums in float32 or wider.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What rows of logits z [M,V] should say. */
typedef struct pp_cross_entropy {
  /** [device] M numbers in [0, V): the label of each row. */
  const int64_t* labels;
  /** c, 0 or more: logits become c·tanh(z / c), as in Gemma 2. 0: they stay as they are. */
  float cap;
  /** e in [0, 1): the target is 1 - e for the label, and e / V for each of the V. */
  float smoothing;
} pp_cross_entropy;

/**
 * losses [M,1], float32: -Σ target·log softmax(z) of each row; and dz (overwritten), of z's shape and type, the gradients of
 * these by z; null: not wanted. dz may be the buffer of z, with the same leading dimension.
 */
PP_API pp_status pp_cross_entropy_loss(const pp_context* context, const pp_cross_entropy* target, const pp_matrix* z,
                                       const pp_matrix* losses, const pp_matrix* dz);

#ifdef __cplusplus
}
#endif
