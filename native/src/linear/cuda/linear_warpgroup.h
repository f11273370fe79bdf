// The fused linear by warpgroups and bulk copies, on compute capability 9.0.
#pragma once

#include "linear/cuda/linear.cuh"

namespace prunepeft::cuda {
/** Whether the copy engine can bring all operands: 16-bit elements, rows at multiples of 16 bytes, at most eight modules. */
template <class T>
bool can_copy_in_bulk(const LinearArguments<T>& arguments, bool forward);

/**
 * Enqueues the product; of the order, the group of rows is given. S has been made. `blocks` are at most that many: the device's
 * multiprocessors. With `clusters`, which need two of them, blocks work in pairs that share the right operand; the bits are the
 * same.
 */
template <class T>
cudaError_t run_linear_forward_warpgroup(LinearArguments<T> arguments, bool clusters, int blocks, cudaStream_t stream);
template <class T>
cudaError_t run_linear_grad_input_warpgroup(LinearArguments<T> arguments, bool clusters, int blocks, cudaStream_t stream);
}  // namespace prunepeft::cuda
