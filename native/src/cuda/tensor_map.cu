#include "cuda/tensor_map.h"

#include "cuda/driver.h"

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

DriverFunction<Encode> encode_tiled{"cuTensorMapEncodeTiled"};
DriverFunction<decltype(&cuCtxGetCurrent)> get_current{"cuCtxGetCurrent"};

/** The driver's functions make no context current, as the runtime's do: a thread's first call may be this one. */
cudaError_t have_context() {
  decltype(&cuCtxGetCurrent) get;
  cudaError_t error = get_current.find(&get);
  CUcontext context = nullptr;
  if (error == cudaSuccess) error = error_of(get(&context));
  if (error != cudaSuccess || context != nullptr) return error;
  int device;
  error = cudaGetDevice(&device);
  return error == cudaSuccess ? cudaSetDevice(device) : error;
}
}  // namespace

template <class T>
cudaError_t make_tensor_map(const BulkMatrix& matrix, int box_rows, TensorMap* map) {
  Encode encode;
  cudaError_t error = encode_tiled.find(&encode);
  if (error == cudaSuccess) error = have_context();
  if (error != cudaSuccess) return error;
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(matrix.columns), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(matrix.ld) * sizeof(T)};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)}, steps[] = {1, 1};
  const CUresult result = encode(reinterpret_cast<CUtensorMap*>(map), data_type(T{}), 2, const_cast<void*>(matrix.data),
                                 extents, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return error_of(result);
}

template cudaError_t make_tensor_map<__half>(const BulkMatrix&, int, TensorMap*);
template cudaError_t make_tensor_map<__nv_bfloat16>(const BulkMatrix&, int, TensorMap*);
}  // namespace prunepeft::cuda
