// How a call of the down product becomes a kernel's arguments.
#pragma once

#include "linear/cuda/down.cuh"
#include "linear/cuda/launch.cuh"
#include "linear/cuda/skinny.h"

namespace prunepeft::cuda {
static_assert(Down::kRows == kDownRows && Down::kColumns == kDownColumns, "shares.h knows a block's tile");

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
