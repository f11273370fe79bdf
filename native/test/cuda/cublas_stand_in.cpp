// Stands in for cuBLAS where the emulator stands in for a device: the same functions, by plain loops. Test alone.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>

#include "float16.h"

namespace {
enum Type { kFloat32 = 0, kFloat16 = 2, kBfloat16 = 14 };
constexpr int kInvalidValue = 7;

float load(const void* data, int type, int64_t i) {
  if (type == kFloat32) return static_cast<const float*>(data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(data)[i];
  return type == kFloat16 ? simt::half_value(bits) : simt::bfloat16_value(bits);
}

void store(void* data, int type, int64_t i, float v) {
  if (type == kFloat32)
    static_cast<float*>(data)[i] = v;
  else
    static_cast<uint16_t*>(data)[i] = type == kFloat16 ? simt::half_bits(v) : simt::bfloat16_bits(v);
}
}  // namespace

extern "C" {
__attribute__((visibility("default"))) int cublasCreate_v2(void** handle) {
  static int any;
  *handle = &any;
  return 0;
}

/** Column-major C [m,n] = op(A) op(B), alpha 1 and beta 0 alone. */
__attribute__((visibility("default"))) int cublasGemmEx(void*, int transposed_a, int transposed_b, int m, int n, int k,
                                                        const void* alpha, const void* a, int type_a, int lda, const void* b,
                                                        int type_b, int ldb, const void* beta, void* c, int type_c, int ldc,
                                                        int, int) {
  float scale, add;
  memcpy(&scale, alpha, sizeof scale);
  memcpy(&add, beta, sizeof add);
  if (scale != 1 || add != 0) return kInvalidValue;
  if (lda < (transposed_a ? k : m) || ldb < (transposed_b ? n : k) || ldc < m) return kInvalidValue;
  for (int64_t j = 0; j < n; j++)
    for (int64_t i = 0; i < m; i++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += static_cast<double>(load(a, type_a, transposed_a ? i * lda + l : l * lda + i)) *
               load(b, type_b, transposed_b ? l * ldb + j : j * ldb + l);
      store(c, type_c, j * ldc + i, static_cast<float>(sum));
    }
  return 0;
}
}
