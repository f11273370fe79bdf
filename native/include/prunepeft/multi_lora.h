// LoRA of several adapters over one batch of rows: many searches, seeds or tenants that share a frozen linear.
//
// The batch x [M,K] is cut into segments of rows. Each names its adapter, whose rank, scale, weights and dropout are its own:
//   forward   S  = s·D(x) Aᵀ            pp_multi_lora_down        y  += S Bᵀ            pp_multi_lora_up
//   backward  dS = s·dY B, dB = dYᵀ S   pp_multi_lora_grad_up     dA  = dSᵀ D(x)        pp_multi_lora_grad_down
//             dX += Dᵀ(dS A)            pp_multi_lora_grad_input
// On CUDA each is one launch for all segments (and one or two small ones that add partial sums), whatever their number.
//
// A segment's results are bit for bit those of lora.h's function of the same name, called with the segment's rows alone:
// neither neighbours nor its place in the batch change them. Dropout's rows are counted from the segment's first. Where an
// adapter has several segments, its gradients are those of the calls one after the other, each after the first accumulating.
//
// Rows that no segment covers keep what they hold, and so do gradients of adapters without rows. Segments may be empty.
//
// S and dS [M,R] are one matrix for the whole batch, R being at least the largest rank; a segment uses the first columns of its
// rows, as many as its adapter's rank, and leaves the others as they are. dtypes are those of lora.h.
#ifndef PRUNEPEFT_MULTI_LORA_H
#define PRUNEPEFT_MULTI_LORA_H

#include "prunepeft/lora.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The LoRA module of one adapter. Which fields a function uses, it says; the others may be left zero. */
typedef struct pp_lora_adapter {
  /** r >= 1. */
  int64_t rank;
  /** A [r,K], leading dimension lda. [device] */
  const void* a;
  int64_t lda;
  /** B [N,r], leading dimension ldb. [device] */
  const void* b;
  int64_t ldb;
  /** s = alpha / r (or alpha / sqrt(r) for rsLoRA). */
  float scale;
  /** Names the module's dropout masks. */
  uint32_t module;
  /** dA [r,K], float32 whatever the dtype, leading dimension ldda. [device] */
  float* da;
  int64_t ldda;
  /** dB [N,r], float32 whatever the dtype, leading dimension lddb. [device] */
  float* db;
  int64_t lddb;
} pp_lora_adapter;

/** Rows of the batch that go through one adapter. */
typedef struct pp_lora_segment {
  int64_t first_row;
  /** 0 or more. */
  int64_t rows;
  /** Index into the adapters. */
  int32_t adapter;
  /** Null: none. Segments of one adapter in one step need different ones (another micro_batch, say), or their masks agree. */
  const pp_dropout* dropout;
} pp_lora_segment;

/** Which rows go through which adapter: at most 32 adapters and 32 segments, in rising order of rows, none overlapping. */
typedef struct pp_multi_lora {
  const pp_lora_adapter* adapters;
  int32_t adapter_count;
  const pp_lora_segment* segments;
  int32_t segment_count;
} pp_multi_lora;

/** Bytes that pp_multi_lora_down needs. */
PP_API size_t pp_multi_lora_down_workspace(const pp_device* device, pp_dtype dtype, int64_t K, const pp_multi_lora* multi);

/** S = s·D(x) Aᵀ (reads rank, a, scale, module and dropout). x [M,K], S [M,R]. All [device]. */
PP_API pp_status pp_multi_lora_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                                    const pp_multi_lora* multi, void* s, int64_t lds, void* workspace, size_t workspace_bytes);

/** Bytes that pp_multi_lora_up needs. */
PP_API size_t pp_multi_lora_up_workspace(const pp_device* device, pp_dtype dtype, int64_t N, const pp_multi_lora* multi);

/** y += S Bᵀ (reads rank and b). S [M,R], y [M,N]. All [device]. */
PP_API pp_status pp_multi_lora_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, const pp_multi_lora* multi,
                                  const void* s, int64_t lds, void* y, int64_t ldy, void* workspace, size_t workspace_bytes);

/** Bytes that pp_multi_lora_grad_up needs. */
PP_API size_t pp_multi_lora_grad_up_workspace(const pp_device* device, pp_dtype dtype, int64_t N, const pp_multi_lora* multi);

/**
 * dS = scale·dY B and dB = dYᵀ S from one read of dY (reads rank, b and scale; writes db, or adds to it if `accumulate` is not
 * 0). dY [M,N]; S and dS [M,R]; dS may be null where it is not wanted. All [device].
 */
PP_API pp_status pp_multi_lora_grad_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, const void* dy,
                                       int64_t lddy, const pp_multi_lora* multi, const void* s, int64_t lds, void* ds,
                                       int64_t ldds, int32_t accumulate, void* workspace, size_t workspace_bytes);

/** Bytes that pp_multi_lora_grad_down needs. */
PP_API size_t pp_multi_lora_grad_down_workspace(const pp_device* device, pp_dtype dtype, int64_t K, const pp_multi_lora* multi);

/**
 * dA = dSᵀ D(x) (reads rank, module and dropout; writes da, or adds to it if `accumulate` is not 0). x [M,K], dS [M,R], scaled
 * already. All [device].
 */
PP_API pp_status pp_multi_lora_grad_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x,
                                         int64_t ldx, const pp_multi_lora* multi, const void* ds, int64_t ldds,
                                         int32_t accumulate, void* workspace, size_t workspace_bytes);

/** Bytes that pp_multi_lora_grad_input needs. */
PP_API size_t pp_multi_lora_grad_input_workspace(const pp_device* device, pp_dtype dtype, int64_t K,
                                                 const pp_multi_lora* multi);

/** dX += Dᵀ(dS A) (reads rank, a, module and dropout). dS [M,R], scaled already; dX [M,K]. All [device]. */
PP_API pp_status pp_multi_lora_grad_input(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K,
                                          const pp_multi_lora* multi, const void* ds, int64_t ldds, void* dx, int64_t lddx,
                                          void* workspace, size_t workspace_bytes);

#ifdef __cplusplus
}
#endif

#endif
