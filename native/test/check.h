// A small check harness: CHECK prints what failed, and main returns how it went.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

namespace check {

inline int failures = 0;

inline std::mt19937_64& random() {
  static std::mt19937_64 generator = [] {
    const char* given = std::getenv("PRUNEPEFT_TEST_SEED");
    const unsigned long long seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : static_cast<unsigned long long>(std::random_device{}());
    std::printf("seed %llu (PRUNEPEFT_TEST_SEED repeats it)\n", seed);
    return std::mt19937_64(seed);
  }();
  return generator;
}

/** Standard normal values. */
inline std::vector<float> normal(size_t n) {
  std::normal_distribution<float> distribution;
  std::vector<float> values(n);
  for (float& value : values) value = distribution(random());
  return values;
}

/**
 * A matrix in memory with everything around its elements poisoned by NaN: before it (so that its base is unaligned), in the
 * padding of its rows, and behind it. intact() tells whether the poison is still there.
 */
class Matrix {
 public:
  Matrix(int64_t rows, int64_t cols, int64_t padding, int64_t offset = 1)
      : rows(rows),
        cols(cols),
        ld(cols + padding),
        offset_(offset),
        storage_(static_cast<size_t>(offset + rows * ld + 16), poison()) {}

  /** Standard normal elements. */
  Matrix& randomize() {
    std::normal_distribution<float> distribution;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) at(i, j) = distribution(random());
    }
    return *this;
  }

  float* data() { return storage_.data() + offset_; }
  float& at(int64_t i, int64_t j) { return data()[i * ld + j]; }

  bool intact() {
    for (size_t k = 0; k < storage_.size(); ++k) {
      const int64_t place = static_cast<int64_t>(k) - offset_;
      const bool element = place >= 0 && place < rows * ld && place % ld < cols;
      if (!element && !std::isnan(storage_[k])) return false;
    }
    return true;
  }

  const int64_t rows, cols, ld;

  static float poison() { return std::numeric_limits<float>::quiet_NaN(); }

 private:
  int64_t offset_;
  std::vector<float> storage_;
};

/** ‖actual − expected‖ / ‖expected‖; infinite if anything is not finite. */
inline double relative_error(const std::vector<double>& expected, const std::vector<double>& actual) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return std::numeric_limits<double>::infinity();
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / (norm + 1e-300));
}

inline int result() {
  if (failures == 0) std::printf("all checks passed\n");
  return failures == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(condition, ...)                                             \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s: ", __FILE__, __LINE__, #condition); \
      std::printf("" __VA_ARGS__);                                        \
      std::printf("\n");                                                  \
      ++check::failures;                                                  \
    }                                                                     \
  } while (0)
