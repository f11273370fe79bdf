// Launches of dX's product that makes dS and dB itself.
#include "linear/cuda/linear_with_ds.cuh"

#include "linear/cuda/bulk_maps.cuh"
#include "linear/cuda/grad_call.cuh"
#include "linear/cuda/linear_warpgroup.h"
#include "linear/cuda/module_stack.h"

namespace prunepeft::cuda {
namespace {
static_assert(int64_t{MakingDsTile<kMostRankTilesOfDs>::kBytes + sizeof(RingBarriers)} <= kWithSSharedBytes,
              "a block is given what it needs");
static_assert(kMostRankTilesOfDs == 2, "a kernel for each number of tiles");

int64_t row_tiles(int64_t M) {
  return gpu::divide_up(M, WarpgroupTile::kRows);
}
}  // namespace

int64_t db_parts(const LoraModule& module, int64_t M) {
  return row_tiles(M) * module.columns * module.rank;
}

int64_t ds_copy_elements(const LoraModule& module, int64_t M) {
  return narrow_copy_elements({module.b, module.ldb, module.columns, module.rank}) +
         narrow_copy_elements({module.s, module.lds, M, module.rank});
}

template <class T>
cudaError_t run_linear_grad_input_with_ds(const LinearArguments<T>& product, const LoraModule& module, float* parts,
                                          const WarpgroupCall& call) {
  using Tile = WarpgroupTile;
  const int64_t M = product.left.rows, tiles = tiles_of(module.rank, kTileRanks);
  WarpgroupArguments<T> arguments = {};
  BulkMaps maps(call.copies);
  cudaError_t error = map_operands(product, false, kClusterBlocks, &maps, &arguments);
  if (error == cudaSuccess)
    error = maps.add<T>({module.b, module.ldb, module.columns, module.rank}, Tile::kInner / static_cast<int>(kClusterBlocks),
                        &arguments.slab_left[0]);
  if (error == cudaSuccess) error = maps.add<T>({module.s, module.lds, M, module.rank}, Tile::kRows, &arguments.slab_left[1]);
  if (error == cudaSuccess) error = maps.run_copies(call.stream);
  if (error != cudaSuccess) return error;
  for (int32_t t = 0; t < tiles; t++)
    arguments.made[t] = {
        0,         t * kTileRanks, static_cast<int32_t>(gpu::least(module.rank - t * kTileRanks, kTileRanks)), module.scale,
        module.ds, module.ldds};
  arguments.db = {parts, module.first_column, module.columns, static_cast<int32_t>(module.rank)};
  const int64_t runners = call.blocks / kClusterBlocks;
  arguments.product.order = order_of_runs(
      {M, product.columns, product.left.columns, int64_t{sizeof(T)}, true, LinearDirection::kGradInput, true, tiles}, runners);
  const auto launch = [&](auto count) {
    constexpr int kTiles = decltype(count)::value;
    return gpu::launch_clusters(linear_grad_input_with_ds<T, kTiles>, kClusterBlocks * runners, Tile::kThreads,
                                static_cast<unsigned>(kClusterBlocks), MakingDsTile<kTiles>::kBytes, call.stream, arguments);
  };
  error = tiles == 1 ? launch(std::integral_constant<int, 1>{}) : launch(std::integral_constant<int, 2>{});
  if (error != cudaSuccess) return error;
  FinishColumnsArguments finish = {parts, static_cast<int>(row_tiles(M)), module.columns, {}, false, false};
  StackedModule gradient = {};
  gradient.gradient = module.db;
  gradient.ldg = module.lddb;
  gradient.scale = 1;
  gradient.rank = static_cast<int32_t>(module.rank);
  finish.stack.add(gradient);
  return run_finish_columns(finish, call.stream);
}

template <>
cudaError_t run_linear_grad_input_with_ds(const LinearArguments<float>&, const LoraModule&, float*, const WarpgroupCall&) {
  return cudaErrorNotSupported;
}

template cudaError_t run_linear_grad_input_with_ds(const LinearArguments<__half>&, const LoraModule&, float*,
                                                   const WarpgroupCall&);
template cudaError_t run_linear_grad_input_with_ds(const LinearArguments<__nv_bfloat16>&, const LoraModule&, float*,
                                                   const WarpgroupCall&);
}  // namespace prunepeft::cuda
