// Functions of the driver: the library is not linked with it, so that it loads where there is none.
#pragma once

#include <atomic>

#include "cuda/gpu.cuh"
#if defined(__CUDACC__)
#include <cuda.h>
#endif

namespace prunepeft::cuda {
/**
 * A function in the form that CUDA 12.0 has of it. Kept once it is found; what keeps it from being found is returned each time.
 */
template <class Function>
struct DriverFunction {
  const char* name;
  std::atomic<Function> kept{nullptr};

  cudaError_t find(Function* function) {
    *function = kept.load(std::memory_order_relaxed);
    if (*function != nullptr) return cudaSuccess;
    constexpr unsigned kSince = 12000;
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSuccess;
#if defined(__CUDACC__) && CUDART_VERSION < 12050
    static_cast<void>(kSince);
    const cudaError_t error = cudaGetDriverEntryPoint(name, &found, cudaEnableDefault, &result);
#else
    const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &found, kSince, cudaEnableDefault, &result);
#endif
    if (error != cudaSuccess) return error;
    if (result != cudaDriverEntryPointSuccess || found == nullptr) return cudaErrorNotSupported;
    *function = reinterpret_cast<Function>(found);
    kept.store(*function, std::memory_order_relaxed);
    return cudaSuccess;
  }
};

/** The runtime's numbers are the driver's. */
inline cudaError_t error_of(CUresult result) {
  return static_cast<cudaError_t>(result);
}
}  // namespace prunepeft::cuda
