#include "cuda/tensor_map.h"

#include <atomic>

#if defined(__CUDACC__)
#include <cuda.h>
#endif

namespace prunepeft::cuda {
namespace {
using Encode = decltype(&cuTensorMapEncodeTiled);
static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= 64, "a tensor map is the driver's");

CUtensorMapDataType data_type(__half) {
  return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
}
CUtensorMapDataType data_type(__nv_bfloat16) {
  return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
}

/** The driver's function. Kept once it is found; what keeps it from being found is returned each time. */
cudaError_t find_encode(Encode* encode) {
  static std::atomic<Encode> kept{nullptr};
  *encode = kept.load(std::memory_order_relaxed);
  if (*encode != nullptr) return cudaSuccess;
  constexpr unsigned kSince = 12000;  // the CUDA version whose form of the function is meant
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSuccess;
#if defined(__CUDACC__) && CUDART_VERSION < 12050
  static_cast<void>(kSince);
  const cudaError_t error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#else
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, kSince, cudaEnableDefault, &result);
#endif
  if (error != cudaSuccess) return error;
  if (result != cudaDriverEntryPointSuccess || found == nullptr) return cudaErrorNotSupported;
  *encode = reinterpret_cast<Encode>(found);
  kept.store(*encode, std::memory_order_relaxed);
  return cudaSuccess;
}
}  // namespace

template <class T>
cudaError_t make_tensor_map(const BulkMatrix& matrix, int box_rows, TensorMap* map) {
  Encode encode;
  cudaError_t error = find_encode(&encode);
  // The driver's function makes no context current, as the runtime's do: a thread's first call may be this one.
  int device;
  if (error == cudaSuccess) error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaSetDevice(device);
  if (error != cudaSuccess) return error;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.columns), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.ld) * sizeof(T)};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)}, steps[] = {1, 1};
  const CUresult result = encode(reinterpret_cast<CUtensorMap*>(map), data_type(T{}), 2, const_cast<void*>(matrix.data),
                                 extents, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

template cudaError_t make_tensor_map<__half>(const BulkMatrix&, int, TensorMap*);
template cudaError_t make_tensor_map<__nv_bfloat16>(const BulkMatrix&, int, TensorMap*);
}  // namespace prunepeft::cuda
