#include "importance/importance_cpu.h"

#include <cmath>
#include <cstring>

namespace prunepeft {
namespace {

uint32_t magnitude_bits(float w) {
  uint32_t bits;
  std::memcpy(&bits, &w, sizeof bits);
  return bits & 0x7FFFFFFFu;
}

/** A float32 whose magnitude has at most these bits is 0 in `dtype` (nearest, ties to even): half its smallest number. */
uint32_t largest_zero(pp_dtype dtype) {
  if (dtype == PP_FLOAT16) return 0x33000000u;   // 2^-25
  if (dtype == PP_BFLOAT16) return 0x00008000u;  // 2^-134
  return 0;
}

float activate(pp_activation activation, float z) {
  if (activation == PP_RELU) return z > 0.0f ? z : 0.0f;
  if (activation == PP_GELU) return 0.5f * z * std::erfc(-z * static_cast<float>(M_SQRT1_2));
  return z;
}

}  // namespace

size_t importance_cpu_workspace(const pp_importance_plan&) {
  return 65536 * sizeof(uint32_t);
}

void importance_cpu(const pp_importance_plan& plan, pp_dtype zero_dtype, const float* thresholds, double* statistics, void*) {
  std::memset(statistics, 0, sizeof(double) * PP_STATISTICS * plan.modules);
  for (const ImportanceItem& item : plan.items) {
    double* row = statistics + int64_t{item.module} * PP_STATISTICS;
    row[PP_COUNT] += static_cast<double>(item.n);
    for (int64_t i = 0; i < item.n; ++i) {
      const float weight = static_cast<const float*>(item.w)[i];
      const double w = weight;
      const double g = item.g == nullptr ? 0.0 : static_cast<double>(static_cast<const float*>(item.g)[i]);
      row[PP_SUM_W2] += w * w;
      row[PP_SUM_ABS_W] += std::fabs(w);
      row[PP_NONZERO] += magnitude_bits(weight) > largest_zero(zero_dtype);
      row[PP_BELOW] += thresholds != nullptr && std::fabs(weight) < thresholds[item.group];
      row[PP_SUM_G2] += g * g;
      row[PP_SUM_ABS_G] += std::fabs(g);
      row[PP_SUM_WG] += w * g;
      row[PP_SUM_ABS_WG] += std::fabs(w * g);
      row[PP_SUM_WG2] += w * g * (w * g);
    }
  }
}

void importance_quantile_cpu(const pp_importance_plan& plan, double q, float* thresholds, void* workspace) {
  for (int32_t group = 0; group < plan.groups; ++group) {
    thresholds[group] = 0.0f;
    if (plan.group_weights[group] == 0) continue;
    int64_t rank = static_cast<int64_t>(std::floor(q * static_cast<double>(plan.group_weights[group] - 1)));
    uint32_t prefix = 0;
    // Two digits: the upper 16 bits, then the lower 16 bits of the magnitudes that share the rank's upper ones.
    for (int digit = 0; digit < 2; ++digit) {
      uint32_t* counts = static_cast<uint32_t*>(workspace);
      std::memset(counts, 0, 65536 * sizeof(uint32_t));
      for (int64_t i = plan.group_begin[group]; i < plan.group_begin[group + 1]; ++i) {
        const ImportanceItem& item = plan.items[plan.by_group[i]];
        for (int64_t e = 0; e < item.n; ++e) {
          const uint32_t bits = magnitude_bits(static_cast<const float*>(item.w)[e]);
          if (digit == 0) {
            ++counts[bits >> 16];
          } else if (bits >> 16 == prefix) {
            ++counts[bits & 0xFFFFu];
          }
        }
      }
      uint32_t bin = 0;
      while (rank >= counts[bin]) rank -= counts[bin++];
      prefix = prefix << 16 | bin;
    }
    std::memcpy(&thresholds[group], &prefix, sizeof prefix);
  }
}

size_t output_magnitude_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}

void output_magnitude_cpu(const OutputMagnitude& c) {
  double total = 0.0;
  for (int64_t i = 0; i < c.M; ++i) {
    if (c.row_mask != nullptr && c.row_mask[i] == 0) continue;
    for (int64_t n = 0; n < c.N; ++n) {
      double sum = c.bias == nullptr ? 0.0 : static_cast<double>(c.bias[n]);
      for (int64_t j = 0; j < c.r; ++j) sum += activate(c.activation, c.p[i * c.ldp + j]) * c.q[n * c.ldq + j];
      total += std::fabs(sum);
    }
  }
  *c.sum = total;
}

}  // namespace prunepeft
