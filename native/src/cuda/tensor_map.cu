// SPDX-License-Identifier: Apache-2.0
#include "cuda/tensor_map.h"

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
}  // namespace

TensorMapMaker::TensorMapMaker() {
  constexpr unsigned kSince = 12000;  // the CUDA version whose form of the function is meant
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSuccess;
#if defined(__CUDACC__) && CUDART_VERSION < 12050
  static_cast<void>(kSince);
  status_ = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &encode_, cudaEnableDefault, &result);
#else
  status_ = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode_, kSince, cudaEnableDefault, &result);
#endif
  if (status_ == cudaSuccess && (result != cudaDriverEntryPointSuccess || encode_ == nullptr)) status_ = cudaErrorNotSupported;
}

template <class T>
cudaError_t TensorMapMaker::make(const BulkMatrix& matrix, int box_rows, TensorMap* map) const {
  if (status_ != cudaSuccess) return status_;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.columns), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.ld) * sizeof(T)};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)}, steps[] = {1, 1};
  const CUresult result =
      reinterpret_cast<Encode>(encode_)(reinterpret_cast<CUtensorMap*>(map), data_type(T{}), 2, const_cast<void*>(matrix.data),
                                        extents, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                        CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

template cudaError_t TensorMapMaker::make<__half>(const BulkMatrix&, int, TensorMap*) const;
template cudaError_t TensorMapMaker::make<__nv_bfloat16>(const BulkMatrix&, int, TensorMap*) const;
}  // namespace prunepeft::cuda
