// Launches of the fused linear on codes.
#include "linear/cuda/linear_codes.h"

#include <algorithm>

#include "linear/cuda/linear_codes.cuh"

namespace prunepeft::cuda {
bool can_read_codes(const pp_linear& linear) {
  const int64_t codes_of_vector = gpu::kVectorBytes * (linear.decoding.type == PP_INT8 ? 1 : 2);
  return linear.decoding.used && pp_dtype_size(linear.dtype) == sizeof(uint16_t) && linear.K % codes_of_vector == 0 &&
         reinterpret_cast<uintptr_t>(linear.w) % gpu::kVectorBytes == 0;
}

template <class T>
cudaError_t run_linear_forward_codes(const LinearForwardArguments<T>& arguments, const CodeSource& source, size_t shared_bytes,
                                     cudaStream_t stream) {
  using Tile = SmallTile<T>;
  constexpr size_t kRings =
      std::max(LinearRing<T, Tile, Inner::kAlongRow>::kBytes, CodeRing<T, Tile, Inner::kAlongRow>::kBytes);
  return gpu::launch(linear_forward_codes_kernel<T>, linear_works(arguments.product.order), Tile::kThreads,
                     std::max(shared_bytes, kRings), stream, arguments, source);
}

template <class T>
cudaError_t run_linear_grad_input_codes(const LinearArguments<T>& arguments, const CodeSource& source, cudaStream_t stream) {
  using Tile = SmallTile<T>;
  using Ring = LinearRing<T, Tile, Inner::kAlongColumn>;
  const bool masked = arguments.dropout.threshold != 0 && arguments.slab_count > 0;
  constexpr size_t kRings = std::max(Ring::kBytes + Ring::kMaskBytes, CodeRing<T, Tile, Inner::kAlongColumn>::kBytes);
  return gpu::launch(masked ? linear_grad_input_codes_kernel<T, true> : linear_grad_input_codes_kernel<T, false>,
                     linear_works(arguments.order), Tile::kThreads, kRings, stream, arguments, source);
}

template cudaError_t run_linear_forward_codes(const LinearForwardArguments<__half>&, const CodeSource&, size_t, cudaStream_t);
template cudaError_t run_linear_forward_codes(const LinearForwardArguments<__nv_bfloat16>&, const CodeSource&, size_t,
                                              cudaStream_t);
template cudaError_t run_linear_grad_input_codes(const LinearArguments<__half>&, const CodeSource&, cudaStream_t);
template cudaError_t run_linear_grad_input_codes(const LinearArguments<__nv_bfloat16>&, const CodeSource&, cudaStream_t);
}  // namespace prunepeft::cuda
