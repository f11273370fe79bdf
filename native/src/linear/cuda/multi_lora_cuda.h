// LoRA of modules on different rows, as one launch for all. Arguments have been checked.
#pragma once

#include "linear/branch.h"

namespace prunepeft::cuda {
/** Segments of a call are at most as many. */
constexpr int32_t kMostSegments = 32;

/**
 * Rows of a batch that go through a module. Segments with the same `adapter` are one module: their gradients are those of the
 * calls one after the other.
 */
struct LoraSegment {
  int64_t first_row;
  int64_t rows;
  int32_t adapter;
  LoraBranch branch;
};

/** At most kMostSegments, in rising order of rows, none overlapping; numbers of adapters are less than kMostSegments. */
struct MultiLora {
  LoraSegment segments[kMostSegments];
  int32_t count;
};

size_t multi_lora_down_workspace(int64_t K, const MultiLora& multi);
pp_status multi_lora_down(const pp_device& device, pp_dtype dtype, int64_t K, const void* x, int64_t ldx,
                          const MultiLora& multi, void* s, int64_t lds, void* workspace);
pp_status multi_lora_up(const pp_device& device, pp_dtype dtype, int64_t N, const MultiLora& multi, const void* s, int64_t lds,
                        void* y, int64_t ldy);
size_t multi_lora_grad_up_workspace(pp_dtype dtype, int64_t N, const MultiLora& multi);
pp_status multi_lora_grad_up(const pp_device& device, pp_dtype dtype, int64_t N, const void* dy, int64_t lddy,
                             const MultiLora& multi, const void* s, int64_t lds, void* ds, int64_t ldds, bool accumulate,
                             void* workspace);
size_t multi_lora_grad_down_workspace(pp_dtype dtype, int64_t K, const MultiLora& multi);
pp_status multi_lora_grad_down(const pp_device& device, pp_dtype dtype, int64_t K, const void* x, int64_t ldx,
                               const MultiLora& multi, const void* ds, int64_t ldds, bool accumulate, void* workspace);
pp_status multi_lora_grad_input(const pp_device& device, pp_dtype dtype, int64_t K, const MultiLora& multi, const void* ds,
                                int64_t ldds, void* dx, int64_t lddx);
}  // namespace prunepeft::cuda
