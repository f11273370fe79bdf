// How a call of the down product becomes shares of K and a kernel's arguments.
#pragma once

#include "linear/cuda/down.cuh"
#include "linear/cuda/launch.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
/** Blocks that fill today's devices a few times over. */
constexpr int64_t kDownBlocks = 512;
/** A share of K is worth a second stage from here on. */
constexpr int64_t kLeastShareColumns = 256;

inline Split split_columns(int64_t M, int64_t K) {
  const int64_t row_blocks = gpu::divide_up(M, Down::kRows);
  return split(K, Down::kColumns, std::min(kDownBlocks / row_blocks, K / kLeastShareColumns));
}

/** `stack` is the call's. With more than one share the sums go to `slots`. */
template <class T, class S>
DownArguments<T, S> down_arguments(const DownCall& call, const S& stack, const Split& columns, float* slots) {
  DownArguments<T, S> arguments = {};
  arguments.x = source<T>(call.x, call.ldx, call.M, call.K);
  arguments.stack = stack;
  arguments.a_aligned = a_aligned<T>(call.stack);
  arguments.dropout = call.dropout;
  arguments.keys = philox_keys(dropout_key(call.dropout.seed));
  arguments.bias = static_cast<const T*>(call.bias);
  arguments.activation = call.activation;
  arguments.activated = static_cast<T*>(call.activated);
  arguments.columns_per_share = columns.length;
  arguments.slots = columns.shares == 1 ? nullptr : slots;
  return arguments;
}
}  // namespace prunepeft::cuda
