// The CPU side of attention, behind attention.cpp, which has checked the arguments. float32 and bfloat16.
#pragma once

#include "core/call.h"
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
  /** The same for one token a sequence, without sums. */
  void (*one_token)(const AttentionForward& call);
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

/** Heads of K in all sequences, fewer than which would leave threads without work in the backward pass. */
constexpr int64_t kFewKeyHeads = 8;

/**
 * In how many parts dK and dV of a head are summed, which are added up in the end: one for each head that it serves where there
 * are few, else one. By the shape alone.
 */
static PP_INLINE int64_t gradient_parts(const pp_attention& attention) {
  const int64_t heads = key_heads(attention);
  const bool few = attention.sequences < kFewKeyHeads && heads < kFewKeyHeads && attention.sequences * heads < kFewKeyHeads;
  return few ? attention.heads / heads : 1;
}

/** Keys of a run, which one token of a sequence is an item of work for. */
constexpr int64_t kKeyRun = 1024;

/** In how many runs the keys that one token sees are cut. By the shape alone, and whatever other sequences there are. */
static PP_INLINE int64_t key_runs(const pp_attention& attention, int64_t key_count) {
  const int64_t seen = attention.window > 0 && attention.window < key_count ? attention.window : key_count;
  return (seen + kKeyRun - 1) / kKeyRun;
}

/** Threads that a call of so many items has scratch for. */
static PP_INLINE int64_t scratch_threads(int64_t items) {
  return items < call_threads() ? items : call_threads();
}

/** Extents of a head's operands, padded to whole vectors of any instruction set. */
struct HeadExtents {
  PP_INLINE HeadExtents(const pp_attention& attention, int64_t key_count)
      : T(attention.tokens),
        K(key_count),
        d(attention.head_size),
        group(attention.heads / key_heads(attention)),
        keys(widest_padded(K)),
        columns(widest_padded(d)) {}
  /** `group` heads of Q share one of K and V. */
  int64_t T, K, d, group, keys, columns;

  /** Floats of scratch that a thread needs: what the kernels carve, in their order. */
  PP_INLINE int64_t forward_floats() const {
    return keys + columns * keys + keys * columns + kBlockRows * (2 * keys + columns);
  }
  /** Of one token a sequence, which saves no sums: scores of a head are so many floats apart. */
  PP_INLINE int64_t score_step() const { return keys < kKeyRun ? keys : kKeyRun; }
  PP_INLINE int64_t one_token_floats() const { return group * (score_step() + columns); }
  /** Of a head's values over a run of keys: with the largest score and the sum. */
  PP_INLINE int64_t run_floats() const { return columns + kWidestVector; }
  /** With dK and dV, unless these are in parts. */
  PP_INLINE int64_t backward_floats(int64_t parts) const {
    return keys + (parts > 1 ? 3 : 5) * keys * columns + kBlockRows * (4 * keys + 3 * columns);
  }
  /** Floats of a part of dK and dV. */
  PP_INLINE int64_t part_floats() const { return 2 * keys * columns; }
};

}  // namespace prunepeft
