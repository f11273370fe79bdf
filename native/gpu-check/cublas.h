// Products by cuBLASLt, which is loaded if it is there: no header and no link is needed. It is the first that works of those
// that PRUNEPEFT_CUBLASLT names, separated by colons, or else of those that the loader finds. The Java binding's CublasProduct
// makes the same calls, but takes the first algorithm that the library names; here, where the library is what others are
// measured by, the first eight are timed once for each layout of operands, as its rows are, and the fastest is kept.
#pragma once

#include <dlfcn.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <tuple>

#include "cold.h"
#include "device.h"

namespace gpu_check {
class Cublas {
 public:
  Cublas() {
#if defined(PRUNEPEFT_EMULATED)
    std::string names = "libcublas-stand-in.so";  // plain loops, for the tests
#else
    std::string names = "libcublasLt.so.13:libcublasLt.so.12:libcublasLt.so";
#endif
    if (const char* given = getenv("PRUNEPEFT_CUBLASLT")) names = given;
    for (size_t begin = 0, end; begin < names.size() && handle_ == nullptr; begin = end + 1) {
      end = std::min(names.find(':', begin), names.size());
      open(names.substr(begin, end - begin));
    }
  }
  Cublas(const Cublas&) = delete;
  ~Cublas() {
    for (const auto& [key, plan] : plans_) {
      for (void* made : {plan.a, plan.b, plan.c}) destroy_layout_(made);
      destroy_operation_(plan.operation);
    }
    if (handle_ != nullptr) destroy_(handle_);
  }

  bool present() const {
    return handle_ != nullptr;
  }
  /** As it was found, or "none". */
  const std::string& library() const {
    return name_;
  }

  /** "12.6.4", or "none". */
  std::string version() const {
    if (!present()) return "none";
    const size_t version = version_();
    return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
  }

  /** y [M,N] = x [M,K] Wᵀ, W [N,K], or added to what is there. */
  void forward(const pp_matrix& x, const pp_matrix& w, const pp_matrix& y, bool adds = false,
               cudaStream_t stream = nullptr) const {
    gemm(true, adds, w, x, y, stream);
  }
  /** dx [M,K] = dy [M,N] W, or added to what is there. */
  void backward(const pp_matrix& dy, const pp_matrix& w, const pp_matrix& dx, bool adds = false,
                cudaStream_t stream = nullptr) const {
    gemm(false, adds, w, dy, dx, stream);
  }

 private:
  void open(const std::string& name) {
    library_ = dlopen(name.c_str(), RTLD_NOW);
    if (library_ == nullptr) return;
    bool complete = find("cublasLtCreate", &create_) && find("cublasLtMatmulDescCreate", &create_operation_);
    complete = complete && find("cublasLtDestroy", &destroy_) && find("cublasLtMatmulDescDestroy", &destroy_operation_);
    complete = complete && find("cublasLtMatrixLayoutDestroy", &destroy_layout_);
    complete = complete && find("cublasLtMatmulDescSetAttribute", &set_operation_);
    complete = complete && find("cublasLtMatrixLayoutCreate", &create_layout_);
    complete = complete && find("cublasLtMatmulPreferenceCreate", &create_preference_);
    complete = complete && find("cublasLtMatmulPreferenceSetAttribute", &set_preference_);
    complete = complete && find("cublasLtMatmulPreferenceDestroy", &destroy_preference_);
    complete = complete && find("cublasLtGetVersion", &version_);
    complete = complete && find("cublasLtMatmulAlgoGetHeuristic", &choose_) && find("cublasLtMatmul", &multiply_);
    if (!complete || create_(&handle_) != 0) handle_ = nullptr;
    if (handle_ != nullptr) name_ = name;
  }

  // Of cublasLt.h, cublas_api.h and library_types.h.
  static constexpr int kTransposed = 1, kCompute32F = 68, kFloat32 = 0, kFloat16 = 2, kBfloat16 = 14;
  static constexpr int kTransposeA = 3;                                                    // of the operation
  static constexpr int kMostWorkspace = 1, kReductions = 3, kAlignments[] = {5, 6, 7, 8};  // of the preference; A, B, C and D
  static constexpr uint32_t kInComputeType = 2;  // parts of a sum are added up in float32, not in the output's type
  static constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what NVIDIA recommends for Hopper
  static constexpr uint32_t kMostAlignment = 256;
  static constexpr int kAlgorithms = 8;
  /** An algorithm is timed over so many products, or over more where these take less: events resolve half a microsecond. */
  static constexpr int kFewestProducts = 5, kMostProducts = 80;
#if defined(PRUNEPEFT_EMULATED)  // times mean nothing
  static constexpr double kLeastMilliseconds = 0;
#else
  static constexpr double kLeastMilliseconds = 1;
#endif
  /** So many are enqueued in the time of a read, by a host that is not slow. */
  static constexpr int kProductsARead = 8;
  struct Algorithm {
    uint64_t data[8];
  };
  struct Choice {
    Algorithm algorithm;
    size_t workspace_bytes;
    int state;
    float waves;
    int reserved[4];
  };

  /** What the library has worked out for operands of one layout. */
  struct Plan {
    void* operation = nullptr;
    void* a = nullptr;
    void* b = nullptr;
    void* c = nullptr;
    bool adds = false;
    Choice choice = {};
  };
  /** Type, operation, whether it adds, extents, leading dimensions and alignments. */
  using Key =
      std::tuple<pp_dtype, bool, bool, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, uint32_t, uint32_t, uint32_t>;

  template <class Function>
  bool find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(library_, name));
    return *function != nullptr;
  }

  static void expect(int status, const char* call) {
    if (status == 0) return;
    fprintf(stderr, "%s: status %d\n", call, status);
    exit(1);
  }

  static uint32_t alignment(const void* data) {
    const auto bits = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data)) | kMostAlignment;
    return bits & (~bits + 1);
  }

  void* layout(int type, int64_t rows, int64_t columns, int64_t ld) const {
    void* made = nullptr;
    expect(create_layout_(&made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld),
           "cublasLtMatrixLayoutCreate");
    return made;
  }

  /** A plan for a product, which is made meanwhile. */
  Plan make_plan(const Key& key, const void* a, const void* b, void* c) const {
    const auto& [dtype, transposed, adds, m, n, k, lda, ldb, ldc, align_a, align_b, align_c] = key;
    const int type = dtype == PP_FLOAT32 ? kFloat32 : dtype == PP_FLOAT16 ? kFloat16 : kBfloat16;
    Plan plan;
    plan.adds = adds;
    expect(create_operation_(&plan.operation, kCompute32F, kFloat32), "cublasLtMatmulDescCreate");
    if (transposed)
      expect(set_operation_(plan.operation, kTransposeA, &kTransposed, sizeof kTransposed), "cublasLtMatmulDescSetAttribute");
    plan.a = transposed ? layout(type, k, m, lda) : layout(type, m, k, lda);
    plan.b = layout(type, k, n, ldb);
    plan.c = layout(type, m, n, ldc);
    void* preference = nullptr;
    expect(create_preference_(&preference), "cublasLtMatmulPreferenceCreate");
    const char* const set = "cublasLtMatmulPreferenceSetAttribute";
    expect(set_preference_(preference, kMostWorkspace, &kWorkspaceBytes, sizeof kWorkspaceBytes), set);
    expect(set_preference_(preference, kReductions, &kInComputeType, sizeof kInComputeType), set);
    const uint32_t alignments[] = {align_a, align_b, align_c, align_c};
    for (int i = 0; i < 4; i++) expect(set_preference_(preference, kAlignments[i], &alignments[i], sizeof alignments[i]), set);
    int found = 0;
    Choice choices[kAlgorithms] = {};
    expect(choose_(handle_, plan.operation, plan.a, plan.b, plan.c, plan.c, preference, kAlgorithms, choices, &found),
           "cublasLtMatmulAlgoGetHeuristic");
    expect(destroy_preference_(preference), "cublasLtMatmulPreferenceDestroy");
    // What is added to must not be added to while algorithms are tried.
    const Memory scratch(adds ? static_cast<size_t>(n * ldc) * pp_dtype_size(dtype) : 0);
    if (adds) c = scratch.data();
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < found; i++) {
      if (choices[i].state != 0) continue;
      Plan tried = plan;
      tried.choice = choices[i];
      const double time = time_plan(tried, a, b, c);
      if (time >= best) continue;
      best = time;
      plan.choice = choices[i];
    }
    expect(best < std::numeric_limits<double>::infinity() ? 0 : -1, "cublasLtMatmulAlgoGetHeuristic found no algorithm");
    return plan;
  }

  /** Milliseconds of a product, after one that warms up; infinite if it fails. */
  double time_plan(const Plan& plan, const void* a, const void* b, void* c) const {
    if (multiply(plan, a, b, c, nullptr) != 0) return std::numeric_limits<double>::infinity();
    double milliseconds = 0;
    int products = kFewestProducts;
    for (;; products *= 4) {
      milliseconds = time_products(products, plan, a, b, c);
      if (milliseconds >= kLeastMilliseconds || 4 * products > kMostProducts) return milliseconds / products;
    }
  }

  /** Milliseconds of so many products, which wait until the device has read other memory; infinite if one fails. */
  double time_products(int products, const Plan& plan, const void* a, const void* b, void* c) const {
    if (cold_ == nullptr) cold_ = std::make_unique<ColdReads>();
    cudaEvent_t start = nullptr, stop = nullptr;
    check(cudaEventCreate(&start), "cudaEventCreate");
    check(cudaEventCreate(&stop), "cudaEventCreate");
    cold_->enqueue(1 + products / kProductsARead);
    check(cudaEventRecord(start, nullptr), "cudaEventRecord");
    int failed = 0;
    for (int i = 0; i < products && failed == 0; i++) failed = multiply(plan, a, b, c, nullptr);
    check(cudaEventRecord(stop, nullptr), "cudaEventRecord");
    check(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    cudaEventDestroy(start);
    cudaEventDestroy(stop);
    return failed == 0 ? milliseconds : std::numeric_limits<double>::infinity();
  }

  /** The library's status. */
  int multiply(const Plan& plan, const void* a, const void* b, void* c, cudaStream_t stream) const {
    const auto product = [this, plan, a, b, c, stream] {
      const float one = 1, added = plan.adds ? 1 : 0;
      return multiply_(handle_, plan.operation, &one, a, plan.a, b, plan.b, &added, c, plan.c, c, plan.c,
                       &plan.choice.algorithm, workspace_->data(), plan.choice.workspace_bytes, stream);
    };
#if defined(PRUNEPEFT_EMULATED)  // the stand-in multiplies in the call
    if (stream != nullptr) {
      check(simt::enqueue(stream, [product] { expect(product(), "cublasLtMatmul"); }), "cublasLtMatmul");
      return 0;
    }
    simt::finish_streams();
#endif
    return product();
  }

  /** C = B A, or C = B Aᵀ, or added to what is there; to the library Cᵀ [m,n] = op(Aᵀ) Bᵀ. */
  void gemm(bool transposed, bool adds, const pp_matrix& a, const pp_matrix& b, const pp_matrix& c, cudaStream_t stream) const {
    const Key key = {c.dtype,           transposed,       adds, c.cols, c.rows, b.cols, a.ld, b.ld, c.ld, alignment(a.data),
                     alignment(b.data), alignment(c.data)};
    if (workspace_ == nullptr) workspace_ = std::make_unique<Memory>(kWorkspaceBytes);
    auto known = plans_.find(key);
    if (known == plans_.end()) known = plans_.emplace(key, make_plan(key, a.data, b.data, c.data)).first;
    expect(multiply(known->second, a.data, b.data, c.data, stream), "cublasLtMatmul");
  }

  std::string name_ = "none";
  void* library_ = nullptr;
  void* handle_ = nullptr;
  size_t (*version_)() = nullptr;
  int (*create_)(void**) = nullptr;
  int (*destroy_)(void*) = nullptr;
  int (*destroy_operation_)(void*) = nullptr;
  int (*destroy_layout_)(void*) = nullptr;
  int (*create_operation_)(void**, int compute, int scale_type) = nullptr;
  int (*set_operation_)(void*, int attribute, const void* value, size_t bytes) = nullptr;
  int (*create_layout_)(void**, int type, uint64_t rows, uint64_t columns, int64_t ld) = nullptr;
  int (*create_preference_)(void**) = nullptr;
  int (*set_preference_)(void*, int attribute, const void* value, size_t bytes) = nullptr;
  int (*destroy_preference_)(void*) = nullptr;
  int (*choose_)(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference, int wanted,
                 Choice* choices, int* found) = nullptr;
  int (*multiply_)(void* handle, void* operation, const void* alpha, const void* a, void* a_layout, const void* b,
                   void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout,
                   const Algorithm* algorithm, void* workspace, size_t workspace_bytes, cudaStream_t stream) = nullptr;
  mutable std::map<Key, Plan> plans_;
  mutable std::unique_ptr<Memory> workspace_;
  mutable std::unique_ptr<ColdReads> cold_;
};
}  // namespace gpu_check
