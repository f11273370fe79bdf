#include "linear/linear_cpu.h"

#include <cstring>
#include <initializer_list>
#include <new>

#include "core/isa.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/plan.h"

namespace prunepeft {

PP_KERNEL_TABLES(LinearKernels, linear_kernels)

namespace {

constexpr std::align_val_t kAlignment{kCacheLine};

float* allocate(int64_t floats) {
  return static_cast<float*>(::operator new(static_cast<size_t>(floats) * sizeof(float), kAlignment, std::nothrow));
}

int64_t strips(int64_t columns) {
  return (columns + kStrip - 1) / kStrip;
}

int64_t strip_width(int64_t columns, int64_t first) {
  return widest_padded(columns - first < kStrip ? columns - first : kStrip);
}

/** Packs element (k, j) = w[k * row_step + j * column_step] of a strip. The source may lie at any address. */
void pack_strip(const float* w, int64_t row_step, int64_t column_step, int64_t depth, int64_t columns, int64_t strip,
                float* packed) {
  const int64_t first = strip * kStrip, width = strip_width(columns, first);
  float* to = packed + first * depth;
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t j = 0; j < width; ++j, ++to) {
      *to = 0.0f;
      if (first + j < columns) std::memcpy(to, w + k * row_step + (first + j) * column_step, sizeof(float));
    }
  }
}

}  // namespace

const LinearKernels& linear_cpu() {
  return table_in_use(portable::linear_kernels, avx2::linear_kernels, avx512::linear_kernels);
}

bool linear_cpu_prepare(pp_linear& linear, const float* w, int64_t ldw, const float* bias) {
  const int64_t N = linear.N, K = linear.K;
  linear.forward = allocate(K * widest_padded(N));
  linear.backward = allocate(N * widest_padded(K));
  linear.padded_bias = allocate(widest_padded(N));
  if (linear.forward == nullptr || linear.backward == nullptr || linear.padded_bias == nullptr) {
    linear_cpu_release(linear);
    return false;
  }
  std::memset(linear.padded_bias, 0, static_cast<size_t>(widest_padded(N)) * sizeof(float));
  if (bias != nullptr) std::memcpy(linear.padded_bias, bias, static_cast<size_t>(N) * sizeof(float));
  const auto pack = [&](int64_t item) {
    if (item < strips(N)) {
      pack_strip(w, 1, ldw, K, N, item, linear.forward);
    } else {
      pack_strip(w, ldw, 1, N, K, item - strips(N), linear.backward);
    }
  };
  run_phases(2.0 * static_cast<double>(N) * static_cast<double>(K), phase(strips(N) + strips(K), pack));
  return true;
}

void linear_cpu_release(pp_linear& linear) {
  for (float* packed : {linear.forward, linear.backward, linear.padded_bias}) ::operator delete(packed, kAlignment);
}

// Each size mirrors what the kernel of its name carves from the workspace.

size_t linear_forward_cpu_workspace(int64_t K, const pp_linear_branch* branches, int32_t branch_count) {
  WorkspaceSize size;
  int64_t ranks = 0;
  for (int32_t n = 0; n < branch_count; ++n) ranks += widest_padded(branches[n].rank);
  size.floats(K, ranks);  // A of all branches, packed
  for (int32_t n = 0; n < branch_count; ++n) {
    size.floats(widest_padded(branches[n].columns), branches[n].rank);  // B of each branch, packed
  }
  return size.total();
}

size_t linear_grad_input_cpu_workspace(int64_t K, const pp_linear_branch* branches, int32_t branch_count) {
  WorkspaceSize size;
  int64_t ranks = 0;
  for (int32_t n = 0; n < branch_count; ++n) ranks += branches[n].rank;
  size.floats(widest_padded(K), ranks);  // A of all branches, packed
  return size.total();
}

}  // namespace prunepeft
