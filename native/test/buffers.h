// Buffers for tests: matrices with a leading dimension, poisoned padding and guards on both sides, at any byte offset; and the
// loop over instruction sets and thread counts.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "check.h"
#include "core/context.h"
#include "prunepeft/device.h"
#include "reference.h"

constexpr pp_device kCpu{PP_CPU, 0, nullptr};

/**
 * A row-major matrix of float32 or bfloat16. Whatever is not an element is poison, and so are the elements until they are set.
 */
class Matrix {
 public:
  Matrix() : Matrix(0, 0, 0, 0) {}
  Matrix(int64_t rows, int64_t columns, int64_t ld, size_t offset, pp_dtype dtype = PP_FLOAT32)
      : rows_(rows),
        columns_(columns),
        ld_(ld),
        dtype_(dtype),
        size_(pp_dtype_size(dtype)),
        offset_(kGuard + offset),
        bytes_(2 * kGuard + offset + size_ * rows * ld) {
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = poison(i);
  }

  /** Random leading dimension and alignment; elements still poison. */
  static Matrix empty(int64_t rows, int64_t columns, pp_dtype dtype = PP_FLOAT32) {
    return Matrix(rows, columns, columns + check::pick(std::vector<int64_t>{0, 0, 1, 3, 16}),
                  check::pick(std::vector<size_t>{0, 0, 4, 20, 1, 7}), dtype);
  }

  /** As above with standard normal elements. */
  static Matrix random(int64_t rows, int64_t columns, pp_dtype dtype = PP_FLOAT32) {
    Matrix matrix = empty(rows, columns, dtype);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) matrix.set(i, j, normal(check::random()));
    }
    return matrix;
  }

  /**
   * A random float32 matrix whose values a call of `dtype` does not round: weights, so that what is left of a result's error is
   * that of its own rounding.
   */
  static Matrix random_weights(int64_t rows, int64_t columns, pp_dtype dtype) {
    const Matrix values = random(rows, columns, dtype);
    Matrix matrix = empty(rows, columns);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) matrix.set(i, j, values(i, j));
    }
    return matrix;
  }

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t ld() const { return ld_; }
  pp_dtype dtype() const { return dtype_; }
  float* data() { return reinterpret_cast<float*>(bytes_.data() + offset_); }
  const float* data() const { return reinterpret_cast<const float*>(bytes_.data() + offset_); }

  /** As calls take it, whether they read or write it. */
  pp_matrix view() const { return {const_cast<float*>(data()), rows_, columns_, ld_, dtype_}; }

  float operator()(int64_t i, int64_t j) const {
    uint32_t bits = 0;
    // The high half of a float32 is a bfloat16.
    std::memcpy(reinterpret_cast<char*>(&bits) + (sizeof bits - size_), bytes_.data() + at(i, j), size_);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  /** Rounds to nearest, ties to even, if the type is bfloat16. */
  void set(int64_t i, int64_t j, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (dtype_ == PP_BFLOAT16 && value == value) bits += 0x7FFF + (bits >> 16 & 1);
    std::memcpy(bytes_.data() + at(i, j), reinterpret_cast<const char*>(&bits) + (sizeof bits - size_), size_);
  }

  /** Nothing but elements was written. */
  bool padding_intact() const {
    std::vector<bool> element(bytes_.size(), false);
    for (int64_t i = 0; i < rows_; ++i) std::fill_n(element.begin() + at(i, 0), size_ * columns_, true);
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if (!element[i] && bytes_[i] != poison(i)) return false;
    }
    return true;
  }

  /** The same bytes, padding included. */
  bool operator==(const Matrix& other) const { return bytes_ == other.bytes_; }

 private:
  static constexpr size_t kGuard = 128;

  // Each aligned word, and each word at an odd offset, is a NaN.
  static unsigned char poison(size_t) { return 0xFF; }
  size_t at(int64_t i, int64_t j) const { return offset_ + size_ * (i * ld_ + j); }

  int64_t rows_, columns_, ld_;
  pp_dtype dtype_;
  size_t size_;
  size_t offset_;
  std::vector<unsigned char> bytes_;
};

/** The context of one call: a workspace of exactly the bytes that it takes, poisoned and guarded. */
class Context {
 public:
  explicit Context(const pp_device& device = kCpu) : context_{device, nullptr} {
    pp_internal_exact_workspaces(1);
    CHECK_EQUAL(pp_workspace_create(&device, &context_.workspace), PP_OK);
  }
  ~Context() {
    CHECK(pp_internal_workspace_intact(context_.workspace));
    pp_workspace_destroy(context_.workspace);
  }
  Context(const Context&) = delete;
  operator const pp_context*() const { return &context_; }

 private:
  pp_context context_;
};

/** Each element is within its rounding; the worst one's part of that is remembered. */
#define CHECK_ELEMENTS(matrix, reference)                                                 \
  check::check_at_most(__FILE__, __LINE__, #matrix ", an element's part of its rounding", \
                       shares_of(matrix, reference).element, 1.0)

/**
 * The output of a call is within its rounding, each element by itself and the whole by its norm, and nothing beside its
 * elements was written. The norm is for products, of operands whose signs are random.
 */
#define CHECK_OUTPUT(matrix, reference)                                                                                 \
  do {                                                                                                                  \
    const Shares check_shares = shares_of(matrix, reference);                                                           \
    check::check_at_most(__FILE__, __LINE__, #matrix ", an element's part of its rounding", check_shares.element, 1.0); \
    check::check_at_most(__FILE__, __LINE__, #matrix ", the norm's part of what is likely", check_shares.norm, 1.0);    \
    CHECK((matrix).padding_intact());                                                                                   \
  } while (false)

/** Copies without padding or offset, so that two runs can be compared. */
inline std::vector<Matrix> dense(const std::vector<Matrix>& matrices) {
  std::vector<Matrix> copies;
  for (const Matrix& matrix : matrices) {
    copies.emplace_back(matrix.rows(), matrix.columns(), matrix.columns(), 0, matrix.dtype());
    for (int64_t i = 0; i < matrix.rows(); ++i) {
      for (int64_t j = 0; j < matrix.columns(); ++j) copies.back().set(i, j, matrix(i, j));
    }
  }
  return copies;
}

/**
 * Calls `run` with each instruction set that this processor has, at 1, 2, 3 and 7 threads. `run` makes its outputs anew, checks
 * them and returns them; they have to be the same bits at each thread count. Where a part of the cases is drawn (seed.h), it is
 * the widest instruction set and another one, at 1 thread and another number.
 */
inline void on_all_settings(const std::string& what, const std::function<std::vector<Matrix>()>& run) {
  const int32_t threads_before = pp_num_threads();
  const int widest = pp_cpu_isa_supported();
  std::vector<int> counts{1, 2, 3, 7};
  int other_isa = widest;
  if (check::draws_cases()) {
    counts = {1, counts[1 + check::drawn_setting(3)]};
    if (widest > PP_ISA_PORTABLE) other_isa = PP_ISA_PORTABLE + check::drawn_setting(widest - PP_ISA_PORTABLE);
  }
  for (int isa = PP_ISA_PORTABLE; isa <= widest; ++isa) {
    if (check::draws_cases() && isa != other_isa && isa != widest) continue;
    pp_set_cpu_isa(static_cast<pp_isa>(isa));
    std::vector<Matrix> first;
    for (const int threads : counts) {
      check::context() = what + ", " + pp_isa_name(pp_cpu_isa()) + ", " + std::to_string(threads) + " threads";
      pp_set_num_threads(threads);
      std::vector<Matrix> outputs = run();
      if (threads == 1) {
        first = std::move(outputs);
      } else {
        CHECK(outputs == first);
      }
    }
  }
  pp_set_cpu_isa(pp_cpu_isa_supported());
  pp_set_num_threads(threads_before);
}

/** Sizes around the widths of vectors, tiles and blocks. */
inline int64_t pick_size() {
  return check::pick(std::vector<int64_t>{1,  2,  3,  5,  7,  8,   11,  12,  13,  15,  16,  17,  24,  31,  32,
                                          33, 48, 63, 64, 65, 100, 127, 128, 129, 200, 255, 256, 257, 300, 384});
}

/** Sizes of a rank. */
inline int64_t pick_rank() {
  return check::pick(std::vector<int64_t>{1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 64, 65, 100, 128});
}
