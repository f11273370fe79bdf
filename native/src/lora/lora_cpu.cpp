#include "lora/lora_cpu.h"

namespace prunepeft {
namespace {

float keep(const DropoutMask& mask, uint32_t module, int64_t K, int64_t i, int64_t k) {
  if (mask.threshold == 0) return 1.0f;
  const uint32_t bits = dropout_keep_bits(mask, module, i * dropout_groups(K) + k / kDropoutGroup);
  return (bits >> (k % kDropoutGroup)) & 1 ? mask.keep_scale : 0.0f;
}

}  // namespace

size_t lora_down_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}
size_t lora_up_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}
size_t lora_grad_up_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}
size_t lora_grad_down_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}
size_t lora_grad_input_cpu_workspace(int64_t, int64_t, int64_t) {
  return 0;
}

void lora_down_cpu(const LoraDown& c) {
  for (int32_t n = 0; n < c.branch_count; ++n) {
    const pp_lora_branch& branch = c.branches[n];
    const float* a = static_cast<const float*>(branch.a);
    float* s = static_cast<float*>(branch.s);
    for (int64_t i = 0; i < c.M; ++i) {
      for (int64_t j = 0; j < branch.rank; ++j) s[i * branch.lds + j] = 0.0f;
      for (int64_t k = 0; k < c.K; ++k) {
        const float x = c.x[i * c.ldx + k] * keep(c.mask, branch.module, c.K, i, k) * branch.scale;
        for (int64_t j = 0; j < branch.rank; ++j) s[i * branch.lds + j] += x * a[j * branch.lda + k];
      }
    }
  }
  if (c.x_copy == nullptr) return;
  for (int64_t i = 0; i < c.M; ++i) {
    for (int64_t k = 0; k < c.K; ++k) c.x_copy[i * c.ldx_copy + k] = c.x[i * c.ldx + k];
  }
}

void lora_up_cpu(const LoraUp& c) {
  for (int64_t i = 0; i < c.M; ++i) {
    for (int64_t n = 0; n < c.N; ++n) {
      float sum = 0.0f;
      for (int64_t j = 0; j < c.r; ++j) sum += c.s[i * c.lds + j] * c.b[n * c.ldb + j];
      c.y[i * c.ldy + n] += sum;
    }
  }
}

void lora_grad_up_cpu(const LoraGradUp& c) {
  if (!c.accumulate) {
    for (int64_t n = 0; n < c.N; ++n) {
      for (int64_t j = 0; j < c.r; ++j) c.db[n * c.lddb + j] = 0.0f;
    }
  }
  for (int64_t i = 0; i < c.M; ++i) {
    for (int64_t j = 0; j < c.r; ++j) {
      float sum = 0.0f;
      for (int64_t n = 0; n < c.N; ++n) {
        sum += c.dy[i * c.lddy + n] * c.b[n * c.ldb + j];
        c.db[n * c.lddb + j] += c.dy[i * c.lddy + n] * c.s[i * c.lds + j];
      }
      if (c.ds != nullptr) c.ds[i * c.ldds + j] = c.scale * sum;
    }
  }
}

void lora_grad_down_cpu(const LoraGradDown& c) {
  for (int32_t n = 0; n < c.branch_count; ++n) {
    const pp_lora_branch& branch = c.branches[n];
    const float* ds = static_cast<const float*>(branch.s);
    if (!c.accumulate) {
      for (int64_t j = 0; j < branch.rank; ++j) {
        for (int64_t k = 0; k < c.K; ++k) branch.da[j * branch.ldda + k] = 0.0f;
      }
    }
    for (int64_t i = 0; i < c.M; ++i) {
      for (int64_t k = 0; k < c.K; ++k) {
        const float x = c.x[i * c.ldx + k] * keep(c.mask, branch.module, c.K, i, k);
        for (int64_t j = 0; j < branch.rank; ++j) branch.da[j * branch.ldda + k] += ds[i * branch.lds + j] * x;
      }
    }
  }
}

void lora_grad_input_cpu(const LoraGradInput& c) {
  for (int32_t n = 0; n < c.branch_count; ++n) {
    const pp_lora_branch& branch = c.branches[n];
    const float* a = static_cast<const float*>(branch.a);
    const float* ds = static_cast<const float*>(branch.s);
    for (int64_t i = 0; i < c.M; ++i) {
      for (int64_t k = 0; k < c.K; ++k) {
        float sum = 0.0f;
        for (int64_t j = 0; j < branch.rank; ++j) sum += ds[i * branch.lds + j] * a[j * branch.lda + k];
        c.dx[i * c.lddx + k] += sum * keep(c.mask, branch.module, c.K, i, k);
      }
    }
  }
}

}  // namespace prunepeft
