// What the checks on a device share: memory that frees itself, random contents, and operands of every family.
#pragma once

#if defined(PRUNEPEFT_EMULATED)
#include "simt.h"
#else
#include <cuda_runtime_api.h>
#endif

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "float16.h"
#include "prunepeft/device.h"

namespace gpu_check {
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  exit(1);
}

inline void check(pp_status status) {
  if (status == PP_OK) return;
  fprintf(stderr, "status %d: %s\n", static_cast<int>(status), pp_last_error());
  exit(1);
}

inline const char* dtype_name(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? "float32" : dtype == PP_FLOAT16 ? "float16" : "bfloat16";
}

/** Device memory. What fills it waits: work on streams that do not block the default one would not wait for it. */
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes) { check(cudaMalloc(&data_, bytes > 0 ? bytes : 1), "cudaMalloc"); }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  template <class T = void>
  T* data() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  void poison(unsigned char pattern = 0xff) {
    check(cudaMemset(data_, pattern, bytes_), "cudaMemset");
    finish();
  }
  void write(const std::vector<unsigned char>& host) {
    check(cudaMemcpy(data_, host.data(), bytes_, cudaMemcpyHostToDevice), "cudaMemcpy");
    finish();
  }
  std::vector<unsigned char> read() const {
    std::vector<unsigned char> host(bytes_);
    check(cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost), "cudaMemcpy");
    return host;
  }

 protected:
  static void finish() { check(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

/** A matrix in device memory, without padding; a vector is one row. */
class Matrix : public Memory {
 public:
  Matrix(pp_dtype dtype, int64_t rows, int64_t cols)
      : Memory(static_cast<size_t>(rows * cols) * pp_dtype_size(dtype)), view_{data(), rows, cols, cols, dtype} {}
  /** Of random elements; a block of numbers is drawn once and repeated, since there may be many: of a prime, so that rows
   * differ. */
  Matrix(pp_dtype dtype, int64_t rows, int64_t cols, uint64_t seed, float deviation = 0.5f) : Matrix(dtype, rows, cols) {
    constexpr int64_t kBlock = 65537;
    const int64_t n = rows * cols, drawn = n < kBlock ? n : kBlock;
    const size_t size = pp_dtype_size(dtype);
    std::mt19937_64 bits(seed);
    std::normal_distribution<float> normal(0, deviation);
    std::vector<unsigned char> host(static_cast<size_t>(drawn) * size);
    for (int64_t i = 0; i < drawn; i++) {
      const float v = normal(bits);
      const uint16_t half = dtype == PP_FLOAT16 ? simt::half_bits(v) : simt::bfloat16_bits(v);
      memcpy(&host[static_cast<size_t>(i) * size], dtype == PP_FLOAT32 ? static_cast<const void*>(&v) : &half, size);
    }
    for (int64_t i = 0; i < n; i += drawn) {
      const auto count = static_cast<size_t>(n - i < drawn ? n - i : drawn);
      check(cudaMemcpy(data<char>() + static_cast<size_t>(i) * size, host.data(), count * size, cudaMemcpyHostToDevice),
            "cudaMemcpy");
    }
    finish();
  }
  operator const pp_matrix*() const { return &view_; }
  const pp_matrix& view() const { return view_; }

 private:
  pp_matrix view_;
};

constexpr pp_device kDevice = {PP_CUDA, 0, nullptr};

/** Scratch memory for calls on any stream, one after the other. */
class Workspace {
 public:
  Workspace() { check(pp_workspace_create(&kDevice, &workspace_)); }
  ~Workspace() { pp_workspace_destroy(workspace_); }
  Workspace(const Workspace&) = delete;
  pp_context on(const pp_device& device) const { return {device, workspace_}; }

 private:
  pp_workspace* workspace_ = nullptr;
};

/** Runs every family once into a captured graph, replays it, and compares bits with a direct call. 0: all agree. */
int check_graphs();

/** Runs a LoRA linear by every path of layer.h and compares what they give. 0: all agree within the type's rounding. */
int check_paths();

/** Prints what linear/cuda/cost.h expects of an H100 by its data sheet. */
void print_predictions();

/** Times every family and writes table and JSON; what does not come to its turn within `seconds` is named there as left out. */
int time_all(const char* json_path, double seconds);

/** Runs each call of a LoRA linear once at Llama's shape, for a profiler. */
int run_once();

/** Prints what of this project's goals that JSON file says to be reached, and which were not measured. 0: it could be read. */
int print_goals(const char* json_path);
}  // namespace gpu_check
