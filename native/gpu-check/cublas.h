// Products by cuBLAS, which is loaded if it is there: no header and no link is needed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

#include "device.h"

namespace gpu_check {
/** A row-major matrix of a product. */
struct Rows {
  void* data;
  int64_t ld;
};

class Cublas {
 public:
  Cublas() {
#if defined(PRUNEPEFT_EMULATED)
    const char* const names[] = {"libcublas-stand-in.so"};  // plain loops, for the tests
#else
    const char* const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so"};
#endif
    for (const char* name : names)
      if (library_ == nullptr) library_ = dlopen(name, RTLD_NOW);
    if (library_ == nullptr) return;
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library_, "cublasCreate_v2"));
    gemm_ = reinterpret_cast<Gemm>(dlsym(library_, "cublasGemmEx"));
    if (create == nullptr || gemm_ == nullptr || create(&handle_) != 0) handle_ = nullptr;
  }
  bool present() const {
    return handle_ != nullptr;
  }

  /** y [M,N] = x [M,K] Wᵀ, W [N,K]. */
  void forward(pp_dtype dtype, int64_t M, int64_t K, int64_t N, Rows x, Rows w, Rows y) const {
    gemm(dtype, kTransposed, N, M, K, w, x, y);
  }
  /** dx [M,K] = dy [M,N] W. */
  void backward(pp_dtype dtype, int64_t M, int64_t K, int64_t N, Rows dy, Rows w, Rows dx) const {
    gemm(dtype, kPlain, K, M, N, w, dy, dx);
  }

 private:
  using Gemm = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int, const void*,
                       void*, int, int, int, int);
  // Values of cublas_api.h and library_types.h.
  static constexpr int kPlain = 0, kTransposed = 1, kCompute32F = 68, kDefaultAlgorithm = -1;

  /** Column-major C [m,n] = op(A) B. */
  void gemm(pp_dtype dtype, int operation, int64_t m, int64_t n, int64_t k, Rows a, Rows b, Rows c) const {
    const float one = 1, zero = 0;
    const int type = dtype == PP_FLOAT32 ? 0 : dtype == PP_FLOAT16 ? 2 : 14;
    const int status = gemm_(handle_, operation, kPlain, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), &one,
                             a.data, type, static_cast<int>(a.ld), b.data, type, static_cast<int>(b.ld), &zero, c.data, type,
                             static_cast<int>(c.ld), kCompute32F, kDefaultAlgorithm);
    if (status != 0) {
      fprintf(stderr, "cublasGemmEx: status %d\n", status);
      exit(1);
    }
  }

  void* library_ = nullptr;
  void* handle_ = nullptr;
  Gemm gemm_ = nullptr;
};
}  // namespace gpu_check
