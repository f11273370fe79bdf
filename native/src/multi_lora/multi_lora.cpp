// The door of LoRA for several adapters: arguments are checked here for all devices. The CPU takes one segment after the other.
// SPDX-License-Identifier: Apache-2.0
#include "prunepeft/multi_lora.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "core/arguments.h"
#include "core/dropout.h"
#include "cuda/availability.h"
#include "multi_lora/multi_lora_cuda.h"

namespace prunepeft {
namespace {

/** Which fields of an adapter a function uses. */
enum AdapterUse { kUsesA = 1, kUsesB = 2, kUsesGradient = 4 };

/** Of the C interface: a name with an index, "adapters[3].rank". */
class Field {
 public:
  Field(const char* array, int32_t index) : array_(array), index_(index) {}
  const char* operator()(const char* of) {
    std::snprintf(name_, sizeof name_, "%s[%d].%s", array_, static_cast<int>(index_), of);
    return name_;
  }

 private:
  const char* array_;
  int32_t index_;
  char name_[48];
};

void check_adapter(Arguments& arguments, const pp_lora_adapter& adapter, int32_t index, bool has_rows, int64_t width, int use) {
  Field field("multi->adapters", index);
  arguments.at_least(field("rank"), adapter.rank, 1);
  if (use & kUsesA) arguments.leading(field("lda"), adapter.lda, width);
  if (use & kUsesB) arguments.leading(field("ldb"), adapter.ldb, adapter.rank);
  if (use & kUsesGradient) {
    if (use & kUsesB) arguments.leading(field("lddb"), adapter.lddb, adapter.rank);
    if (!(use & kUsesB)) arguments.leading(field("ldda"), adapter.ldda, width);
  }
  if (!has_rows) return;
  if (use & kUsesA) arguments.not_null(field("a"), adapter.a);
  if (use & kUsesB) arguments.not_null(field("b"), adapter.b);
  if (use & kUsesGradient) {
    if (use & kUsesB) arguments.not_null(field("db"), adapter.db);
    if (!(use & kUsesB)) arguments.not_null(field("da"), adapter.da);
  }
}

/** Checks segments and adapters; `width` is K or N. Returns the rows that the segments have together. */
int64_t check_multi(Arguments& arguments, const pp_multi_lora* multi, int64_t M, int64_t width, int use) {
  arguments.not_null("multi", multi);
  if (arguments.failed()) return 0;
  arguments.at_least("multi->adapter_count", multi->adapter_count, 0);
  arguments.at_most("multi->adapter_count", multi->adapter_count, cuda::kMostAdapters);
  arguments.at_least("multi->segment_count", multi->segment_count, 0);
  arguments.at_most("multi->segment_count", multi->segment_count, cuda::kMostAdapters);
  if (multi->adapter_count > 0) arguments.not_null("multi->adapters", multi->adapters);
  if (multi->segment_count > 0) arguments.not_null("multi->segments", multi->segments);
  if (arguments.failed()) return 0;

  bool has_rows[cuda::kMostAdapters] = {};
  int64_t end = 0, rows = 0;
  for (int32_t i = 0; i < multi->segment_count && !arguments.failed(); i++) {
    const pp_lora_segment& segment = multi->segments[i];
    Field field("multi->segments", i);
    arguments.require(segment.first_row >= end,
                      "multi->segments[%d].first_row must be at least %" PRId64 ", the end of the segment before, got %" PRId64,
                      i, end, segment.first_row);
    arguments.at_most(field("first_row"), segment.first_row, M);
    arguments.at_least(field("rows"), segment.rows, 0);
    if (arguments.failed()) return 0;
    arguments.at_most(field("rows"), segment.rows, M - segment.first_row);
    arguments.at_least(field("adapter"), segment.adapter, 0);
    arguments.at_most(field("adapter"), segment.adapter, multi->adapter_count - 1);
    check_dropout(arguments, segment.dropout, segment.rows, width);
    if (arguments.failed()) return 0;
    end = segment.first_row + segment.rows;
    rows += segment.rows;
    if (segment.rows > 0) has_rows[segment.adapter] = true;
  }
  for (int32_t i = 0; i < multi->adapter_count && !arguments.failed(); i++)
    check_adapter(arguments, multi->adapters[i], i, has_rows[i], width, use);
  return rows;
}

int64_t largest_rank(const pp_multi_lora& multi) {
  int64_t rank = 0;
  for (int32_t i = 0; i < multi.adapter_count; i++) rank = std::max(rank, multi.adapters[i].rank);
  return rank;
}

/** A matrix over the rows of the batch: x, y, S or one of their gradients. */
void check_rows(Arguments& arguments, const char* name, const char* ld_name, const void* data, int64_t ld, int64_t columns,
                bool needed) {
  arguments.leading(ld_name, ld, columns);
  if (needed) arguments.not_null(name, data);
}

/** Row `row` of such a matrix, whose elements have `size` bytes. */
void* row_at(const void* data, int64_t ld, int64_t row, size_t size) {
  return data == nullptr ? nullptr : static_cast<char*>(const_cast<void*>(data)) + static_cast<size_t>(row * ld) * size;
}

/** Elements of S and dS: float32 on the CPU, whatever the dtype. */
constexpr size_t kNarrowSize = sizeof(float);

pp_lora_branch branch_of(const pp_lora_adapter& adapter, void* s, int64_t lds) {
  return {adapter.a, adapter.lda, adapter.rank, adapter.scale, adapter.module, s, lds, adapter.da, adapter.ldda};
}

/** Whether a size query can read it: what it holds beside, the call itself checks. */
bool readable(const pp_multi_lora* multi) {
  if (multi == nullptr || multi->segment_count > cuda::kMostAdapters || multi->adapter_count > cuda::kMostAdapters)
    return false;
  if (multi->segment_count > 0 && (multi->segments == nullptr || multi->adapters == nullptr)) return false;
  for (int32_t i = 0; i < multi->segment_count; i++) {
    const int32_t adapter = multi->segments[i].adapter;
    if (adapter < 0 || adapter >= multi->adapter_count || multi->segments[i].rows < 0) return false;
    if (multi->adapters[adapter].rank < 1) return false;
  }
  return true;
}

/** The most that `bytes(adapter, rows)` gives for any segment. */
template <class Bytes>
size_t most_workspace(const pp_multi_lora* multi, Bytes bytes) {
  size_t most = 0;
  for (int32_t i = 0; readable(multi) && i < multi->segment_count; i++) {
    const pp_lora_segment& segment = multi->segments[i];
    most = std::max(most, bytes(multi->adapters[segment.adapter], segment.rows));
  }
  return most;
}

/** Calls `call(adapter, segment, earlier)` for each segment with rows; earlier: its adapter has had one already. */
template <class Call>
pp_status for_segments(const pp_multi_lora& multi, Call call) {
  bool seen[cuda::kMostAdapters] = {};
  for (int32_t i = 0; i < multi.segment_count; i++) {
    const pp_lora_segment& segment = multi.segments[i];
    if (segment.rows == 0) continue;
    const pp_status status = call(multi.adapters[segment.adapter], segment, seen[segment.adapter]);
    if (status != PP_OK) return status;
    seen[segment.adapter] = true;
  }
  return PP_OK;
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

size_t pp_multi_lora_down_workspace(const pp_device* device, pp_dtype dtype, int64_t K, const pp_multi_lora* multi) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return !readable(multi) || K < 1 ? 0 : cuda::multi_lora_down_workspace(K, *multi);
  }
  return most_workspace(multi, [&](const pp_lora_adapter& adapter, int64_t rows) {
    return pp_lora_down_workspace(device, dtype, rows, K, adapter.rank);
  });
}

pp_status pp_multi_lora_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                             const pp_multi_lora* multi, void* s, int64_t lds, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  const int64_t rows = check_multi(arguments, multi, M, K, kUsesA);
  if (arguments.failed()) return arguments.status();
  check_rows(arguments, "x", "ldx", x, ldx, K, rows > 0);
  check_rows(arguments, "s", "lds", s, lds, largest_rank(*multi), rows > 0);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_multi_lora_down_workspace(device, dtype, K, multi));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || rows == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::multi_lora_down(*device, dtype, K, x, ldx, *multi, s, lds, workspace);
  }
  return for_segments(*multi, [&](const pp_lora_adapter& adapter, const pp_lora_segment& segment, bool) {
    const pp_lora_branch branch = branch_of(adapter, row_at(s, lds, segment.first_row, kNarrowSize), lds);
    return pp_lora_down(device, dtype, segment.rows, K, row_at(x, ldx, segment.first_row, pp_dtype_size(dtype)), ldx, &branch,
                        1, segment.dropout, nullptr, 0, workspace, workspace_bytes);
  });
}

size_t pp_multi_lora_up_workspace(const pp_device* device, pp_dtype dtype, int64_t N, const pp_multi_lora* multi) {
  return most_workspace(multi, [&](const pp_lora_adapter& adapter, int64_t rows) {
    return pp_lora_up_workspace(device, dtype, rows, N, adapter.rank);
  });
}

pp_status pp_multi_lora_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, const pp_multi_lora* multi,
                           const void* s, int64_t lds, void* y, int64_t ldy, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("N", N, 1);
  const int64_t rows = check_multi(arguments, multi, M, N, kUsesB);
  if (arguments.failed()) return arguments.status();
  check_rows(arguments, "s", "lds", s, lds, largest_rank(*multi), rows > 0);
  check_rows(arguments, "y", "ldy", y, ldy, N, rows > 0);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_multi_lora_up_workspace(device, dtype, N, multi));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || rows == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::multi_lora_up(*device, dtype, N, *multi, s, lds, y, ldy);
  }
  return for_segments(*multi, [&](const pp_lora_adapter& adapter, const pp_lora_segment& segment, bool) {
    return pp_lora_up(device, dtype, segment.rows, N, adapter.rank, row_at(s, lds, segment.first_row, kNarrowSize), lds,
                      adapter.b, adapter.ldb, row_at(y, ldy, segment.first_row, pp_dtype_size(dtype)), ldy, 1, workspace,
                      workspace_bytes);
  });
}

size_t pp_multi_lora_grad_up_workspace(const pp_device* device, pp_dtype dtype, int64_t N, const pp_multi_lora* multi) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return !readable(multi) || N < 1 ? 0 : cuda::multi_lora_grad_up_workspace(dtype, N, *multi);
  }
  return most_workspace(multi, [&](const pp_lora_adapter& adapter, int64_t rows) {
    return pp_lora_grad_up_workspace(device, dtype, rows, N, adapter.rank);
  });
}

pp_status pp_multi_lora_grad_up(const pp_device* device, pp_dtype dtype, int64_t M, int64_t N, const void* dy, int64_t lddy,
                                const pp_multi_lora* multi, const void* s, int64_t lds, void* ds, int64_t ldds,
                                int32_t accumulate, void* workspace, size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("N", N, 1);
  const int64_t rows = check_multi(arguments, multi, M, N, kUsesB | kUsesGradient);
  if (arguments.failed()) return arguments.status();
  check_rows(arguments, "dy", "lddy", dy, lddy, N, rows > 0);
  check_rows(arguments, "s", "lds", s, lds, largest_rank(*multi), rows > 0);
  if (ds != nullptr) check_rows(arguments, "ds", "ldds", ds, ldds, largest_rank(*multi), false);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_multi_lora_grad_up_workspace(device, dtype, N, multi));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || rows == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::multi_lora_grad_up(*device, dtype, N, dy, lddy, *multi, s, lds, ds, ldds, accumulate != 0, workspace);
    }
  }
  return for_segments(*multi, [&](const pp_lora_adapter& adapter, const pp_lora_segment& segment, bool earlier) {
    return pp_lora_grad_up(device, dtype, segment.rows, N, adapter.rank,
                           row_at(dy, lddy, segment.first_row, pp_dtype_size(dtype)), lddy, adapter.b, adapter.ldb,
                           row_at(s, lds, segment.first_row, kNarrowSize), lds, adapter.scale,
                           row_at(ds, ldds, segment.first_row, kNarrowSize), ldds, adapter.db, adapter.lddb,
                           earlier || accumulate != 0, workspace, workspace_bytes);
  });
}

size_t pp_multi_lora_grad_down_workspace(const pp_device* device, pp_dtype dtype, int64_t K, const pp_multi_lora* multi) {
  if constexpr (kCuda) {
    if (is_cuda(device)) return !readable(multi) || K < 1 ? 0 : cuda::multi_lora_grad_down_workspace(dtype, K, *multi);
  }
  return most_workspace(multi, [&](const pp_lora_adapter& adapter, int64_t rows) {
    return pp_lora_grad_down_workspace(device, dtype, rows, K, adapter.rank);
  });
}

pp_status pp_multi_lora_grad_down(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const void* x, int64_t ldx,
                                  const pp_multi_lora* multi, const void* ds, int64_t ldds, int32_t accumulate, void* workspace,
                                  size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  const int64_t rows = check_multi(arguments, multi, M, K, kUsesGradient);
  if (arguments.failed()) return arguments.status();
  check_rows(arguments, "x", "ldx", x, ldx, K, rows > 0);
  check_rows(arguments, "ds", "ldds", ds, ldds, largest_rank(*multi), rows > 0);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_multi_lora_grad_down_workspace(device, dtype, K, multi));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_trainable(device, dtype);
  if (supported != PP_OK || rows == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) {
      return cuda::multi_lora_grad_down(*device, dtype, K, x, ldx, *multi, ds, ldds, accumulate != 0, workspace);
    }
  }
  return for_segments(*multi, [&](const pp_lora_adapter& adapter, const pp_lora_segment& segment, bool earlier) {
    const pp_lora_branch branch = branch_of(adapter, row_at(ds, ldds, segment.first_row, kNarrowSize), ldds);
    return pp_lora_grad_down(device, dtype, segment.rows, K, row_at(x, ldx, segment.first_row, pp_dtype_size(dtype)), ldx,
                             &branch, 1, segment.dropout, earlier || accumulate != 0, workspace, workspace_bytes);
  });
}

size_t pp_multi_lora_grad_input_workspace(const pp_device* device, pp_dtype dtype, int64_t K, const pp_multi_lora* multi) {
  return most_workspace(multi, [&](const pp_lora_adapter& adapter, int64_t rows) {
    return pp_lora_grad_input_workspace(device, dtype, rows, K, adapter.rank);
  });
}

pp_status pp_multi_lora_grad_input(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, const pp_multi_lora* multi,
                                   const void* ds, int64_t ldds, void* dx, int64_t lddx, void* workspace,
                                   size_t workspace_bytes) {
  Arguments arguments;
  arguments.target(device, dtype);
  arguments.at_least("M", M, 0);
  arguments.at_least("K", K, 1);
  const int64_t rows = check_multi(arguments, multi, M, K, kUsesA);
  if (arguments.failed()) return arguments.status();
  check_rows(arguments, "ds", "ldds", ds, ldds, largest_rank(*multi), rows > 0);
  check_rows(arguments, "dx", "lddx", dx, lddx, K, rows > 0);
  if (arguments.failed()) return arguments.status();
  arguments.workspace(workspace, workspace_bytes, pp_multi_lora_grad_input_workspace(device, dtype, K, multi));
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, dtype);
  if (supported != PP_OK || rows == 0) return supported;
  if constexpr (kCuda) {
    if (is_cuda(device)) return cuda::multi_lora_grad_input(*device, dtype, K, *multi, ds, ldds, dx, lddx);
  }
  return for_segments(*multi, [&](const pp_lora_adapter& adapter, const pp_lora_segment& segment, bool) {
    const pp_lora_branch branch = branch_of(adapter, row_at(ds, ldds, segment.first_row, kNarrowSize), ldds);
    return pp_lora_grad_input(device, dtype, segment.rows, K, &branch, 1, segment.dropout,
                              row_at(dx, lddx, segment.first_row, pp_dtype_size(dtype)), lddx, 1, workspace, workspace_bytes);
  });
}
