// Batched importance: every statistic that a pruning criterion needs, of every module, in one pass over weights and gradients;
// exact order statistics of |w|; and the mean size of a module's output, which is never stored.
//
// A plan is a table of segments: runs of weights with their gradients, each belonging to a module and to a group (a group is
// what a quantile is taken over: all LoRA modules, say). A module may own several segments. The plan keeps the pointers, so it
// stays good while the buffers stay where they are; contents may change between calls.
#pragma once

#include "prunepeft/adapter.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A run of n weights w and their gradients g, both [device] and both of the plan's dtype. g null: gradients count as 0. */
typedef struct pp_segment {
  const void* w;
  const void* g;
  int64_t n;
  /** In [0, modules). */
  int32_t module;
  /** In [0, groups). */
  int32_t group;
} pp_segment;

/** Columns of the table that pp_importance writes. NaN weights or gradients make the sums they enter NaN. */
typedef enum pp_statistic PP_ENUM {
  PP_COUNT = 0,      /* n */
  PP_SUM_W2 = 1,     /* Σ w² */
  PP_SUM_ABS_W = 2,  /* Σ |w| */
  PP_NONZERO = 3,    /* #[w ≠ 0 once rounded to zero_dtype] */
  PP_BELOW = 4,      /* #[|w| < threshold of the module's group] */
  PP_SUM_G2 = 5,     /* Σ g² */
  PP_SUM_ABS_G = 6,  /* Σ |g| */
  PP_SUM_WG = 7,     /* Σ w·g */
  PP_SUM_ABS_WG = 8, /* Σ |w·g| */
  PP_SUM_WG2 = 9,    /* Σ (w·g)² */
  PP_STATISTICS = 10 /* how many there are */
} pp_statistic;

typedef struct pp_importance_plan pp_importance_plan;

/**
 * Makes a plan; the segments are copied, and hold at most 2^32 - 1 weights together. Modules without a segment are legal and
 * have all statistics 0. At least one segment, module and group; free it with pp_importance_plan_destroy. Neither stream nor
 * workspace of the context is kept. A plan serves one call at a time: calls that may overlap, in two streams or branches of a
 * graph, take a plan each.
 */
PP_API pp_status pp_importance_plan_create(const pp_context* context, pp_dtype dtype, const pp_segment* segments,
                                           int64_t segment_count, int32_t modules, int32_t groups, pp_importance_plan** plan);

/** Frees a plan; null is legal. Work that was enqueued with it must have ended. */
PP_API pp_status pp_importance_plan_destroy(pp_importance_plan* plan);

/**
 * Fills statistics [modules, PP_STATISTICS] (float64, [device]), one row a module, in one pass over all segments. thresholds
 * [groups] (float32, [device]) may be null: PP_BELOW is then 0. A weight counts as zero if it is 0 once rounded to zero_dtype
 * (to nearest, ties to even).
 */
PP_API pp_status pp_importance(const pp_context* context, const pp_importance_plan* plan, pp_dtype zero_dtype,
                               const float* thresholds, double* statistics);

/**
 * thresholds[group] (float32, [device]) = the q-quantile of |w| over all weights of each group: the element of rank
 * floor(q·(n-1)) in ascending order, exactly. q in [0, 1]; a group without weights gets 0; NaN weights rank last.
 */
PP_API pp_status pp_importance_quantile(const pp_context* context, const pp_importance_plan* plan, double q, float* thresholds);

/**
 * *sum = Σ |σ(p) Qᵀ + bias| over the rows whose mask is not 0 (float64, [device]; overwritten): the size of a module's output,
 * without storing it. A LoRA module: p = S [M,r], Q = B [N,r], PP_IDENTITY, bias null. An adapter: p = z [M,m], Q = U [N,m],
 * its σ and u [1,N]. row_mask [M] (bytes, [device]) may be null: all rows. M == 0 writes 0.
 */
PP_API pp_status pp_output_magnitude(const pp_context* context, const pp_matrix* p, pp_activation activation,
                                     const pp_matrix* q, const pp_matrix* bias, const uint8_t* row_mask, double* sum);

#ifdef __cplusplus
}
#endif
