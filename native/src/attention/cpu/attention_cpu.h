// The CPU side of attention, behind attention.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/workspace.h"
#include "prunepeft/attention.h"

namespace prunepeft {

struct AttentionForward {
  const pp_attention& attention;
  const void* qkv;
  int64_t ldqkv;
  void* context;
  int64_t ldcontext;
  float* log_sums;
  void* workspace;
};

struct AttentionBackward {
  const pp_attention& attention;
  const void* dcontext;
  int64_t lddcontext;
  const void* qkv;
  int64_t ldqkv;
  const float* log_sums;
  void* dqkv;
  int64_t lddqkv;
  void* workspace;
};

/** The kernels of one instruction set and element type. */
struct AttentionKernels {
  void (*forward)(const AttentionForward& call);
  void (*backward)(const AttentionBackward& call);
};

/** Both element types. */
struct AttentionTables {
  AttentionKernels float32, bfloat16;
};

/** The kernels of the instruction set in use. */
const AttentionKernels& attention_cpu(pp_dtype dtype);

/** Extents of a head's operands, padded to whole vectors of any instruction set. */
struct HeadExtents {
  PP_INLINE explicit HeadExtents(const pp_attention& attention)
      : T(attention.tokens), d(attention.head_size), tokens(widest_padded(T)), columns(widest_padded(d)) {}
  int64_t T, d, tokens, columns;

  /** Floats of scratch that a thread needs: what the kernels carve, in their order. */
  PP_INLINE int64_t forward_floats() const {
    return tokens + columns * tokens + tokens * columns + kBlockRows * (2 * tokens + columns);
  }
  PP_INLINE int64_t backward_floats() const {
    return tokens + 2 * columns * tokens + 3 * tokens * columns + kBlockRows * (4 * tokens + 3 * columns);
  }
};

}  // namespace prunepeft
