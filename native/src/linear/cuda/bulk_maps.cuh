// Tensor maps of a product by warpgroups, and copies of what cannot be mapped as it lies.
#pragma once

#include "linear/cuda/linear_warpgroup.cuh"
#include "linear/cuda/narrow_copies.h"

namespace prunepeft::cuda {
static_assert(kMostNarrowCopies >= 2 * kMostBulkModules + kMostRankTilesInside, "all modules' operands can be copied");

template <class T>
BulkMatrix matrix_of(const Source<T>& source) {
  return {source.data, source.ld, source.rows, source.columns};
}

/** S or dS. */
inline BulkMatrix left_of(const RankSlab& slab, int64_t rows) {
  return {slab.left, slab.ld_left, rows, slab.rank};
}

/** B [columns,rank] forward, A [rank,columns] for dX. */
inline BulkMatrix right_of(const RankSlab& slab, bool forward) {
  return {slab.right, slab.ld_right, forward ? slab.columns : slab.rank, forward ? slab.rank : slab.columns};
}

/** Maps narrow operands, by copies where these cannot be mapped as they lie. */
class BulkMaps {
 public:
  explicit BulkMaps(void* memory) : memory_(static_cast<uint16_t*>(memory)) {}

  template <class T>
  cudaError_t add(const BulkMatrix& narrow, int box_rows, TensorMap* map) {
    const BulkMatrix mapped = add_narrow_copy(narrow, memory_, &copies_);
    memory_ += narrow_copy_elements(narrow);
    return make_tensor_map<T>(mapped, box_rows, map);
  }
  cudaError_t run_copies(cudaStream_t stream) const { return run_narrow_copies(copies_, stream); }

 private:
  uint16_t* memory_;
  NarrowCopies copies_ = {};
};

/** Maps x and W, or dY and W, and the modules' right operands, for clusters of so many blocks. */
template <class T>
cudaError_t map_operands(const LinearArguments<T>& product, bool forward, int64_t blocks, BulkMaps* maps,
                         WarpgroupArguments<T>* arguments) {
  using Tile = WarpgroupTile;
  arguments->product = product;
  const int right_rows = forward ? Tile::kColumns / static_cast<int>(blocks) : Tile::kInner;
  cudaError_t error = make_tensor_map<T>(matrix_of(product.left), Tile::kRows, &arguments->left);
  if (error == cudaSuccess) error = make_tensor_map<T>(matrix_of(product.right), right_rows, &arguments->right);
  for (int32_t i = 0; i < product.slab_count && error == cudaSuccess; i++)
    error = maps->add<T>(right_of(product.slabs[i], forward), right_rows, &arguments->slab_right[i]);
  return error;
}
}  // namespace prunepeft::cuda
