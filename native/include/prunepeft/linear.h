// A frozen linear with LoRA modules on it, whole: y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ and its gradient by x, one call each.
//
// lora.h leaves the products with W to a library and adds the rest; here both are one pass: the rank-r slab is the last of the
// inner dimension, so y is written once; S is written too, for the backward pass. W is prepared once, since it never changes.
//
//   forward   S = s·D(x) Aᵀ, y = x Wᵀ + b + S Bᵀ          pp_linear_forward
//   backward  dS = s·dY B, dB = dYᵀ S                     pp_lora_grad_up      (a branch each)
//             dX = dY W + Σ Dᵀ(dS A)                      pp_linear_grad_input
//             dA = dSᵀ D(x)                               pp_lora_grad_down    (all branches)
//
// float32 and bfloat16 on the CPU, where W, b, x, y and their gradients are of the dtype, and A, B, S and dS are float32
// (lora.h).
//
// Without branches it is the frozen linear alone. Dropout is that of lora.h: the same seeds give the same masks.
#ifndef PRUNEPEFT_LINEAR_H
#define PRUNEPEFT_LINEAR_H

#include "prunepeft/lora.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A frozen linear, prepared for a device. Immutable: any number of threads may use it at once. */
typedef struct pp_linear pp_linear;

/**
 * Prepares W [N,K] and the bias [N] (may be null). On the CPU both are copied, twice over for W, into the order in which the
 * kernels read them, and may be freed afterwards; on CUDA they are borrowed and must live as long as the plan. All [device].
 */
PP_API pp_status pp_linear_create(const pp_device* device, pp_dtype dtype, int64_t N, int64_t K, const void* w, int64_t ldw,
                                  const void* bias, pp_linear** linear);

/** Frees a plan; null is allowed. No call that uses it may be running. */
PP_API void pp_linear_destroy(pp_linear* linear);

/** A LoRA module on some columns of y. Branches may overlap in columns; each has its own S. */
typedef struct pp_linear_branch {
  /** A [r,K], leading dimension lda. [device] */
  const void* a;
  int64_t lda;
  /** B [columns,r], leading dimension ldb; not read by pp_linear_grad_input. [device] */
  const void* b;
  int64_t ldb;
  /** r >= 1. */
  int64_t rank;
  /** The columns of y that it adds to: `columns` from `first_column` on, within N. */
  int64_t first_column;
  int64_t columns;
  /** s = alpha / r (or alpha / sqrt(r) for rsLoRA). */
  float scale;
  /** Names this branch's dropout mask. */
  uint32_t module;
  /** S [M,r] (written by pp_linear_forward) or dS [M,r], scaled already (read by pp_linear_grad_input). [device] */
  void* s;
  int64_t lds;
} pp_linear_branch;

/** Bytes that pp_linear_forward needs. */
PP_API size_t pp_linear_forward_workspace(const pp_linear* linear, int64_t M, const pp_linear_branch* branches,
                                          int32_t branch_count);

/**
 * y = x Wᵀ + b + Σ S Bᵀ with S = s·D(x) Aᵀ, which is kept for the backward pass. x [M,K], y [M,N]. `dropout` may be null: none.
 * At most 16 branches. `device` is the plan's, with the stream to use. All [device].
 */
PP_API pp_status pp_linear_forward(const pp_device* device, const pp_linear* linear, int64_t M, const void* x, int64_t ldx,
                                   const pp_linear_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* y,
                                   int64_t ldy, void* workspace, size_t workspace_bytes);

/** Bytes that pp_linear_grad_input needs. */
PP_API size_t pp_linear_grad_input_workspace(const pp_linear* linear, int64_t M, const pp_linear_branch* branches,
                                             int32_t branch_count);

/**
 * dX = dY W + Σ Dᵀ(dS A), dY [M,N], dX [M,K] (overwritten). Dᵀ is the mask of pp_linear_forward with the same dropout. All
 * [device].
 */
PP_API pp_status pp_linear_grad_input(const pp_device* device, const pp_linear* linear, int64_t M, const void* dy, int64_t lddy,
                                      const pp_linear_branch* branches, int32_t branch_count, const pp_dropout* dropout,
                                      void* dx, int64_t lddx, void* workspace, size_t workspace_bytes);

#ifdef __cplusplus
}
#endif

#endif
