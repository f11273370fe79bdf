// Frozen weights in 8 or 4 bits: what W is kept as where its float32 or bfloat16 would take too much memory. linear.h
// multiplies by them, and modules on such a linear are trained as on any other (QLoRA: Dettmers et al., "QLoRA: Efficient
// Finetuning of Quantized LLMs", 2023).
//
//   PP_INT8   W(i, j) = code(i, j)·scale(i)                 a scale for each row
//   PP_NF4    W(i, j) = table[code(i, j)]·scale(e / block)   a scale for each block, e = i·cols + j; blocks run on over row
//   ends
//
// Each product is rounded once, to float32; a result in bfloat16 once more, to nearest even. This is what bitsandbytes stores
// as int8 (whose SCB is 127 times our scale) and as NF4; scales that it has quantised once more are to be decoded before.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pp_quantization PP_ENUM { PP_INT8 = 0, PP_NF4 = 1 } pp_quantization;

/** A quantised matrix in memory that somebody else owns, without padding. Whether a call reads or writes it, the call says. */
typedef struct pp_quantized {
  pp_quantization type;
  /** 1 or more. */
  int64_t rows;
  int64_t cols;
  /**
   * [device] PP_INT8: rows · cols signed bytes, row by row. PP_NF4: ceil(rows · cols / 2) bytes of two codes each, the first in
   * the high half.
   */
  void* codes;
  /** [device] PP_INT8: one for each row. PP_NF4: ceil(rows · cols / block). On CUDA at a multiple of 4 bytes. */
  float* scales;
  /** PP_NF4: what the 16 codes stand for, in host memory. Null: the values of QLoRA. */
  const float* table;
  /** PP_NF4: how many elements have one scale, a power of two in [32, 4096]; bitsandbytes has 64. */
  int64_t block;
} pp_quantized;

/**
 * Quantises w [rows, cols], float32 or bfloat16, into codes and scales, on the CPU alone (PP_UNSUPPORTED elsewhere). PP_INT8: a
 * row's scale is its largest magnitude / 127, codes are rounded to nearest, ties to even. PP_NF4: a block's scale is its
 * largest magnitude; an element times 1 / scale takes the nearest value of the table, which must rise, the lower of two that
 * are equally near, as in bitsandbytes. What is not finite makes all that shares its scale not finite.
 */
PP_API pp_status pp_quantize(const pp_context* context, const pp_matrix* w, const pp_quantized* to);

/** Decodes w into a matrix [rows, cols]. float32 and bfloat16 on the CPU, on CUDA any type. */
PP_API pp_status pp_dequantize(const pp_context* context, const pp_quantized* w, const pp_matrix* to);

#ifdef __cplusplus
}
#endif
