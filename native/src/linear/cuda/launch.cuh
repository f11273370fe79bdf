// What the launchers of the skinny products share: grids, and which operands allow 16-byte access.
#pragma once

#include <algorithm>
#include <type_traits>

#include "linear/cuda/finish.cuh"
#include "linear/cuda/shares.h"
#include "linear/cuda/skinny.h"
#include "linear/cuda/tile.cuh"

namespace prunepeft::cuda {
inline int64_t blocks_for(int64_t elements) {
  return gpu::divide_up(elements, kFinishThreads);
}

/** Whether all A's of a stack have aligned rows. */
template <class T>
bool a_aligned(const Stack& stack) {
  return std::all_of(stack.modules, stack.modules + stack.count,
                     [](const StackedModule& module) { return gpu::rows_aligned<T>(module.a, module.lda); });
}

/** Whether all S's of a stack have aligned rows. */
template <class T>
bool s_aligned(const Stack& stack) {
  return std::all_of(stack.modules, stack.modules + stack.count,
                     [](const StackedModule& module) { return gpu::rows_aligned<T>(module.s, module.lds); });
}

/** run(n), n a constant type: so many tiles of ranks where a kernel is compiled for them, else kChunkTiles, for any number. */
template <class Run>
cudaError_t dispatch_tiles(int tiles, Run run) {
  if (tiles == 1) return run(std::integral_constant<int, 1>{});
  if (tiles == 2) return run(std::integral_constant<int, 2>{});
  if (tiles == 4) return run(std::integral_constant<int, 4>{});
  return run(std::integral_constant<int, kChunkTiles>{});
}

/** Whether all S's of a stack, but columns of ones, have the first one's leading dimension. */
inline bool same_lds(const Stack& stack) {
  return std::all_of(stack.modules, stack.modules + stack.count,
                     [&](const StackedModule& module) { return module.s == nullptr || module.lds == stack.modules[0].lds; });
}

template <class T>
Source<T> source(const void* data, int64_t ld, int64_t rows, int64_t columns) {
  return {static_cast<const T*>(data), ld, rows, columns, gpu::rows_aligned<T>(data, ld)};
}

}  // namespace prunepeft::cuda
