// A layer of an encoder that normalises after each residual sum, as BERT's (Devlin et al. 2019), with LoRA modules and adapters
// in it, in one call: for predictions, of which a short text's operations take less time than the calls of each. Forward alone.
// CPU; float32 and bfloat16.
//
// clang-format off
//   c = attention(x Wqkvᵀ + bqkv)
//   h = c Wcᵀ + bc, then each of its adapters: h += σ(v Dᵀ + d) Uᵀ + u
//   n = norm(h + x)
//   i = σ(n Wiᵀ + bi)
//   h = i Woᵀ + bo, likewise
//   y = norm(h + n)
// clang-format on
//
// norm(a) = (a − mean(a)) / sqrt(variance(a) + ε)·w + b over a row (Ba et al. 2016). What is between these steps is rounded to
// the call's type; sums are float32.
#pragma once

#include "prunepeft/adapter.h"
#include "prunepeft/attention.h"
#include "prunepeft/linear.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A normalisation of rows of K elements. */
typedef struct pp_layer_norm {
  /** w and b [1,K], float32. */
  pp_matrix weight;
  pp_matrix bias;
  /** ε, added to the variance, above 0. */
  float epsilon;
} pp_layer_norm;

/** y = norm(x + residual) [M,K], of one type; residual may be null: norm(x). y may be the buffer of either. */
PP_API pp_status pp_layer_norm_forward(const pp_context* context, const pp_layer_norm* norm, const pp_matrix* x,
                                       const pp_matrix* residual, const pp_matrix* y);

/** What an adapter behind a block takes in, v: norm(h + residual), h or the residual. */
typedef enum pp_adapter_input PP_ENUM { PP_NORMED_SUM = 0, PP_OUTPUT = 1, PP_RESIDUAL = 2 } pp_adapter_input;

typedef struct pp_layer_adapter {
  pp_adapter adapter;
  pp_adapter_input input;
} pp_layer_adapter;

/** A linear of the layer, with its LoRA modules. */
typedef struct pp_layer_linear {
  const pp_linear* linear;
  /** On all rows, without dropout; at most PP_MOST_MODULES_OF_A_ROW. S, dS, dA and dB are not looked at. */
  const pp_lora_module* modules;
  int32_t module_count;
} pp_layer_linear;

/** The end of a block: its last linear, the adapters on that one's output, in their order, and the normalisation of the sum. */
typedef struct pp_layer_block {
  pp_layer_linear linear;
  /** Null: none. */
  const pp_layer_adapter* adapters;
  int32_t adapter_count;
  pp_layer_norm norm;
} pp_layer_block;

typedef struct pp_encoder_layer {
  /** Of M = sequences·tokens rows. */
  pp_attention attention;
  /** Wqkv [(heads + 2·key_heads)·d, K]. */
  pp_layer_linear qkv;
  /** With Wc [K, heads·d]. */
  pp_layer_block attention_block;
  /** Wi [I,K], and σ. */
  pp_layer_linear intermediate;
  pp_activation activation;
  /** With Wo [K,I]. */
  pp_layer_block feed_forward_block;
} pp_encoder_layer;

/** y [M,K] from x [M,K], of the linears' type; y may be the buffer of x. */
PP_API pp_status pp_encoder_layer_forward(const pp_context* context, const pp_encoder_layer* layer, const pp_matrix* x,
                                          const pp_matrix* y);

#ifdef __cplusplus
}
#endif
