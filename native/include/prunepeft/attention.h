// Softmax attention of a training step, forward and backward: context = softmax(scale·Q Kᵀ + mask) V for each sequence and head
// (Vaswani et al. 2017), the scores never stored whole (Dao 2023, "FlashAttention-2"). CPU; float32 and bfloat16.
//
// Q, K and V come side by side, as one stacked projection writes them: row t of sequence b is row b·T + t of qkv [B·T,
// 3·heads·d], of whose columns the first heads·d are Q, head by head, then K, then V. Their gradients come back likewise.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The extents of an attention. */
typedef struct pp_attention {
  /** B sequences, 0 or more, of T tokens, 1 or more. */
  int64_t sequences;
  int64_t tokens;
  /** Heads, 1 or more, of d columns, 1 or more. */
  int64_t heads;
  int64_t head_size;
  /** What the scores are multiplied by, 1 / sqrt(d) as a rule. */
  float scale;
  /** B·T bytes, 0 for a token that none attends to (padding); null: there is none. */
  const uint8_t* mask;
} pp_attention;

/**
 * values [B·T, heads·d] = softmax(scale·Q Kᵀ + mask) V, and the logarithms of the softmaxes' sums [B·heads·T], which the
 * backward pass needs: float32, [device].
 */
PP_API pp_status pp_attention_forward(const pp_context* context, const pp_attention* attention, const pp_matrix* qkv,
                                      const pp_matrix* values, float* log_sums);

/** dqkv [B·T, 3·heads·d] (overwritten) from dvalues [B·T, heads·d] and what the forward pass read and wrote. */
PP_API pp_status pp_attention_backward(const pp_context* context, const pp_attention* attention, const pp_matrix* dvalues,
                                       const pp_matrix* qkv, const float* log_sums, const pp_matrix* dqkv);

#ifdef __cplusplus
}
#endif
