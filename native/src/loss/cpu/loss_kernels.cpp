// Cross-entropy on the CPU; compiled once for each instruction set. A row is an item: its largest logit, the sum of
// exponentials and the gradient are three passes over it, of which the later two find it in the second cache. Exponentials are
// computed again for the gradient, which takes less time than a float32 copy of a row would.
//
// Limit: memory, one read and one write of z.
#include "loss/cpu/loss_cpu.h"

#include <math.h>

#include "core/activation.h"
#include "core/pairs.h"
#include "core/threads.h"

namespace prunepeft {
namespace PRUNEPEFT_ISA {
namespace {

/** Elements that are summed in float32; these sums are added up in float64. */
constexpr int64_t kRun = 64 * kWidth;

/** Lanes from n on, 0 < n, as `rest`. */
PP_INLINE Vec with_rest(Vec v, int64_t n, float rest) {
  if (n >= kWidth) return v;
  IntVec lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  return lane < static_cast<int32_t>(n) ? v : broadcast(rest);
}

/** A row of logits, capped as they are read. */
template <class Type>
struct Logits {
  const typename Type::Element* z;
  int64_t count;
  float cap;

  /** From element j on; beyond the row, `rest`. */
  PP_INLINE Vec at(int64_t j, float rest) const {
    const Vec v = load(z + j, count - j);
    return with_rest(cap > 0.0f ? cap * hyperbolic_tangent(v / cap) : v, count - j, rest);
  }
  float one(int64_t j) const { return Logits{z + j, 1, cap}.at(0, 0.0f)[0]; }
};

/** Σ term(j), a vector of elements at j. */
template <class Term>
PP_INLINE double sum_of(int64_t count, const Term& term) {
  double total = 0.0;
  for (int64_t first = 0; first < count; first += kRun) {
    Vec sums[2] = {};
    const int64_t end = least(first + kRun, count);
    int64_t j = first;
    for (; j + kWidth < end; j += 2 * kWidth) {
      sums[0] += term(j);
      sums[1] += term(j + kWidth);
    }
    if (j < end) sums[0] += term(j);
    total += static_cast<double>(sum(sums[0] + sums[1]));
  }
  return total;
}

/** A NaN is none, but makes the sum of exponentials one. */
template <class Type>
float largest_of(const Logits<Type>& logits) {
  const float none = -__builtin_inff();
  Vec most[2] = {broadcast(none), broadcast(none)};
  for (int64_t j = 0; j < logits.count; j += kWidth) {
    const Vec v = logits.at(j, none);
    Vec& own = most[j / kWidth % 2];
    own = v > own ? v : own;
  }
  return largest(most[0] > most[1] ? most[0] : most[1]);
}

/** exp(logits - most) from element j on, 0 beyond the row. */
template <class Type>
PP_INLINE Vec exponential_at(const Logits<Type>& logits, int64_t j, float most) {
  return exponential(logits.at(j, -__builtin_inff()) - most);
}

template <class Type>
void cross_entropy(const pp_cross_entropy& target, const pp_matrix& z, const pp_matrix& losses, const pp_matrix* dz) {
  typedef typename Type::Element Element;
  const int64_t V = z.cols;
  const float spread = target.smoothing / static_cast<float>(V);
  const auto row = [&](int64_t i) {
    const Logits<Type> logits{static_cast<const Element*>(z.data) + i * z.ld, V, target.cap};
    int64_t label;
    memcpy(&label, target.labels + i, sizeof label);
    const float most = largest_of(logits), right = logits.one(label);
    const double total = sum_of(V, [&](int64_t j) { return exponential_at(logits, j, most); });
    double wanted = static_cast<double>(right) - static_cast<double>(most);
    if (target.smoothing > 0.0f) {
      const double mean = sum_of(V, [&](int64_t j) { return logits.at(j, most) - most; }) / static_cast<double>(V);
      wanted += static_cast<double>(target.smoothing) * (mean - wanted);
    }
    store_one(static_cast<float*>(losses.data) + i * losses.ld, static_cast<float>(log(total) - wanted));
    if (dz == nullptr) return;
    Element* to = static_cast<Element*>(dz->data) + i * dz->ld;
    const float scale = static_cast<float>(1.0 / total);
    const auto gradient = [&](const Logits<Type>& part, int64_t j, float less) {
      const Vec by_capped = exponential_at(part, j, most) * scale - less;
      if (target.cap == 0.0f) return by_capped;
      const Vec tangent = part.at(j, 0.0f) / target.cap;
      return by_capped * (1.0f - tangent * tangent);
    };
    const Vec of_label = gradient(Logits<Type>{logits.z + label, 1, target.cap}, 0, spread + 1.0f - target.smoothing);
    for (int64_t j = 0; j < V; j += kWidth) store(to + j, gradient(logits, j, spread), V - j);
    store(to + label, of_label, 1);
  };
  run_phases(32.0 * static_cast<double>(z.rows) * static_cast<double>(V), phase(z.rows, row));
}

}  // namespace

extern const BothTypes<LossKernels> loss_kernels;
const BothTypes<LossKernels> loss_kernels = {{cross_entropy<Float32>}, {cross_entropy<BFloat16>}};

}  // namespace PRUNEPEFT_ISA
}  // namespace prunepeft
