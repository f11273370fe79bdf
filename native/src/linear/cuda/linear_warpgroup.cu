// Launches of the fused linear by warpgroups.
#include "linear/cuda/linear_warpgroup.h"

#include <algorithm>

#include "linear/cuda/linear_warpgroup.cuh"
#include "linear/cuda/narrow_copies.h"

namespace prunepeft::cuda {
namespace {
static_assert(kMostNarrowCopies >= 2 * kMostBulkModules, "all modules' operands can be copied");
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
cudaError_t launch(void (*kernel)(const WarpgroupArguments<T>), const LinearArguments<T>& product, bool forward,
                   const WarpgroupCall& call) {
  using Tile = WarpgroupTile;
  const int cluster = call.clusters ? static_cast<int>(kClusterBlocks) : 1;
  WarpgroupArguments<T> arguments = {};
  arguments.product = product;
  LinearOrder& order = arguments.product.order;
  order.row_tiles = gpu::divide_up(product.left.rows, int64_t{cluster} * Tile::kRows);
  order.group_rows = gpu::divide_up(order.group_rows, int64_t{cluster});
  order.column_tiles = gpu::divide_up(product.columns, Tile::kColumns);
  const int right_rows = forward ? Tile::kColumns / cluster : Tile::kInner;
  cudaError_t error = make_tensor_map<T>(matrix(product.left), Tile::kRows, &arguments.left);
  if (error == cudaSuccess) error = make_tensor_map<T>(matrix(product.right), right_rows, &arguments.right);
  NarrowCopies copies = {};
  auto* memory = static_cast<uint16_t*>(call.copies);
  const auto map_narrow = [&](const BulkMatrix& narrow, int rows, TensorMap* map) {
    const BulkMatrix mapped = add_narrow_copy(narrow, memory, &copies);
    memory += narrow_copy_elements(narrow);
    return make_tensor_map<T>(mapped, rows, map);
  };
  for (int32_t i = 0; i < product.slab_count && error == cudaSuccess; i++) {
    error = map_narrow(left_of(product.slabs[i], product.left.rows), Tile::kRows, &arguments.slab_left[i]);
    if (error == cudaSuccess) error = map_narrow(right_of(product.slabs[i], forward), right_rows, &arguments.slab_right[i]);
  }
  if (error == cudaSuccess) error = run_narrow_copies(copies, call.stream);
  if (error != cudaSuccess) return error;
  const dim3 grid(static_cast<unsigned>(cluster * std::min<int64_t>(linear_works(order), call.blocks / cluster)));
  return gpu::launch_clusters(kernel, grid, Tile::kThreads, static_cast<unsigned>(cluster), Tile::kBytes, call.stream,
                              arguments);
}
}  // namespace

template <class T>
bool can_copy_in_bulk(const LinearArguments<T>& arguments) {
  return arguments.slab_count <= kMostBulkModules && can_map(matrix(arguments.left)) && can_map(matrix(arguments.right)) &&
         arguments.columns <= INT32_MAX;
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
