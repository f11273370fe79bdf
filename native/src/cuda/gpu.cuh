// What every kernel file includes: CUDA under nvcc; under the host compiler, the emulator that the tests run kernels in.
//
// Kernels write GPU_SHARED(float[8][32], tile) for __shared__ float tile[8][32], GPU_DYNAMIC_SHARED(memory) for the extern
// array of bytes, and launchers call gpu::launch() in place of <<<>>>.
#pragma once

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#define GPU_SHARED(Type, name) \
  using name##_type = Type;    \
  __shared__ name##_type name
#define GPU_DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#else
#include "simt.h"
#define GPU_SHARED(Type, name)    \
  using name##_type = Type;       \
  static const char name##_tag{}; \
  name##_type& name = *static_cast<name##_type*>(simt::shared_array(&name##_tag, sizeof(name##_type), alignof(name##_type)))
#define GPU_DYNAMIC_SHARED(name) unsigned char* const name = static_cast<unsigned char*>(simt::dynamic_shared())
#endif

#include <map>
#include <mutex>
#include <utility>

#define GPU_INLINE __device__ __forceinline__

namespace prunepeft::gpu {
constexpr int kWarp = 32;
constexpr unsigned kFullMask = 0xffffffffu;
/** What a block may have without asking. */
constexpr size_t kDefaultSharedBytes = 48 * 1024;
/** What a block may have at most on the smallest of our devices, sm_86. */
constexpr size_t kMostSharedBytes = 99 * 1024;

/**
 * Has the kernel's code on the device before a capture of the stream meets it. By default code is loaded at a kernel's first
 * use, which a capture need not allow.
 */
inline cudaError_t load_for_capture(const void* kernel, cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaError_t error = cudaStreamIsCapturing(stream, &status);
  if (error != cudaSuccess || status == cudaStreamCaptureStatusNone) return error;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  error = cudaThreadExchangeStreamCaptureMode(&mode);
  if (error != cudaSuccess) return error;
  cudaFuncAttributes unused;
  error = cudaFuncGetAttributes(&unused, kernel);
  const cudaError_t restored = cudaThreadExchangeStreamCaptureMode(&mode);
  return error != cudaSuccess ? error : restored;
}

/** What kernels have been let have of shared memory, by device, since each device has its own. */
struct SharedBytes {
  std::mutex mutex;
  std::map<std::pair<int, const void*>, size_t> most;
};
/** Never destroyed: a thread may launch a kernel while the process ends. */
inline SharedBytes& shared_bytes_let = *new SharedBytes;

/**
 * Lets the kernel have so many bytes of dynamic shared memory on the current device, and no fewer than before: another thread
 * may be about to launch it with those.
 */
inline cudaError_t let_have_shared_bytes(const void* kernel, size_t bytes) {
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const std::lock_guard<std::mutex> lock(shared_bytes_let.mutex);
  size_t& most = shared_bytes_let.most[{device, kernel}];
  if (bytes <= most) return cudaSuccess;
  error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error == cudaSuccess) most = bytes;
  return error;
}

/** Blocks side by side form clusters of `cluster` blocks, which compute capability 9.0 brings; 1: they are alone. */
template <class... Parameters, class... Arguments>
cudaError_t launch_clusters(void (*kernel)(Parameters...), dim3 grid, int threads, unsigned cluster, size_t shared_bytes,
                            cudaStream_t stream, Arguments... arguments) {
  const void* const code = reinterpret_cast<const void*>(kernel);
  cudaError_t error = load_for_capture(code, stream);
  if (error == cudaSuccess && shared_bytes > kDefaultSharedBytes) error = let_have_shared_bytes(code, shared_bytes);
  if (error != cudaSuccess) return error;
  cudaLaunchAttribute size = {};
  size.id = cudaLaunchAttributeClusterDimension;
  size.val.clusterDim.x = cluster;
  size.val.clusterDim.y = size.val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &size;
  config.numAttrs = cluster > 1 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared_bytes, cudaStream_t stream,
                   Arguments... arguments) {
  return launch_clusters(kernel, grid, threads, 1, shared_bytes, stream, arguments...);
}
}  // namespace prunepeft::gpu
