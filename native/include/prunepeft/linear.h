// A frozen linear with LoRA modules on it, for one adapter or for rows of many:
//
//   y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ          x [M,K], W [N,K], y [M,N]; A [r,K], B [n,r], s = alpha / r, D dropout
//
// Each module adds to columns of y of its own choice, on rows of its own choice: query, key and value as one stacked linear, or
// the adapters of several searches, seeds or tenants over one batch. A linear without modules is the frozen linear alone.
//
// Two ways lead to the same result within the type's rounding; pp_linear_choose_paths says which suits a shape and a device.
//
//   PP_FUSED   this library's own product, of which the ranks' part is the last of the inner dimension: y is written once
//     forward    S = s·D(x) Aᵀ, y = x Wᵀ + b + Σ S Bᵀ        pp_linear_forward
//     backward   dS = s·dY B, dB = dYᵀ S                     pp_lora_grad_up
//                dX = dY W + Σ Dᵀ(dS A)                      pp_linear_grad_input
//                dA = dSᵀ D(x)                               pp_lora_grad_down; all: pp_linear_backward
//   PP_SPLIT   the products with W are the caller's, by a library
//     forward    S = s·D(x) Aᵀ                               pp_lora_down
//                y += S Bᵀ                                   pp_lora_up
//     backward   as above, with dX += Dᵀ(dS A)               pp_lora_grad_input
//
// S carries the scale already, rounded once from float32, so neither y nor dB scales again.
//
// Types. On CUDA x, y, W, b, A, B, S and dS are of one dtype. On the CPU trained weights and what is as narrow as they stay
// float32: x, y, W, b and gradients of x and y are float32 or bfloat16, A, B, S and dS float32, rounded to nearest as a product
// takes them; pp_lora_down, _up and _grad_input have float32 alone there. dA and dB are float32 everywhere.
//
// Rows. Modules whose rows are the same share one reading of x; on CUDA modules on different rows that add to the same columns,
// and whose S lie in one matrix, are one launch, whatever their number. A module's S, dS, dA and dB are bit for bit those of a
// call with its rows alone: neither neighbours nor its place in the batch change them; on the CPU so are y and dX. On CUDA y
// and dX of rows with several modules, or in a batch whose modules are on different rows, are rounded launch by launch. Rows
// that no module covers keep what the ranks' part would have added to; so do gradients of modules without rows.
//
// Dropout. Forward and backward pass have the same mask, drawn in both or kept for the second (`kept_mask`), from Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11). The key is `seed` (low word first). Elements come in
// groups of eight along a row: group g = i·ceil(K/8) + floor(k/8) for the module's row i, counted from its first, and column k.
// The counter words are: low 32 bits of g; bits 32 to 47 of g in the low half and `micro_batch` in the high half; `step`; the
// module's `mask`. The four output words give eight 16-bit numbers, the low half of word 0 first, then its high half, and so
// on; element k takes number k mod 8 and is kept when it is >= t with t = round(65536 p). Kept elements are multiplied by 65536
// / (65536 - t). A p that rounds to t = 65536 is refused.
#pragma once

#include "prunepeft/quantized.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Names dropout masks; see the head of this file. */
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

/** A LoRA module on a linear. Which matrices a function uses, it says; the others may be left zero. */
typedef struct pp_lora_module {
  /** A [r,K]. */
  pp_matrix a;
  /** B [n,r], which adds to n columns of y. */
  pp_matrix b;
  /** Where its n columns of y begin. */
  int64_t first_column;
  /** The rows of x and y that it serves: `rows`, 0 or more, from first_row on. */
  int64_t first_row;
  int64_t rows;
  /** s = alpha / r (or alpha / sqrt(r) for rsLoRA). */
  float scale;
  /** Names the module's dropout masks; modules that share a step and an input need different ones. */
  uint32_t mask;
  /** Null: none. */
  const pp_dropout* dropout;
  /** S [M,r], of which the module's rows are used; r gives the rank, 1 or more, in each call. */
  pp_matrix s;
  /** dS [M,r] likewise, scaled already. */
  pp_matrix ds;
  /** dA [r,K], float32. */
  pp_matrix da;
  /** dB [n,r], float32. Modules with the same dA and dB data are one module on several runs of rows: gradients add up. */
  pp_matrix db;
  /**
   * [device] pp_kept_mask_bytes(rows, K) bytes, aligned to 16, for the module's mask, a bit an element, in an order of the
   * library's own. pp_linear_forward and pp_lora_down write it; pp_lora_grad_down, pp_lora_grad_input, pp_linear_grad_input
   * and pp_linear_backward read it in place of drawing the mask again, and results are the same bit for bit. Each module of a
   * call has memory of its own, and calls that read have the rows, K and dropout of the call that wrote. Null: they draw it.
   * Not looked at without dropout, nor on the CPU.
   */
  void* kept_mask;
} pp_lora_module;

/** The most modules of a call, and of these the most on one run of rows. */
enum { PP_MOST_MODULES = 512, PP_MOST_MODULES_OF_A_ROW = 16 };

/** A frozen linear, prepared for a device. Immutable: any number of threads may use it at once. */
typedef struct pp_linear pp_linear;

/**
 * Prepares W [N,K] and the bias [1,N] (may be null). On the CPU both are copied, twice over for W, into the order in which the
 * kernels read them, and may be freed afterwards; on CUDA they are borrowed and must live as long as the plan.
 */
PP_API pp_status pp_linear_create(const pp_context* context, const pp_matrix* w, const pp_matrix* bias, pp_linear** linear);

/**
 * The same for a W that the CPU does not copy either: it must live as long as the plan, and is read as it is at each call. It
 * is brought into order a part at a time as it is multiplied, which adds 10 to 25 % to the time of a call with some hundred
 * rows, and more than doubles that of one with few. Results are bit for bit those of pp_linear_create.
 */
PP_API pp_status pp_linear_borrow(const pp_context* context, const pp_matrix* w, const pp_matrix* bias, pp_linear** linear);

/**
 * The same as pp_linear_create for a quantised W, with x and y of `dtype` and the bias of that type too. On the CPU codes and
 * scales are copied, the codes twice over: 1.06 bytes for a weight of PP_NF4 in blocks of 64, 2 for one of PP_INT8. They are
 * decoded as they are multiplied, a part at a time. On CUDA codes and scales are borrowed. A call on few rows decodes them in
 * its tiles, if `dtype` has 16 bits, codes lie at a multiple of 16 bytes, and K is a multiple of 32 or, of PP_INT8, of 16; any
 * other decodes all of W into its workspace. Results are bit for bit those of a plan of what pp_dequantize makes of W in
 * `dtype`, on CUDA in rows at multiples of 16 bytes.
 */
PP_API pp_status pp_linear_create_quantized(const pp_context* context, const pp_quantized* w, const pp_matrix* bias,
                                            pp_dtype dtype, pp_linear** linear);

/**
 * Rows [first, first + to.rows) of W, as many as `to` [count,K] of the plan's dtype has: bit for bit those that the plan was
 * given, of a quantised W those of pp_dequantize. On the CPU alone (PP_UNSUPPORTED elsewhere, where W and its codes are still
 * the caller's).
 */
PP_API pp_status pp_linear_rows(const pp_context* context, const pp_linear* linear, int64_t first, const pp_matrix* to);

/** Frees a plan; null is allowed. No call that uses it may be running. */
PP_API pp_status pp_linear_destroy(pp_linear* linear);

/** Bytes of a module's kept_mask, for its rows of K columns, some rows·K/8; 0 if there are none, SIZE_MAX if too many. */
PP_API size_t pp_kept_mask_bytes(int64_t rows, int64_t K);

/** y = x Wᵀ + b + Σ S Bᵀ (overwritten) with S = s·D(x) Aᵀ, kept for the backward pass. Reads a and b, writes s. */
PP_API pp_status pp_linear_forward(const pp_context* context, const pp_linear* linear, const pp_matrix* x,
                                   const pp_lora_module* modules, int32_t count, const pp_matrix* y);

/** dX = dY W + Σ Dᵀ(dS A) (overwritten). Reads a and ds. Dᵀ is the mask of the forward pass with the same dropout. */
PP_API pp_status pp_linear_grad_input(const pp_context* context, const pp_linear* linear, const pp_matrix* dy,
                                      const pp_lora_module* modules, int32_t count, const pp_matrix* dx);

/**
 * dX, dS, dB and, unless x is null, dA: what pp_lora_grad_up and, with its dS, pp_linear_grad_input and pp_lora_grad_down do.
 * x and dX may not overlap. On CUDA dY is read once where one module's gradients are made in the product that makes dX; their
 * last bits may differ then, and what is not finite in a row of dY reaches dS of that row from columns that are not the
 * module's too. Or, where that is expected to be faster, dA is made beside dX, by a stream of the library's own that the
 * call's stream waits for: in a recorded graph, on a branch. Reads a, b and s, writes ds, db and da.
 */
PP_API pp_status pp_linear_backward(const pp_context* context, const pp_linear* linear, const pp_matrix* dy, const pp_matrix* x,
                                    const pp_lora_module* modules, int32_t count, const pp_matrix* dx);

/** S = s·D(x) Aᵀ for each module. Reads a, writes s. */
PP_API pp_status pp_lora_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count);

/**
 * y += S Bᵀ. Reads s and b. With `accumulate` 0 the modules' parts of y are overwritten without being read, for a library
 * product that is to add to them; modules may not overlap then.
 */
PP_API pp_status pp_lora_up(const pp_context* context, const pp_lora_module* modules, int32_t count, const pp_matrix* y,
                            int32_t accumulate);

/**
 * dS = s·dY B and dB = dYᵀ S from one read of dY [M,N]. On CUDA dB may have other last bits where ds is null. Reads b and s,
 * writes ds, unless its data is null, and db, which is overwritten.
 */
PP_API pp_status pp_lora_grad_up(const pp_context* context, const pp_matrix* dy, const pp_lora_module* modules, int32_t count);

/** dA = dSᵀ D(x), x being read once for modules on the same rows. Reads ds, writes da. */
PP_API pp_status pp_lora_grad_down(const pp_context* context, const pp_matrix* x, const pp_lora_module* modules, int32_t count);

/** dX += Dᵀ(dS A), summed over the modules. Reads a and ds. With `accumulate` 0 as pp_lora_up. */
PP_API pp_status pp_lora_grad_input(const pp_context* context, const pp_lora_module* modules, int32_t count,
                                    const pp_matrix* dx, int32_t accumulate);

typedef enum pp_linear_path PP_ENUM { PP_SPLIT = 0, PP_FUSED = 1 } pp_linear_path;

/** What a choice of paths depends on. */
typedef struct pp_linear_shape {
  pp_dtype dtype;
  int64_t M;
  int64_t K;
  int64_t N;
  /** [modules], in host memory: each module's rank, 1 or more. Not looked at without modules. */
  const int64_t* ranks;
  /**
   * 0: the frozen linear alone; at most PP_MOST_MODULES_OF_A_ROW. They are taken to be on all rows and to share out the columns
   * of y, as query, key and value do.
   */
  int32_t modules;
  /**
   * 0 to modules: how many of them drop inputs, each by a mask of its own, all with the same probability, seed and step. On
   * CUDA the fused kernels take modules that drop alike; where some do not drop, pp_lora_down and its like follow the product.
   * So do they for modules that drop with several probabilities, which this shape does not tell: these are predicted as if
   * alike.
   */
  int32_t masks;
  /** Whether W is quantised (1) or not (0): then both paths are PP_FUSED, and dA is not made beside dX. */
  int32_t quantized;
} pp_linear_shape;

/**
 * The path that a linear should take in each direction, and whether modules should keep their masks (1) or not (0). On CUDA it
 * is predicted from the device's multiprocessors, clock and bandwidth, with dA by pp_linear_backward; on the CPU it is
 * PP_FUSED, whose product is the faster one there, without masks to keep.
 */
PP_API pp_status pp_linear_choose_paths(const pp_device* device, const pp_linear_shape* shape, pp_linear_path* forward,
                                        pp_linear_path* backward, int32_t* keep_masks);

#ifdef __cplusplus
}
#endif
