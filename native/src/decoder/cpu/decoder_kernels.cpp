// RMS normalisation, rotary embedding and gated activations on the CPU; compiled once for each instruction set. A row is an
// item; what it reads it reads once or, in the nearest cache, twice.
//
// Limit: memory.
#include "decoder/cpu/decoder_cpu.h"

#include <math.h>

#include "core/activation.h"
#include "core/pairs.h"
#include "core/row_sum.h"
#include "core/threads.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

template <class Type>
const typename Type::Element* row_of(const pp_matrix& matrix, int64_t row) {
  return static_cast<const typename Type::Element*>(matrix.data) + row * matrix.ld;
}
template <class Type>
typename Type::Element* row_to(const pp_matrix& matrix, int64_t row) {
  return static_cast<typename Type::Element*>(matrix.data) + row * matrix.ld;
}

/** Runs body(row) for all rows; `operations` are those of an element. */
template <class Body>
void for_rows(const pp_matrix& matrix, double operations, const Body& body) {
  run_phases(operations * static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols), phase(matrix.rows, body));
}

/** w' from element j on. */
template <class Type>
PP_INLINE Vec weight_at(const pp_rms_norm& norm, int64_t j) {
  const Vec w = load(row_of<Type>(norm.weight, 0) + j, norm.weight.cols - j);
  return norm.adds_one != 0 ? w + 1.0f : w;
}

template <class Type>
void rms_norm_forward(const pp_rms_norm& norm, const pp_matrix& x, const pp_matrix& y, const pp_matrix* scales) {
  typedef typename Type::Element Element;
  const int64_t K = norm.weight.cols, groups = x.cols / K;
  for_rows(x, 4.0, [&](int64_t row) {
    for (int64_t g = 0; g < groups; ++g) {
      const Element* from = row_of<Type>(x, row) + g * K;
      Element* to = row_to<Type>(y, row) + g * K;
      const float squares = sum_of(K, [&](int64_t j) {
        const Vec v = load(from + j, K - j);
        return v * v;
      });
      const float scale = 1.0f / sqrtf(squares / static_cast<float>(K) + norm.epsilon);
      if (scales != nullptr) store_one(row_to<Float32>(*scales, row) + g, scale);
      for (int64_t j = 0; j < K; j += kWidth) {
        store(to + j, load(from + j, K - j) * scale * weight_at<Type>(norm, j), K - j);
      }
    }
  });
}

// With s = 1 / sqrt(mean(x²) + ε): dx = s·w'∘dy − x·s³ / K·Σ w'∘dy∘x.
template <class Type>
void rms_norm_backward(const pp_rms_norm& norm, const pp_matrix& dy, const pp_matrix& x, const pp_matrix& scales,
                       const pp_matrix& dx) {
  typedef typename Type::Element Element;
  const int64_t K = norm.weight.cols, groups = x.cols / K;
  for_rows(x, 8.0, [&](int64_t row) {
    for (int64_t g = 0; g < groups; ++g) {
      const Element *from = row_of<Type>(x, row) + g * K, *gradient = row_of<Type>(dy, row) + g * K;
      Element* to = row_to<Type>(dx, row) + g * K;
      const float scale = load_one(row_of<Float32>(scales, row) + g);
      const float dot =
          sum_of(K, [&](int64_t j) { return load(gradient + j, K - j) * weight_at<Type>(norm, j) * load(from + j, K - j); });
      const float along = scale * scale * scale / static_cast<float>(K) * dot;
      for (int64_t j = 0; j < K; j += kWidth) {
        const Vec across = load(gradient + j, K - j) * weight_at<Type>(norm, j) * scale;
        store(to + j, across - load(from + j, K - j) * along, K - j);
      }
    }
  });
}

/** Copies elements [first, last) of a row, unless they lie there. */
template <class Element>
void copy_rest(const Element* from, Element* to, int64_t first, int64_t last) {
  if (from != to && last > first) memcpy(to + first, from + first, static_cast<size_t>(last - first) * sizeof *to);
}

template <class Type>
void rotate(const pp_rotary& rotary, const pp_matrix& x, const pp_matrix& y) {
  typedef typename Type::Element Element;
  const int64_t n = rotary.cosines.cols, d = rotary.head_size;
  for_rows(x, 4.0, [&](int64_t row) {
    const int64_t start = rotary.starts == nullptr ? 0 : load_one(rotary.starts + row);
    const int64_t wanted = rotary.past + row % rotary.tokens - start;
    const int64_t position = wanted < 0 ? 0 : least(wanted, rotary.cosines.rows - 1);
    const float *cosines = row_of<Float32>(rotary.cosines, position), *sines = row_of<Float32>(rotary.sines, position);
    const float direction = rotary.backward != 0 ? -1.0f : 1.0f;
    for (int64_t h = 0; h < rotary.heads; ++h) {
      const Element* from = row_of<Type>(x, row) + h * d;
      Element* to = row_to<Type>(y, row) + h * d;
      for (int64_t j = 0; j < n; j += kWidth) {
        const Vec first = load(from + j, n - j), second = load(from + n + j, n - j);
        const Vec cosine = load(cosines + j, n - j), sine = load(sines + j, n - j) * direction;
        store(to + j, first * cosine - second * sine, n - j);
        store(to + n + j, second * cosine + first * sine, n - j);
      }
      copy_rest(from, to, 2 * n, d);
    }
    copy_rest(row_of<Type>(x, row), row_to<Type>(y, row), rotary.heads * d, x.cols);
  });
}

/** σ(z) and σ'(z). */
struct Activated {
  Vec value, slope;
};

PP_INLINE Activated activated(pp_gate gate, Vec z) {
  if (gate == PP_GEGLU) return {activate(PP_GELU, z), slope(PP_GELU, z)};
  if (gate == PP_SWIGLU) {
    const Logistic at = logistic(z);
    return {z * at.value, fma(z, at.slope, at.value)};
  }
  // z/2·(1 + tanh(u)) = z·logistic(2u), u = sqrt(2/π)·(z + 0.044715·z³); beyond 20 it is z or 0.
  constexpr float kTwoRoots = 1.59576912161f, kCubic = 0.044715f;
  const Vec near = z > 20.0f ? broadcast(20.0f) : (z < -20.0f ? broadcast(-20.0f) : z);
  const Vec square = near * near;
  const Logistic at = logistic(near * kTwoRoots * (1.0f + kCubic * square));
  return {z * at.value, fma(near * kTwoRoots * (1.0f + 3.0f * kCubic * square), at.slope, at.value)};
}

template <class Type>
void gate_forward(pp_gate gate, const pp_matrix& gate_up, const pp_matrix& out) {
  typedef typename Type::Element Element;
  const int64_t I = out.cols;
  for_rows(gate_up, 8.0, [&](int64_t row) {
    const Element *gates = row_of<Type>(gate_up, row), *up = gates + I;
    Element* to = row_to<Type>(out, row);
    for (int64_t j = 0; j < I; j += kWidth) {
      store(to + j, activated(gate, load(gates + j, I - j)).value * load(up + j, I - j), I - j);
    }
  });
}

template <class Type>
void gate_backward(pp_gate gate, const pp_matrix& dout, const pp_matrix& gate_up, const pp_matrix& dgate_up) {
  typedef typename Type::Element Element;
  const int64_t I = dout.cols;
  for_rows(gate_up, 16.0, [&](int64_t row) {
    const Element *gradient = row_of<Type>(dout, row), *gates = row_of<Type>(gate_up, row), *up = gates + I;
    Element *dgates = row_to<Type>(dgate_up, row), *dup = dgates + I;
    for (int64_t j = 0; j < I; j += kWidth) {
      const Activated at = activated(gate, load(gates + j, I - j));
      const Vec of_out = load(gradient + j, I - j), of_up = load(up + j, I - j);
      store(dgates + j, of_out * of_up * at.slope, I - j);
      store(dup + j, of_out * at.value, I - j);
    }
  });
}

template <class Type>
constexpr DecoderKernels kKernels = {rms_norm_forward<Type>, rms_norm_backward<Type>, rotate<Type>, gate_forward<Type>,
                                     gate_backward<Type>};

}  // namespace

extern const BothTypes<DecoderKernels> decoder_kernels;
const BothTypes<DecoderKernels> decoder_kernels = {kKernels<Float32>, kKernels<BFloat16>};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
