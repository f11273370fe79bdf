// Serial bottleneck adapter: out = h + σ(v Dᵀ + d) Uᵀ + u, with D [m,K], d [m], U [K,m], u [K] (Houlsby et al. 2019; placed as
// in Pfeiffer et al. 2021, v is the normalised sum of the block's output h and its residual input).
// Backward: da = dout·U, dz = da∘σ'(z), dU = doutᵀ σ(z), dD = dzᵀ v, dv = dz·D; du and dd are column sums; dh = dout, which the
// caller has already.
// On CUDA all operands are of one dtype. On the CPU v, h, out and their gradients are float32 or bfloat16, and the weights and
// z float32, rounded to nearest as a product takes them.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** σ. GELU is the exact one, x·Φ(x); SiLU, also called swish, is x / (1 + exp(-x)). */
typedef enum pp_activation PP_ENUM { PP_IDENTITY = 0, PP_RELU = 1, PP_GELU = 2, PP_SILU = 3 } pp_activation;

/** The weights of an adapter. */
typedef struct pp_adapter {
  pp_matrix down;      /* D [m,K] */
  pp_matrix down_bias; /* d [1,m] */
  pp_matrix up;        /* U [K,m] */
  pp_matrix up_bias;   /* u [1,K] */
  pp_activation activation;
} pp_adapter;

/** Gradients of an adapter's weights, float32 whatever the dtype. */
typedef struct pp_adapter_gradients {
  pp_matrix down;      /* dD [m,K] */
  pp_matrix down_bias; /* dd [1,m] */
  pp_matrix up;        /* dU [K,m] */
  pp_matrix up_bias;   /* du [1,K] */
} pp_adapter_gradients;

/**
 * z = v Dᵀ + d [M,m], kept for the backward pass, and out = h + σ(z) Uᵀ + u [M,K]. v and h [M,K] may be the same buffer; out
 * may be the buffer of h (with the same leading dimension), not that of v.
 */
PP_API pp_status pp_adapter_forward(const pp_context* context, const pp_matrix* v, const pp_matrix* h,
                                    const pp_adapter* adapter, const pp_matrix* z, const pp_matrix* out);

/**
 * From dout [M,K], v and z: the gradients of the weights (overwritten; without rows they keep what they hold) and dv [M,K]
 * (overwritten; null where it is not wanted). dv may not be the buffer of dout.
 */
PP_API pp_status pp_adapter_backward(const pp_context* context, const pp_matrix* dout, const pp_matrix* v, const pp_matrix* z,
                                     const pp_adapter* adapter, const pp_adapter_gradients* gradients, const pp_matrix* dv);

#ifdef __cplusplus
}
#endif
