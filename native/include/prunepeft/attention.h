// Softmax attention of a training step, forward and backward: context = softmax(scale·Q Kᵀ + mask) V for each sequence and head
// (Vaswani et al. 2017), the scores never stored whole (Dao 2023, "FlashAttention-2"). CPU; float32 and bfloat16.
//
// Q, K and V come side by side, as one stacked projection writes them: row t of sequence b is row b·T + t of qkv [B·T,
// 3·heads·d], of whose columns the first heads·d are Q, head by head, then K, then V. Their gradients come back likewise.
#ifndef PRUNEPEFT_ATTENTION_H
#define PRUNEPEFT_ATTENTION_H

#include "prunepeft/device.h"

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

/** Bytes that pp_attention_forward needs; they depend on the number of threads. */
PP_API size_t pp_attention_forward_workspace(const pp_device* device, pp_dtype dtype, const pp_attention* attention);

/**
 * context [B·T, heads·d], and the logarithms of the softmaxes' sums [B·heads·T], which the backward pass needs: float32. All
 * [device].
 */
PP_API pp_status pp_attention_forward(const pp_device* device, pp_dtype dtype, const pp_attention* attention, const void* qkv,
                                      int64_t ldqkv, void* context, int64_t ldcontext, float* log_sums, void* workspace,
                                      size_t workspace_bytes);

/** Bytes that pp_attention_backward needs; they depend on the number of threads. */
PP_API size_t pp_attention_backward_workspace(const pp_device* device, pp_dtype dtype, const pp_attention* attention);

/** dqkv [B·T, 3·heads·d] (overwritten) from dcontext [B·T, heads·d] and what the forward pass read and wrote. All [device]. */
PP_API pp_status pp_attention_backward(const pp_device* device, pp_dtype dtype, const pp_attention* attention,
                                       const void* dcontext, int64_t lddcontext, const void* qkv, int64_t ldqkv,
                                       const float* log_sums, void* dqkv, int64_t lddqkv, void* workspace,
                                       size_t workspace_bytes);

#ifdef __cplusplus
}
#endif

#endif
