// Launches of the fused linear by warpgroups.
#include "linear/cuda/linear_warpgroup.h"

#include <algorithm>

#include "linear/cuda/bulk_maps.cuh"

namespace prunepeft::cuda {
namespace {
static_assert(int64_t{WarpgroupTile::kBytes + sizeof(RingBarriers)} <= kWarpgroupSharedBytes, "a block is given what it needs");

template <class T>
cudaError_t launch(void (*kernel)(const WarpgroupArguments<T>), const LinearArguments<T>& product, bool forward,
                   const WarpgroupCall& call) {
  using Tile = WarpgroupTile;
  const int cluster = call.clusters ? static_cast<int>(kClusterBlocks) : 1;
  WarpgroupArguments<T> arguments = {};
  BulkMaps maps(call.copies);
  cudaError_t error = map_operands(product, forward, cluster, &maps, &arguments);
  for (int32_t i = 0; i < product.slab_count && error == cudaSuccess; i++)
    error = maps.add<T>(left_of(product.slabs[i], product.left.rows), Tile::kRows, &arguments.slab_left[i]);
  if (error == cudaSuccess) error = maps.run_copies(call.stream);
  if (error != cudaSuccess) return error;
  LinearOrder& order = arguments.product.order;
  order.row_tiles = gpu::divide_up(product.left.rows, int64_t{cluster} * Tile::kRows);
  order.group_rows = gpu::divide_up(order.group_rows, int64_t{cluster});
  order.column_tiles = gpu::divide_up(product.columns, Tile::kColumns);
  const int64_t works = linear_works(order), most = std::max<int64_t>(call.blocks / cluster, 1);
  const int64_t blocks = cluster * (call.leaves_room ? busy_runners(works, most) : std::min(works, most));
  return gpu::launch_clusters(kernel, blocks, Tile::kThreads, static_cast<unsigned>(cluster), Tile::kBytes, call.stream,
                              arguments);
}
}  // namespace

template <class T>
bool can_copy_in_bulk(const LinearArguments<T>& arguments) {
  return arguments.slab_count <= kMostBulkModules && can_map(matrix_of(arguments.left)) &&
         can_map(matrix_of(arguments.right)) && arguments.columns <= INT32_MAX;
}

template <>
bool can_copy_in_bulk(const LinearArguments<float>&) {
  return false;
}

int64_t slab_copy_elements(const RankSlab& slab, int64_t rows, bool forward) {
  return narrow_copy_elements(left_of(slab, rows)) + narrow_copy_elements(right_of(slab, forward));
}

template <class T>
cudaError_t run_linear_forward_warpgroup(const LinearArguments<T>& arguments, const WarpgroupCall& call) {
  return launch(call.clusters ? linear_forward_warpgroup<T, kClusterBlocks> : linear_forward_warpgroup<T, 1>, arguments, true,
                call);
}

template <class T>
cudaError_t run_linear_grad_input_warpgroup(const LinearArguments<T>& arguments, const WarpgroupCall& call) {
  constexpr int kBlocks = kClusterBlocks;
  const bool masked = arguments.dropout.threshold != 0 && arguments.slab_count > 0;
  const auto alone = masked ? linear_grad_input_warpgroup<T, true, 1> : linear_grad_input_warpgroup<T, false, 1>;
  const auto side_by_side =
      masked ? linear_grad_input_warpgroup<T, true, kBlocks> : linear_grad_input_warpgroup<T, false, kBlocks>;
  return launch(call.clusters ? side_by_side : alone, arguments, false, call);
}

template <>
cudaError_t run_linear_forward_warpgroup(const LinearArguments<float>&, const WarpgroupCall&) {
  return cudaErrorNotSupported;
}
template <>
cudaError_t run_linear_grad_input_warpgroup(const LinearArguments<float>&, const WarpgroupCall&) {
  return cudaErrorNotSupported;
}

template bool can_copy_in_bulk(const LinearArguments<__half>&);
template bool can_copy_in_bulk(const LinearArguments<__nv_bfloat16>&);
template cudaError_t run_linear_forward_warpgroup(const LinearArguments<__half>&, const WarpgroupCall&);
template cudaError_t run_linear_forward_warpgroup(const LinearArguments<__nv_bfloat16>&, const WarpgroupCall&);
template cudaError_t run_linear_grad_input_warpgroup(const LinearArguments<__half>&, const WarpgroupCall&);
template cudaError_t run_linear_grad_input_warpgroup(const LinearArguments<__nv_bfloat16>&, const WarpgroupCall&);
}  // namespace prunepeft::cuda
