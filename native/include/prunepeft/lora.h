// LoRA on a frozen linear: y = x Wᵀ + b + s·D(x) Aᵀ Bᵀ, with A [r,K], B [N,r], s = alpha / r and D dropout.
//
// The products with W are the caller's, by a library GEMM. This header holds the rest, cut at the rank-r tensors:
//   forward   S  = s·D(x) Aᵀ            pp_lora_down          y  += S Bᵀ            pp_lora_up
//   backward  dS = s·dY B, dB = dYᵀ S   pp_lora_grad_up       dA  = dSᵀ D(x)        pp_lora_grad_down
//             dX += Dᵀ(dS A)            pp_lora_grad_input
// S carries the scale already, rounded once from float32, so neither y nor dB scales again.
//
// The dtype is that of all operands on CUDA. On the CPU, trained weights and what is as narrow as they stay float32: with
// PP_BFLOAT16, x, y and their gradients are bfloat16 and A, B, S and dS float32, rounded to nearest as a product takes them. Of
// this header the CPU has the gradients of the weights in bfloat16; linear.h has the rest.
//
// Several projections of one input (query and value, say) are branches of one call: x is read once for all of them. Each
// branch draws a dropout mask of its own, named by its `module`.
//
// Dropout. The mask is never stored: forward and backward draw it again from Philox4x32-10 (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC11). The key is `seed` (low word first). Elements come in groups of eight along a row: group
// g = i·ceil(K/8) + floor(k/8) for row i, column k. The counter words are: low 32 bits of g; bits 32 to 47 of g in the low half
// and `micro_batch` in the high half; `step`; the branch's `module`. The four output words give eight 16-bit numbers, the low
// half of word 0 first, then its high half, and so on; element k takes number k mod 8 and is kept when it is >= t with
// t = round(65536 p). Kept elements are multiplied by 65536 / (65536 - t). A p that rounds to t = 65536 is refused.
#ifndef PRUNEPEFT_LORA_H
#define PRUNEPEFT_LORA_H

#include "prunepeft/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Names a dropout mask; see the head of this file. */
typedef struct pp_dropout {
  /** Probability that an element is dropped, in [0, 1); 0 draws nothing. */
  float p;
  /** At most 65535. */
  uint32_t micro_batch;
  uint32_t step;
  uint64_t seed;
  /**
   * [device] Two numbers, step and micro_batch in this order, which then stand for the members above: these are not looked at.
   * Null: the members. A kernel reads them when it runs, so a recorded graph (graph.h) draws another mask once they have been
   * overwritten; the CPU reads them in the call. Aligned to 8 bytes, the caller's, needed until the work is done. That the
   * second is at most 65535 is not checked.
   */
  const uint32_t* counter;
} pp_dropout;

/** One LoRA module on a shared input. Which fields a function uses, it says; the others may be left zero. */
typedef struct pp_lora_branch {
  /** A [r,K], leading dimension lda. [device] */
  const void* a;
  int64_t lda;
  /** r >= 1. */
  int64_t rank;
  /** s = alpha / r (or alpha / sqrt(r) for rsLoRA). */
  float scale;
  /** Names this branch's dropout mask. */
  uint32_t module;
  /** S [M,r] or dS [M,r], leading dimension lds. [device] */
  void* s;
  int64_t lds;
  /** dA [r,K], float32 whatever the dtype, leading dimension ldda. [device] */
  float* da;
  int64_t ldda;
} pp_lora_branch;

/** Bytes that pp_lora_down needs. `ranks` is the sum of the branches' ranks. */
PP_API size_t pp_lora_down_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks);

/**
 * S = s·D(x) Aᵀ for each branch (reads a, rank, scale, module; writes s), x [M,K] being read once. With x_copy [M,K] not null,
 * x as it is (without dropout) is also written there in the same pass: it lets x and S lie side by side in a bordered operand.
 * `dropout` may be null: none. At most 16 branches.
 */
PP_API pp_status pp_lora_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                              const pp_lora_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* x_copy,
                              int64_t ldx_copy, void* workspace, size_t workspace_bytes);

/** Bytes that pp_lora_up needs. */
PP_API size_t pp_lora_up_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r);

/**
 * y += S Bᵀ with S [M,r], B [N,r], y [M,N], which is added to what is there if `accumulate` is not 0, else overwritten: without
 * being read, for a library product that is to add to it. All [device].
 */
PP_API pp_status pp_lora_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* s,
                            int64_t lds, const void* b, int64_t ldb, void* y, int64_t ldy, int32_t accumulate, void* workspace,
                            size_t workspace_bytes);

/** Bytes that pp_lora_grad_up needs. */
PP_API size_t pp_lora_grad_up_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r);

/**
 * dS = scale·dY B [M,r] and dB = dYᵀ S [N,r] from one read of dY [M,N]. dB is float32 whatever the dtype; it is added to what
 * is there if `accumulate` is not 0, else overwritten. dS may be null where it is not wanted. All [device].
 */
PP_API pp_status pp_lora_grad_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* dy,
                                 int64_t lddy, const void* b, int64_t ldb, const void* s, int64_t lds, float scale, void* ds,
                                 int64_t ldds, float* db, int64_t lddb, int32_t accumulate, void* workspace,
                                 size_t workspace_bytes);

/** Bytes that pp_lora_grad_down needs. */
PP_API size_t pp_lora_grad_down_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks);

/**
 * dA = dSᵀ D(x) for each branch (reads s as dS, rank, module; writes da, or adds to it if `accumulate` is not 0), x [M,K] being
 * read once. The mask is that of pp_lora_down with the same dropout. dS carries the scale already.
 */
PP_API pp_status pp_lora_grad_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                                   const pp_lora_branch* branches, int32_t branch_count, const pp_dropout* dropout,
                                   int32_t accumulate, void* workspace, size_t workspace_bytes);

/** Bytes that pp_lora_grad_input needs. */
PP_API size_t pp_lora_grad_input_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks);

/**
 * dX += Dᵀ(dS A) summed over the branches (reads a, rank, module, and s as dS), dX [M,K] being read and written once, or, if
 * `accumulate` is 0, overwritten without being read. Dᵀ is the mask of pp_lora_down with the same dropout.
 */
PP_API pp_status pp_lora_grad_input(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K,
                                    const pp_lora_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* dx,
                                    int64_t lddx, int32_t accumulate, void* workspace, size_t workspace_bytes);

#ifdef __cplusplus
}
#endif

#endif
