// The CPU side of the fused linear, behind linear.cpp, which has checked the arguments. float32 and bfloat16.
//
// Packed weights. A matrix of `depth` x `columns` lies in strips of kStrip columns, one after the other; the inner dimension
// runs down a strip, whose rows are padded with zeros to whole vectors of any instruction set. So a kernel of whichever vector
// width reads it in order, and a plan outlives a change of instruction set. Of bfloat16, pairs of neighbours along the inner
// dimension take the place of an element (core/pairs.h).
//
// Packed codes. A quantised W lies in the same strips, with both codes of a pair of neighbours along the inner dimension side
// by side, in one byte or two, whatever the type of x. strips.h decodes them.
//
// A borrowed W is not packed: strips.h packs what is multiplied next.
#pragma once

#include "linear/cpu/lora_cpu.h"

namespace prunepeft {

/** Columns of a strip of packed weights; the last one may be narrower. */
constexpr int64_t kStrip = 64;
/** The most steps of the inner dimension that a kernel takes at a time, and the floats of such a part of a strip. */
constexpr int64_t kMostRun = 384;
constexpr int64_t kRunFloats = kMostRun * kStrip;

struct LinearForward {
  const pp_linear* linear;
  int64_t M;
  const void* x;
  int64_t ldx;
  const LoraModule* modules;
  int32_t module_count;
  void* y;
  int64_t ldy;
  void* workspace;
};

struct LinearGradInput {
  const pp_linear* linear;
  int64_t M;
  const void* dy;
  int64_t lddy;
  const LoraModule* modules;
  int32_t module_count;
  void* dx;
  int64_t lddx;
  void* workspace;
};

/** Rows of W from `first` on, of a plan of codes. */
struct LinearRows {
  const pp_linear* linear;
  int64_t first, count;
  void* to;
  int64_t ldto;
  void* workspace;
};

/** The kernels of one instruction set. */
struct LinearKernels {
  void (*forward)(const LinearForward& call);
  void (*grad_input)(const LinearGradInput& call);
  /** Of both types in float32's table; null in the others. */
  void (*decode_rows)(const LinearRows& call);
};

/** The kernels of the instruction set in use, for a plan's dtype. */
const LinearKernels& linear_cpu(pp_dtype dtype);

/** Packs the W and bias that the plan names; false if there is no memory for it. linear_cpu_release frees it in each case. */
bool linear_cpu_prepare(pp_linear& linear);
void linear_cpu_release(pp_linear& linear);

/** Copies rows of W as the plan has it, or decodes them. */
void linear_rows_cpu(const LinearRows& call);

size_t linear_rows_cpu_workspace(const pp_linear& linear);
size_t linear_forward_cpu_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t module_count);
size_t linear_grad_input_cpu_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t module_count);

}  // namespace prunepeft
