// The fused linear's door: plans are made and arguments checked here, once for all devices.
#include "prunepeft/linear.h"

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <new>

#include "core/arguments.h"
#include "core/dropout.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "linear/linear_cpu.h"
#include "linear/linear_cuda.h"
#include "linear/path.h"
#include "linear/plan.h"

namespace prunepeft {
namespace {
std::atomic<int> forced_path{cuda::kChosenPath};

void check_branches(Arguments& arguments, const pp_linear& linear, const pp_linear_branch* branches, int32_t count, int64_t M,
                    bool forward) {
  arguments.at_least("branch_count", count, 0);
  arguments.at_most("branch_count", count, kMostBranches);
  if (count > 0) arguments.not_null("branches", branches);
  for (int32_t i = 0; i < count && !arguments.failed(); ++i) {
    const pp_linear_branch& branch = branches[i];
    char name[48];
    const auto field = [&](const char* of) {
      std::snprintf(name, sizeof name, "branches[%d].%s", static_cast<int>(i), of);
      return name;
    };
    arguments.at_least(field("rank"), branch.rank, 1);
    arguments.leading(field("lds"), branch.lds, branch.rank);
    arguments.leading(field("lda"), branch.lda, linear.K);
    if (forward) {
      arguments.leading(field("ldb"), branch.ldb, branch.rank);
      arguments.at_least(field("columns"), branch.columns, 1);
      arguments.at_most(field("columns"), branch.columns, linear.N);
      arguments.at_least(field("first_column"), branch.first_column, 0);
      arguments.at_most(field("first_column"), branch.first_column, linear.N - branch.columns);
    }
    if (M > 0) {
      arguments.not_null(field("s"), branch.s);
      arguments.not_null(field("a"), branch.a);
      if (forward) arguments.not_null(field("b"), branch.b);
    }
  }
}

/** What both directions check, M and the plan first. */
void check_call(Arguments& arguments, const pp_device* device, const pp_linear* linear, int64_t M,
                const pp_linear_branch* branches, int32_t count, const pp_dropout* dropout, bool forward) {
  arguments.not_null("linear", linear);
  if (arguments.failed()) return;
  arguments.target(device, linear->dtype);
  if (arguments.failed()) return;
  arguments.require(device->type == linear->device_type, "device->type must be the plan's, %d, got %d",
                    static_cast<int>(linear->device_type), static_cast<int>(device->type));
  arguments.at_least("M", M, 0);
  check_branches(arguments, *linear, branches, count, M, forward);
  check_dropout(arguments, dropout, M, linear->K);
}

bool sound(const pp_linear* linear, int64_t M, const pp_linear_branch* branches, int32_t count) {
  if (linear == nullptr || M < 1 || count < 0 || count > kMostBranches || (count > 0 && branches == nullptr)) return false;
  for (int32_t n = 0; n < count; ++n) {
    if (branches[n].rank < 1 || branches[n].columns < 0) return false;
  }
  return true;
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

void pp_internal_force_linear_path(int path) {
  forced_path = path;
}

int pp_internal_forced_linear_path(void) {
  return forced_path;
}

pp_status pp_linear_create(const pp_device* device, pp_dtype dtype, int64_t N, int64_t K, const void* w, int64_t ldw,
                           const void* bias, pp_linear** linear) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("N", N, 1);
  arguments.at_least("K", K, 1);
  arguments.leading("ldw", ldw, K);
  arguments.not_null("w", w);
  arguments.not_null("linear", linear);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK) return supported;
  pp_linear* made = new (std::nothrow) pp_linear{device->type, device->index, dtype, N, K, w, ldw, bias, {}, {}, {}};
  if (made == nullptr || (device->type == PP_CPU && !linear_cpu_prepare(*made))) {
    delete made;
    return fail(PP_OUT_OF_MEMORY, "out of memory for a linear of %" PRId64 " x %" PRId64, N, K);
  }
  *linear = made;
  return PP_OK;
}

void pp_linear_destroy(pp_linear* linear) {
  if (linear != nullptr && linear->device_type == PP_CPU) linear_cpu_release(*linear);
  delete linear;
}

size_t pp_linear_forward_workspace(const pp_linear* linear, int64_t M, const pp_linear_branch* branches, int32_t branch_count) {
  if (!sound(linear, M, branches, branch_count)) return 0;
  if constexpr (kCuda) {
    if (linear->device_type == PP_CUDA) return cuda::linear_forward_workspace(*linear, M, branches, branch_count);
  }
  return linear_forward_cpu_workspace(*linear, M, branches, branch_count);
}

pp_status pp_linear_forward(const pp_device* device, const pp_linear* linear, int64_t M, const void* x, int64_t ldx,
                            const pp_linear_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* y,
                            int64_t ldy, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  check_call(arguments, device, linear, M, branches, branch_count, dropout, true);
  if (arguments.failed()) return arguments.status();
  arguments.leading("ldx", ldx, linear->K);
  arguments.leading("ldy", ldy, linear->N);
  if (M > 0) {
    arguments.not_null("x", x);
    arguments.not_null("y", y);
  }
  arguments.workspace(workspace, workspace_bytes, pp_linear_forward_workspace(linear, M, branches, branch_count));
  if (arguments.failed() || M == 0) return arguments.status();
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::linear_forward(*device, *linear, M, x, ldx, branches, branch_count, make_spec(dropout), y, ldy, workspace);
    }
  }
  linear_cpu(linear->dtype).forward({linear, M, x, ldx, branches, branch_count, make_mask(dropout), y, ldy, workspace});
  return PP_OK;
}

size_t pp_linear_grad_input_workspace(const pp_linear* linear, int64_t M, const pp_linear_branch* branches,
                                      int32_t branch_count) {
  if (!sound(linear, M, branches, branch_count)) return 0;
  if (linear->device_type == PP_CUDA) return 0;
  return linear_grad_input_cpu_workspace(*linear, M, branches, branch_count);
}

pp_status pp_linear_grad_input(const pp_device* device, const pp_linear* linear, int64_t M, const void* dy, int64_t lddy,
                               const pp_linear_branch* branches, int32_t branch_count, const pp_dropout* dropout, void* dx,
                               int64_t lddx, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  check_call(arguments, device, linear, M, branches, branch_count, dropout, false);
  if (arguments.failed()) return arguments.status();
  arguments.leading("lddy", lddy, linear->N);
  arguments.leading("lddx", lddx, linear->K);
  if (M > 0) {
    arguments.not_null("dy", dy);
    arguments.not_null("dx", dx);
  }
  arguments.workspace(workspace, workspace_bytes, pp_linear_grad_input_workspace(linear, M, branches, branch_count));
  if (arguments.failed() || M == 0) return arguments.status();
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::linear_grad_input(*device, *linear, M, dy, lddy, branches, branch_count, make_spec(dropout), dx, lddx);
    }
  }
  linear_cpu(linear->dtype).grad_input({linear, M, dy, lddy, branches, branch_count, make_mask(dropout), dx, lddx, workspace});
  return PP_OK;
}
