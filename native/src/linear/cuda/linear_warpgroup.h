// The fused linear by warpgroups and bulk copies, on compute capability 9.0.
#pragma once

#include "linear/cuda/linear.cuh"
#include "linear/lora_module.h"

namespace prunepeft::cuda {
/**
 * Whether the copy engine can bring all operands: 16-bit elements, at most eight modules, rows of x, W and dY at multiples of
 * 16 bytes. Those of modules may begin anywhere.
 */
template <class T>
bool can_copy_in_bulk(const LinearArguments<T>& arguments);

/** Elements of memory that the product takes for a module, where its rows do not begin at multiples of 16 bytes. */
int64_t slab_copy_elements(const RankSlab& slab, int64_t rows, bool forward);

/** How a product by warpgroups is made. */
struct WarpgroupCall {
  /** Blocks work in pairs that share the right operand, which takes two multiprocessors; the bits are the same. */
  bool clusters;
  /** At most so many: the device's multiprocessors. */
  int blocks;
  /** As many elements as slab_copy_elements says of all modules and, of S that is made, narrow_copy_elements of A; aligned to
   * 16 bytes. */
  void* copies;
  cudaStream_t stream;
  /** Whether no more blocks are taken than do as well, for the sake of what runs beside. */
  bool leaves_room = false;
};

/** Enqueues the product, after copies of narrow operands where it takes some; of the order, the group of rows is given. S has
 * been made. */
template <class T>
cudaError_t run_linear_forward_warpgroup(const LinearArguments<T>& arguments, const WarpgroupCall& call);
/** The same in clusters that make S too, as the stack says: of up to kMostRankTilesInside tiles, under dropout of one module.
 */
template <class T>
cudaError_t run_linear_forward_with_s(const LinearArguments<T>& arguments, const Stack& stack, const WarpgroupCall& call);
template <class T>
cudaError_t run_linear_grad_input_warpgroup(const LinearArguments<T>& arguments, const WarpgroupCall& call);

/**
 * The same in clusters that make dS and dB of the one module too, of up to kMostRankTilesOfDs tiles of ranks, without dropout,
 * and a second launch that adds dB's parts, for which there is room of db_parts floats. S is read, dS and dB are written. Of
 * `copies` ds_copy_elements more are taken.
 */
template <class T>
cudaError_t run_linear_grad_input_with_ds(const LinearArguments<T>& arguments, const LoraModule& module, float* parts,
                                          const WarpgroupCall& call);
int64_t db_parts(const LoraModule& module, int64_t M);
int64_t ds_copy_elements(const LoraModule& module, int64_t M);
}  // namespace prunepeft::cuda
