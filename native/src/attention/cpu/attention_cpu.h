// The CPU side of attention, behind attention.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/workspace.h"
#include "prunepeft/attention.h"

namespace prunepeft {

/** A matrix of one or more heads side by side. */
struct HeadColumns {
  const void* data;
  int64_t ld;
};

struct AttentionForward {
  const pp_attention& attention;
  /** Tokens of K and V, T or more, and the rows from one sequence's to the next one's. */
  int64_t key_count;
  int64_t key_rows;
  HeadColumns q, k, v;
  void* context;
  int64_t ldcontext;
  /** Null: not wanted. */
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

/** Heads of K and V. */
static PP_INLINE int64_t key_heads(const pp_attention& attention) {
  return attention.key_heads == 0 ? attention.heads : attention.key_heads;
}

/** Extents of a head's operands, padded to whole vectors of any instruction set. */
struct HeadExtents {
  PP_INLINE HeadExtents(const pp_attention& attention, int64_t key_count)
      : T(attention.tokens), K(key_count), d(attention.head_size), keys(widest_padded(K)), columns(widest_padded(d)) {}
  int64_t T, K, d, keys, columns;

  /** Floats of scratch that a thread needs: what the kernels carve, in their order. */
  PP_INLINE int64_t forward_floats() const {
    return keys + columns * keys + keys * columns + kBlockRows * (2 * keys + columns);
  }
  PP_INLINE int64_t backward_floats() const {
    return keys + 2 * columns * keys + 3 * keys * columns + kBlockRows * (4 * keys + 3 * columns);
  }
};

}  // namespace prunepeft
