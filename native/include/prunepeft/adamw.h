// AdamW (Loshchilov & Hutter 2019, algorithm 2) over one flat float32 buffer of trained weights, which in the same pass
// refreshes the copies of them that products read:
//   w ← w (1 - lr·λ),  m ← β1 m + (1 - β1) g,  v ← β2 v + (1 - β2) g²,  w ← w - lr · (m / (1 - β1ᵗ)) / (√(v / (1 - β2ᵗ)) + ε)
//
// The copies are matrices in another type and place: A and B inside the bordered operand G = [[W,B],[A,0]] of a linear, say, in
// bfloat16 while the weights that are trained stay float32. One launch on CUDA for all modules.
#ifndef PRUNEPEFT_ADAMW_H
#define PRUNEPEFT_ADAMW_H

#include "prunepeft/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A matrix [rows,columns], dense in the flat buffer from element `offset` on, and where its copy goes. */
typedef struct pp_weight_copy {
  int64_t offset;
  int64_t rows;
  int64_t columns;
  /** Of the plan's dtype, leading dimension ld. [device] */
  void* to;
  int64_t ld;
} pp_weight_copy;

/** Of one step, for all weights. */
typedef struct pp_adamw_settings {
  /** At least 0. */
  float learning_rate;
  /** In [0, 1). */
  float beta1;
  float beta2;
  /** Above 0. */
  float epsilon;
  /** λ, at least 0. */
  float weight_decay;
  /** t, 1 or more. */
  int64_t step;
} pp_adamw_settings;

/** Where the copies of a flat buffer's weights go. Immutable: any number of threads may use it at once. */
typedef struct pp_adamw pp_adamw;

/**
 * Prepares the step of a buffer of n weights with `count` copies of type `dtype` (on the CPU float32 or bfloat16). The copies
 * come in rising order of offset and do not overlap in the buffer; weights without a copy are updated alone. On CUDA it
 * allocates and synchronises.
 */
PP_API pp_status pp_adamw_create(const pp_device* device, pp_dtype dtype, int64_t n, const pp_weight_copy* copies,
                                 int64_t count, pp_adamw** plan);

/** Frees a plan; null is allowed. No call that uses it may be running. */
PP_API void pp_adamw_destroy(pp_adamw* plan);

/**
 * One step: weights, mean (m) and square (v) [n] are read and written, gradients [n] read, and all copies written. All
 * [device]. A call captured in a graph keeps its settings.
 */
PP_API pp_status pp_adamw_step(const pp_device* device, const pp_adamw* plan, const pp_adamw_settings* settings, float* weights,
                               const float* gradients, float* mean, float* square);

/** Writes all copies from the weights [n] as they are: after they were read from a file, say. [device] */
PP_API pp_status pp_adamw_refresh(const pp_device* device, const pp_adamw* plan, const float* weights);

#ifdef __cplusplus
}
#endif

#endif
