// Layer normalisation of a residual sum, and the activation of a row, on the CPU; compiled once for each instruction set. A row
// is an item; it is read from memory once, and then from the nearest cache.
//
// Limit: memory; of GELU the exponential.
#include <math.h>

#include "core/activation.h"
#include "core/pairs.h"
#include "core/row_sum.h"
#include "core/threads.h"
#include "encoder/cpu/encoder_cpu.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

template <class Type>
typename Type::Element* row_of(const pp_matrix& matrix, int64_t row) {
  return static_cast<typename Type::Element*>(matrix.data) + row * matrix.ld;
}

template <class Type>
void layer_norm(const pp_layer_norm& norm, const pp_matrix& x, const pp_matrix* residual, const pp_matrix& y) {
  typedef typename Type::Element Element;
  const int64_t K = x.cols;
  const float *weight = static_cast<const float*>(norm.weight.data), *bias = static_cast<const float*>(norm.bias.data);
  const auto normalise = [&](int64_t row) {
    const Element *from = row_of<Type>(x, row), *added = residual == nullptr ? nullptr : row_of<Type>(*residual, row);
    Element* to = row_of<Type>(y, row);
    const auto at = [&](int64_t j) {
      const Vec value = load(from + j, K - j);
      return added == nullptr ? value : value + load(added + j, K - j);
    };
    const float mean = sum_of(K, at) / static_cast<float>(K);
    // From the mean, for squares of large numbers would lose what they differ by. Behind the last element the sum stays 0.
    const float squares = sum_of(K, [&](int64_t j) {
      const Vec apart = at(j) - mean;
      const Vec counted = K - j >= kWidth ? apart : keep(apart, (1u << (K - j)) - 1);
      return counted * counted;
    });
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(K) + norm.epsilon);
    for (int64_t j = 0; j < K; j += kWidth) {
      store(to + j, fma((at(j) - mean) * scale, load(weight + j, K - j), load(bias + j, K - j)), K - j);
    }
  };
  run_phases(8.0 * static_cast<double>(x.rows) * static_cast<double>(K), phase(x.rows, normalise));
}

template <class Type>
void activate_rows(pp_activation activation, const pp_matrix& x) {
  const auto one_row = [&](int64_t row) {
    typename Type::Element* to = row_of<Type>(x, row);
    for (int64_t j = 0; j < x.cols; j += kWidth) store(to + j, activate(activation, load(to + j, x.cols - j)), x.cols - j);
  };
  run_phases(30.0 * static_cast<double>(x.rows) * static_cast<double>(x.cols), phase(x.rows, one_row));
}

template <class Type>
constexpr EncoderKernels kKernels = {layer_norm<Type>, activate_rows<Type>};

}  // namespace

extern const BothTypes<EncoderKernels> encoder_kernels;
const BothTypes<EncoderKernels> encoder_kernels = {kKernels<Float32>, kKernels<BFloat16>};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
