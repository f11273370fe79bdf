// The LoRA family's door: arguments are checked here, once for all devices, and handed to the device's side.
#include "prunepeft/lora.h"

#include <cinttypes>
#include <cstdio>

#include "core/arguments.h"
#include "core/dropout.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "lora/lora_cpu.h"
#include "lora/lora_cuda.h"

namespace prunepeft {
namespace {

/** Which pointers of a branch a function uses, beside s. */
enum BranchUse { kUsesA = 1, kUsesGradient = 2 };

bool runs_on_cpu(const pp_device* device, pp_dtype dtype) {
  return device != nullptr && device->type == PP_CPU && dtype == PP_FLOAT32;
}

/** The gradients of the weights, which the CPU has in bfloat16 too. */
bool trains_on_cpu(const pp_device* device, pp_dtype dtype) {
  return runs_on_cpu(device, dtype) || (device != nullptr && device->type == PP_CPU && dtype == PP_BFLOAT16);
}

/** Checks the branches' numbers, and their pointers if there is work to do; returns the sum of their ranks. */
int64_t check_branches(Arguments& arguments, const pp_lora_branch* branches, int32_t count, int64_t M, int64_t K, int use) {
  arguments.at_least("branch_count", count, 1);
  arguments.at_most("branch_count", count, kMostBranches);
  arguments.not_null("branches", branches);
  int64_t ranks = 0;
  for (int32_t i = 0; i < count && !arguments.failed(); ++i) {
    const pp_lora_branch& branch = branches[i];
    char name[48];
    const auto field = [&](const char* of) {
      std::snprintf(name, sizeof name, "branches[%d].%s", static_cast<int>(i), of);
      return name;
    };
    arguments.at_least(field("rank"), branch.rank, 1);
    arguments.leading(field("lds"), branch.lds, branch.rank);
    if (use & kUsesA) arguments.leading(field("lda"), branch.lda, K);
    if (use & kUsesGradient) arguments.leading(field("ldda"), branch.ldda, K);
    if (M > 0) {
      arguments.not_null(field("s"), branch.s);
      if (use & kUsesA) arguments.not_null(field("a"), branch.a);
      if (use & kUsesGradient) arguments.not_null(field("da"), branch.da);
    }
    ranks += branch.rank;
  }
  return ranks;
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

size_t pp_lora_down_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return M < 1 || K < 1 || ranks < 1 ? 0 : cuda::lora_down_workspace(M, K, ranks);
  }
  if (!runs_on_cpu(device, dtype) || M < 1 || K < 1 || ranks < 1) return 0;
  return lora_down_cpu_workspace(K, ranks);
}

pp_status pp_lora_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                       const pp_lora_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* x_copy,
                       int64_t ldx_copy, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.leading("ldx", ldx, K);
  if (x_copy != nullptr) arguments.leading("ldx_copy", ldx_copy, K);
  if (M > 0) arguments.not_null("x", x);
  const int64_t ranks = check_branches(arguments, branches, branch_count, M, K, kUsesA);
  check_dropout(arguments, dropout, M, K);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_lora_down_workspace(device, dtype, M, K, ranks));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::lora_down(*device, dtype, M, K, x, ldx, branches, branch_count, make_spec(dropout), x_copy, ldx_copy,
                             workspace);
    }
  }
  lora_cpu().down({M, K, static_cast<const float*>(x), ldx, branches, branch_count, make_mask(dropout),
                   static_cast<float*>(x_copy), ldx_copy, workspace});
  return PP_OK;
}

size_t pp_lora_up_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r) {
  if (!runs_on_cpu(device, dtype) || M < 1 || N < 1 || r < 1) return 0;
  return lora_up_cpu_workspace(N, r);
}

pp_status pp_lora_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* s, int64_t lds,
                     const void* b, int64_t ldb, void* y, int64_t ldy, int32_t accumulate, void* workspace,
                     size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("N", N, 1);
  arguments.at_least("r", r, 1);
  arguments.leading("lds", lds, r);
  arguments.leading("ldb", ldb, r);
  arguments.leading("ldy", ldy, N);
  if (M > 0) {
    arguments.not_null("s", s);
    arguments.not_null("b", b);
    arguments.not_null("y", y);
  }
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_lora_up_workspace(device, dtype, M, N, r));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::lora_up(*device, dtype, M, N, r, s, lds, b, ldb, y, ldy, accumulate != 0);
    }
  }
  lora_cpu().up({M, N, r, static_cast<const float*>(s), lds, static_cast<const float*>(b), ldb, static_cast<float*>(y), ldy,
                 accumulate != 0, workspace});
  return PP_OK;
}

size_t pp_lora_grad_up_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return M < 1 || N < 1 || r < 1 ? 0 : cuda::lora_grad_up_workspace(dtype, M, N, r);
  }
  if (!trains_on_cpu(device, dtype) || M < 1 || N < 1 || r < 1) return 0;
  return lora_grad_up_cpu_workspace(M, N, r);
}

pp_status pp_lora_grad_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, int64_t r, const void* dy,
                          int64_t lddy, const void* b, int64_t ldb, const void* s, int64_t lds, float scale, void* ds,
                          int64_t ldds, float* db, int64_t lddb, int32_t accumulate, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("N", N, 1);
  arguments.at_least("r", r, 1);
  arguments.leading("lddy", lddy, N);
  arguments.leading("ldb", ldb, r);
  arguments.leading("lds", lds, r);
  if (ds != nullptr) arguments.leading("ldds", ldds, r);
  arguments.leading("lddb", lddb, r);
  if (M > 0) {
    arguments.not_null("dy", dy);
    arguments.not_null("b", b);
    arguments.not_null("s", s);
    arguments.not_null("db", db);
  }
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_lora_grad_up_workspace(device, dtype, M, N, r));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::lora_grad_up(*device, dtype, M, N, r, dy, lddy, b, ldb, s, lds, scale, ds, ldds, db, lddb, accumulate != 0,
                                workspace);
    }
  }
  lora_gradients_cpu(dtype).grad_up({M, N, r, dy, lddy, static_cast<const float*>(b), ldb, static_cast<const float*>(s), lds,
                                     scale, static_cast<float*>(ds), ldds, db, lddb, accumulate != 0, workspace});
  return PP_OK;
}

size_t pp_lora_grad_down_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return M < 1 || K < 1 || ranks < 1 ? 0 : cuda::lora_grad_down_workspace(dtype, M, K, ranks);
  }
  if (!trains_on_cpu(device, dtype) || M < 1 || K < 1 || ranks < 1) return 0;
  return lora_grad_down_cpu_workspace(M, K, ranks);
}

pp_status pp_lora_grad_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                            const pp_lora_branch* branches, int32_t branch_count, const pp_dropout* dropout, int32_t accumulate,
                            void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.leading("ldx", ldx, K);
  if (M > 0) arguments.not_null("x", x);
  const int64_t ranks = check_branches(arguments, branches, branch_count, M, K, kUsesGradient);
  check_dropout(arguments, dropout, M, K);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_lora_grad_down_workspace(device, dtype, M, K, ranks));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::lora_grad_down(*device, dtype, M, K, x, ldx, branches, branch_count, make_spec(dropout), accumulate != 0,
                                  workspace);
    }
  }
  lora_gradients_cpu(dtype).grad_down({M, K, x, ldx, branches, branch_count, make_mask(dropout), accumulate != 0, workspace});
  return PP_OK;
}

size_t pp_lora_grad_input_workspace(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t ranks) {
  if (!runs_on_cpu(device, dtype) || M < 1 || K < 1 || ranks < 1) return 0;
  return lora_grad_input_cpu_workspace(K, ranks);
}

pp_status pp_lora_grad_input(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const pp_lora_branch* branches,
                             int32_t branch_count, const pp_dropout* dropout, void* dx, int64_t lddx, int32_t accumulate,
                             void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  arguments.leading("lddx", lddx, K);
  if (M > 0) arguments.not_null("dx", dx);
  const int64_t ranks = check_branches(arguments, branches, branch_count, M, K, kUsesA);
  check_dropout(arguments, dropout, M, K);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_lora_grad_input_workspace(device, dtype, M, K, ranks));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || M == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::lora_grad_input(*device, dtype, M, K, branches, branch_count, make_spec(dropout), dx, lddx, accumulate != 0);
    }
  }
  lora_cpu().grad_input(
      {M, K, branches, branch_count, make_mask(dropout), static_cast<float*>(dx), lddx, accumulate != 0, workspace});
  return PP_OK;
}
