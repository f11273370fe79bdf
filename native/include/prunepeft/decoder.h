// What a decoder's layer computes beside its linears and its attention, forward and backward: RMS normalisation (Zhang and
// Sennrich 2019), rotary position embedding (Su et al. 2021) and gated activations (Shazeer 2020, "GLU variants"). float32 and
// bfloat16, on CUDA float16 too, with sums in float32. A call's output may be the buffer of its input of the same shape where
// the call says so, with the same leading dimension.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = w'·x / sqrt(mean(x²) + epsilon) for each run of K elements of a row; w' is w or 1 + w. */
typedef struct pp_rms_norm {
  /** w [1,K], of the operands' dtype. */
  pp_matrix weight;
  /** Above 0. */
  float epsilon;
  /** 1: w' is 1 + w, as in Gemma; 0: it is w. */
  int32_t adds_one;
} pp_rms_norm;

/**
 * y [M,G·K] from x [M,G·K]: G runs of K elements each, as a row's heads are; and the scales 1 / sqrt(mean(x²) + epsilon) [M,G],
 * float32, which the backward pass needs; null: not wanted. y may be the buffer of x.
 */
PP_API pp_status pp_rms_norm_forward(const pp_context* context, const pp_rms_norm* norm, const pp_matrix* x, const pp_matrix* y,
                                     const pp_matrix* scales);

/** dx (overwritten) from dy, x [M,G·K] and the scales. dx may be the buffer of dy. The weight's gradient is not computed. */
PP_API pp_status pp_rms_norm_backward(const pp_context* context, const pp_rms_norm* norm, const pp_matrix* dy,
                                      const pp_matrix* x, const pp_matrix* scales, const pp_matrix* dx);

/**
 * Where tokens stand, and by what angles heads are rotated there. Of a head's d columns the first 2·n are rotated, n the
 * tables' columns: pairs (j, j + n), as Llama's `rotate_half` does.
 */
typedef struct pp_rotary {
  /** B sequences, 0 or more, of T tokens, 1 or more. */
  int64_t sequences;
  int64_t tokens;
  /** Heads that are rotated, 0 or more, from the row's first column on: those of Q and K side by side. d columns each. */
  int64_t heads;
  int64_t head_size;
  /** Cosines and sines [P,n] of positions 0 to P - 1, float32; n at most d / 2. */
  pp_matrix cosines;
  pp_matrix sines;
  /** Tokens before the first one of each sequence: those in a cache. */
  int64_t past;
  /**
   * [device] B·T numbers: token t stands at position past + t - starts[t]. Null: 0 for all. Positions are kept in [0, P - 1].
   * On CUDA at a multiple of 4 bytes.
   */
  const int32_t* starts;
  /** 1: rotated back, which is the backward pass; 0: forth. */
  int32_t backward;
} pp_rotary;

/** y from x [B·T,N], N at least heads·d; columns that are not rotated are copied. y may be the buffer of x. */
PP_API pp_status pp_rotate(const pp_context* context, const pp_rotary* rotary, const pp_matrix* x, const pp_matrix* y);

/** What a gate goes through: SiLU, the exact GELU, or its approximation by tanh. */
typedef enum pp_gate PP_ENUM { PP_SWIGLU = 0, PP_GEGLU = 1, PP_GEGLU_TANH = 2 } pp_gate;

/** out [M,I] = σ(gate)∘up from gate and up side by side, [M,2·I]. */
PP_API pp_status pp_gate_forward(const pp_context* context, pp_gate gate, const pp_matrix* gate_up, const pp_matrix* out);

/** dgate_up [M,2·I] (overwritten) from dout [M,I] and gate_up; it may be the buffer of gate_up. */
PP_API pp_status pp_gate_backward(const pp_context* context, pp_gate gate, const pp_matrix* dout, const pp_matrix* gate_up,
                                  const pp_matrix* dgate_up);

#ifdef __cplusplus
}
#endif
