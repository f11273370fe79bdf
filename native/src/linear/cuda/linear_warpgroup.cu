// Launches of the fused linear by warpgroups.
#include "linear/cuda/linear_warpgroup.h"

#include <algorithm>

#include "linear/cuda/linear_warpgroup.cuh"

namespace prunepeft::cuda {
namespace {
static_assert(int64_t{WarpgroupTile::kBytes + sizeof(RingBarriers)} <= kWarpgroupSharedBytes, "a block is given what it needs");

template <class T>
BulkMatrix matrix(const Source<T>& source) {
  return {source.data, source.ld, source.rows, source.columns};
}

BulkMatrix left_of(const RankSlab& slab, int64_t rows) {
  return {slab.left, slab.ld_left, rows, slab.rank};
}

/** B [columns,rank] forward, A [rank,columns] for dX. */
BulkMatrix right_of(const RankSlab& slab, bool forward) {
  return {slab.right, slab.ld_right, forward ? slab.columns : slab.rank, forward ? slab.rank : slab.columns};
}

template <class T>
cudaError_t launch(void (*kernel)(const WarpgroupArguments<T>), const LinearArguments<T>& product, bool forward, int cluster,
                   int blocks, cudaStream_t stream) {
  using Tile = WarpgroupTile;
  WarpgroupArguments<T> arguments = {};
  arguments.product = product;
  LinearOrder& order = arguments.product.order;
  order.row_tiles = gpu::divide_up(product.left.rows, int64_t{cluster} * Tile::kRows);
  order.group_rows = gpu::divide_up(order.group_rows, int64_t{cluster});
  order.column_tiles = gpu::divide_up(product.columns, Tile::kColumns);
  const int right_rows = forward ? Tile::kColumns / cluster : Tile::kInner;
  cudaError_t error = make_tensor_map<T>(matrix(product.left), Tile::kRows, &arguments.left);
  if (error == cudaSuccess) error = make_tensor_map<T>(matrix(product.right), right_rows, &arguments.right);
  for (int32_t i = 0; i < product.slab_count && error == cudaSuccess; i++) {
    error = make_tensor_map<T>(left_of(product.slabs[i], product.left.rows), Tile::kRows, &arguments.slab_left[i]);
    if (error == cudaSuccess)
      error = make_tensor_map<T>(right_of(product.slabs[i], forward), right_rows, &arguments.slab_right[i]);
  }
  if (error != cudaSuccess) return error;
  const dim3 grid(static_cast<unsigned>(cluster * std::min<int64_t>(linear_works(order), blocks / cluster)));
  return gpu::launch_clusters(kernel, grid, Tile::kThreads, static_cast<unsigned>(cluster), Tile::kBytes, stream, arguments);
}
}  // namespace

template <class T>
bool can_copy_in_bulk(const LinearArguments<T>& arguments, bool forward) {
  if (arguments.slab_count > kMostBulkModules || !can_map(matrix(arguments.left)) || !can_map(matrix(arguments.right)) ||
      arguments.columns > INT32_MAX)
    return false;
  return std::all_of(arguments.slabs, arguments.slabs + arguments.slab_count, [&](const RankSlab& slab) {
    return can_map(left_of(slab, arguments.left.rows)) && can_map(right_of(slab, forward));
  });
}

template <>
bool can_copy_in_bulk(const LinearArguments<float>&, bool) {
  return false;
}

template <class T>
cudaError_t run_linear_forward_warpgroup(LinearArguments<T> arguments, bool clusters, int blocks, cudaStream_t stream) {
  constexpr int kBlocks = kClusterBlocks;
  return clusters ? launch(linear_forward_warpgroup<T, kBlocks>, arguments, true, kBlocks, blocks, stream)
                  : launch(linear_forward_warpgroup<T, 1>, arguments, true, 1, blocks, stream);
}

template <class T>
cudaError_t run_linear_grad_input_warpgroup(LinearArguments<T> arguments, bool clusters, int blocks, cudaStream_t stream) {
  constexpr int kBlocks = kClusterBlocks;
  const bool masked = arguments.dropout.threshold != 0 && arguments.slab_count > 0;
  const auto alone = masked ? linear_grad_input_warpgroup<T, true, 1> : linear_grad_input_warpgroup<T, false, 1>;
  const auto side_by_side =
      masked ? linear_grad_input_warpgroup<T, true, kBlocks> : linear_grad_input_warpgroup<T, false, kBlocks>;
  return launch(clusters ? side_by_side : alone, arguments, false, clusters ? kBlocks : 1, blocks, stream);
}

template <>
cudaError_t run_linear_forward_warpgroup(LinearArguments<float>, bool, int, cudaStream_t) {
  return cudaErrorNotSupported;
}
template <>
cudaError_t run_linear_grad_input_warpgroup(LinearArguments<float>, bool, int, cudaStream_t) {
  return cudaErrorNotSupported;
}

template bool can_copy_in_bulk(const LinearArguments<__half>&, bool);
template bool can_copy_in_bulk(const LinearArguments<__nv_bfloat16>&, bool);
template cudaError_t run_linear_forward_warpgroup(LinearArguments<__half>, bool, int, cudaStream_t);
template cudaError_t run_linear_forward_warpgroup(LinearArguments<__nv_bfloat16>, bool, int, cudaStream_t);
template cudaError_t run_linear_grad_input_warpgroup(LinearArguments<__half>, bool, int, cudaStream_t);
template cudaError_t run_linear_grad_input_warpgroup(LinearArguments<__nv_bfloat16>, bool, int, cudaStream_t);
}  // namespace prunepeft::cuda
