// For tests of CUDA code that run in the emulator and, unchanged, on a device: matrices in device memory whose padding is
// watched, float64 references, and runs repeated in several orders of threads that must give the same bits.
#pragma once

#if defined(PRUNEPEFT_EMULATED)
#include "simt.h"
#else
#include <cuda_runtime_api.h>
#endif

#include <errno.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if !defined(PRUNEPEFT_EMULATED)
#define PRUNEPEFT_TENSOR_CORES
#endif
#include "../given_dropout.h"
#include "../reference.h"
#include "../seed.h"
#include "core/context.h"
#include "float16.h"
#include "prunepeft/device.h"
#include "prunepeft/graph.h"

namespace device_test {
using check::drawn_case;
constexpr pp_device kDevice = {PP_CUDA, 0, nullptr};

inline int failures = 0;
inline std::string current_case = "before its first case";

/** What runs the program again with the same numbers: as it was called, with the words that it was given. */
inline std::string run_again() {
  std::string words;
  std::ifstream given("/proc/self/cmdline");
  for (std::string word; std::getline(given, word, '\0');) words += " " + check::quoted(word);
  if (words.empty()) words = std::string(" ") + check::quoted(program_invocation_name);
  return check::environment_of(check::seed()) + words;
}

/** Until finish(), the program says which case it ended in, and what runs it again, whatever ends it. */
inline void prepare_last_words(bool at_exit = true) {
  check::LastWords::prepare(check::last_words(current_case, run_again()), "", "", at_exit);
}
inline const bool has_last_words = (prepare_last_words(), true);

/** For a test that can't go on. */
[[noreturn]] inline void stop() {
  fflush(stdout);
  check::LastWords::say();
  exit(1);
}

[[gnu::format(printf, 1, 2)]] inline void report(const char* format, ...) {
  failures++;
  printf("FAILED %s: ", current_case.c_str());
  va_list values;
  va_start(values, format);
  vprintf(format, values);
  va_end(values);
  printf("\n");
  if (getenv("PRUNEPEFT_STOP_AT_FAILURE") != nullptr) stop();
}

inline void expect(bool fact, const char* text) {
  if (!fact) report("%s", text);
}

inline void expect_ok(pp_status status) {
  if (status != PP_OK) report("status %d, %s", static_cast<int>(status), pp_last_error());
}

inline void check_cuda(cudaError_t error) {
  if (error != cudaSuccess) {
    report("%s", cudaGetErrorString(error));
    stop();  // after an error of the device nothing more can be said
  }
}

/** Copies to the device, and waits: streams that do not block the default one would not wait for the copy. */
inline void give(void* device, const void* host, size_t bytes) {
  check_cuda(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
  check_cuda(cudaDeviceSynchronize());
}

/** Ends the case if the emulator has found a fault; the next one starts afresh. */
inline bool emulator_fault() {
#if defined(PRUNEPEFT_EMULATED)
  const std::string fault = simt::take_report();
  if (!fault.empty()) report("%s", fault.c_str());
  return !fault.empty();
#else
  return false;
#endif
}

inline const char* name(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? "float32" : dtype == PP_FLOAT16 ? "float16" : "bfloat16";
}

inline std::mt19937_64 random_bits;

enum class Content { kRandom, kUnwritten };

/** Where a matrix lies: `offset` elements from an aligned address, rows `padding` elements apart. */
struct Placement {
  int64_t offset = 0;
  int64_t padding = 0;
};

/**
 * A matrix in device memory. Everything around it is NaN of a certain pattern, and so are unwritten elements. To the emulator
 * nobody wrote either: it reports a read between rows, before the first or behind the last, even of what is then not used.
 */
class Matrix {
 public:
  Matrix(pp_dtype dtype, int64_t rows, int64_t columns, Placement placement, Content content, double scale = 1)
      : dtype_(dtype), rows_(rows), columns_(columns), ld_(columns + placement.padding), offset_(placement.offset) {
    bytes_.assign(static_cast<size_t>(offset_ + rows * ld_ + kBorder) * size(), kPattern);
    if (content == Content::kRandom) {
      std::normal_distribution<float> normal;
      for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) set(i, j, static_cast<float>(scale) * normal(random_bits));
    }
    check_cuda(cudaMalloc(&device_, bytes_.size()));
    upload();
#if defined(PRUNEPEFT_EMULATED)
    if (content == Content::kUnwritten) simt::forget(device_, bytes_.size());
#endif
  }
  ~Matrix() {
    cudaFree(device_);
  }
  Matrix(const Matrix&) = delete;

  int64_t ld() const {
    return ld_;
  }
  int64_t rows() const {
    return rows_;
  }
  int64_t columns() const {
    return columns_;
  }
  template <class T = void>
  T* data() const {
    return static_cast<T*>(at(0, 0));
  }
  /** As calls take it, whether they read or write it; of all columns, or of the first ones alone. */
  pp_matrix view() const {
    return view(columns_);
  }
  pp_matrix view(int64_t columns) const {
    return {data(), rows_, columns, ld_, dtype_};
  }

  /** The element as the host last knew it. */
  double operator()(int64_t i, int64_t j) const {
    const unsigned char* p = bytes_.data() + index(i, j) * size();
    if (dtype_ == PP_FLOAT32) {
      float v;
      memcpy(&v, p, sizeof v);
      return v;
    }
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return dtype_ == PP_FLOAT16 ? simt::half_value(bits) : simt::bfloat16_value(bits);
  }

  void set(int64_t i, int64_t j, float value) {
    unsigned char* p = bytes_.data() + index(i, j) * size();
    if (dtype_ == PP_FLOAT32) {
      memcpy(p, &value, sizeof value);
      return;
    }
    const uint16_t bits = dtype_ == PP_FLOAT16 ? simt::half_bits(value) : simt::bfloat16_bits(value);
    memcpy(p, &bits, sizeof bits);
  }

  void upload() {
    give(device_, bytes_.data(), bytes_.size());
#if defined(PRUNEPEFT_EMULATED)
    for_each_gap([&](size_t begin, size_t end) { simt::forget(static_cast<unsigned char*>(device_) + begin, end - begin); });
#endif
  }

  /** Reads the matrix back; what lies around it must be untouched. */
  void download() {
#if defined(PRUNEPEFT_EMULATED)
    simt::finish_streams();
    memcpy(bytes_.data(), device_, bytes_.size());
    for (int64_t i = 0; i < rows_; i++)  // the runtime's copy looks whether they were written
      check_cuda(cudaMemcpy(bytes_.data() + index(i, 0) * size(), at(i, 0), static_cast<size_t>(columns_) * size(),
                            cudaMemcpyDeviceToHost));
#else
    check_cuda(cudaMemcpy(bytes_.data(), device_, bytes_.size(), cudaMemcpyDeviceToHost));
#endif
    bool untouched = true;
    for_each_gap([&](size_t begin, size_t end) {
      for (size_t b = begin; b < end && untouched; b++) {
        untouched = bytes_[b] == kPattern;
        if (!untouched) report("a byte outside a matrix has changed: %zu", b);
      }
    });
  }

  const std::vector<unsigned char>& bytes() const {
    return bytes_;
  }

 private:
  static constexpr unsigned char kPattern = 0xff;
  static constexpr int64_t kBorder = 16;
  size_t size() const {
    return pp_dtype_size(dtype_);
  }
  size_t index(int64_t i, int64_t j) const {
    return static_cast<size_t>(offset_ + i * ld_ + j);
  }
  /** Calls gap(begin, end) with the bytes before the first row, between rows, and behind the last. */
  template <class Gap>
  void for_each_gap(Gap gap) const {
    size_t begin = 0;
    for (int64_t i = 0; i < rows_; i++) {
      gap(begin, index(i, 0) * size());
      begin = index(i, columns_) * size();
    }
    gap(begin, bytes_.size());
  }
  void* at(int64_t i, int64_t j) const {
    return static_cast<unsigned char*>(device_) + index(i, j) * size();
  }

  pp_dtype dtype_;
  int64_t rows_, columns_, ld_, offset_;
  std::vector<unsigned char> bytes_;
  void* device_ = nullptr;
};

/** In which calls run. By itself each gets exactly the workspace that it asks for, which nobody has written yet. */
class Context {
 public:
  explicit Context(const pp_device& device = kDevice, bool exact_workspaces = true) : context_{device, nullptr} {
    pp_internal_exact_workspaces(exact_workspaces);
    expect_ok(pp_workspace_create(&device, &context_.workspace));
  }
  ~Context() { pp_workspace_destroy(context_.workspace); }
  Context(const Context&) = delete;
  operator const pp_context*() const { return &context_; }
  pp_workspace* workspace() const { return context_.workspace; }

 private:
  pp_context context_;
};

/** Its own stream, freed with it. */
struct Stream {
  pp_device device = kDevice;
  Stream() { expect_ok(pp_stream_create(&kDevice, &device.stream)); }
  ~Stream() { expect_ok(pp_stream_destroy(&device)); }
  Stream(const Stream&) = delete;
};

/** An error as a part of what is allowed. */
inline void expect_share(const char* what, const char* of, double share) {
  check::nearest().add(share, 1, [&] { return std::string(what) + ", " + of + ", of " + current_case; });
  if (!(share <= 1)) report("%s, %s: %.3g times what is allowed", what, of, share);
}

/** Each element is within its rounding. */
inline void expect_elements_close(const char* what, const Matrix& got, const Reference& reference) {
  expect_share(what, "an element", shares_of(got, reference).element);
}

/** Of rows and first columns of a product, of operands whose signs are random: each element, and all of them by their norm. */
inline void expect_close(const char* what, const Matrix& got, const Reference& reference, int64_t first_row, int64_t rows,
                         int64_t columns) {
  const Shares shares = shares_of(got, reference, first_row, rows, columns);
  expect_share(what, "an element", shares.element);
  expect_share(what, "the norm", shares.norm);
}

inline void expect_close(const char* what, const Matrix& got, const Reference& reference) {
  expect_close(what, got, reference, 0, reference.rows, reference.columns);
}

/** Which of its runs a case is in. */
inline int run_of_case = 0;

/** In every second run of a case it gives dropout's step and micro-batch in device memory, in others by value. */
class DeviceDropout {
 public:
  pp_dropout operator()(const pp_dropout& dropout) {
    if (run_of_case % 2 == 0) return dropout;
    const std::pair<uint32_t, uint32_t> counter = {dropout.step, dropout.micro_batch};
    void*& memory = counters_[counter];
    if (memory == nullptr) {
      const uint32_t values[] = {counter.first, counter.second};
      check_cuda(cudaMalloc(&memory, sizeof values));
      give(memory, values, sizeof values);
    }
    return GivenDropout::counted(dropout, static_cast<uint32_t*>(memory));
  }
  DeviceDropout() = default;
  ~DeviceDropout() {
    for (const auto& [counter, memory] : counters_) cudaFree(memory);
  }
  DeviceDropout(const DeviceDropout&) = delete;

 private:
  std::map<std::pair<uint32_t, uint32_t>, void*> counters_;
};

/**
 * Runs `body` several times, from the same random state but, in the emulator, in different orders of threads and blocks; both
 * follow from the run's seed (seed.h). It returns the bytes of its results, which must be the same each time. Where a part of
 * the cases is drawn, two orders do.
 */
inline std::vector<unsigned char> run_case(const std::string& case_name,
                                           const std::function<std::vector<unsigned char>()>& body, int runs = 3) {
  current_case = case_name;
  prepare_last_words();
  std::vector<unsigned char> first;
  const int failures_before = failures;
  int first_run = 0;
  if (check::draws_cases()) runs = std::min(runs, 2);
#if defined(PRUNEPEFT_ONE_RUN)  // the first or the second, by the case
  first_run = static_cast<int>(case_name.size() % 2);
  runs = first_run + 1;
#endif
  for (int run = first_run; run < runs && failures == failures_before; run++) {
    run_of_case = run;
    random_bits.seed(check::seed() + check::hash(case_name));
#if defined(PRUNEPEFT_EMULATED)
    simt::set_seed(check::seed() + static_cast<uint64_t>(run) * 7919 + case_name.size());
#endif
    const std::vector<unsigned char> bytes = body();
    if (emulator_fault()) return {};
    if (run == first_run) first = bytes;
    if (bytes != first) report("a repeat gives other bits");
  }
  return first;
}

inline void append(std::vector<unsigned char>* bytes, const Matrix& matrix) {
  bytes->insert(bytes->end(), matrix.bytes().begin(), matrix.bytes().end());
}

/** What a program returns: 0, 1 after a failure, or kNoTest if none of its cases was drawn (seed.h). */
inline int finish() {
  const bool none = failures == 0 && check::drew_nothing();
  printf("%s, seed %llu\n",
         failures != 0 ? "FAILED"
         : none        ? "no case was drawn"
                       : "passed",
         static_cast<unsigned long long>(check::seed()));
  printf("nearest to its limit, as a part of it:\t%s\n", check::nearest().text().c_str());
  if (failures != 0) printf("run again: %s\n", run_again().c_str());
  current_case = "behind its cases";
  prepare_last_words(false);
  return failures != 0 ? 1 : none ? check::kNoTest : 0;
}

constexpr pp_dtype kDtypes[] = {PP_FLOAT32, PP_FLOAT16, PP_BFLOAT16};
}  // namespace device_test
