// Launches of the forward product that makes S itself.
#include "linear/cuda/linear_with_s.cuh"

#include "linear/cuda/bulk_maps.cuh"
#include "linear/cuda/linear_warpgroup.h"

namespace prunepeft::cuda {
namespace {
/** Of barriers, as compiled: more than their size. */
constexpr int64_t kStaticSharedBytes = 128;
static_assert(int64_t{MakingTile<2>::kBytes} + kStaticSharedBytes <= kWithSSharedBytes && kMostRankTilesInside == 4 &&
                  int64_t{MakingTile<4>::kBytes} + kStaticSharedBytes <= kWithSSharedBytes,
              "a block is given what it needs");

/** The tiles of ranks of all modules, and the maps that bring their A's. */
template <class T>
cudaError_t make_ranks(const Stack& stack, int64_t K, BulkMaps* maps, WarpgroupArguments<T>* arguments) {
  int32_t tile = 0;
  for (int32_t i = 0; i < stack.count; i++) {
    const StackedModule& module = stack.modules[i];
    for (int32_t first = 0; first < module.rank; first += kTileRanks)
      arguments->made[tile++] = {
          i, first, static_cast<int32_t>(gpu::least(module.rank - first, kTileRanks)), module.scale, module.s, module.lds};
    const cudaError_t error = maps->template add<T>({module.a, module.lda, module.rank, K},
                                                    kTileRanks / static_cast<int>(kClusterBlocks), &arguments->slab_left[i]);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
}  // namespace

template <class T>
cudaError_t run_linear_forward_with_s(const LinearArguments<T>& product, const Stack& stack, const WarpgroupCall& call) {
  WarpgroupArguments<T> arguments = {};
  BulkMaps maps(call.copies);
  cudaError_t error = map_operands(product, true, kClusterBlocks, &maps, &arguments);
  if (error == cudaSuccess) error = make_ranks(stack, product.left.columns, &maps, &arguments);
  if (error == cudaSuccess) error = maps.run_copies(call.stream);
  if (error != cudaSuccess) return error;
  const int64_t runners = call.blocks / kClusterBlocks;
  const bool masked = product.dropout.threshold != 0;
  if (masked) {
    if (stack.count != 1) return cudaErrorNotSupported;
    const StackedModule& module = stack.modules[0];
    arguments.mask = {philox_keys(dropout_key(product.dropout.seed)), module.kept, module.mask_name};
  }
  arguments.product.order = order_of_runs({product.left.rows, product.columns, product.left.columns, int64_t{sizeof(T)}, true,
                                           LinearDirection::kForward, true, stack.tiles, masked},
                                          runners);
  const auto launch = [&](auto tiles) {
    constexpr int kTiles = decltype(tiles)::value;
    return gpu::launch_clusters(masked ? linear_forward_with_s<T, kTiles, true> : linear_forward_with_s<T, kTiles, false>,
                                kClusterBlocks * runners, WarpgroupTile::kThreads, static_cast<unsigned>(kClusterBlocks),
                                MakingTile<kTiles>::kBytes, call.stream, arguments);
  };
  if (stack.tiles == 1) return launch(std::integral_constant<int, 1>{});
  if (stack.tiles == 2) return launch(std::integral_constant<int, 2>{});
  if (stack.tiles == 3) return launch(std::integral_constant<int, 3>{});
  return launch(std::integral_constant<int, kMostRankTilesInside>{});
}

template <>
cudaError_t run_linear_forward_with_s(const LinearArguments<float>&, const Stack&, const WarpgroupCall&) {
  return cudaErrorNotSupported;
}

template cudaError_t run_linear_forward_with_s(const LinearArguments<__half>&, const Stack&, const WarpgroupCall&);
template cudaError_t run_linear_forward_with_s(const LinearArguments<__nv_bfloat16>&, const Stack&, const WarpgroupCall&);
}  // namespace prunepeft::cuda
