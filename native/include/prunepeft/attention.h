// Softmax attention of a training step, forward and backward: context = softmax(scale·Q Kᵀ + mask) V for each sequence and head
// (Vaswani et al. 2017), the scores never stored whole (Dao 2023, "FlashAttention-2"). CPU; float32 and bfloat16.
//
// Encoders' and decoders': causal, with a sliding window, with packed samples, with a soft cap of the scores (Gemma 2), and
// with fewer heads of keys and values than of queries (Ainslie et al. 2023, "GQA"). Products that no token of a block may see
// are not computed.
//
// Q, K and V come side by side, as one stacked projection writes them: row t of sequence b is row b·T + t of qkv [B·T, (heads +
// 2·key_heads)·d], of whose columns the first heads·d are Q, head by head, then K, then V, key_heads·d columns each. Their
// gradients come back likewise.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The extents of an attention, and what a token sees. Members from key_heads on may be 0 or null. */
typedef struct pp_attention {
  /** B sequences, 0 or more, of T tokens, 1 or more. */
  int64_t sequences;
  int64_t tokens;
  /** Heads, 1 or more, of d columns, 1 or more. */
  int64_t heads;
  int64_t head_size;
  /** What the scores are multiplied by, finite; 1 / sqrt(d) as a rule. */
  float scale;
  /** B·T bytes, 0 for a token that none attends to (padding); null: there is none. */
  const uint8_t* mask;
  /** Heads of K and V, a divisor of `heads`: each serves heads / key_heads heads in a row. 0: as many as heads. */
  int64_t key_heads;
  /** B·T numbers: token t sees none before number starts[t] of its sequence, where its sample begins. Null: 0 for all. */
  const int32_t* starts;
  /** w, 0 or more: a token sees none that comes w tokens or more before it. 0: no limit. */
  int64_t window;
  /** c, 0 or more and finite: scores become c·tanh(score / c). 0: they stay as they are. */
  float cap;
  /** 1: a token sees none that comes after it; 0: it does. */
  int32_t causal;
} pp_attention;

/**
 * values [B·T, heads·d] = softmax(scale·Q Kᵀ + mask) V, and the logarithms of the softmaxes' sums [B·heads·T], which the
 * backward pass needs: float32, [device]. A token that sees none has zeros.
 */
PP_API pp_status pp_attention_forward(const pp_context* context, const pp_attention* attention, const pp_matrix* qkv,
                                      const pp_matrix* values, float* log_sums);

/** dqkv (overwritten), of qkv's shape, from dvalues [B·T, heads·d] and what the forward pass read and wrote. */
PP_API pp_status pp_attention_backward(const pp_context* context, const pp_attention* attention, const pp_matrix* dvalues,
                                       const pp_matrix* qkv, const float* log_sums, const pp_matrix* dqkv);

/**
 * The last T of `key_count` tokens of each sequence attend to all of them, as when a text is generated with a cache: values
 * [B·T, heads·d] from Q [B·T, heads·d] and from K and V [B·C, key_heads·d], C = capacity at least key_count: token t of
 * sequence b is row b·C + t there; rows from key_count on are not read. T is attention->tokens, starts has B·T numbers, and
 * mask, if any, B·C bytes.
 */
PP_API pp_status pp_attention_cached(const pp_context* context, const pp_attention* attention, int64_t key_count,
                                     const pp_matrix* q, const pp_matrix* k, const pp_matrix* v, const pp_matrix* values);

#ifdef __cplusplus
}
#endif
