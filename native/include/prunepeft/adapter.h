// Serial bottleneck adapter: out = h + σ(v Dᵀ + d) Uᵀ + u, with D [m,K], d [m], U [K,m], u [K] (Houlsby et al. 2019; placed as
// in Pfeiffer et al. 2021, v is the normalised sum of the block's output h and its residual input).
// Backward: da = dout·U, dz = da∘σ'(z), dU = doutᵀ σ(z), dD = dzᵀ v, dv = dz·D; du and dd are column sums; dh = dout, which the
// caller has already.
// The dtype is that of all operands on CUDA. On the CPU, with PP_BFLOAT16, v, h, out and their gradients are bfloat16, and the
// weights and z float32, rounded to nearest as a product takes them.
#ifndef PRUNEPEFT_ADAPTER_H
#define PRUNEPEFT_ADAPTER_H

#include "prunepeft/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** σ. GELU is the exact one, x·Φ(x); SiLU, also called swish, is x / (1 + exp(-x)). */
typedef enum pp_activation { PP_IDENTITY = 0, PP_RELU = 1, PP_GELU = 2, PP_SILU = 3 } pp_activation;

/** The weights of an adapter. All [device], of the call's dtype or, on the CPU, float32. */
typedef struct pp_adapter {
  const void* down; /* D [m,K] */
  int64_t ldd;
  const void* down_bias; /* d [m] */
  const void* up;        /* U [K,m] */
  int64_t ldu;
  const void* up_bias; /* u [K] */
  pp_activation activation;
} pp_adapter;

/** Gradients of an adapter's weights, float32 whatever the dtype. All [device]. */
typedef struct pp_adapter_gradients {
  float* down; /* dD [m,K] */
  int64_t ldd;
  float* down_bias; /* dd [m] */
  float* up;        /* dU [K,m] */
  int64_t ldu;
  float* up_bias; /* du [K] */
} pp_adapter_gradients;

/** Bytes that pp_adapter_forward needs. */
PP_API size_t pp_adapter_forward_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m);

/**
 * z = v Dᵀ + d [M,m], kept for the backward pass, and out = h + σ(z) Uᵀ + u [M,K]. v and h [M,K] may be the same buffer; out
 * may be the buffer of h (with the same leading dimension), not that of v. All [device].
 */
PP_API pp_status pp_adapter_forward(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* v,
                                    int64_t ldv, const void* h, int64_t ldh, const pp_adapter* adapter, void* z, int64_t ldz,
                                    void* out, int64_t ldout, void* workspace, size_t workspace_bytes);

/** Bytes that pp_adapter_backward needs. */
PP_API size_t pp_adapter_backward_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m);

/**
 * From dout [M,K], v and z: the gradients of the weights (added to what is there if `accumulate` is not 0) and dv [M,K]
 * (overwritten; null where it is not wanted). dv may not be the buffer of dout. All [device].
 */
PP_API pp_status pp_adapter_backward(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t m, const void* dout,
                                     int64_t lddout, const void* v, int64_t ldv, const void* z, int64_t ldz,
                                     const pp_adapter* adapter, const pp_adapter_gradients* gradients, int32_t accumulate,
                                     void* dv, int64_t lddv, void* workspace, size_t workspace_bytes);

#ifdef __cplusplus
}
#endif

#endif
