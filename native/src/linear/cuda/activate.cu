// Tiling: a thread an element. Limit: a launch; the matrix is narrow.
#include "linear/cuda/activate.h"

#include "linear/cuda/activation.cuh"

namespace prunepeft::cuda {
constexpr int kActivateThreads = 256;

template <class T>
__global__ void __launch_bounds__(kActivateThreads)
    activate_elements(const T* from, int64_t ld, int64_t rows, int64_t columns, pp_activation activation, T* to) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kActivateThreads + static_cast<int64_t>(threadIdx.x);
  if (i < rows * columns) to[i] = activated(activation, from[i / columns * ld + i % columns]);
}

cudaError_t run_activate(const pp_matrix& from, pp_activation activation, void* to, cudaStream_t stream) {
  const int64_t blocks = gpu::divide_up(from.rows * from.cols, kActivateThreads);
  return dispatch(from.dtype, [&](auto element) {
    using T = decltype(element);
    return gpu::launch(activate_elements<T>, blocks, kActivateThreads, 0, stream, static_cast<const T*>(from.data), from.ld,
                       from.rows, from.cols, activation, static_cast<T*>(to));
  });
}
}  // namespace prunepeft::cuda
