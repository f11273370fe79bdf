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

/**
 * ‖seen − reference‖ / ‖reference‖, Frobenius. Where the terms cancel, as they may by chance in a small matrix or in one of low
 * rank, rounding is measured against the size that independent terms would sum up to.
 */
inline double relative_error(const Matrix& seen, const Reference& reference) {
  double difference = 0.0, size = 0.0, squares = 0.0;
  for (int64_t i = 0; i < seen.rows(); ++i) {
    for (int64_t j = 0; j < seen.columns(); ++j) {
      const double error = seen(i, j) - reference(i, j);
      difference += error * error;
      size += reference(i, j) * reference(i, j);
      squares += reference(i, j).squares();
    }
  }
  return difference == 0.0 ? 0.0 : std::sqrt(difference / std::max(size, squares));
}

/** Of a call's outputs, by its dtype: sums are float32, what is rounded to bfloat16 on the way has 8 bits. */
constexpr double tolerance(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? 1e-6 : 5e-3;
}

/**
 * Of so many elements' norm. Of few, all may be off by what is rounded for all of them, of a sum's only term too: three times u
 * = 2⁻⁸ at most. Of many, roundings that differ are uniform, a third of their squares in the mean.
 */
constexpr double tolerance(pp_dtype dtype, int64_t elements) {
  return dtype == PP_BFLOAT16 && elements < 16 ? 3.0 / 256 : tolerance(dtype);
}

/**
 * The largest |seen − reference| of an element, each against the size that its terms would sum up to if they were independent,
 * or against its own where that is larger. What is below e⁻⁸⁷, nearly the smallest float32, is 0 to the kernels' exponential.
 */
inline double largest_error(const Matrix& seen, const Reference& reference) {
  double largest = 0.0;
  for (int64_t i = 0; i < seen.rows(); ++i) {
    for (int64_t j = 0; j < seen.columns(); ++j) {
      const double value = reference(i, j), error = std::fabs(seen(i, j) - value);
      if (error <= 2 * std::numeric_limits<float>::min()) continue;
      const double share = error / std::sqrt(std::max(reference(i, j).squares(), value * value));
      if (!(share <= largest)) largest = share;
    }
  }
  return largest;
}

/**
 * Of one element in a bfloat16 call: 6 tolerances are 7.7 roundings, u = 2⁻⁸. One is the result's own. The others are of what a
 * term is made of, twice on its way (a masked x, then S), each uniform within u of the term and independent of the others: by
 * Hoeffding's bound their sum is over 6.7·u·√squares with probability 2·exp(−3·6.7² / (2·2)), 5·10⁻¹⁵.
 */
constexpr double kElementTolerance = 6 * tolerance(PP_BFLOAT16);

#define CHECK_ELEMENTS_OF(call_dtype, matrix, reference) \
  CHECK_AT_MOST((call_dtype) == PP_BFLOAT16 ? largest_error(matrix, reference) : 0.0, kElementTolerance)

/**
 * The output of a call is close to its reference, of bfloat16 each element by itself too, since the norm of the whole would
 * hide one in many; and nothing beside its elements was written.
 */
#define CHECK_OUTPUT_OF(call_dtype, matrix, reference)                                                             \
  do {                                                                                                             \
    CHECK_AT_MOST(relative_error(matrix, reference), tolerance(call_dtype, (matrix).rows() * (matrix).columns())); \
    CHECK_ELEMENTS_OF(call_dtype, matrix, reference);                                                              \
    CHECK((matrix).padding_intact());                                                                              \
  } while (false)
#define CHECK_OUTPUT(matrix, reference) CHECK_OUTPUT_OF(PP_FLOAT32, matrix, reference)

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
