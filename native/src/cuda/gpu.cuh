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
#include <new>
#include <utility>

#define GPU_INLINE __device__ __forceinline__

namespace prunepeft::gpu {
constexpr int kWarp = 32;
constexpr unsigned kFullMask = 0xffffffffu;
/**
 * What a block may have of dynamic shared memory without asking: of 48 KB, what 8 KB leave that kernels have by name at most,
 * and 1 KB to spare.
 */
constexpr size_t kUnaskedSharedBytes = (48 - 8 - 1) * 1024;
/** What a block may have at most on the smallest of our devices, sm_86. */
constexpr size_t kMostSharedBytes = 99 * 1024;

#if defined(__CUDACC__)
/** How often code has been taken from the devices: never, as long as the process lives. */
inline uint64_t unloadings() {
  return 0;
}
#else
using simt::unloadings;
#endif

/** What is known of a kernel on a device. */
struct LoadedKernel {
  bool is_loaded = false;
  uint64_t unloadings = 0;  // before it was loaded
  size_t shared_bytes = 0;  // of dynamic shared memory, that it has been let have
};
/** By device, since each device has its own. */
struct LoadedKernels {
  std::mutex mutex;
  std::map<std::pair<int, const void*>, LoadedKernel> of;
};
/** Never destroyed: a thread may launch a kernel while the process ends. */
inline LoadedKernels& loaded_kernels = *new LoadedKernels;

/**
 * Has the kernel's code on the device. By default code is loaded at a kernel's first use, which a capture need not allow: one
 * of this stream, or, where it was begun in global mode, one that any other thread has under way, which would be spoilt.
 */
inline cudaError_t load(const void* kernel) {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
  if (error != cudaSuccess) return error;
  cudaFuncAttributes unused;
  error = cudaFuncGetAttributes(&unused, kernel);
  const cudaError_t restored = cudaThreadExchangeStreamCaptureMode(&mode);
  return error != cudaSuccess ? error : restored;
}

/**
 * Has the kernel on the current device, and lets it have so many bytes of dynamic shared memory there, and no fewer than
 * before: another thread may be about to launch it with those.
 */
inline cudaError_t prepare(const void* kernel, size_t shared_bytes) {
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  const std::lock_guard<std::mutex> lock(loaded_kernels.mutex);
  try {
    LoadedKernel& known = loaded_kernels.of[{device, kernel}];
    if (!known.is_loaded || known.unloadings != unloadings()) {
      error = load(kernel);
      if (error != cudaSuccess) return error;
      known.is_loaded = true;
      known.unloadings = unloadings();
    }
    if (shared_bytes <= kUnaskedSharedBytes || shared_bytes <= known.shared_bytes) return cudaSuccess;
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (error == cudaSuccess) known.shared_bytes = shared_bytes;
    return error;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
}

/** Blocks each way. A launch refuses more than a device may have. */
struct Grid {
  Grid(int64_t blocks, int64_t blocks_y = 1, int64_t blocks_z = 1) : x(blocks), y(blocks_y), z(blocks_z) {}
  Grid(dim3 grid) : x(grid.x), y(grid.y), z(grid.z) {}
  bool is_legal() const {
    constexpr int64_t kMostX = 0x7fffffff, kMostOther = 0xffff;
    return x >= 1 && x <= kMostX && y >= 1 && y <= kMostOther && z >= 1 && z <= kMostOther;
  }
  operator dim3() const { return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z)); }

  int64_t x, y, z;
};

/** What every driver passes to a kernel. */
constexpr size_t kMostParameterBytes = 4096;
/** What parameters take, each at its alignment. */
template <class... Parameters>
constexpr size_t parameter_bytes() {
  size_t bytes = 0;
  ((bytes = (bytes + alignof(Parameters) - 1) / alignof(Parameters) * alignof(Parameters) + sizeof(Parameters)), ...);
  return bytes;
}

/** Blocks side by side form clusters of `cluster` blocks, which compute capability 9.0 brings; 1: they are alone. */
template <class... Parameters, class... Arguments>
cudaError_t launch_clusters(void (*kernel)(Parameters...), const Grid& grid, int threads, unsigned cluster, size_t shared_bytes,
                            cudaStream_t stream, Arguments... arguments) {
  static_assert(parameter_bytes<Parameters...>() <= kMostParameterBytes,
                "a kernel has more parameters than every driver passes");
  if (!grid.is_legal()) return cudaErrorInvalidConfiguration;
  const cudaError_t error = prepare(reinterpret_cast<const void*>(kernel), shared_bytes);
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
cudaError_t launch(void (*kernel)(Parameters...), const Grid& grid, int threads, size_t shared_bytes, cudaStream_t stream,
                   Arguments... arguments) {
  return launch_clusters(kernel, grid, threads, 1, shared_bytes, stream, arguments...);
}
}  // namespace prunepeft::gpu
