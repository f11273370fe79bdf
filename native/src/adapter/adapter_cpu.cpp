#include "adapter/adapter_cpu.h"

#include <cmath>

namespace prunepeft {
namespace {

float activate(pp_activation activation, float z) {
  if (activation == PP_RELU) return z > 0.0f ? z : 0.0f;
  if (activation == PP_GELU) return 0.5f * z * std::erfc(-z * static_cast<float>(M_SQRT1_2));
  return z;
}

float slope(pp_activation activation, float z) {
  if (activation == PP_RELU) return z > 0.0f ? 1.0f : 0.0f;
  if (activation == PP_GELU) {
    const double x = z;
    return static_cast<float>(0.5 * std::erfc(-x * M_SQRT1_2) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI));
  }
  return 1.0f;
}

}  // namespace

size_t adapter_forward_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}
size_t adapter_backward_cpu_workspace(int64_t M, int64_t, int64_t m) {
  return static_cast<size_t>(M * m) * sizeof(float);
}

void adapter_forward_cpu(const AdapterForward& c) {
  const float* down = static_cast<const float*>(c.adapter.down);
  const float* up = static_cast<const float*>(c.adapter.up);
  const float* down_bias = static_cast<const float*>(c.adapter.down_bias);
  const float* up_bias = static_cast<const float*>(c.adapter.up_bias);
  for (int64_t i = 0; i < c.M; ++i) {
    for (int64_t j = 0; j < c.m; ++j) {
      float sum = 0.0f;
      for (int64_t k = 0; k < c.K; ++k) sum += c.v[i * c.ldv + k] * down[j * c.adapter.ldd + k];
      c.z[i * c.ldz + j] = sum + down_bias[j];
    }
    for (int64_t k = 0; k < c.K; ++k) {
      float sum = 0.0f;
      for (int64_t j = 0; j < c.m; ++j) sum += activate(c.adapter.activation, c.z[i * c.ldz + j]) * up[k * c.adapter.ldu + j];
      c.out[i * c.ldout + k] = c.h[i * c.ldh + k] + (sum + up_bias[k]);
    }
  }
}

void adapter_backward_cpu(const AdapterBackward& c) {
  const float* down = static_cast<const float*>(c.adapter.down);
  const float* up = static_cast<const float*>(c.adapter.up);
  const pp_adapter_gradients& g = c.gradients;
  float* dz = static_cast<float*>(c.workspace);
  for (int64_t i = 0; i < c.M; ++i) {
    for (int64_t j = 0; j < c.m; ++j) {
      float sum = 0.0f;
      for (int64_t k = 0; k < c.K; ++k) sum += c.dout[i * c.lddout + k] * up[k * c.adapter.ldu + j];
      dz[i * c.m + j] = sum * slope(c.adapter.activation, c.z[i * c.ldz + j]);
    }
    for (int64_t k = 0; k < c.K && c.dv != nullptr; ++k) {
      float sum = 0.0f;
      for (int64_t j = 0; j < c.m; ++j) sum += dz[i * c.m + j] * down[j * c.adapter.ldd + k];
      c.dv[i * c.lddv + k] = sum;
    }
  }
  const auto store = [&](float& to, double sum) { to = static_cast<float>(c.accumulate ? to + sum : sum); };
  for (int64_t j = 0; j < c.m; ++j) {
    double bias = 0.0;
    for (int64_t i = 0; i < c.M; ++i) bias += dz[i * c.m + j];
    store(g.down_bias[j], bias);
    for (int64_t k = 0; k < c.K; ++k) {
      double down_sum = 0.0, up_sum = 0.0;
      for (int64_t i = 0; i < c.M; ++i) {
        down_sum += dz[i * c.m + j] * c.v[i * c.ldv + k];
        up_sum += c.dout[i * c.lddout + k] * activate(c.adapter.activation, c.z[i * c.ldz + j]);
      }
      store(g.down[j * g.ldd + k], down_sum);
      store(g.up[k * g.ldu + j], up_sum);
    }
  }
  for (int64_t k = 0; k < c.K; ++k) {
    double bias = 0.0;
    for (int64_t i = 0; i < c.M; ++i) bias += c.dout[i * c.lddout + k];
    store(g.up_bias[k], bias);
  }
}

}  // namespace prunepeft
